package attacks

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// wander opens every page of a run in one browser and calls look with each.
func (x *World) wander(t *testing.T, look func(name string, seen Seen, code string)) {
	t.Helper()
	v := x.Person("v")
	p := x.Proof(v, "email_link")
	code := p["emailAuthCode"]
	b := x.Browser()
	ask := b.Get(x.Page("forgot-password"))
	look("forgot-password", ask, code)
	look("sent", b.Submit(ask, x.Page("forgot-password"), form("email", v+"x", "flow", "email_link")), code)
	look("wrong address", b.Submit(ask, x.Page("forgot-password"), form("email", "nobody")), code)
	look("code", b.Get(x.Page("reset-password/code")), code)
	reset := b.Get(x.Link(p))
	look("reset-password", reset, code)
	look("weak", b.Submit(reset, x.Page("reset-password"), form("newPassword", "x")), code)
	look("done", b.Submit(reset, x.Page("reset-password"), form("newPassword", NewPassword)), code)
	look("dead link", x.Browser().Get(x.Link(p)), code)
	look("no cookie", x.Browser().Get(x.Page("reset-password")), code)
	look("not-me", x.Browser().Get(x.Page("not-me")), code)
	look("missing", x.Browser().Get(x.Page("nothing-here")), code)
}

// outside finds what a page loads or leads to.
var outside = regexp.MustCompile(`(?i)(?:src|href|action|data-check|content|poster|srcset)="([^"]*)"`)

func TestWEB(t *testing.T) {
	row(t, "WEB-01", "The code in a Referer", func(t *testing.T, x *World) {
		x.wander(t, func(name string, seen Seen, code string) {
			if !slices.Contains(seen.Header.Values("Referrer-Policy"), "no-referrer") {
				t.Errorf("%s: %v", name, seen.Header)
			}
			for _, m := range outside.FindAllStringSubmatch(seen.Body, -1) {
				if strings.Contains(m[1], "//") {
					t.Errorf("%s leads to or loads %s", name, m[1])
				}
			}
		})
		p := x.Proof(x.Address("v"), "email_link")
		for _, link := range []string{x.Link(p), x.Link(p) + "&utm_source=x", x.Link(x.Proof(x.Address("v"), "direct_code"))} {
			seen := x.Visit(t, link, http.StatusSeeOther)
			if seen.Header.Get("Location") != x.Page("reset-password") || seen.Header.Get("Referrer-Policy") != "no-referrer" || strings.Contains(seen.Body, "code=") {
				t.Errorf("%s leads to %s", link, seen.Header.Get("Location"))
			}
		}
	})
	row(t, "WEB-02", "The code in reports of browsers", func(t *testing.T, x *World) {
		x.wander(t, func(name string, seen Seen, code string) {
			for _, h := range []string{"Report-To", "Reporting-Endpoints", "Nel", "Content-Security-Policy-Report-Only"} {
				if seen.Header.Get(h) != "" {
					t.Errorf("%s reports: %s", name, seen.Header.Get(h))
				}
			}
			if csp := seen.Header.Get("Content-Security-Policy"); strings.Contains(csp, "report") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s: %s", name, csp)
			}
		})
	})
	row(t, "WEB-04", "A page kept as a style sheet", func(t *testing.T, x *World) {
		p := x.Proof(x.Person("v"), "email_link")
		b := x.Browser()
		b.Get(x.Link(p))
		for _, path := range []string{"reset-password/x.css", "reset-password;x.js", "reset-password%2fx.css", "reset-password/code/x.css", "reset-password.css", "forgot-password/a.png"} {
			if seen := b.Get(x.Page(path)); seen.Status != http.StatusNotFound || seen.Header.Get("Cache-Control") != "no-store" || strings.Contains(seen.Body, "v@") {
				t.Errorf("%s: %d %v", path, seen.Status, seen.Header)
			}
		}
	})
	row(t, "WEB-05", "A page in a frame", func(t *testing.T, x *World) {
		x.wander(t, func(name string, seen Seen, code string) {
			if !strings.Contains(seen.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || seen.Header.Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s: %v", name, seen.Header)
			}
		})
	})
	row(t, "WEB-07", "Answers to other origins", func(t *testing.T, x *World) {
		pub := x.Publishable()
		for _, origin := range []string{"https://evil.example.org", "null", "https://app.acme.test.evil.example.org", "https://evil-app.acme.test", "http://app.acme.test", "https://app.acme.test:444", "https://APP.acme.test ", "https://app.acme.test/"} {
			for _, key := range []string{pub, x.Key} {
				got := x.Call("POST", "/api/v1/password-reset/"+start, key, object("email", x.Address("v")), map[string]string{"Origin": origin})
				if key == pub && (got.Status != http.StatusForbidden || field(got, "code") != "origin_not_allowed") {
					t.Errorf("%s: %d %s", origin, got.Status, got.Body)
				}
				cors(t, origin, got)
			}
			cors(t, origin, x.Call("OPTIONS", "/api/v1/password-reset/"+start, "", "", map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST"}))
			cors(t, origin, x.Call("OPTIONS", "/admin/v1/applications", "", "", map[string]string{"Origin": origin, "Access-Control-Request-Method": "GET"}))
			cors(t, origin, x.Call("GET", x.Page("forgot-password"), "", "", map[string]string{"Origin": origin}))
		}
		got := x.Call("POST", "/api/v1/password-reset/"+start, pub, object("email", x.Address("w")), map[string]string{"Origin": "https://app.acme.test"})
		if got.Status != http.StatusAccepted || got.Header.Get("Access-Control-Allow-Origin") != "https://app.acme.test" || got.Header.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(got.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("%d %v", got.Status, got.Header)
		}
		y := x.Second()
		other := y.Server.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+y.Slug+"/keys", map[string]any{"name": "n", "type": "publishable", "permissions": []string{"password-reset-workflow:execute"}, "allowedOrigins": []string{"https://other.example.com"}})["key"].(string)
		got = x.Call("POST", "/api/v1/password-reset/"+start, other, object("email", x.Address("w")), map[string]string{"Origin": "https://app.acme.test"})
		statusIs(t, got, http.StatusForbidden) // known to another key, not to this one
	})
	row(t, "WEB-08", "Sent elsewhere after the reset", func(t *testing.T, x *World) {
		v := x.Person("v")
		good := "https://app.acme.test/login"
		for _, to := range []string{"https://evil.example.org/", "//evil.example.org", `/\evil.example.org`, "https:evil.example.org", "https://app.acme.test.evil.example.org/login", "https://app.acme.test@evil.example.org/login", `https://app.acme.test\@evil.example.org/login`, "javascript://app.acme.test/%0aalert(1)", "/%09/evil.example.org", "http://app.acme.test/login", good + "/", good + "?x=1", good + "#x", "HTTPS://APP.ACME.TEST/login", good + "\u0000", " " + good, ""} {
			Violated(t, x.Workflow(start, object("email", v, "redirectUrl", to)), "redirectUrl", "not_allowed")
			Violated(t, x.Workflow("create-password-reset-link", object("email", v, "redirectUrl", to)), "redirectUrl", "not_allowed")
			b := x.Browser()
			b.Get(x.Page("forgot-password") + "?redirectUrl=" + url.QueryEscape(to) + "&next=" + url.QueryEscape(to) + "&redirect_uri=" + url.QueryEscape(to))
			if to != "" {
				if seen := b.Get(x.Page("forgot-password")); strings.Contains(seen.Body, "evil.example.org") {
					t.Errorf("the page holds %s", to)
				}
			}
		}
		got := x.Workflow("create-password-reset-link", object("email", v, "redirectUrl", good))
		if end := x.Redeem(Proof{"passwordResetCode": field(got, "passwordResetCode")}, NewPassword); field(end, "redirectUrl") != good {
			t.Errorf("%s", end.Body)
		}
		b := x.Browser()
		b.Get(x.Page("forgot-password") + "?redirectUrl=" + url.QueryEscape(good))
		seen := b.Submit(b.Get(x.Link(x.Proof(v, "email_link"))), x.Page("reset-password"), form("newPassword", NewPassword+"2", "redirectUrl", "https://evil.example.org/"))
		if seen.Status != http.StatusOK || strings.Contains(seen.Body, "evil.example.org") {
			t.Errorf("%d %.300s", seen.Status, seen.Body)
		}
	})
	row(t, "WEB-10", "The code in the source of a page", func(t *testing.T, x *World) {
		x.wander(t, func(name string, seen Seen, code string) {
			if strings.Contains(seen.Body, code) || strings.Contains(seen.Header.Get("Set-Cookie"), code) {
				t.Errorf("%s holds the code", name)
			}
		})
		v := x.Address("v")
		b := x.Browser()
		n := len(x.MailsOf(v, "reset_code"))
		seen := b.Submit(b.Get(x.Page("forgot-password")), x.Page("forgot-password"), form("email", v, "flow", "email_otp"))
		if digits := product.Digits(x.Next(v, "reset_code", n).Text); strings.Contains(seen.Body, digits) {
			t.Error("the page that asks for digits holds them")
		}
	})
	row(t, "WEB-11", "A window that keeps its opener", func(t *testing.T, x *World) {
		x.wander(t, func(name string, seen Seen, code string) {
			if seen.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" || strings.Contains(seen.Body, "target=\"_blank\"") && !strings.Contains(seen.Body, "noopener") {
				t.Errorf("%s: %v", name, seen.Header)
			}
		})
	})
	row(t, "WEB-13", "The code kept by the browser", func(t *testing.T, x *World) {
		p := x.Proof(x.Person("v"), "email_link")
		b := x.Browser()
		seen := b.Get(x.Link(p))
		if seen.Path != x.Page("reset-password") { // a redirect: the address with the code is no entry of the history
			t.Errorf("the browser ends at %s", seen.Path)
		}
		for _, m := range regexp.MustCompile(`src="(/static/[^"]+\.js)"`).FindAllStringSubmatch(seen.Body, -1) {
			script := b.Get(m[1]).Body
			for _, bad := range []string{"localStorage", "sessionStorage", "indexedDB", "sendBeacon", "document.cookie", "eval(", "innerHTML", "postMessage"} {
				if strings.Contains(script, bad) {
					t.Errorf("%s uses %s", m[1], bad)
				}
			}
			if script == "" {
				t.Errorf("%s is empty", m[1])
			}
		}
	})
	row(t, "WEB-14", "Logged in as somebody else by a link", func(t *testing.T, x *World) {
		v := x.Person("v")
		b := x.Browser()
		seen := b.Submit(b.Get(x.Link(x.Proof(v, "email_link"))), x.Page("reset-password"), form("newPassword", NewPassword))
		if seen.Status != http.StatusOK || b.Cookie() != "" {
			t.Errorf("%d, cookie %q", seen.Status, b.Cookie())
		}
		for _, c := range seen.Header.Values("Set-Cookie") {
			if !strings.HasPrefix(c, "rf_"+x.Slug+"=;") {
				t.Errorf("a reset leaves %s", c)
			}
		}
	}, map[string]any{"loginAfterReset": true})
	row(t, "WEB-16", "HEAD, prefetch and prerender", func(t *testing.T, x *World) {
		v := x.Person("v")
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			links := []string{x.Link(p), x.Page("not-me")}
			if flow == "email_otp" {
				links = []string{x.Page("reset-password/code") + "?code=" + p["verificationCode"] + "&requestCode=" + p["requestCode"]}
			}
			for _, link := range links {
				for _, method := range []string{"HEAD", "GET", "OPTIONS", "PUT", "DELETE"} {
					for _, purpose := range []string{"prefetch", "prefetch;prerender", ""} {
						seen := x.Browser().Do(method, link, "", map[string]string{"Sec-Purpose": purpose, "Purpose": purpose})
						if seen.Status >= 500 {
							t.Errorf("%s %s: %d", method, link, seen.Status)
						}
					}
				}
			}
			x.Unchanged(v, p)
		})
		n := len(x.MailsOf(v, "reset_link"))
		p := x.Proof(v, "email_link")
		m := x.MailsOf(v, "reset_link")[n]
		notMe := regexp.MustCompile(`/apps/[^ \n]+not-me\?request=\S+`).FindString(m.Text)
		if notMe == "" {
			t.Fatalf("no not-me link: %s", m.Text)
		}
		for range 5 {
			x.Browser().Get(notMe)
			x.Browser().Do("HEAD", notMe, "", nil)
		}
		x.Redeemed(p, v, NewPassword)
	})
	row(t, "WEB-17", "Well-known addresses", func(t *testing.T, x *World) {
		x.Visit(t, "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200", http.StatusNotFound)
		x.Visit(t, "/.well-known/change-password", http.StatusNotFound) // many applications and no mapped host
		host := "reset." + x.Slug + ".example.com"
		x.Patch(map[string]any{"hosts": []string{host}})
		for _, method := range []string{"GET", "HEAD"} {
			seen := x.Browser().Still().Do(method, "/.well-known/change-password", "", map[string]string{"Host": host})
			if seen.Status < 302 || seen.Status > 307 || seen.Header.Get("Location") != "/forgot-password" {
				t.Errorf("%d to %s", seen.Status, seen.Header.Get("Location"))
			}
		}
		y := x.Own()
		if seen := y.Visit(t, "/.well-known/change-password", http.StatusSeeOther); seen.Header.Get("Location") != y.Page("forgot-password") {
			t.Errorf("leads to %s", seen.Header.Get("Location"))
		}
	})
}

// cors fails the test where an answer may be read by a page of an origin.
func cors(t *testing.T, origin string, got product.Answer) {
	t.Helper()
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("%s: %s: %s", origin, name, v)
		}
	}
}
