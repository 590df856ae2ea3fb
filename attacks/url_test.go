package attacks

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/notify"
)

var anyLink = regexp.MustCompile(`https?://[^\s"'<>]+`)

// onlyFrom fails the test unless every link of a mail begins with base.
func onlyFrom(t *testing.T, what string, m notify.ReceivedMail, base string) {
	t.Helper()
	links := anyLink.FindAllString(m.Text+" "+m.HTML, -1)
	if len(links) == 0 {
		t.Errorf("%s: the mail has no link", what)
	}
	for _, l := range links {
		if !strings.HasPrefix(l, base+"/") {
			t.Errorf("%s: the mail links to %s", what, l)
		}
	}
}

// poisoned asks with one more header on every flow and page that leads to a
// mail, and expects links from configuration alone.
func poisoned(t *testing.T, x *World, base string, headers ...string) {
	t.Helper()
	v := x.Person("v")
	for i, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		header := map[string]string{name: value}
		with := map[string]string{name: value, "X-Resetflow-Client-IP": clientIP()}
		got := x.Call("POST", "/api/v1/password-reset/"+request, x.Key, object("email", v, "flow", "email_link"), with)
		if statusIs(t, got, http.StatusAccepted); got.Status == http.StatusAccepted {
			onlyFrom(t, h, x.Next(v, "reset_link", i), base)
		}
		got = x.Call("POST", "/api/v1/password-reset/create-password-reset-link", x.Key, object("email", v), with)
		if !strings.HasPrefix(field(got, "passwordResetLink"), base+"/") {
			t.Errorf("%s: the operator's link is %s", h, field(got, "passwordResetLink"))
		}
		seen := x.Browser().Do("GET", x.Page("forgot-password"), "", header)
		if strings.Contains(seen.Body, "evil") || strings.Contains(fmt.Sprint(seen.Header), "evil") {
			t.Errorf("%s stands in the page", h)
		}
	}
}

func TestURL(t *testing.T) {
	row(t, "URL-01", "Host header", func(t *testing.T, x *World) {
		v := x.Person("v")
		for i, host := range []string{"evil.org", "evil.org:443", "localhost", "127.0.0.1.evil.org", "EVIL.org", "[::1]:80"} {
			body := object("email", v, "flow", "email_link")
			head := fmt.Sprintf("Host: %s\r\nContent-Length: %d\r\nX-Resetflow-Client-IP: %s\r\n", host, len(body), clientIP())
			got := x.Raw(x.Post("/api/v1/password-reset/"+request, head, body))
			if len(got) != 1 || got[0].Status != http.StatusAccepted {
				t.Fatalf("%s: %v", host, got)
			}
			onlyFrom(t, host, x.Next(v, "reset_link", i), x.URL)
		}
		page := x.Browser().Do("GET", x.Page("forgot-password"), "", map[string]string{"Host": "evil.org"})
		if strings.Contains(page.Body, "evil.org") || strings.Contains(fmt.Sprint(page.Header), "evil.org") {
			t.Error("the page repeats the host")
		}
	})

	row(t, "URL-02", "X-Forwarded-Host", func(t *testing.T, x *World) {
		poisoned(t, x, x.URL, "X-Forwarded-Host: evil.org", "X-Forwarded-Host: evil.org, good.org", "X-Forwarded-Port: 666")
	})

	row(t, "URL-x03", "Forwarded", func(t *testing.T, x *World) {
		poisoned(t, x, x.URL, "Forwarded: for=192.0.2.1;host=evil.org;proto=http", `Forwarded: host="evil.org"`, "Forwarded: by=evil.org")
	})

	row(t, "URL-04", "X-Forwarded-Proto downgrade", func(t *testing.T, x *World) {
		y := x.Own("RESETFLOW_PUBLIC_URL=https://reset.example.test")
		poisoned(t, y, "https://reset.example.test", "X-Forwarded-Proto: http", "X-Forwarded-Scheme: http", "X-Url-Scheme: http", "X-Forwarded-Ssl: off", "Front-End-Https: off")
	})

	row(t, "URL-05", "Origin and Referer as base", func(t *testing.T, x *World) {
		poisoned(t, x, x.URL, "Referer: https://evil.org/reset", "Referer: //evil.org")
		v := x.Person("w")
		got := x.Call("POST", "/api/v1/password-reset/"+request, x.Key, object("email", v), map[string]string{"Origin": "https://evil.org"})
		if got.Status != http.StatusAccepted && got.Status != http.StatusForbidden {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		if got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("a foreign origin is allowed")
		}
		x.Idle()
		for _, m := range x.MailsOf(v, "") {
			onlyFrom(t, "Origin", m, x.URL)
		}
	})

	row(t, "URL-x06", "Absolute-form target", func(t *testing.T, x *World) {
		v := x.Person("v")
		for i, target := range []string{"http://evil.org", "https://evil.org:444", "http://user:pass@evil.org"} {
			body := object("email", v, "flow", "email_link")
			head := fmt.Sprintf("Host: %s\r\nContent-Length: %d\r\nX-Resetflow-Client-IP: %s\r\n", x.Host(), len(body), clientIP())
			got := x.Raw(x.Post(target+"/api/v1/password-reset/"+request, head, body))
			if len(got) != 1 {
				t.Fatalf("%s: %v", target, got)
			}
			statusIs(t, got[0], http.StatusAccepted)
			onlyFrom(t, target, x.Next(v, "reset_link", i), x.URL)
		}
	})

	row(t, "URL-07", "Other host headers", func(t *testing.T, x *World) {
		poisoned(t, x, x.URL, "X-Host: evil.org", "X-Original-Host: evil.org", "X-HTTP-Host-Override: evil.org", "X-Forwarded-Server: evil.org",
			"X-Forwarded-Prefix: //evil.org", "X-Original-URL: /evil", "X-Rewrite-URL: /evil", "X-Real-Host: evil.org", "X-Script-Name: /evil", "Base-Url: https://evil.org")
	})

	row(t, "URL-08", "Malformed host", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, host := range []string{"Host: good@evil.org", "Host: evil.org/good", "Host: good:99999", "Host: ", "Host: %0d%0aevil.org", "Host: www.example:dr.frankenstein@evil.tld",
			"Host: evil.org#", "Host: evil.org?x", `Host: evil.org\good`, "Host: ev\til.org", "Host: \x00evil", ""} {
			body := object("email", v, "flow", "email_link")
			head := fmt.Sprintf("Content-Length: %d\r\nX-Resetflow-Client-IP: %s\r\n", len(body), clientIP())
			if host != "" {
				head = host + "\r\n" + head
			}
			for _, got := range x.Raw(x.Post("/api/v1/password-reset/"+request, head, body)) {
				if got.Status != http.StatusAccepted && got.Status != http.StatusBadRequest && got.Status != http.StatusMisdirectedRequest {
					t.Errorf("%q: %d %s", host, got.Status, got.Body)
				}
			}
		}
		body := object("email", v, "flow", "email_link")
		old := strings.Replace(x.Post("/api/v1/password-reset/"+request, fmt.Sprintf("Content-Length: %d\r\n", len(body)), body), "HTTP/1.1", "HTTP/1.0", 1)
		x.Raw(old)
		x.Idle()
		for _, m := range x.MailsOf(v, "") {
			onlyFrom(t, "a malformed host", m, x.URL)
		}
	})

	row(t, "URL-x09", "Two hosts", func(t *testing.T, x *World) {
		v := x.Person("v")
		body := object("email", v)
		for _, hosts := range []string{"Host: " + x.Host() + "\r\nHost: evil.org\r\n", "Host: evil.org\r\nHost: " + x.Host() + "\r\n", "Host : evil.org\r\nHost: " + x.Host() + "\r\n", " Host: evil.org\r\nHost: " + x.Host() + "\r\n"} {
			got := x.Raw(x.Post("/api/v1/password-reset/"+request, fmt.Sprintf("%sContent-Length: %d\r\n", hosts, len(body)), body))
			if len(got) == 0 || got[0].Status != http.StatusBadRequest {
				t.Errorf("%q: %v", hosts, got)
			}
		}
		x.NoMail(v)
	})

	bypasses := []string{
		"https://app.acme.test.evil.org/login", "https://app.acme.test@evil.org/login", "//evil.org", `/\evil.org`, "https:evil.org", `https://app.acme.test\@evil.org/login`,
		"javascript://app.acme.test/%0aalert(1)", "/%09/evil.org", "https://app.acme.test/login/../../evil", "https://app.acme.test/login?next=https://evil.org", "https://app.acme.test/login#x",
		"http://app.acme.test/login", "HTTPS://APP.ACME.TEST/login", "https://app.acme.test:443/login", "https://app.acme.test/login/", " https://app.acme.test/login", "https://app.acme.test/login\r\nX: y",
		"https://app.acme.test/login%00", "data:text/html,x", "https://ａpp.acme.test/login", "", "https://app.acme.test",
	}
	row(t, "URL-10", "Around the list of redirects", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, u := range bypasses {
			Violated(t, x.Workflow(request, object("email", v, "redirectUrl", u)), "redirectUrl", "not_allowed")
			Violated(t, x.Workflow("create-password-reset-link", object("email", v, "redirectUrl", u)), "redirectUrl", "not_allowed")
		}
		x.NoMail(v)
		b := x.Browser()
		for _, u := range bypasses[:6] {
			seen := b.Do("GET", x.Page("forgot-password")+"?redirectUrl="+strings.NewReplacer("#", "%23", "&", "%26", "\\", "%5C").Replace(u), "", nil)
			if strings.Contains(seen.Body, "evil.org") {
				t.Errorf("%s stands in the page", u)
			}
		}
		got := x.Workflow(request, object("email", v, "redirectUrl", "https://app.acme.test/login"))
		statusIs(t, got, http.StatusAccepted)
	})

	row(t, "URL-11", "Callback without a scheme", func(t *testing.T, x *World) {
		for _, u := range []string{"//evil.org", "evil.org/x", "app.acme.test/login", "//app.acme.test/login", "/login", "login", "://app.acme.test/login"} {
			Violated(t, x.Workflow(request, object("email", x.Address("v"), "redirectUrl", u)), "redirectUrl", "not_allowed")
		}
	})

	row(t, "URL-x12", "Bad targets in the settings", func(t *testing.T, x *World) {
		for _, change := range []string{
			`{"redirectUrls":["javascript:alert(1)"]}`, `{"redirectUrls":["//evil.org"]}`, `{"redirectUrls":["http://app.acme.test/login"]}`, `{"redirectUrls":["https://user:pass@app.acme.test/"]}`,
			`{"flows":{"email_link":{"linkUrl":"http://app.acme.test/reset?code={code}"}}}`, `{"flows":{"email_link":{"linkUrl":"javascript:{code}"}}}`, `{"flows":{"email_link":{"linkUrl":"https://app.acme.test/reset"}}}`,
			`{"hosts":["evil.org/path"]}`, `{"hosts":["https://evil.org"]}`, `{"hosts":["a b"]}`,
		} {
			if got := x.Admin("PATCH", "", change); got.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", change, got.Status, got.Body)
			}
		}
	})

	row(t, "URL-13", "Poisoning through a cache", func(t *testing.T, x *World) {
		for _, page := range []string{"forgot-password", "reset-password", "not-me", "reset-password?email_auth_code=x"} {
			clean := x.Browser().Do("GET", x.Page(page), "", map[string]string{"Accept-Language": "en"})
			for _, h := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Prefix", "X-Original-URL", "Referer", "User-Agent", "X-Forwarded-For"} {
				seen := x.Browser().Do("GET", x.Page(page), "", map[string]string{h: "evil.org", "Accept-Language": "en"})
				if strings.Contains(seen.Body, "evil.org") || strings.Contains(fmt.Sprint(seen.Header), "evil.org") {
					t.Errorf("%s: %s is repeated", page, h)
				}
				if seen.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s may be cached: %v", page, seen.Header)
				}
				if seen.Status != clean.Status {
					t.Errorf("%s: %s changes the answer from %d to %d", page, h, clean.Status, seen.Status)
				}
			}
		}
	})

	row(t, "URL-14", "Text injected through the request", func(t *testing.T, x *World) {
		v := x.Person("v")
		const text = "call-0900-evil"
		for i, query := range []string{"?utm=" + text, "?next=" + text, "?email_auth_code=" + text} {
			statusIs(t, x.Workflow(request+query, object("email", v)), http.StatusAccepted)
			if m := x.Next(v, "reset_link", i); strings.Contains(m.Text+m.HTML+m.Subject, text) {
				t.Errorf("%s stands in the mail", query)
			}
		}
		for _, locale := range []string{"../../x", "<html>", "en\r\nX: y", "en/../../etc", text + text, "en_US.UTF-8", "{{.}}", ""} {
			Violated(t, x.Workflow(request, object("email", v, "locale", locale)), "locale", "invalid_locale")
		}
		agent := x.Call("POST", "/api/v1/password-reset/"+request, x.Key, object("email", v), map[string]string{
			"X-Resetflow-User-Agent": "<b>" + text + "</b> https://evil.org", "X-Resetflow-Client-IP": clientIP(), "Accept-Language": text})
		statusIs(t, agent, http.StatusAccepted)
		if m := x.Next(v, "reset_link", 3); strings.Contains(m.Text+m.HTML, text) || strings.Contains(m.Text+m.HTML, "evil.org") {
			t.Error("the user agent stands in the mail")
		}
		for _, path := range []string{"forgot-password?email=" + text, "forgot-password?lang=%3Chtml%3E" + text, "reset-password?email_auth_code=" + text, text, "%3Cscript%3E" + text} {
			if seen := x.Browser().Get(x.Page(path)); strings.Contains(seen.Body, text) {
				t.Errorf("%s stands in the page", path)
			}
		}
	})

	row(t, "URL-x15", "Paths that become redirects", func(t *testing.T, x *World) {
		b := x.Browser().Still()
		for _, path := range []string{"//evil.org", "//evil.org/%2e%2e", "/%5cevil.org", "/apps//evil.org", "/apps/evil.org/reset-password?email_auth_code=x", "//evil.org/apps/" + x.Slug + "/forgot-password", "/.well-known/change-password", "/apps/" + x.Slug, "/apps/" + x.Slug + "/", "///evil.org//"} {
			seen := b.Do("GET", x.URL+path, "", map[string]string{"Host": "evil.org"})
			if to := seen.Header.Get("Location"); strings.Contains(to, "evil.org/") && !strings.HasPrefix(to, "/apps/evil.org") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "http") && !strings.HasPrefix(to, x.URL) {
				t.Errorf("%s leads to %s", path, to)
			}
			if seen.Status >= 500 {
				t.Errorf("%s: %d", path, seen.Status)
			}
		}
	})

	rowOnce(t, "URL-16", "No public URL", func(t *testing.T) {
		for _, bad := range []string{"", "http://reset.example.test", "reset.example.test", "//reset.example.test", "javascript:x", "https://", "https://a@reset.example.test"} {
			code, out := serveWith(t, "RESETFLOW_PUBLIC_URL="+bad)
			if code != 2 || !strings.Contains(out, "public_url") {
				t.Errorf("%q: exit %d: %.300s", bad, code, out)
			}
		}
	})

	row(t, "URL-x17", "A host that belongs to another application", func(t *testing.T, x *World) {
		x = x.Own("RESETFLOW_PUBLIC_URL=https://reset.example.test")
		mapped := strings.ToLower(x.Slug) + ".pages.example.test"
		y := x.Second(map[string]any{"hosts": []string{mapped}})
		v := x.Person("v")
		for i, host := range []string{mapped, mapped + ":8443"} {
			got := x.Browser().Do("POST", "/api/v1/password-reset/"+request, object("email", v), map[string]string{"Host": host, "Content-Type": "application/json", "Origin": "", "Authorization": "Bearer " + x.Key, "X-Resetflow-Client-IP": clientIP()})
			if got.Status != http.StatusAccepted && got.Status != http.StatusForbidden {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			if got.Status == http.StatusAccepted {
				onlyFrom(t, host, x.Next(v, "reset_link", i), "https://reset.example.test")
			}
		}
		w := y.Person("w")
		y.Ask(w, "email_link")
		onlyFrom(t, "its own application", y.Next(w, "reset_link", 0), "https://"+mapped)
		if got := x.Admin("PATCH", "", `{"hosts":["`+mapped+`"]}`); got.Status != http.StatusConflict {
			t.Errorf("one host for two applications: %d %s", got.Status, got.Body)
		}
	})
}
