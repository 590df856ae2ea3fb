package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/workflow"
)

func TestEveryClassHasAStatus(t *testing.T) {
	for _, row := range workflow.ErrorTable() {
		if statusOf[row.Class] == 0 {
			t.Errorf("%s of %s has no status", row.Code, row.Class)
		}
	}
}

func TestProblemShape(t *testing.T) {
	f := start(t)
	f.err = &workflow.Error{Code: workflow.CodeViolations, Cause: errors.New("canary-cause"), Violations: workflow.Violations{
		"verificationCode": {{Code: workflow.VioInvalidVerificationCode, Attributes: map[string]string{"attemptsRemaining": "2"}}}}}
	res := f.post(reset+"/introspect", `{"requestCode":"r","verificationCode":"1"}`, f.keys["secret"])
	ticket := res.header.Get("X-Request-Id")
	want := `{"type":"constraint_violations_error","title":"Bad Request","status":400,"detail":"Some fields are not right. Look at violations, mend them and send again.",` +
		`"code":"message_body_constraint_violations","message":"Some fields are not right. Look at violations, mend them and send again.","ticket":"` + ticket + `",` +
		`"violations":{"verificationCode":[{"code":"invalid_verification_code","constraintAttributes":{"attemptsRemaining":"2"}}]}}`
	if res.status != 400 || len(ticket) < 20 || strings.TrimSpace(res.body) != want {
		t.Errorf("got %d %s\nwant %s", res.status, res.body, want)
	}
	if !strings.Contains(f.log.String(), ticket) {
		t.Error("the ticket is not in the log")
	}
	f.err = workflow.Fail(workflow.CodeNotFound, nil)
	var raw map[string]any
	_ = json.Unmarshal([]byte(f.post(reset+"/introspect", `{"emailAuthCode":"r"}`, f.keys["secret"]).body), &raw)
	if raw["type"] != "base_error" || raw["violations"] != nil {
		t.Errorf("got %v", raw)
	}
}

func TestLimitedAndOverloaded(t *testing.T) {
	f := start(t)
	for name, tc := range map[string]struct {
		err                   error
		status                int
		code                  workflow.ErrorCode
		retry, policy, limits string
	}{
		"cooldown": {&workflow.Error{Code: workflow.CodeCooldown, RetryAfter: 1500 * time.Millisecond, Limit: &workflow.LimitState{Name: "cooldown", Rate: workflow.Rate{N: 1, Per: time.Minute}}},
			429, workflow.CodeCooldown, "2", `"cooldown";q=1;w=60`, `"cooldown";r=0;t=2`},
		"limited": {&workflow.Error{Code: workflow.CodeRateLimited, RetryAfter: time.Hour, Limit: &workflow.LimitState{Name: "per_ip", Rate: workflow.Rate{N: 100, Per: time.Hour}}},
			429, workflow.CodeRateLimited, "3600", `"per_ip";q=100;w=3600`, `"per_ip";r=0;t=3600`},
		"limited, bare":    {workflow.Fail(workflow.CodeRateLimited, nil), 429, workflow.CodeRateLimited, "1", `"rate_limited";q=1;w=1`, `"rate_limited";r=0;t=1`},
		"overloaded":       {&workflow.Error{Code: workflow.CodeOverloaded, RetryAfter: 5 * time.Second}, 503, workflow.CodeOverloaded, "5", "", ""},
		"overloaded, bare": {workflow.Fail(workflow.CodeOverloaded, nil), 503, workflow.CodeOverloaded, "2", "", ""},
		"busy":             {fmt.Errorf("pool: %w", workflow.ErrBusy), 503, workflow.CodeOverloaded, "2", "", ""},
		"deadline":         {fmt.Errorf("query: %w", context.DeadlineExceeded), 503, workflow.CodeOverloaded, "2", "", ""},
		"hidden deadline":  {workflow.Fail(workflow.CodeInternal, context.DeadlineExceeded), 503, workflow.CodeOverloaded, "2", "", ""},
		"internal":         {errors.New("canary"), 500, workflow.CodeInternal, "", "", ""},
		"unknown code":     {workflow.Fail("canary", nil), 500, workflow.CodeInternal, "", "", ""},
	} {
		f.err = tc.err
		res := f.post(reset+"/request-password-reset", someRequest, f.keys["secret"])
		h := res.header
		if res.status != tc.status || res.problem(t).Code != tc.code || h.Get("Retry-After") != tc.retry || h.Get("RateLimit-Policy") != tc.policy || h.Get("RateLimit") != tc.limits {
			t.Errorf("%s: %d %v %s", name, res.status, h, res.body)
		}
		if strings.Contains(res.body, "canary") {
			t.Errorf("%s: the answer tells what is inside", name)
		}
	}
}

func TestPanic(t *testing.T) {
	f := start(t)
	f.panics = true
	res := f.post(reset+"/request-password-reset", someRequest, f.keys["secret"])
	if res.status != 500 || res.problem(t).Code != workflow.CodeInternal || strings.Contains(res.body+f.log.String(), "canary") {
		t.Errorf("%d %s\n%s", res.status, res.body, f.log)
	}
	if !strings.Contains(f.log.String(), "fake_test.go") {
		t.Error("the log says where")
	}
	if res := f.do("GET", "/healthz", ""); res.status != 200 {
		t.Errorf("after a panic: %d", res.status)
	}
}

func TestHeaders(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/healthz", "/nowhere", "/admin/v1/applications", "/openapi.yaml"} {
		h := f.do("GET", path, "").header
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Strict-Transport-Security") == "" || h.Get("Server") != "" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if h := f.do("GET", "/apps/acme/.well-known/jwks.json", "").header; h.Get("Cache-Control") != "public, max-age=300" || h.Get("Content-Type") != "application/json" {
		t.Errorf("JWK Set: %v", h)
	}
	plain := start(t, func(d *Deps) { d.PublicURL = "http://127.0.0.1:8080" })
	if h := plain.do("GET", "/healthz", "", "X-Request-Id", "mine").header; h.Get("Strict-Transport-Security") != "" || h.Get("X-Request-Id") == "mine" {
		t.Errorf("over http: %v", h)
	}
}

// TestLogLine: the route's pattern and ids, never a path, query, body or header.
func TestLogLine(t *testing.T) {
	f := start(t)
	f.err = workflow.Violate("newPassword", workflow.VioTooShort)
	f.post(reset+"/reset-password?canary-query=1", `{"emailAuthCode":"canary-code","newPassword":"canary-password"}`, f.keys["secret"], "User-Agent", "canary-agent")
	f.do("GET", "/admin/v1/applications/acme/users/canary-id", "", "Authorization", "Bearer "+adminToken)
	f.do("GET", "/canary-path", "")
	f.do("CANARY", "/healthz", "")
	log := f.log.String()
	if strings.Contains(strings.ToLower(log), "canary") {
		t.Errorf("the log repeats what was sent: %s", log)
	}
	var line map[string]any
	_ = json.Unmarshal(bytes.SplitN(f.log.Bytes(), []byte("\n"), 2)[0], &line)
	for name, want := range map[string]any{"method": "POST", "route": reset + "/reset-password", "status": 400.0, "application": "acme", "key": "secret", "code": "message_body_constraint_violations"} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if line["ticket"] == "" || line["duration_ms"] == nil {
		t.Errorf("got %v", line)
	}
	want := []string{"POST " + reset + "/reset-password Bad Request", "GET /admin/v1/applications/:slug/users/:id Not Found"}
	if len(f.seen) != 4 || f.seen[0] != want[0] || f.seen[1] != want[1] || strings.Contains(strings.Join(f.seen, ""), "anary") {
		t.Errorf("metrics saw %v", f.seen)
	}
}

// TestNoEcho sends a canary in every value and name: no answer repeats it.
func TestNoEcho(t *testing.T) {
	f := start(t)
	const canary = "Canary value 7"
	f.err = workflow.Violate("newPassword", workflow.VioTooShort)
	for _, body := range []string{`{"email":"` + canary + `"}`, `{"` + canary + `":1}`, `{"locale":"` + canary + `"}`, `{"emailAuthCode":"` + canary + `","newPassword":"` + canary + `"}`,
		`{"password":"` + canary + `"}`, `{"email":"` + canary + `","password":"` + canary + `"}`, `{"refreshToken":"` + canary + `"}`, `{"name":"` + canary + `","type":"` + canary + `","permissions":["` + canary + `"]}`,
		`{"email":"a@b.test","passwordHash":"` + canary + `"}`, `"` + canary, canary} {
		for _, rt := range table() {
			if rt.method != http.MethodPost && rt.method != http.MethodPatch {
				continue
			}
			path := strings.NewReplacer(":slug", "acme", ":id", "u1").Replace(rt.path)
			key := f.keys["secret"]
			if strings.HasPrefix(path, "/admin") {
				key = adminToken
			}
			res := f.do(rt.method, path, body, "Authorization", "Bearer "+key, "Content-Type", "application/json")
			if strings.Contains(res.body, "Canary") && res.status >= 400 {
				t.Errorf("%s %s with %s: %s", rt.method, path, body, res.body)
			}
		}
	}
}

// TestPages: errors outside the API can be answered for people.
func TestPages(t *testing.T) {
	f := start(t, func(d *Deps) {
		d.Page = func(c echo.Context, err *workflow.Error) bool {
			_ = c.HTML(statusOf[err.Row().Class], "<p>page</p>")
			return true
		}
	})
	if res := f.do("GET", "/apps/acme/nowhere", ""); res.status != 404 || res.body != "<p>page</p>" {
		t.Errorf("%d %s", res.status, res.body)
	}
	if res := f.do("GET", "/api/v1/nowhere", ""); res.status != 404 {
		t.Errorf("%d", res.status)
	} else {
		res.problem(t)
	}
}

func TestServerBounds(t *testing.T) {
	s := HTTPServer(http.NotFoundHandler(), "127.0.0.1:0")
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 15*time.Second || s.WriteTimeout != 35*time.Second || s.IdleTimeout != time.Minute || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got %+v", s)
	}
	if requestDeadline >= s.WriteTimeout {
		t.Error("a request must end before its answer is cut off")
	}
}
