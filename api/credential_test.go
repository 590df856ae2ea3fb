package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

const someRequest = `{"email":"v@x.org"}`

func TestCredentials(t *testing.T) {
	f := start(t)
	secret, browser := f.keys["secret"], f.keys["browser"]
	installation := f.key("installation", workflow.KeySecret, "", nil, string(PermWorkflow), string(PermSessions))
	weak := f.key("weak", workflow.KeySecret, "acme", nil, string(PermSessions))
	gone := f.key("gone", workflow.KeySecret, "deleted", nil, string(PermWorkflow))
	revoked := f.key("revoked", workflow.KeySecret, "acme", nil, string(PermWorkflow))
	greedy := f.key("greedy", workflow.KeyPublishable, "acme", nil, string(PermLinkCreate), string(PermUsersWrite), string(PermWorkflow))
	mislabelled := f.key("mislabelled", workflow.KeySecret, "acme", nil, string(PermWorkflow))
	for hash, k := range f.world.keys {
		switch k.ID {
		case "revoked":
			k.RevokedAt = testTime
		case "mislabelled":
			k.Type = workflow.KeyPublishable
		}
		f.world.keys[hash] = k
	}
	unknown, _, _ := NewKey("acme", "n", workflow.KeySecret, []string{string(PermWorkflow)}, nil, testTime)
	wrongType := strings.Replace(secret, "rfsk_", "rfpk_", 1)
	route := reset + "/request-password-reset"
	for name, tc := range map[string]struct {
		path    string
		headers []string
		status  int
		code    workflow.ErrorCode
	}{
		"bearer":                  {route, []string{"Authorization", "Bearer " + secret}, 202, ""},
		"bearer in lower case":    {route, []string{"Authorization", "bearer " + secret}, 202, ""},
		"header":                  {route, []string{"X-Api-Key", secret}, 202, ""},
		"publishable":             {route, []string{"X-Api-Key", browser}, 202, ""},
		"none":                    {route, nil, 401, workflow.CodeUnauthenticated},
		"both":                    {route, []string{"Authorization", "Bearer " + secret, "X-Api-Key", secret}, 400, workflow.CodeMultipleCredentials},
		"bearer twice":            {route, []string{"Authorization", "Bearer " + secret, "Authorization", "Bearer " + browser}, 400, workflow.CodeMultipleCredentials},
		"header twice":            {route, []string{"X-Api-Key", secret, "X-Api-Key", secret}, 400, workflow.CodeMultipleCredentials},
		"both, one empty":         {route, []string{"Authorization", "", "X-Api-Key", secret}, 400, workflow.CodeMultipleCredentials},
		"basic":                   {route, []string{"Authorization", "Basic " + secret}, 401, workflow.CodeUnauthenticated},
		"no scheme":               {route, []string{"Authorization", secret}, 401, workflow.CodeUnauthenticated},
		"two in one":              {route, []string{"Authorization", "Bearer " + secret + ", Bearer " + browser}, 401, workflow.CodeUnauthenticated},
		"access token":            {route, []string{"Authorization", "Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln"}, 401, workflow.CodeUnauthenticated},
		"unknown key":             {route, []string{"X-Api-Key", unknown}, 401, workflow.CodeUnauthenticated},
		"key of the other type":   {route, []string{"X-Api-Key", wrongType}, 401, workflow.CodeUnauthenticated},
		"row of another type":     {route, []string{"X-Api-Key", mislabelled}, 401, workflow.CodeUnauthenticated},
		"revoked key":             {route, []string{"X-Api-Key", revoked}, 401, workflow.CodeUnauthenticated},
		"key without application": {route, []string{"X-Api-Key", gone}, 401, workflow.CodeUnauthenticated},
		"padding":                 {route, []string{"X-Api-Key", secret + "="}, 401, workflow.CodeUnauthenticated},
		"cut":                     {route, []string{"X-Api-Key", secret[:47]}, 401, workflow.CodeUnauthenticated},
		"many dots":               {route, []string{"Authorization", "Bearer " + strings.Repeat(".", 8000)}, 401, workflow.CodeUnauthenticated},
		"admin token":             {route, []string{"Authorization", "Bearer " + adminToken}, 403, workflow.CodeForbidden},
		"admin token as key":      {route, []string{"X-Api-Key", adminToken}, 401, workflow.CodeUnauthenticated},
		"installation key":        {route, []string{"X-Api-Key", installation}, 403, workflow.CodeForbidden},
		"without permission":      {route, []string{"X-Api-Key", weak}, 403, workflow.CodeForbidden},
		"publishable, greedy row": {reset + "/create-password-reset-link", []string{"X-Api-Key", greedy}, 403, workflow.CodeForbidden},
		"identity header":         {route, []string{"X-Webauth-User", "admin"}, 401, workflow.CodeUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			res := f.post(tc.path, someRequest, "", tc.headers...)
			if res.status != tc.status || tc.code != "" && res.problem(t).Code != tc.code {
				t.Errorf("got %d %s", res.status, res.body)
			}
			if (res.header.Get("Www-Authenticate") != "") != (res.status == 401) {
				t.Errorf("WWW-Authenticate %q with %d", res.header.Get("Www-Authenticate"), res.status)
			}
			for i := 1; i < len(tc.headers); i += 2 {
				if secret := tc.headers[i]; len(secret) > 20 && strings.Contains(res.body, secret) {
					t.Error("the answer repeats the credential")
				}
			}
		})
	}
	if strings.Contains(f.log.String(), secret[5:20]) || strings.Contains(f.log.String(), adminToken) {
		t.Error("the log holds a credential")
	}
}

func TestWithoutAdminToken(t *testing.T) {
	if newServer(Deps{}).isAdmin("") {
		t.Error("no token is no password")
	}
	f := start(t, func(d *Deps) { d.AdminToken = "" })
	for _, token := range []string{"", " ", "x"} {
		if res := f.do("GET", "/admin/v1/applications", "", "Authorization", "Bearer "+token); res.status != 401 {
			t.Errorf("%q: %d", token, res.status)
		}
	}
}

// TestPermissionMatrix walks every route of the table with every single
// permission and boundary. A new route is in the table, so it is in here.
func TestPermissionMatrix(t *testing.T) {
	f := start(t)
	for _, rt := range table() {
		path := strings.NewReplacer(":slug", "acme", ":id", "u1").Replace(rt.path)
		name := rt.method + " " + rt.path
		f.took()
		anonymous := f.do(rt.method, path, "")
		switch rt.access {
		case open:
			if rt.permission != "" || anonymous.status >= 400 {
				t.Errorf("%s is open: %d", name, anonymous.status)
			}
			continue
		case session:
			if anonymous.status != 401 {
				t.Errorf("%s without a token: %d", name, anonymous.status)
			}
			for _, key := range []string{f.keys["secret"], f.keys["browser"], adminToken} {
				if res := f.do(rt.method, path, "", "Authorization", "Bearer "+key); res.status != 401 {
					t.Errorf("%s takes access tokens only: %d", name, res.status)
				}
			}
			continue
		case keyed, admin:
		default:
			t.Errorf("%s names no access", name)
			continue
		}
		if anonymous.status != 401 || f.took() != "" {
			t.Errorf("%s without a credential: %d", name, anonymous.status)
		}
		if !rt.permission.known() || rt.boundary == 0 {
			t.Errorf("%s names no permission or boundary", name)
		}
		for _, p := range Permissions() {
			for _, app := range []string{"acme", "other", ""} {
				key := f.key("k", workflow.KeySecret, app, nil, string(p))
				f.took()
				res := f.do(rt.method, path, "{}", "X-Api-Key", key, "Content-Type", "application/json")
				allowed := p == rt.permission
				var want int
				switch {
				case !allowed, rt.access == keyed && app == "", rt.boundary == installation && app != "":
					want = http.StatusForbidden
				case rt.boundary == named && app == "other":
					want = http.StatusNotFound
				}
				if want != 0 && (res.status != want || strings.Contains(strings.ReplaceAll(f.took(), "Key", ""), "User")) {
					t.Errorf("%s with %s of %q: %d, want %d", name, p, app, res.status, want)
				}
				if want == 0 && (res.status == 401 || res.status == 403 || res.status >= 500) {
					t.Errorf("%s with %s of %q: %d", name, p, app, res.status)
				}
			}
		}
		if rt.access == admin {
			if res := f.do(rt.method, path, "{}", "Authorization", "Bearer "+adminToken, "Content-Type", "application/json"); res.status == 401 || res.status == 403 {
				t.Errorf("%s with the admin token: %d", name, res.status)
			}
			if res := f.do(rt.method, path, "{}", "Authorization", "Bearer access.token.ok", "Content-Type", "application/json"); res.status != 401 {
				t.Errorf("%s with an access token: %d", name, res.status)
			}
		}
	}
}

// TestUnnamedAccessIsClosed: a row that forgets its access or boundary answers nobody.
func TestUnnamedAccessIsClosed(t *testing.T) {
	s := newServer(Deps{AdminToken: adminToken})
	c := &call{s: s, who: credential{admin: true}}
	if err := c.within(0); err == nil {
		t.Error("a boundary nobody named was let through")
	}
	if err := c.within(own); err == nil {
		t.Error("an admin route has no own application")
	}
}

func TestClient(t *testing.T) {
	f := start(t)
	forwarded := []string{"X-Forwarded-For", "203.0.113.9", "User-Agent", "Browser/1", "X-Resetflow-User-Agent", "Phone/2"}
	for name, tc := range map[string]struct {
		key     string
		headers []string
		want    workflow.Client
	}{
		"secret, nothing said": {"secret", forwarded[:4], workflow.Client{Actor: "key:secret", KeyID: "secret", Trusted: true}},
		"secret":               {"secret", append(forwarded, "X-Resetflow-Client-IP", "::ffff:198.51.100.7"), workflow.Client{Actor: "key:secret", KeyID: "secret", Trusted: true, IP: "198.51.100.7", UserAgent: "Phone/2"}},
		"secret, IPv6":         {"secret", []string{"X-Resetflow-Client-IP", "2001:DB8::1"}, workflow.Client{Actor: "key:secret", KeyID: "secret", Trusted: true, IP: "2001:db8::1"}},
		"publishable":          {"browser", append(forwarded, "X-Resetflow-Client-IP", "198.51.100.7"), workflow.Client{Actor: "key:browser", KeyID: "browser", IP: "203.0.113.9", UserAgent: "Browser/1"}},
		"publishable, rubbish": {"browser", []string{"X-Resetflow-Client-IP", "x", "User-Agent", "B"}, workflow.Client{Actor: "key:browser", KeyID: "browser", IP: "127.0.0.1", UserAgent: "B"}},
	} {
		res := f.post(reset+"/request-password-reset", someRequest, f.keys[tc.key], tc.headers...)
		if res.status != 202 || f.client != tc.want {
			t.Errorf("%s: %d, %+v, want %+v", name, res.status, f.client, tc.want)
		}
	}
	for _, ip := range []string{"", "x", "1.2.3", "1.2.3.4:5", "1.2.3.4, 5.6.7.8", "fe80::1%eth0", "01.2.3.4", "0.0.0.0", "1.2.3.4/24"} {
		f.took()
		res := f.post(reset+"/request-password-reset", someRequest, f.keys["secret"], "X-Resetflow-Client-IP", ip)
		if res.status != 400 || res.problem(t).Code != workflow.CodeInvalidClientIP || strings.Contains(f.took(), "Request") {
			t.Errorf("%q: %d %s", ip, res.status, res.body)
		}
	}
	if res := f.post(reset+"/request-password-reset", someRequest, f.keys["secret"], "X-Resetflow-Client-IP", "1.1.1.1", "X-Resetflow-Client-IP", "2.2.2.2"); res.status != 400 {
		t.Errorf("two addresses: %d", res.status)
	}
	if got := agent("a\x00b\x80c" + strings.Repeat("é", 200)); len(got) > maxAgent || !strings.HasPrefix(got, "abcé") {
		t.Errorf("a user agent is cleaned and cut: %q", got)
	}
}

// TestUnlistedProxy: a private peer that forwards for others is counted as a
// peer, and the log warns, once.
func TestUnlistedProxy(t *testing.T) {
	f := start(t, func(d *Deps) { d.Clients = nil })
	for range 3 {
		f.post(reset+"/request-password-reset", someRequest, f.keys["browser"], "X-Forwarded-For", "203.0.113.9")
	}
	if !f.client.Peer || f.client.IP != "127.0.0.1" {
		t.Errorf("got %+v", f.client)
	}
	if n := strings.Count(f.log.String(), "untrusted_proxy"); n != 1 {
		t.Errorf("%d warnings in a minute", n)
	}
}

func TestNewKey(t *testing.T) {
	key, row, err := NewKey("acme", "Shop", workflow.KeyPublishable, []string{string(PermSessions)}, []string{"https://shop.test", "http://localhost:3000"}, time.Now())
	if err != nil || len(key) != 48 || !strings.HasPrefix(key, "rfpk_") || row.LastFour != key[44:] || strings.Contains(string(row.Hash), key) {
		t.Fatalf("got %+v, %v", row, err)
	}
	if kind, ok := parseKey(key); !ok || kind != workflow.KeyPublishable {
		t.Error("a new key reads as one")
	}
	for _, o := range []string{"*", "null", "https://*.shop.test", "https://shop.test/", "https://Shop.test", "shop.test", "https://shop.test:443", "https://u@shop.test",
		"https://shop.test?x", "https://shop.test:", "https://shop.test:0", "https://shop.test:99999", "ftp://shop.test", "javascript://shop.test", "", "https://"} {
		if isOrigin(o) {
			t.Errorf("%q is no origin", o)
		}
	}
}
