package api

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func (f *fixture) expect(name string, got reply, status int, body string) {
	f.t.Helper()
	if got.status != status || strings.TrimSpace(got.body) != body {
		f.t.Errorf("%s: %d %s\nwant %d %s", name, got.status, got.body, status, body)
	}
	if strings.Contains(got.body, "canary") {
		f.t.Errorf("%s shows what it must not: %s", name, got.body)
	}
}

func TestWorkflowAnswers(t *testing.T) {
	f := start(t)
	key := f.keys["secret"]
	f.expect("link", f.post(reset+"/request-password-reset", `{"email":"Ada@Example.COM","flow":null,"challenge":"x","redirectUrl":"https://a.test/","locale":"pt-BR"}`, key), 202,
		`{"result":"ACCEPTED","flow":"email_link","expiresAt":"2026-11-23T10:30:00Z","resendAfter":60}`)
	if in := f.request; in.Email != "ada@example.com" || in.RedirectURL != "https://a.test/" || in.Locale != "pt-BR" || in.Flow != "" {
		t.Errorf("the engine got %+v", in)
	}
	f.expect("digits", f.post(reset+"/request-password-reset", `{"email":"a@b.test","flow":"email_otp"}`, key), 202,
		`{"result":"ACCEPTED","flow":"email_otp","requestCode":"rq","expiresAt":"2026-11-23T10:30:00Z","resendAfter":60}`)
	f.expect("resend", f.post(reset+"/resend", `{"requestCode":"r"}`, key), 202,
		`{"result":"ACCEPTED","flow":"email_otp","requestCode":"rq","expiresAt":"2026-11-23T10:00:00Z","resendAfter":2}`)
	f.expect("operator code", f.post(reset+"/create-password-reset-link", `{"email":"Ada@example.com","reason":"lost phone"}`, key), 201,
		`{"passwordResetCode":"7K3QM-1","passwordResetLink":"https://id.test/?a=1&b=2","expiresAt":"2026-11-23T10:00:00Z","requestId":"`+testID.String()+`"}`)
	if in := f.operator; in.Email != "ada@example.com" || in.UserID != "" || in.Reason != "lost phone" || in.Client.Actor != "key:secret" {
		t.Errorf("the engine got %+v", in)
	}
	policy := `{"preset":"","minLength":8,"maxLength":128,"requireClasses":[],"minStrength":2,"breached":"offline","history":0}`
	f.expect("introspect digits", f.post(reset+"/introspect", `{"requestCode":"r","verificationCode":"1"}`, key), 200,
		`{"flow":"email_otp","expiresAt":"2026-11-23T10:00:00Z","attemptsRemaining":0,"maskedEmail":"a•••@example.com","locale":"en","passwordPolicy":`+policy+`}`)
	f.expect("introspect link", f.post(reset+"/introspect", `{"emailAuthCode":"r"}`, key), 200,
		`{"flow":"email_otp","expiresAt":"2026-11-23T10:00:00Z","maskedEmail":"a•••@example.com","locale":"en","passwordPolicy":`+policy+`}`)
	f.expect("policy", f.do("GET", reset+"/password-policy", "", "X-Api-Key", key), 200, policy)
	f.expect("good password", f.post(reset+"/check-password", `{"password":"long enough"}`, key), 200, `{"valid":true,"violations":[]}`)
	f.expect("bad password", f.post(reset+"/check-password", `{"password":"short"}`, key), 200,
		`{"valid":false,"violations":[{"code":"too_short","constraintAttributes":{"minLength":"8"}}]}`)
	f.expect("login after reset", f.post(reset+"/create-auth-session", `{"authSessionCode":"c"}`, key), 200,
		`{"accessToken":"at","refreshToken":"rt","tokenType":"Bearer","expiresIn":300}`)
}

// TestAlike: two calls that the engine answers alike differ in nothing but ticket and date.
func TestAlike(t *testing.T) {
	f := start(t)
	for _, refuse := range []error{nil, &workflow.Error{Code: workflow.CodeCooldown, RetryAfter: time.Minute}} {
		f.err = refuse
		known := f.post(reset+"/request-password-reset", `{"email":"known@x.org"}`, f.keys["secret"])
		unknown := f.post(reset+"/request-password-reset", `{"email":"nobody@x.org"}`, f.keys["secret"])
		for _, r := range []*reply{&known, &unknown} {
			r.body = strings.ReplaceAll(r.body, r.header.Get("X-Request-Id"), "ticket")
			r.header.Del("X-Request-Id")
			r.header.Del("Date")
		}
		if !reflect.DeepEqual(known, unknown) {
			t.Errorf("%v\ndiffers from\n%v", known, unknown)
		}
	}
}

func TestLinkViolations(t *testing.T) {
	f := start(t)
	for body, want := range map[string]string{
		`{}`:                                  "email=required userId=required",
		`{"userId":"u1","email":"a@b.c"}`:     "email=must_be_null userId=must_be_null",
		`{"userId":""}`:                       "userId=too_short",
		`{"email":"x"}`:                       "email=invalid_email",
		`{"userId":"u1","reason":"a\u0000b"}`: "reason=invalid_character",
		`{"userId":"u1","reason":"` + strings.Repeat("é", 501) + `"}`:   "reason=too_long",
		`{"userId":"u1","email":null,"redirectUrl":"","reason":"fine"}`: "redirectUrl=not_allowed",
	} {
		if res := f.post(reset+"/create-password-reset-link", body, f.keys["secret"]); res.status != 400 || res.vio(t) != want {
			t.Errorf("%.60s: %d %s", body, res.status, res.body)
		}
	}
	for _, id := range []string{`\u0000`, `a\nb`, strings.Repeat("x", 300)} {
		res := f.post(reset+"/create-password-reset-link", `{"userId":"`+id+`"}`, f.keys["secret"])
		if res.status != 404 || res.problem(t).Code != workflow.CodeUserNotFound {
			t.Errorf("%q: %d %s", id, res.status, res.body)
		}
	}
}

func TestCheckPasswordLimit(t *testing.T) {
	f := start(t)
	f.refused = &workflow.Refusal{After: 3 * time.Second}
	res := f.post(reset+"/check-password", `{"password":"x"}`, f.keys["secret"])
	if res.status != 429 || res.header.Get("Ratelimit-Policy") != `"check_password";q=60;w=60` || f.quota.Key != "key:secret" || strings.Contains(f.took(), "Check") {
		t.Errorf("%d %v, quota %+v", res.status, res.header, f.quota)
	}
	f.post(reset+"/check-password", `{"password":"x"}`, f.keys["browser"], "X-Forwarded-For", "2001:4860:1:2:3::4")
	if f.quota.Key != "ip:2001:4860:1:2::/64" {
		t.Errorf("counted as %q", f.quota.Key)
	}
}

func TestSessions(t *testing.T) {
	f := start(t)
	key := f.keys["browser"]
	const tokens = `{"accessToken":"at","refreshToken":"rt","tokenType":"Bearer","expiresIn":300}`
	f.expect("login", f.post(auth+"/login", `{"email":"ada@example.com","password":"p"}`, key), 200, tokens)
	f.expect("refresh", f.post(auth+"/refresh", `{"refreshToken":"r"}`, key), 200, tokens)
	for body, want := range map[string]string{`{}`: "email=required password=required", `{"email":"x","password":""}`: "email=invalid_email password=too_short"} {
		if res := f.post(auth+"/login", body, key); res.vio(t) != want {
			t.Errorf("%s: %s", body, res.body)
		}
	}
	for body, status := range map[string]int{`{}`: 400, `{"refreshToken":""}`: 400, `{"refreshToken":"a\u0000"}`: 401, `{"refreshToken":"` + strings.Repeat("x", 600) + `"}`: 401} {
		if res := f.post(auth+"/refresh", body, key); res.status != status {
			t.Errorf("%.40s: %d %s", body, res.status, res.body)
		}
	}
	bearer := []string{"Authorization", "Bearer access.token.ok"}
	f.expect("session", f.do("GET", auth+"/session", "", bearer...), 200, `{"userId":"u1","email":"ada@example.com","sessionId":"s1","expiresAt":"2026-11-23T10:00:00Z"}`)
	f.expect("logout", f.do("POST", auth+"/logout", "", bearer...), 204, "")
	for _, method := range [][2]string{{"GET", "/session"}, {"POST", "/logout"}} {
		res := f.do(method[0], auth+method[1], "", "Authorization", "Bearer dead")
		if res.status != 401 || res.problem(t).Code != workflow.CodeInvalidGrant {
			t.Errorf("%v: %d %s", method, res.status, res.body)
		}
		if res := f.do(method[0], auth+method[1], "", "X-Api-Key", "access.token.ok"); res.status != 401 {
			t.Errorf("%v with the token as a key: %d", method, res.status)
		}
	}
	for _, code := range []workflow.ErrorCode{workflow.CodeInvalidCredentials, workflow.CodePasswordResetRequired, workflow.CodeRateLimited} {
		f.err = workflow.Fail(code, nil)
		if res := f.post(auth+"/login", `{"email":"ada@example.com","password":"p"}`, key); res.problem(t).Code != code {
			t.Errorf("%s: %s", code, res.body)
		}
	}
}

func TestHealth(t *testing.T) {
	f := start(t, func(d *Deps) {
		d.Ready = nil
	})
	f.expect("healthz", f.do("GET", "/healthz", ""), 200, `{"status":"ok"}`)
	f.expect("readyz", f.do("GET", "/readyz", ""), 200, `{"status":"ok","checks":{}}`)
	if res := f.do(http.MethodHead, "/readyz", ""); res.status != 200 || res.body != "" {
		t.Errorf("HEAD: %d %q", res.status, res.body)
	}
}
