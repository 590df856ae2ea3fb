package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

// TestShapeComesFirst sends what no handler should see: it is refused before
// anything at all is looked up, the key included.
func TestShapeComesFirst(t *testing.T) {
	f := start(t)
	deep := `{"email":` + strings.Repeat("[", 8000)
	for name, tc := range map[string]struct{ body, code, vio string }{
		"array of addresses":  {`{"email":["v@x.org","e@evil.org"]}`, "", "email=invalid_type"},
		"duplicate":           {`{"email":"v@x.org","email":"e@evil.org"}`, "", "email=duplicate_field"},
		"case":                {`{"Email":"v@x.org"}`, "", "Email=unknown_field"},
		"user id":             {`{"email":"v@x.org","userId":"1"}`, "", "userId=unknown_field"},
		"form":                {`email=v@x.org`, "invalid_json", ""},
		"second document":     {`{"email":"v@x.org"}{"email":"e@evil.org"}`, "invalid_json", ""},
		"lone surrogate":      {`{"email":"\ud800@x.org"}`, "invalid_json", ""},
		"bad byte":            {"{\"email\":\"\xff@x.org\"}", "invalid_json", ""},
		"deep":                {deep, "invalid_json", ""},
		"null":                {`null`, "invalid_json", ""},
		"empty":               {``, "invalid_json", ""},
		"number for a locale": {`{"email":"v@x.org","locale":1}`, "", "locale=invalid_type"},
	} {
		t.Run(name, func(t *testing.T) {
			f.took()
			res := f.post(reset+"/request-password-reset", tc.body, f.keys["secret"])
			p := res.problem(t)
			if tc.code != "" && (res.status != 400 || string(p.Code) != tc.code || p.Type != "base_error") || tc.code == "" && res.vio(t) != tc.vio {
				t.Errorf("got %d %s", res.status, res.body)
			}
			if took := f.took(); took != "" {
				t.Errorf("looked up: %s", took)
			}
		})
	}
}

// TestRequestFields are the violations the API itself finds; the engine is not
// asked. Values of the address corpus (security.md ADR-*) all answer alike.
func TestRequestFields(t *testing.T) {
	f := start(t)
	for body, want := range map[string]string{
		`{}`:                                                 "email=required",
		`{"email":null}`:                                     "email=required",
		`{"email":""}`:                                       "email=invalid_email",
		`{"email":"e@evil.org,v@x.org"}`:                     "email=invalid_email",
		`{"email":"e@evil.org;v@x.org"}`:                     "email=invalid_email",
		`{"email":"e@evil.org v@x.org"}`:                     "email=invalid_email",
		`{"email":"e@evil.org\nv@x.org"}`:                    "email=invalid_email",
		`{"email":" v@x.org"}`:                               "email=invalid_email",
		`{"email":"v\u200b@x.org"}`:                          "email=invalid_email",
		`{"email":"\"e@evil.org x\"@x.org"}`:                 "email=invalid_email",
		`{"email":"root@localhost"}`:                         "email=invalid_email",
		`{"email":"v@[127.0.0.1]"}`:                          "email=invalid_email",
		`{"email":"` + strings.Repeat("a", 250) + `@x.org"}`: "email=invalid_email",
		`{"email":"v@x.org","locale":"../../x"}`:             "locale=invalid_locale",
		`{"email":"v@x.org","locale":""}`:                    "locale=invalid_locale",
		`{"email":"v@x.org","locale":"en_US"}`:               "locale=invalid_locale",
		`{"email":"v@x.org","locale":"e"}`:                   "locale=invalid_locale",
		`{"email":"v@x.org","locale":"` + strings.Repeat("en-", 20) + `en"}`:        "locale=invalid_locale",
		`{"email":"v@x.org","flow":""}`:                                             "flow=not_enabled",
		`{"email":"v@x.org","redirectUrl":""}`:                                      "redirectUrl=not_allowed",
		`{"email":"v","locale":"!","flow":"","redirectUrl":""}`:                     "email=invalid_email flow=not_enabled locale=invalid_locale redirectUrl=not_allowed",
		`{"email":"v@x.org","redirectUrl":"` + strings.Repeat("x", maxURL+1) + `"}`: "redirectUrl=not_allowed",
	} {
		res := f.post(reset+"/request-password-reset", body, f.keys["secret"])
		if res.status != 400 || res.vio(t) != want {
			t.Errorf("%.80s: %d %s, want %s", body, res.status, res.body, want)
		}
		if strings.Contains(f.took(), "Request") {
			t.Errorf("%.80s reached the engine", body)
		}
	}
	for _, locale := range []string{"en", "pt-BR", "zh-Hans", "de-CH-1996", "xx-YY", "tlh"} {
		if res := f.post(reset+"/request-password-reset", `{"email":"v@x.org","locale":"`+locale+`"}`, f.keys["secret"]); res.status != 202 {
			t.Errorf("%s is well-formed: %d %s", locale, res.status, res.body)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	f := start(t)
	auth := []string{"Authorization", "Bearer " + f.keys["secret"]}
	const body = `{"email":"v@x.org"}`
	for kind, status := range map[string]int{
		"application/json": 202, "application/json; charset=utf-8": 202, "Application/JSON;charset=UTF-8": 202, "application/json; x=y": 202,
		"": 415, "text/json": 415, "application/x-www-form-urlencoded": 415, "application/xml": 415, "application/json, text/plain": 415,
		"application/json; charset=utf-16": 415, "application/merge-patch+json": 415, "multipart/form-data; boundary=x": 415, ";": 415,
	} {
		h := auth
		if kind != "" {
			h = append([]string{"Content-Type", kind}, auth...)
		}
		if res := f.do("POST", reset+"/request-password-reset", body, h...); res.status != status {
			t.Errorf("%q: %d, want %d", kind, res.status, status)
		}
	}
	two := append([]string{"Content-Type", "application/json", "Content-Type", "text/plain"}, auth...)
	if res := f.do("POST", reset+"/request-password-reset", body, two...); res.status != 415 {
		t.Errorf("two content types: %d", res.status)
	}
	for _, coding := range []string{"gzip", "identity", "deflate", ""} {
		h := append([]string{"Content-Type", "application/json", "Content-Encoding", coding}, auth...)
		if res := f.do("POST", reset+"/request-password-reset", body, h...); res.status != 415 {
			t.Errorf("Content-Encoding %q: %d", coding, res.status)
		}
	}
	if res := f.do("POST", reset+"/request-password-reset", "", auth...); res.status != 400 {
		t.Errorf("no body and no type: %d", res.status)
	}
	if res := f.do("PATCH", "/admin/v1/applications/acme", `{}`, "Authorization", "Bearer "+adminToken, "Content-Type", "application/merge-patch+json"); res.status != 200 {
		t.Errorf("a merge patch by its own type: %d %s", res.status, res.body)
	}
}

func TestBodyLimits(t *testing.T) {
	f := start(t)
	fill := func(n int) string { return `{"email":"v@x.org"` + strings.Repeat(" ", n-19) + `}` }
	for n, status := range map[int]int{bodyLimit: 202, bodyLimit + 1: 413, 1 << 20: 413} {
		res := f.post(reset+"/request-password-reset", fill(n), f.keys["secret"])
		if res.status != status {
			t.Errorf("%d bytes: %d, want %d", n, res.status, status)
		}
		if status == 413 && res.problem(t).Code != workflow.CodeBodyTooLarge {
			t.Errorf("%d bytes: %s", n, res.body)
		}
	}
	document := func(n int) string { return `{"application":"fresh"` + strings.Repeat(" ", n-23) + `}` }
	for n, status := range map[int]int{documentLimit: 201, documentLimit + 1: 413} {
		if res := f.admin("POST", "", document(n)); res.status != status {
			t.Errorf("document of %d bytes: %d, want %d: %s", n, res.status, status, res.body)
		}
	}
	// A body whose length is not said beforehand is bounded alike.
	req, _ := http.NewRequest("POST", f.url+reset+"/request-password-reset", io.NopCloser(strings.NewReader(fill(bodyLimit+1))))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+f.keys["secret"])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 413 {
		t.Errorf("chunked: %d", res.StatusCode)
	}
}

// TestRoutes: paths are exact, other methods are 405 with Allow, everything
// else is 404, all as problems.
func TestRoutes(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/", "/api", "/api/v1", reset, reset + "/", reset + "/request-password-reset/", "/api/v1/password-reset//request-password-reset",
		reset + "/Request-Password-Reset", reset + "/%72equest-password-reset", reset + "/request-password-reset;x", reset + "/request-password-reset%20",
		reset + "/request-password-reset/.", "/admin/v1/applications/", "/admin/v1/applications/acme/users/", "/healthz/", "/debug/pprof", "/.env",
		"/apps/acme/.well-known/", "/apps//.well-known/jwks.json", "/apps/%00/.well-known/jwks.json", "/apps/unknown/.well-known/jwks.json"} {
		for _, method := range []string{"GET", "POST"} {
			res := f.do(method, path, "", "Authorization", "Bearer "+adminToken)
			if method == "POST" && strings.Contains(path, "jwks.json") {
				continue
			}
			if res.status != 404 || res.problem(t).Code != workflow.CodeNotFound {
				t.Errorf("%s %s: %d %s", method, path, res.status, res.body)
			}
		}
	}
	for _, tc := range []struct{ method, path, allow string }{
		{"GET", reset + "/request-password-reset", "OPTIONS, POST"},
		{"HEAD", reset + "/reset-password", "OPTIONS, POST"},
		{"PUT", reset + "/reset-password", "OPTIONS, POST"},
		{"POST", "/healthz", "OPTIONS, GET, HEAD"},
		{"DELETE", reset + "/password-policy", "OPTIONS, GET, HEAD"},
		{"PUT", "/admin/v1/applications/acme", "OPTIONS, DELETE, GET, HEAD, PATCH"},
		{"BREW", "/healthz", "OPTIONS, GET, HEAD"},
	} {
		res := f.do(tc.method, tc.path, "")
		if res.status != 405 || res.header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: %d, Allow %q", tc.method, tc.path, res.status, res.header.Get("Allow"))
		}
		if tc.method != "HEAD" && res.problem(t).Code != workflow.CodeMethodNotAllowed {
			t.Errorf("%s %s: %s", tc.method, tc.path, res.body)
		}
	}
	if f.took() != "Application" { // the unknown slug of the JWK Set
		t.Error("a wrong route looked something up")
	}
	if res := f.do("OPTIONS", "/healthz", ""); res.status != 204 || res.header.Get("Allow") == "" {
		t.Errorf("OPTIONS: %d", res.status)
	}
}

// TestQueryIsIgnored: a query is no second body (security.md ADR-04).
func TestQueryIsIgnored(t *testing.T) {
	f := start(t)
	res := f.post(reset+"/request-password-reset?email=e@evil.org&flow=direct_code&debug=1", `{"email":"v@x.org"}`, f.keys["secret"])
	if res.status != 202 || f.request.Email != "v@x.org" || f.request.Flow != "" {
		t.Errorf("%d, the engine got %+v", res.status, f.request)
	}
}

// TestRawRequests sends what Go's client would not.
func TestRawRequests(t *testing.T) {
	f := start(t)
	for name, tc := range map[string]struct{ head, want string }{
		"two lengths":       {"POST " + reset + "/resend HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "400"},
		"evil host":         {"GET /healthz HTTP/1.1\r\nHost: good@evil\r\n\r\n", "400"},
		"absolute form":     {"GET http://evil.org/healthz HTTP/1.1\r\nHost: x\r\n\r\n", "200"},
		"asterisk":          {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "200"},
		"bad escape":        {"GET /healthz%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		"cut-off body":      {"POST " + reset + "/resend HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + f.keys["secret"] + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
		"method in CAPITAL": {"get /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, tc.head)
		line, _ := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if !strings.HasPrefix(line, "HTTP/1.1 "+tc.want) {
			t.Errorf("%s: %q, want %s", name, line, tc.want)
		}
	}
}
