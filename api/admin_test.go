package api

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

func TestReadiness(t *testing.T) {
	ready := true
	f := start(t, func(d *Deps) {
		d.Ready = func(ctx context.Context) (bool, map[string]string) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a request has no deadline")
			}
			return ready, map[string]string{"database": "ok"}
		}
	})
	f.expect("ready", f.do("GET", "/readyz", ""), 200, `{"status":"ok","checks":{"database":"ok"}}`)
	ready = false
	f.expect("not ready", f.do("GET", "/readyz", ""), 503, `{"status":"unavailable","checks":{"database":"ok"}}`)
}

func TestApplications(t *testing.T) {
	f := start(t)
	if res := f.admin("POST", "", `{"application":"fresh"}`); res.status != 201 || !strings.Contains(res.body, `"application":"fresh"`) || f.actor != "admin" {
		t.Errorf("create: %d %s", res.status, res.body)
	}
	if res := f.admin("POST", "", `{"application":"acme"}`); res.status != 409 || res.problem(t).Code != workflow.CodeNotUnique {
		t.Errorf("taken: %d %s", res.status, res.body)
	}
	if res := f.admin("POST", "", `{"a":1,"a":2}`); res.vio(t) != "a=duplicate_field" {
		t.Errorf("duplicate: %s", res.body)
	}
	if res := f.admin("GET", "/acme", ""); res.status != 200 {
		t.Errorf("show: %d %s", res.status, res.body)
	}
	var page struct {
		Items      []struct{ Application string }
		NextCursor string
	}
	all := f.admin("GET", "?limit=2", "")
	if err := json.Unmarshal([]byte(all.body), &page); err != nil || len(page.Items) != 2 || page.NextCursor == "" || f.limit != 2 {
		t.Errorf("list: %s", all.body)
	}
	f.admin("GET", "?cursor="+page.NextCursor, "")
	if f.cursor != "other" || f.limit != defaultLimit {
		t.Errorf("the store got %q, %d", f.cursor, f.limit)
	}
	bound := f.do("GET", "/admin/v1/applications", "", "X-Api-Key", f.keys["secret"])
	if strings.Contains(bound.body, `"other"`) || !strings.Contains(bound.body, `"application":"acme"`) {
		t.Errorf("a key of one application sees %s", bound.body)
	}
	f.stale = 2
	if res := f.admin("PATCH", "/acme", `{"name":"New"}`); res.status != 200 || !strings.Contains(res.body, `"name":"New"`) {
		t.Errorf("patch over newer versions: %d %s", res.status, res.body)
	}
	f.stale = 9
	if res := f.admin("PATCH", "/acme", `{"name":"New"}`); res.status != 503 {
		t.Errorf("patch that always loses: %d %s", res.status, res.body)
	}
	if res := f.admin("DELETE", "/acme", ""); res.status != 204 || res.body != "" {
		t.Errorf("delete: %d %s", res.status, res.body)
	}
}

const shownUser = `{"id":"u1","email":"ada@example.com","name":"Ada","locale":"","orgs":[],"disabled":false,"hasPassword":true,"mustReset":false,"createdAt":"2026-11-23T10:00:00Z","updatedAt":"2026-11-23T10:00:00Z"}`

func TestUsers(t *testing.T) {
	f := start(t)
	f.expect("create", f.admin("POST", "/acme/users", `{"email":"ADA@Example.com","password":"long enough","name":"Ada","locale":"de","orgs":["a"],"disabled":true}`), 201, shownUser)
	if u := f.user; u.Email != "ada@example.com" || u.Hash != "$argon2id$fake" || u.Name != "Ada" || u.Locale != "de" || len(u.Orgs) != 1 || !u.Disabled {
		t.Errorf("stored %+v", u)
	}
	f.admin("POST", "/acme/users", `{"email":"ada@example.com","passwordHash":"$2b$10$x"}`)
	if f.user.Hash != "$2b$10$x" {
		t.Errorf("stored %+v", f.user)
	}
	f.admin("POST", "/acme/users", `{"email":"ada@example.com"}`)
	if f.user.Hash != "" {
		t.Errorf("without a password: %+v", f.user)
	}
	for body, want := range map[string]string{
		`{}`: "email=required",
		`{"email":"a@b.test","password":"x","passwordHash":"$2b$"}`:            "password=must_be_null passwordHash=must_be_null",
		`{"email":"a@b.test","password":"short"}`:                              "password=too_short",
		`{"email":"a@b.test","passwordHash":"plain"}`:                          "passwordHash=invalid_value",
		`{"email":"a@b.test","passwordHash":""}`:                               "passwordHash=invalid_value",
		`{"email":"a@b.test","name":"a\u0000"}`:                                "name=invalid_character",
		`{"email":"a@b.test","name":"` + strings.Repeat("n", 201) + `"}`:       "name=too_long",
		`{"email":"a@b.test","orgs":[""]}`:                                     "orgs.0=too_short",
		`{"email":"a@b.test","orgs":"a"}`:                                      "orgs=invalid_type",
		`{"email":"a@b.test","locale":"!"}`:                                    "locale=invalid_locale",
		`{"email":"a@b.test","id":"u2"}`:                                       "id=unknown_field",
		`{"email":"a@b.test","orgs":["x"` + strings.Repeat(`,"x"`, 100) + `]}`: "orgs=too_long",
	} {
		f.took()
		if res := f.admin("POST", "/acme/users", body); res.status != 400 || res.vio(t) != want || strings.Contains(f.took(), "Hash") {
			t.Errorf("%.60s: %d %s", body, res.status, res.body)
		}
	}
	if res := f.admin("POST", "/acme/users", `{"email":"taken@example.com"}`); res.status != 409 {
		t.Errorf("taken: %d", res.status)
	}
	f.hashErr = workflow.ErrBusy
	if res := f.admin("POST", "/acme/users", `{"email":"a@b.test","password":"long enough"}`); res.status != 503 || res.header.Get("Retry-After") == "" {
		t.Errorf("a full pool: %d", res.status)
	}
	f.hashErr = nil
	f.expect("show", f.admin("GET", "/acme/users/u1", ""), 200, shownUser)
	f.expect("list", f.admin("GET", "/acme/users?email=ADA@example.com", ""), 200, `{"items":[`+shownUser+`],"nextCursor":"dTE"}`)
	f.expect("patch", f.admin("PATCH", "/acme/users/u1", `{"name":"","email":null,"password":"long enough","disabled":false}`), 200, shownUser)
	if p := f.patch; p.Name == nil || *p.Name != "" || p.Email != nil || p.Hash == nil || *p.Hash != "$argon2id$fake" || p.Disabled == nil || p.Orgs != nil || p.Locale != nil {
		t.Errorf("patched %+v", p)
	}
	f.expect("revoke", f.admin("POST", "/acme/users/u1/revoke-sessions", ""), 200, `{"sessions":2,"refreshTokens":3}`)
	f.expect("require", f.admin("POST", "/acme/users/u1/require-reset", ""), 204, "")
	f.expect("delete", f.admin("DELETE", "/acme/users/u1", ""), 204, "")
}

// TestOddIDs: whatever stands in a path names nothing and breaks nothing (security.md PAR-10, PAR-11).
func TestOddIDs(t *testing.T) {
	f := start(t)
	ids := []string{"abc", "-1", "1e3", "0x1", "99999999999999999999", "1=1%20OR%201", "%00", "%ff", "..%2f..", strings.ToUpper(testID.String()), "00000000-0000-0000-0000-000000000000", strings.Repeat("a", 300), "%27"}
	for _, rt := range table() {
		if !strings.Contains(rt.path, ":id") {
			continue
		}
		for _, id := range ids {
			path := strings.NewReplacer(":slug", "acme", ":id", id).Replace(rt.path)
			res := f.do(rt.method, path, "{}", "Authorization", "Bearer "+adminToken, "Content-Type", "application/json")
			if strings.HasSuffix(rt.path, "/cancel") && id == "00000000-0000-0000-0000-000000000000" {
				continue // the fake engine cancels anything well-formed
			}
			if res.status != 404 {
				t.Errorf("%s %s: %d %s", rt.method, path, res.status, res.body)
			}
		}
	}
	for _, slug := range []string{"%00", "%2e%2e", "ACME", "a'b", "nobody", strings.Repeat("a", 100), "*"} {
		if res := f.admin("GET", "/"+slug, ""); res.status != 404 {
			t.Errorf("%s: %d", slug, res.status)
		}
	}
}

func TestLists(t *testing.T) {
	f := start(t)
	for query, want := range map[string]string{
		"limit=0": "limit=invalid_value", "limit=201": "limit=invalid_value", "limit=-1": "limit=invalid_value", "limit=x": "limit=invalid_value",
		"limit=": "limit=invalid_value", "limit=1&limit=2": "limit=invalid_value", "limit=%2B5": "limit=invalid_value", "limit=1e2": "limit=invalid_value", "limit=99999999999999999999": "limit=invalid_value",
		"cursor=%00": "cursor=invalid_value", "cursor=AA": "cursor=invalid_value", "cursor=a%27b": "cursor=invalid_value", "cursor=a&cursor=b": "cursor=invalid_value",
		"email=x": "email=invalid_email", "state=x": "state=invalid_value", "flow=x": "flow=invalid_value", "state=x&limit=0": "limit=invalid_value state=invalid_value",
	} {
		if res := f.admin("GET", "/acme/reset-requests?"+query, ""); res.status != 400 || res.vio(t) != want {
			t.Errorf("%s: %d %s", query, res.status, res.body)
		}
	}
	for _, path := range []string{"", "/acme/users", "/acme/keys", "/acme/reset-requests", "/acme/messages"} {
		for limit, status := range map[int]int{0: 400, 1: 200, 200: 200, 201: 400} {
			if res := f.admin("GET", path+"?limit="+strconv.Itoa(limit), ""); res.status != status {
				t.Errorf("%s limit %d: %d", path, limit, res.status)
			}
		}
	}
	f.admin("GET", "/acme/reset-requests?email=ADA@example.com&state=locked&flow=email_otp&sort=code&filter[code]=a", "")
	if q := f.query; q.Email != "ada@example.com" || q.State != workflow.StateLocked || q.Flow != "email_otp" || q.Limit != defaultLimit {
		t.Errorf("got %+v", q)
	}
}

func TestKeys(t *testing.T) {
	f := start(t)
	res := f.admin("POST", "/acme/keys", `{"name":"Shop","type":"publishable","permissions":["sessions:execute"],"allowedOrigins":["https://shop.test"]}`)
	var out apiKey
	_ = json.Unmarshal([]byte(res.body), &out)
	if kind, ok := parseKey(out.Key); res.status != 201 || !ok || kind != workflow.KeyPublishable || f.created.ID != out.ID || f.created.Application != "acme" || string(f.created.Hash) == "" {
		t.Errorf("%d %s", res.status, res.body)
	}
	if sum := digest(out.Key); string(f.created.Hash) != string(sum[:]) {
		t.Error("the row keeps the key's digest")
	}
	f.expect("list", f.admin("GET", "/acme/keys", ""), 200,
		`{"items":[{"id":"k1","name":"n","type":"secret","permissions":["users:read"],"allowedOrigins":[],"prefix":"rfsk","lastFour":"abcd","createdAt":"2026-11-23T10:00:00Z"}]}`)
	f.expect("revoke", f.admin("DELETE", "/acme/keys/k1", ""), 204, "")
	for body, want := range map[string]string{
		`{}`: "name=required permissions=required type=required",
		`{"name":"","type":"x","permissions":[]}`:                                                     "name=too_short permissions=required type=invalid_value",
		`{"name":"n","type":"secret","permissions":["users:read","x"]}`:                               "permissions.1=invalid_value",
		`{"name":"n","type":"publishable","permissions":["users:read"]}`:                              "permissions.0=not_allowed",
		`{"name":"n","type":"secret","permissions":["users:read"],"allowedOrigins":["https://a.b"]}`:  "allowedOrigins=not_allowed",
		`{"name":"n","type":"publishable","permissions":["sessions:execute"],"allowedOrigins":["*"]}`: "allowedOrigins.0=invalid_value",
		`{"name":"n","type":"secret","permissions":["users:read"],"userId":"u1"}`:                     "userId=unknown_field",
	} {
		if res := f.admin("POST", "/acme/keys", body); res.status != 400 || res.vio(t) != want {
			t.Errorf("%.80s: %d %s", body, res.status, res.body)
		}
	}
	// A key grants no more than it holds (security.md ADM-07).
	minter := f.key("minter", workflow.KeySecret, "acme", nil, string(PermKeysWrite), string(PermUsersRead))
	for permission, status := range map[Permission]int{PermUsersRead: 201, PermUsersWrite: 403, PermKeysWrite: 201} {
		res := f.do("POST", "/admin/v1/applications/acme/keys", `{"name":"n","type":"secret","permissions":["`+string(permission)+`"]}`, "X-Api-Key", minter, "Content-Type", "application/json")
		if res.status != status {
			t.Errorf("%s: %d, want %d", permission, res.status, status)
		}
	}
	if f.actor != "key:minter" {
		t.Errorf("the actor is %q", f.actor)
	}
}

func TestRequestsAndMessages(t *testing.T) {
	f := start(t)
	id := testID.String()
	row := `"id":"` + id + `","flow":"email_otp","origin":"user","state":"challenged","email":"ada@example.com","userId":"u1","sends":1,"attempts":0,"actor":"page","skipPasswordUpdatedEmail":false,"createdAt":"2026-11-23T10:00:00Z","expiresAt":"2026-11-23T10:00:00Z"`
	f.expect("requests", f.admin("GET", "/acme/reset-requests", ""), 200, `{"items":[{`+row+`}]}`)
	f.expect("request", f.admin("GET", "/acme/reset-requests/"+id, ""), 200,
		`{`+row+`,"timeline":[{"at":"2026-11-23T10:00:00Z","event":"authn_password_reset_requested","move":"issue","from":"requested","to":"challenged","actor":"page"}]}`)
	f.expect("cancel", f.admin("POST", "/acme/reset-requests/"+id+"/cancel", ""), 204, "")
	m := `{"id":"` + id + `","requestId":"` + id + `","kind":"reset_code","state":"queued","to":"ada@example.com","locale":"","attempts":0,"lastReply":"451 later","nextTry":"2026-11-23T10:00:00Z","createdAt":"2026-11-23T10:00:00Z"}`
	f.expect("messages", f.admin("GET", "/acme/messages?state=queued", ""), 200, `{"items":[`+m+`]}`)
	f.expect("message", f.admin("GET", "/acme/messages/"+id, ""), 200, m)
	f.expect("retry", f.admin("POST", "/acme/messages/"+id+"/retry", ""), 202, m)
	if res := f.admin("GET", "/acme/messages?state=x", ""); res.vio(t) != "state=invalid_value" {
		t.Errorf("got %s", res.body)
	}
	f.err = workflow.Fail(workflow.CodeNotCancellable, nil)
	if res := f.admin("POST", "/acme/reset-requests/"+id+"/cancel", ""); res.status != 409 {
		t.Errorf("finished: %d", res.status)
	}
	f.err = workflow.Fail(workflow.CodeNotRetryable, nil)
	if res := f.admin("POST", "/acme/messages/"+id+"/retry", ""); res.status != 409 {
		t.Errorf("delivered: %d", res.status)
	}
}
