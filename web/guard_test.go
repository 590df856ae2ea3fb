package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func TestCookie(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode).status(303)
	c := b.cookies["rf_acme"]
	if c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/apps/acme" || c.Domain != "" {
		t.Fatalf("cookie %+v", c)
	}
	if c.MaxAge != int((20 * time.Minute).Seconds()) {
		t.Fatalf("Max-Age %d is not the rest of the lifetime", c.MaxAge)
	}
	if strings.Contains(c.Value, linkCode) || strings.Contains(c.Value, "ada") || len(c.Value) > 1024 {
		t.Fatal("the cookie is not sealed, or large")
	}
	b.clock.at = start.Add(15 * time.Minute)
	b.get("/apps/acme/reset-password")
	if got := b.cookies["rf_acme"].MaxAge; got != 300 {
		t.Fatalf("Max-Age %d after 15 of 20 minutes", got)
	}
	b.clock.at = start.Add(20 * time.Minute)
	b.get("/apps/acme/reset-password").status(303) // over: no code is left in it
	b.called("introspect", "introspect")

	local := newSite(t, func(d *Deps, _ *workflow.Application) { d.PublicURL = "http://127.0.0.1:8080" }).browser()
	if local.get("/apps/acme/forgot-password"); local.cookies["rf_acme"].Secure {
		t.Fatal("Secure on plain http on loopback: the browser would drop the cookie")
	}
	plain := newSite(t, func(d *Deps, _ *workflow.Application) { d.PublicURL = "http://id.example.org" }).browser()
	if plain.get("/apps/acme/forgot-password"); !plain.cookies["rf_acme"].Secure {
		t.Fatal("Secure is missing on a host that is not loopback")
	}
}

func TestCookieOfAnotherApplicationCountsAsNone(t *testing.T) {
	other := workflow.DefaultApplication("other")
	b := newSite(t, func(d *Deps, a *workflow.Application) { d.Applications = fakeApps{a, &other} }).browser()
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode)
	moved := *b.cookies["rf_acme"]
	moved.Name = "rf_other"
	b.cookies["rf_other"] = &moved
	b.get("/apps/other/reset-password").status(200).holds("Your browser did not keep our cookie").called("introspect")
	bent := *b.cookies["rf_acme"]
	bent.Value = bent.Value[:len(bent.Value)-4] + "AAAA"
	b.cookies["rf_acme"] = &bent
	b.get("/apps/acme/reset-password").holds("Your browser did not keep our cookie")
}

func TestFormsOfOthersAreRefused(t *testing.T) {
	form := "application/x-www-form-urlencoded"
	for name, h := range map[string]http.Header{
		"foreign origin":            {"Origin": {"https://evil.example"}},
		"null origin":               {"Origin": {"null"}},
		"two origins":               {"Origin": {"https://id.example.org", "https://evil.example"}},
		"origin as prefix":          {"Origin": {"https://id.example.org.evil.example"}},
		"http instead of https":     {"Origin": {"http://id.example.org"}},
		"cross-site without origin": {"Sec-Fetch-Site": {"cross-site"}},
		"same-site without origin":  {"Sec-Fetch-Site": {"same-site"}},
		"other site, own origin":    {"Origin": {"https://id.example.org"}, "Sec-Fetch-Site": {"cross-site"}},
	} {
		b := newSite(t).browser()
		token := b.get("/apps/acme/forgot-password").token()
		h.Set("Content-Type", form)
		b.send("/apps/acme/forgot-password", "email=ada%40example.com&form="+token, h)
		if b.res.StatusCode != 403 || len(b.engine.calls) != 0 {
			t.Errorf("%s: status %d, engine %v", name, b.res.StatusCode, b.engine.calls)
		}
		if !strings.Contains(b.body, "Nothing was changed") {
			t.Errorf("%s: the page does not say so", name)
		}
	}
	for name, h := range map[string]http.Header{
		"none at all":       {},
		"own origin":        {"Origin": {"https://id.example.org"}},
		"typed address":     {"Sec-Fetch-Site": {"none"}},
		"same-origin fetch": {"Sec-Fetch-Site": {"same-origin"}},
	} {
		b := newSite(t).browser()
		token := b.get("/apps/acme/forgot-password").token()
		if b.send("/apps/acme/forgot-password", "email=ada%40example.com&form="+token, h); b.res.StatusCode != 303 {
			t.Errorf("%s: status %d", name, b.res.StatusCode)
		}
	}
}

func TestFormToken(t *testing.T) {
	s := newSite(t)
	b, other := s.browser(), s.browser()
	foreign := other.get("/apps/acme/forgot-password").token()
	own := http.Header{"Origin": {s.public}}
	for name, token := range map[string]string{"none": "", "of another cookie": foreign, "nonsense": "x", "cut": foreign[:10]} {
		b.get("/apps/acme/forgot-password")
		b.send("/apps/acme/forgot-password", "email=ada%40example.com&form="+token, own.Clone())
		if b.res.StatusCode != 403 {
			t.Errorf("token %s: status %d", name, b.res.StatusCode)
		}
	}
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode)
	b.send("/apps/acme/reset-password", "newPassword="+linkCode, own.Clone()).status(403)
	b.get("/apps/acme/not-me?request=abc")
	b.send("/apps/acme/not-me", "", own.Clone()).status(403)
	b.send("/apps/acme/resend", "", own.Clone()).status(403)
	b.send("/apps/acme/check-password", "password=abcdefgh", own.Clone()).status(403)
	b.called("introspect")
}

func TestStrictForms(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	token := b.get("/apps/acme/forgot-password").token()
	for name, c := range map[string]struct {
		kind, path, body string
		status           int
	}{
		"duplicate field":   {"", "", "email=a%40example.com&email=b%40example.com&form=" + token, 400},
		"duplicate token":   {"", "", "email=a%40example.com&form=x&form=" + token, 400},
		"not UTF-8":         {"", "", "email=%ff%fe&form=" + token, 400},
		"broken escape":     {"", "", "email=%zz&form=" + token, 400},
		"json":              {"application/json", "", `{"email":"a@example.com"}`, 415},
		"multipart":         {"multipart/form-data; boundary=x", "", "--x--", 415},
		"no type":           {"none", "", "email=a%40example.com", 415},
		"too large":         {"", "", "email=" + strings.Repeat("a", 17<<10), 413},
		"fields in address": {"", "?email=ada%40example.com&form=" + token, "", 403},
		"address beside it": {"", "?email=eve%40example.com", "email=&form=" + token, 400},
		"other charset":     {"application/x-www-form-urlencoded; charset=latin1", "", "email=a%40example.com&form=" + token, 415},
	} {
		h := http.Header{"Origin": {s.public}}
		if c.kind != "" {
			h.Set("Content-Type", c.kind)
		}
		b.send("/apps/acme/forgot-password"+c.path, c.body, h)
		if b.res.StatusCode != c.status || len(b.engine.calls) != 0 {
			t.Errorf("%s: status %d, want %d; engine %v", name, b.res.StatusCode, c.status, b.engine.calls)
		}
	}
}

func TestReadingChangesNothing(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode)
	for _, path := range []string{"/apps/acme/forgot-password", "/apps/acme/forgot-password/sent", "/apps/acme/reset-password", "/apps/acme/reset-password/code",
		"/apps/acme/not-me", "/apps/acme/not-me?request=abc", "/apps/acme/resend", "/apps/acme/check-password", "/apps/acme/reset-password?newPassword=abcdefghij&code=" + supportCode} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"} {
			b.do(method, path, "newPassword=abcdefghij", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
			if method != "GET" && method != "HEAD" && b.res.StatusCode != 405 {
				t.Errorf("%s %s: status %d", method, path, b.res.StatusCode)
			}
		}
	}
	for _, call := range b.engine.calls {
		if call != "introspect" {
			t.Errorf("reading led to %q", call)
		}
	}
}

func TestHeaders(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password")
	b.post("/apps/acme/forgot-password", "email", "ada@example.com")
	for _, path := range []string{"/apps/acme/forgot-password", "/apps/acme/reset-password", "/apps/nobody/forgot-password", "/apps/acme/reset-password?email_auth_code=" + linkCode} {
		b.get(path)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex",
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := b.res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		csp := b.res.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %s", path, part)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy allows inline parts", path)
		}
		if strings.Contains(b.body, "<style") || strings.Contains(b.body, "style=") || strings.Contains(b.body, "<script>") || strings.Contains(b.body, " on") && strings.Contains(b.body, "onclick") {
			t.Errorf("%s: the page holds inline style or script", path)
		}
	}
}

func TestSameBytesForEveryAddress(t *testing.T) {
	s := newSite(t)
	first := s.browser()
	first.get("/apps/acme/forgot-password")
	kept := *first.cookies["rf_acme"]
	pages := map[string]string{}
	for _, email := range []string{"known@example.com", "other@example.com"} {
		b := s.browser()
		b.cookies["rf_acme"] = &kept
		b.get("/apps/acme/forgot-password")
		b.post("/apps/acme/forgot-password", "email", email).status(303)
		head := b.res.Header.Get("Location") + b.res.Header.Get("Content-Length")
		b.to("/apps/acme/forgot-password/sent")
		pages[email] = head + strings.ReplaceAll(b.body, email, "ADDRESS")
	}
	if pages["known@example.com"] != pages["other@example.com"] {
		t.Fatal("the pages differ in more than the address")
	}
}

func TestNewServerNamesWhatIsMissing(t *testing.T) {
	d := newSite(t).deps
	d.Strength = nil
	if _, err := newServer(d); err == nil {
		t.Error("a missing dependency was taken")
	}
	d = newSite(t).deps
	for _, u := range []string{"", "id.example.org", "ftp://id.example.org", "https://"} {
		d.PublicURL = u
		if _, err := newServer(d); err == nil {
			t.Errorf("public URL %q was taken", u)
		}
	}
}
