package attacks

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// allPermissions is contract §4's list.
var allPermissions = []string{"password-reset-workflow:execute", "password-reset-link:create", "sessions:execute", "users:read", "users:write", "reset-requests:read", "reset-requests:write", "templates:read", "templates:write", "keys:write", "applications:read", "applications:write", "audit:read"}

// needs is which permission opens an operation. "" is open to everybody,
// "session" takes an access token. What stands here and not in the service's own
// description, or the other way round, fails ADM-02.
var needs = map[string]string{
	"POST /api/v1/password-reset/request-password-reset": allPermissions[0], "POST /api/v1/password-reset/resend": allPermissions[0], "POST /api/v1/password-reset/introspect": allPermissions[0],
	"POST /api/v1/password-reset/reset-password": allPermissions[0], "POST /api/v1/password-reset/create-auth-session": allPermissions[0], "GET /api/v1/password-reset/password-policy": allPermissions[0],
	"POST /api/v1/password-reset/check-password": allPermissions[0], "POST /api/v1/password-reset/create-password-reset-link": "password-reset-link:create",
	"POST /api/v1/auth/login": "sessions:execute", "POST /api/v1/auth/refresh": "sessions:execute", "GET /api/v1/auth/session": "session", "POST /api/v1/auth/logout": "session",
	"GET /apps/{slug}/.well-known/jwks.json": "", "GET /healthz": "", "GET /readyz": "", "GET /openapi.yaml": "",
	"POST /admin/v1/applications": "installation", "GET /admin/v1/applications": "applications:read",
	"GET /admin/v1/applications/{slug}": "applications:read", "PATCH /admin/v1/applications/{slug}": "applications:write", "DELETE /admin/v1/applications/{slug}": "applications:write",
	"POST /admin/v1/applications/{slug}/users": "users:write", "GET /admin/v1/applications/{slug}/users": "users:read", "GET /admin/v1/applications/{slug}/users/{id}": "users:read",
	"PATCH /admin/v1/applications/{slug}/users/{id}": "users:write", "DELETE /admin/v1/applications/{slug}/users/{id}": "users:write",
	"POST /admin/v1/applications/{slug}/users/{id}/revoke-sessions": "users:write", "POST /admin/v1/applications/{slug}/users/{id}/require-reset": "users:write",
	"POST /admin/v1/applications/{slug}/keys": "keys:write", "GET /admin/v1/applications/{slug}/keys": "keys:write", "DELETE /admin/v1/applications/{slug}/keys/{id}": "keys:write",
	"GET /admin/v1/applications/{slug}/reset-requests": "reset-requests:read", "GET /admin/v1/applications/{slug}/reset-requests/{id}": "reset-requests:read", "POST /admin/v1/applications/{slug}/reset-requests/{id}/cancel": "reset-requests:write",
	"GET /admin/v1/applications/{slug}/messages": "reset-requests:read", "GET /admin/v1/applications/{slug}/messages/{id}": "reset-requests:read", "POST /admin/v1/applications/{slug}/messages/{id}/retry": "reset-requests:write",
	"GET /admin/v1/applications/{slug}/audit-events": "audit:read",
}

// bodies are well-formed where the body is judged before the permission.
var bodies = map[string]string{
	"request-password-reset": `{"email":"v@example.com"}`, "resend": `{"requestCode":"x"}`, "introspect": `{"emailAuthCode":"x"}`, "reset-password": `{"emailAuthCode":"x","newPassword":"x"}`,
	"create-auth-session": `{"authSessionCode":"x"}`, "check-password": `{"password":"x"}`, "create-password-reset-link": `{"email":"v@example.com"}`, "login": `{"email":"v@example.com","password":"x"}`, "refresh": `{"refreshToken":"x"}`,
}

// operations reads the service's own description.
func (x *World) operations(t *testing.T) []string {
	t.Helper()
	var out []string
	path := ""
	for line := range strings.Lines(string(x.Call("GET", "/openapi.yaml", "", "", nil).Body)) {
		if m := regexp.MustCompile(`^  (/\S*):\s*$`).FindStringSubmatch(line); m != nil {
			path = m[1]
		} else if m := regexp.MustCompile(`^    (get|post|put|patch|delete):\s*$`).FindStringSubmatch(line); m != nil && path != "" {
			out = append(out, strings.ToUpper(m[1])+" "+path)
		}
	}
	if len(out) < 30 {
		t.Fatalf("the description names %d operations", len(out))
	}
	return out
}

// nobody is an id that no row has.
const nobody = "00000000-0000-7000-8000-000000000000"

// as sends an operation with a credential to an application and an id.
func (x *World) as(credential, operation, slug, id string) product.Answer {
	x.T.Helper()
	method, path, _ := strings.Cut(operation, " ")
	body := bodies[path[strings.LastIndex(path, "/")+1:]]
	if method == http.MethodPatch {
		body = "{}"
	}
	return x.Call(method, strings.NewReplacer("{slug}", slug, "{id}", id).Replace(path), credential, body, nil)
}

func TestADM(t *testing.T) {
	row(t, "ADM-01", "Ids of another tenant", func(t *testing.T, x *World) {
		y := x.Second()
		v := y.Person("v")
		y.Proof(v, "email_link")
		y.Idle()
		key := x.Server.Key(x.Slug, "secret", allPermissions...)
		first := func(path string) string {
			return y.Must(http.StatusOK, "GET", "/admin/v1/applications/"+y.Slug+path, nil)["items"].([]any)[0].(map[string]any)["id"].(string)
		}
		ids := map[string]string{"/users": first("/users"), "/keys": first("/keys"), "/reset-requests": first("/reset-requests"), "/messages": first("/messages")}
		for _, op := range x.operations(t) {
			if !strings.Contains(op, "/admin/v1/applications/{slug}") {
				continue
			}
			for part, id := range ids {
				if got := x.as(key, op, y.Slug, id); got.Status != http.StatusNotFound {
					t.Errorf("%s of another application: %d %s", op, got.Status, got.Body)
				}
				if strings.Contains(op, part+"/{id}") {
					if got := x.as(key, op, x.Slug, id); got.Status != http.StatusNotFound {
						t.Errorf("%s with an id of another application: %d %s", op, got.Status, got.Body)
					}
					Same(t, op, x.as(key, op, x.Slug, id), x.as(key, op, x.Slug, nobody))
				}
			}
		}
		list := x.Call("GET", "/admin/v1/applications", key, "", nil)
		if strings.Contains(string(list.Body), y.Slug+`"`) || !strings.Contains(string(list.Body), x.Slug+`"`) {
			t.Errorf("the list shows %s", list.Body)
		}
		statusIs(t, x.Workflow("create-password-reset-link", object("userId", ids["/users"])), http.StatusNotFound)
		y.Unchanged(v)
		for part, id := range ids {
			if part != "/keys" {
				statusIs(t, y.Admin("GET", part+"/"+id, ""), http.StatusOK)
			}
		}
	})
	row(t, "ADM-02", "A small key on every operation", func(t *testing.T, x *World) {
		operations := x.operations(t)
		for _, op := range operations {
			if _, known := needs[op]; !known {
				t.Errorf("nobody said what %s needs", op)
			}
		}
		for _, p := range allPermissions {
			key := x.Server.Key(x.Slug, "secret", p)
			for _, op := range operations {
				if op == "DELETE /admin/v1/applications/{slug}" && p == "applications:write" {
					continue // it would end the row
				}
				got := x.as(key, op, x.Slug, nobody)
				switch needs[op] {
				case "":
					Has(t, op, got, http.StatusOK)
				case "session":
					Has(t, op, got, http.StatusUnauthorized)
				case p:
					if got.Status == http.StatusForbidden || got.Status == http.StatusUnauthorized && !strings.HasSuffix(op, "/login") && !strings.HasSuffix(op, "/refresh") {
						t.Errorf("%s with %s: %d %s", op, p, got.Status, got.Body)
					}
				default:
					if got.Status != http.StatusForbidden || field(got, "code") != "permission_missing" {
						t.Errorf("%s with %s alone: %d %s", op, p, got.Status, got.Body)
					}
				}
			}
		}
		for _, op := range operations { // without any, and with what looks like one
			for _, credential := range []string{"", "x", "rfsk_" + strings.Repeat("A", 43), "rfpk_" + x.Key[5:], strings.ToUpper(x.Key), x.Key + "A", x.Key[:len(x.Key)-1]} {
				if got := x.as(credential, op, x.Slug, nobody); needs[op] != "" && got.Status != http.StatusUnauthorized {
					t.Errorf("%s with %.12q: %d %s", op, credential, got.Status, got.Body)
				}
			}
			if got := x.as(x.Server.Admin, op, x.Slug, nobody); strings.Contains(op, "/api/v1/password-reset/") && got.Status != http.StatusForbidden {
				t.Errorf("%s with the admin token: %d", op, got.Status)
			}
		}
	})
	row(t, "ADM-04", "An administrator who learns the code", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		id := x.UserID(v)
		for _, path := range []string{"/users/" + id + "/require-reset", "/users/" + id + "/revoke-sessions"} {
			got := x.Admin("POST", path, "")
			for _, word := range []string{"code", "link", "password", p["verificationCode"]} {
				if strings.Contains(string(got.Body), word) {
					t.Errorf("%s: %s", path, got.Body)
				}
			}
		}
		for _, m := range x.Ledger() {
			if strings.Contains(jsonOf(m), p["verificationCode"]) {
				t.Errorf("%v", m)
			}
		}
	})
	row(t, "ADM-05", "A reader who writes", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		key := x.Server.Key(x.Slug, "secret", "users:read", "reset-requests:read", "applications:read", "templates:read", "audit:read")
		id := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/reset-requests", nil)["items"].([]any)[0].(map[string]any)["id"].(string)
		for _, op := range x.operations(t) {
			if method, _, _ := strings.Cut(op, " "); method != "GET" && needs[op] != "session" {
				for _, id := range []string{id, x.UserID(v)} {
					statusIs(t, x.as(key, op, x.Slug, id), http.StatusForbidden)
				}
			}
		}
		x.Unchanged(v, p)
	})
	row(t, "ADM-07", "A key that makes a stronger key", func(t *testing.T, x *World) {
		minter := x.Server.Key(x.Slug, "secret", "keys:write", "users:read")
		path := "/admin/v1/applications/" + x.Slug + "/keys"
		for _, p := range allPermissions {
			got := x.Call("POST", path, minter, `{"name":"n","type":"secret","permissions":["users:read","`+p+`"]}`, nil)
			want := http.StatusForbidden
			if p == "keys:write" || p == "users:read" {
				want = http.StatusCreated
			}
			statusIs(t, got, want)
		}
		for _, body := range []string{`{"name":"n","type":"secret","permissions":["*"]}`, `{"name":"n","type":"secret","permissions":[]}`, `{"name":"n","type":"secret","permissions":["users:read"],"application":"other"}`, `{"name":"n","type":"secret","permissions":["users:read"],"admin":true}`, `{"name":"n","type":"publishable","permissions":["users:read"]}`, `{"name":"n","type":"publishable","permissions":["sessions:execute"],"allowedOrigins":["*"]}`, `{"name":"n","type":"root","permissions":["users:read"]}`, `{"name":"n","type":"secret","permissions":"users:read"}`} {
			Bad(t, x.Call("POST", path, x.Server.Admin, body, nil))
		}
		y := x.Second()
		statusIs(t, x.Call("POST", "/admin/v1/applications/"+y.Slug+"/keys", minter, `{"name":"n","type":"secret","permissions":["users:read"]}`, nil), http.StatusNotFound)
	})
	row(t, "ADM-08", "Two credentials at once", func(t *testing.T, x *World) {
		admin := "Authorization: Bearer " + x.Server.Admin + "\r\n"
		key := "X-Api-Key: " + x.Key + "\r\n"
		bearer := "Authorization: Bearer " + x.Key + "\r\n"
		for _, headers := range []string{admin + key, key + admin, bearer + key, key + key, admin + admin, bearer + admin, "Authorization: \r\n" + key, admin + "X-Api-Key: \r\n", admin + "x-api-key: x\r\n"} {
			for _, path := range []string{"/admin/v1/applications", "/api/v1/password-reset/password-policy", "/api/v1/auth/session"} {
				got := x.Raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n")
				if len(got) != 1 || got[0].Status != http.StatusBadRequest || field(got[0], "code") != "multiple_credentials" {
					t.Errorf("%s with %q: %v", path, headers, got)
				}
			}
		}
	})
	row(t, "ADM-10", "A key for somebody, by nobody", func(t *testing.T, x *World) {
		path := "/admin/v1/applications/" + x.Slug + "/keys"
		body := `{"name":"n","type":"secret","permissions":["users:read"],"userId":"` + nobody + `"}`
		statusIs(t, x.Call("POST", path, "", body, nil), http.StatusUnauthorized)
		Violated(t, x.Call("POST", path, x.Server.Admin, body, nil), "userId", "unknown_field")
	})
	row(t, "ADM-11", "A key after its end", func(t *testing.T, x *World) {
		z := x.Beside()
		made := x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/keys", map[string]any{"name": "n", "type": "secret", "permissions": allPermissions})
		key, id := made["key"].(string), made["id"].(string)
		look := func(w *World) int {
			return w.Call("GET", "/api/v1/password-reset/password-policy", key, "", nil).Status
		}
		for _, w := range []*World{x, z} {
			eventually(t, 5*time.Second, "the key works", func() bool { return look(w) == http.StatusOK })
		}
		statusIs(t, x.Admin("DELETE", "/keys/"+id, ""), http.StatusNoContent)
		if got := look(x); got != http.StatusUnauthorized {
			t.Errorf("at once: %d", got)
		}
		end := time.Now().Add(2500 * time.Millisecond) // other nodes within two seconds (storage's cache)
		for look(z) != http.StatusUnauthorized {
			if time.Now().After(end) {
				t.Fatal("the other node takes the key after its end")
			}
			time.Sleep(20 * time.Millisecond)
		}
		statusIs(t, x.Call("GET", "/admin/v1/applications/"+x.Slug+"/users", key, "", nil), http.StatusUnauthorized)
		statusIs(t, x.Admin("DELETE", "/keys/"+id, ""), http.StatusNotFound)
	})
	forged := func(forge func(x *World, head, claims map[string]any, token string) []string) func(t *testing.T, x *World) {
		return func(t *testing.T, x *World) {
			v := x.Person("v")
			token := x.LogsIn(v, OldPassword).access
			parts := strings.Split(token, ".")
			var head, claims map[string]any
			for i, into := range []*map[string]any{&head, &claims} {
				raw, err := base64.RawURLEncoding.DecodeString(parts[i])
				if err != nil || json.Unmarshal(raw, into) != nil {
					t.Fatal(err)
				}
			}
			for _, bad := range forge(x, head, claims, token) {
				if bad == token { // what was to be taken out was not there
					continue
				}
				for _, path := range []string{"/api/v1/auth/session", "/api/v1/password-reset/password-policy", "/admin/v1/applications"} {
					if got := x.Call("GET", path, bad, "", nil); got.Status != http.StatusUnauthorized {
						t.Errorf("%s with %.80s: %d %s", path, bad, got.Status, got.Body)
					}
				}
			}
			statusIs(t, x.Session(token), http.StatusOK)
		}
	}
	part := func(m map[string]any, key string, value any) string {
		out := map[string]any{}
		for k, v := range m {
			out[k] = v
		}
		if out[key] = value; value == nil {
			delete(out, key)
		}
		return base64.RawURLEncoding.EncodeToString([]byte(jsonOf(out)))
	}
	row(t, "ADM-13", "No algorithm", forged(func(_ *World, head, claims map[string]any, token string) []string {
		var out []string
		signature := token[strings.LastIndex(token, ".")+1:]
		for _, alg := range []any{"none", "None", "nOnE", "", nil, 0, []string{"none"}} {
			for _, s := range []string{"", signature, "AA"} {
				out = append(out, part(head, "alg", alg)+"."+part(claims, "x", nil)+"."+s)
			}
		}
		return append(out, strings.TrimSuffix(token, signature), token[:strings.LastIndex(token, ".")], token+".", "."+token)
	}))
	row(t, "ADM-14", "A public key as a secret", forged(func(x *World, head, claims map[string]any, _ string) []string {
		jwks := x.Call("GET", "/apps/"+x.Slug+"/.well-known/jwks.json", "", "", nil)
		key := jwks.JSON.(map[string]any)["keys"].([]any)[0].(map[string]any)["x"].(string)
		raw, _ := base64.RawURLEncoding.DecodeString(key)
		var out []string
		for _, secret := range [][]byte{raw, []byte(key), jwks.Body, {}} {
			for _, alg := range []string{"HS256", "EdDSA", "RS256", "ES256"} {
				signed := part(head, "alg", alg) + "." + part(claims, "exp", 4102444800)
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(signed))
				out = append(out, signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
			}
		}
		return out
	}))
	row(t, "ADM-16", "A key id that leads somewhere", forged(func(_ *World, head, claims map[string]any, token string) []string {
		var out []string
		signature := token[strings.LastIndex(token, "."):]
		for _, kid := range []any{"../../dev/null", "' UNION SELECT 1 --", "http://127.0.0.1/x", nil, 1, "", strings.Repeat("k", 3000)} {
			out = append(out, part(head, "kid", kid)+"."+part(claims, "x", nil)+signature)
		}
		for _, name := range []string{"jku", "x5u", "jwk", "x5c", "crit"} {
			out = append(out, part(head, name, "http://127.0.0.1:1/")+"."+part(claims, "x", nil)+signature)
		}
		return out
	}))
	row(t, "ADM-17", "Times that never end", forged(func(_ *World, head, claims map[string]any, token string) []string {
		var out []string
		signature := token[strings.LastIndex(token, "."):]
		for _, name := range []string{"exp", "nbf", "iat"} {
			for _, at := range []any{nil, "4102444800", 1e300, -1, 4102444800.5, true, []int{1}} {
				out = append(out, part(head, "x", nil)+"."+part(claims, name, at)+signature)
			}
		}
		return out
	}))
	row(t, "ADM-22", "The same subject of another issuer", forged(func(x *World, head, claims map[string]any, token string) []string {
		y := x.Second()
		signature := token[strings.LastIndex(token, "."):]
		w := y.Person("w")
		other := y.LogsIn(w, OldPassword).access
		o := strings.Split(other, ".")
		t := strings.Split(token, ".")
		return []string{part(head, "x", nil) + "." + part(claims, "aud", y.Slug) + signature, part(head, "x", nil) + "." + part(claims, "iss", "https://evil.example.org") + signature, part(head, "typ", "JWT") + "." + t[1] + signature,
			o[0] + "." + t[1] + "." + t[2], o[0] + "." + t[1] + "." + o[2], t[0] + "." + o[1] + "." + t[2]}
	}))
	row(t, "ADM-19", "Expired and badly signed", func(t *testing.T, x *World) {
		v := x.Person("v")
		token := x.LogsIn(v, OldPassword).access
		time.Sleep(1100 * time.Millisecond)
		last := token[len(token)-5:]
		for _, bad := range []string{token, strings.TrimSuffix(token, last) + "AAAAA", token[:strings.LastIndex(token, ".")+1]} {
			statusIs(t, x.Session(bad), http.StatusUnauthorized)
		}
	}, map[string]any{"sessions": map[string]any{"access": "1s"}})
	row(t, "ADM-20", "A credential of a megabyte", func(t *testing.T, x *World) {
		for _, n := range []int{4 << 10, 12 << 10, 1 << 20} {
			for _, path := range []string{"/api/v1/auth/session", "/admin/v1/applications"} {
				status := x.flood(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+strings.Repeat(".", n)+"\r\n\r\n")
				if status != http.StatusUnauthorized && status != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("%s with %d dots: %d", path, n, status)
				}
			}
		}
		statusIs(t, x.Call("GET", "/healthz", "", "", nil), http.StatusOK)
	})
	row(t, "ADM-23", "An identity in a header", func(t *testing.T, x *World) {
		for _, name := range []string{"X-WEBAUTH-USER", "X-Forwarded-User", "Remote-User", "X-Remote-User", "X-Auth-Request-Email", "X-Authenticated-User", "X-Goog-Authenticated-User-Email", "X-User", "X-Admin", "Cookie", "X-Original-User"} {
			for _, path := range []string{"/admin/v1/applications", "/api/v1/password-reset/password-policy"} {
				statusIs(t, x.Call("GET", path, "", "", map[string]string{name: "admin=admin", "X-Forwarded-For": "127.0.0.1"}), http.StatusUnauthorized)
			}
		}
	})
	row(t, "ADM-28", "Sorting and cursors", func(t *testing.T, x *World) {
		y := x.Second()
		for i := range 3 {
			x.Person(fmt.Sprint("v", i))
			y.Person(fmt.Sprint("w", i))
		}
		cursor := y.Must(http.StatusOK, "GET", "/admin/v1/applications/"+y.Slug+"/users?limit=1", nil)["nextCursor"].(string)
		for _, path := range []string{"/users", "/keys", "/reset-requests", "/messages", "/audit-events"} {
			for _, query := range []string{"?sort=(select pg_sleep(5))", "?order=id;drop table accounts", "?limit=0", "?limit=201", "?limit=-1", "?limit=1e2", "?limit=1&limit=200", "?limit=+5", "?cursor=x", "?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("' OR 1=1 --")), "?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("zzzz")), "?cursor=" + base64.RawURLEncoding.EncodeToString([]byte("\x00")), "?cursor=AA==", "?cursor=" + strings.Repeat("A", 3000), "?cursor=" + cursor, "?email=' OR 1=1", "?state=' OR 1=1", "?flow=x"} {
				got := x.Admin("GET", path+strings.ReplaceAll(query, " ", "%20"), "")
				if got.Status != http.StatusOK && got.Status != http.StatusBadRequest || strings.Contains(string(got.Body), y.Slug) {
					t.Errorf("%s%s: %d %.300s", path, query, got.Status, got.Body)
				}
			}
		}
		for _, query := range []string{"?limit=0", "?limit=201", "?limit=x"} {
			statusIs(t, x.Admin("GET", "/users"+query, ""), http.StatusBadRequest)
		}
		if len(x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/users", nil)["items"].([]any)) != 3 {
			t.Error("the accounts are gone")
		}
	})
	row(t, "ADM-32", "What was deleted", func(t *testing.T, x *World) {
		v := x.Person("v")
		id := x.UserID(v)
		statusIs(t, x.Admin("DELETE", "/users/"+id, ""), http.StatusNoContent)
		for _, op := range x.operations(t) {
			if strings.Contains(op, "/users/{id}") {
				statusIs(t, x.as(x.Server.Admin, op, x.Slug, id), http.StatusNotFound)
			}
		}
		statusIs(t, x.Workflow("create-password-reset-link", object("userId", id)), http.StatusNotFound)
		if items := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/users?email="+v, nil)["items"].([]any); len(items) != 0 {
			t.Errorf("%v", items)
		}
		y := x.Second()
		statusIs(t, y.Admin("DELETE", "", ""), http.StatusNoContent)
		for _, op := range x.operations(t) {
			if strings.Contains(op, "{slug}") {
				statusIs(t, x.as(x.Server.Admin, op, y.Slug, nobody), http.StatusNotFound)
			}
		}
		statusIs(t, y.Call("GET", "/api/v1/password-reset/password-policy", y.Key, "", nil), http.StatusUnauthorized)
	})
}

// flood writes a request whose reading may be given up, and returns the status.
func (x *World) flood(t *testing.T, request string) int {
	t.Helper()
	conn := x.Dial()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _, _ = io.WriteString(conn, request) }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return http.StatusRequestHeaderFieldsTooLarge // cut off before the answer could be read
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestADMMore(t *testing.T) {
	row(t, "ADM-25", "Credentials that everybody knows", func(t *testing.T, x *World) {
		s := product.Start(t, product.Options{Env: []string{"RESETFLOW_ADMIN_TOKEN="}})
		for _, credential := range []string{"", "admin", "changeme", strings.Repeat("0", 32), x.Server.Admin, " "} {
			if got := s.Call("GET", "/admin/v1/applications", credential, "", nil); got.Status != http.StatusUnauthorized {
				t.Errorf("%q: %d", credential, got.Status)
			}
		}
		got := s.Call("GET", "/admin/v1/applications", "", "", map[string]string{"Authorization": "Bearer "})
		statusIs(t, got, http.StatusUnauthorized)
	})
	row(t, "ADM-x1", "Other ways to name a credential, a method or a path", func(t *testing.T, x *World) {
		for _, path := range []string{"/admin/v1/applications?access_token=" + x.Server.Admin, "/admin/v1/applications?api_key=" + x.Key, "/admin/v1/applications?token=" + x.Server.Admin} {
			statusIs(t, x.Call("GET", path, "", "", nil), http.StatusUnauthorized)
		}
		for _, value := range []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+x.Server.Admin)), "Bearer", "Bearer  " + x.Server.Admin, x.Server.Admin, "Bearer\t" + x.Server.Admin, "Token " + x.Server.Admin, "Bearer " + x.Server.Admin + "x", "Bearer " + x.Server.Admin[:len(x.Server.Admin)-1]} {
			statusIs(t, x.Call("GET", "/admin/v1/applications", "", "", map[string]string{"Authorization": value}), http.StatusUnauthorized)
		}
		statusIs(t, x.Call("GET", "/admin/v1/applications", "", "", map[string]string{"X-Api-Key": x.Server.Admin}), http.StatusUnauthorized)
		reader := x.Server.Key(x.Slug, "secret", "users:read")
		v := x.Person("v")
		for _, header := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
			statusIs(t, x.Call("GET", "/admin/v1/applications/"+x.Slug+"/users/"+x.UserID(v)+"?_method=DELETE", reader, "", map[string]string{header: "DELETE"}), http.StatusOK)
		}
		for _, path := range []string{"//admin/v1/applications", "/admin/v1/../v1/applications", "/admin/v1/applications/", "/ADMIN/v1/applications", "/admin/v1/applications%2f", "/admin;x/v1/applications", "/healthz/../admin/v1/applications", "/healthz%2f..%2fadmin/v1/applications", "/apps/" + x.Slug + "/../../admin/v1/applications"} {
			for _, credential := range []string{"", "Authorization: Bearer " + reader + "\r\n"} {
				got := x.Raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + credential + "\r\n")
				if len(got) != 1 || got[0].Status == http.StatusOK || got[0].Status >= 500 {
					t.Errorf("%s: %v", path, got)
				}
			}
		}
		for _, method := range []string{"HEAD", "PUT", "TRACE", "CONNECT", "PROPFIND", "get", "FOO"} {
			got := x.Raw(method + " /admin/v1/applications HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if len(got) != 1 || got[0].Status == http.StatusOK || got[0].Status >= 500 && got[0].Status != http.StatusNotImplemented {
				t.Errorf("%s: %v", method, got)
			}
		}
		x.Unchanged(v)
	})
}
