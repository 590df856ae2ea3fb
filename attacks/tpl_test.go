package attacks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestTPL(t *testing.T) {
	row(t, "TPL-01", "Templates by a name", func(t *testing.T, x *World) {
		for i, name := range []string{"{{.}}", "{{7*7}}", "${7*7}", "<%=7*7%>", "#{7*7}", "{app} {link} {code} {when} {name}", "%s%n%d", "{{range 2000000000}}{{end}}", "{{template \"x\" .}}", "$1 \\1 &amp;"} {
			email, taken := x.named(t, fmt.Sprint("v", i), name)
			if !taken {
				t.Errorf("%q is refused", name)
				continue
			}
			for _, m := range x.mails(t, email) {
				if !strings.Contains(m.Text, name) {
					t.Errorf("%q is not printed as it stands: %.200s", name, m.Text)
				}
				if strings.Contains(m.Text, "no value") || strings.Contains(m.Text, "ZgotmplZ") {
					t.Errorf("%q was read as a template: %s", name, m.Text)
				}
			}
		}
		for _, name := range []string{"{{.Code}} {link}", "${7*7} & {code}"} {
			x.Patch(map[string]any{"name": name})
			v := x.Person("a" + fmt.Sprint(len(name)))
			for _, m := range x.mails(t, v) {
				if !strings.Contains(m.Text, name) && !strings.Contains(m.Subject, name) {
					t.Errorf("the application's name %q is not printed as it stands: %.200s", name, m.Text)
				}
			}
			if page := x.Browser().Get(x.Page("forgot-password")).Body; !strings.Contains(page, strings.ReplaceAll(name, "&", "&amp;")) {
				t.Errorf("a page does not print %q", name)
			}
		}
	})
	row(t, "TPL-08", "A link that runs", func(t *testing.T, x *World) {
		for _, link := range []string{"javascript:alert(1)//{code}", "javascript://a.example.com/%0aalert({code})", "data:text/html,{code}", "http://a.example.com/{code}", "//a.example.com/{code}", "https://a.example.com@evil.example.org/{code}", "https://{code}.evil.example.org/", "https://a.example.com/", "https://a.example.com/{code}/{code}", "vbscript:{code}", "https:a.example.com/{code}", "https://a.example.com\\{code}", "https://a.example.com/{code}{{.}}"} {
			body := fmt.Sprintf(`{"flows":{"email_link":{"linkUrl":%s}}}`, jsonOf(link))
			Has(t, link, x.Admin("PATCH", "", body), http.StatusBadRequest)
		}
		for _, field := range []string{"redirectUrls", "hosts"} {
			for _, to := range []string{"javascript:alert(1)", "https://good.example.com@evil.example.org", "//evil.example.org", "https://*.example.com/"} {
				Has(t, to, x.Admin("PATCH", "", fmt.Sprintf(`{"%s":[%s]}`, field, jsonOf(to))), http.StatusBadRequest)
			}
		}
	})
	row(t, "TPL-11", "A picture fetched from the inside", func(t *testing.T, x *World) {
		for _, logo := range []string{"http://169.254.169.254/latest/meta-data/", "https://evil.example.org/x.png", "file:///etc/passwd", "data:text/html;base64,PHNjcmlwdD4=", "data:image/svg+xml,<svg onload=alert(1)>", "data:image/png;base64,PHNjcmlwdD4=", "//evil.example.org/x.png"} {
			Has(t, logo, x.Admin("PATCH", "", fmt.Sprintf(`{"appearance":{"logo":%s}}`, jsonOf(logo))), http.StatusBadRequest)
		}
	})
	row(t, "TPL-14", "Lines and escapes for the log", func(t *testing.T, x *World) {
		x = x.Own("RESETFLOW_LOG_LEVEL=debug")
		v := x.Person("v")
		const forged = `{"level":"INFO","msg":"forged-line"}`
		for _, odd := range []string{"x\r\n" + forged, "\x1b[2J\x1b]0;owned\x07", "x\u2028" + forged, "\u202egol", "x\n" + forged} {
			x.Workflow("create-password-reset-link", object("email", v, "reason", odd))
			x.Workflow(start, object("email", v+odd, "locale", odd, "redirectUrl", odd, "flow", odd, odd, odd))
			x.Redeem(Proof{"emailAuthCode": odd}, odd)
			x.Admin("POST", "/users", object("email", x.Address("w"), "name", odd))
			x.Admin("GET", "/users?email="+url.QueryEscape(odd), "")
		}
		path := "/apps/" + x.Slug + "/%0d%0a" + strings.ReplaceAll(forged, `"`, "%22") + "%1b[2J"
		x.Wire("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		for _, header := range []string{"User-Agent", "X-Request-Id", "Referer", "X-Resetflow-User-Agent", "Accept-Language", "X-Forwarded-For", "Origin"} {
			x.Wire("GET /healthz HTTP/1.1\r\nHost: x\r\n" + header + ": \x1b[2J" + forged + "\u2028\r\nConnection: close\r\n\r\n")
			x.Call("POST", "/api/v1/password-reset/"+start, x.Key, object("email", v), map[string]string{header: "\u202e\u2028" + forged})
		}
		x.Wire("F\x1b\x1bK /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		x.Wire("FORGED-LINE /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		x.Idle()
		log := x.Log.String()
		if strings.ContainsAny(log, "\x1b\x07\r\u2028\u202e") {
			t.Error("the log holds an escape or a line separator")
		}
		for line := range strings.Lines(log) {
			var one map[string]any
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Errorf("%v: %.200q", err, line)
			}
			if one["msg"] == "forged-line" || one["method"] == "FORGED-LINE" {
				t.Errorf("a forged line: %s", line)
			}
		}
	})
	row(t, "TPL-16", "Paths in names of languages and files", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, locale := range []string{"../../etc/passwd", `..\\..\\x`, "en/../de", "/etc/passwd", "en\u0000", "en.html", "<b>", "{{.}}", "e", strings.Repeat("en-", 40), ""} {
			Violated(t, x.Workflow(start, object("email", v, "locale", locale)), "locale", "invalid_locale")
			x.Visit(t, x.Page("forgot-password")+"?locale="+strings.NewReplacer("\u0000", "%00", "<", "%3c", ">", "%3e", "{", "%7b", "}", "%7d", `\`, "%5c").Replace(locale), 200)
		}
		for _, path := range []string{"/static/..%2f..%2fetc%2fpasswd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/..%5c..%5cx", "/static/../web.go", "/static/theme/../../x", "/static/page.css%00.js", "/static/", "/apps/..%2f..%2fetc/forgot-password", "/apps/%2e%2e/forgot-password", "/dev/inbox", "/dev/inbox/x", "/dev/inbox/x/html"} {
			got := x.Wire("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if strings.HasPrefix(got, "HTTP/1.1 200") || strings.Contains(got, "root:") || strings.Contains(got, "package web") {
				t.Errorf("%s: %.200s", path, got)
			}
		}
		x.NoMail(v)
	})
}

// Visit fails the test unless a page answers with a status.
func (x *World) Visit(t *testing.T, path string, status int) Seen {
	t.Helper()
	seen := x.Browser().Still().Get(path)
	if seen.Status != status {
		t.Errorf("%s: %d, want %d", path, seen.Status, status)
	}
	return seen
}

func TestTPLMore(t *testing.T) {
	row(t, "TPL-x1", "An editor of templates that nobody finished", func(t *testing.T, x *World) {
		for method, path := range map[string]string{"PUT": "/templates/reset_link/en/draft", "GET": "/templates/reset_link/en/draft", "POST": "/templates/reset_link/en/test-send", "PATCH": "/templates"} {
			Has(t, path, x.Admin(method, path, `{"text":"{{env \"HOME\"}}","to":"`+x.Evil()+`"}`), http.StatusNotFound, http.StatusMethodNotAllowed)
		}
		Has(t, "preview", x.Admin("POST", "/templates/reset_link/en/preview", `{"text":"{{range 2000000000}}{{end}}"}`), http.StatusNotFound, http.StatusMethodNotAllowed)
		x.NoMail(x.Evil())
	})
	row(t, "TPL-x2", "Styles and markup by settings", func(t *testing.T, x *World) {
		for _, color := range []string{"red", "#12345", "#123456;}body{display:none}", "url(//evil.example.org)", "#12345g", "</style><script>"} {
			Has(t, color, x.Admin("PATCH", "", fmt.Sprintf(`{"appearance":{"color":%s}}`, jsonOf(color))), http.StatusBadRequest)
		}
		x.Patch(map[string]any{"name": `"><img src=x onerror=alert(1)>'`})
		p := x.Proof(x.Person("v"), "email_link")
		for _, page := range []string{x.Page("forgot-password"), x.Page("reset-password"), x.Page("reset-password/code"), x.Page("not-me"), x.Page("nothing"), x.Link(p)} {
			if seen := x.Browser().Get(page); strings.Contains(seen.Body, "<img src=x") {
				t.Errorf("%s: the name stands as markup", page)
			}
		}
		for _, m := range x.SMTP.Mails() {
			if strings.Contains(strings.Join(m.EnvelopeTo, ""), x.Slug+".") && strings.Contains(m.HTML, "<img src=x") {
				t.Error("the name stands as markup in a mail")
			}
		}
	})
}
