package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func TestMappedHost(t *testing.T) {
	s := newSite(t, func(_ *Deps, a *workflow.Application) { a.Hosts = []string{"reset.acme.test"} })
	b := s.browser()
	b.host = "reset.acme.test"
	b.get("/forgot-password").status(200).holds(`action="/forgot-password"`, "/forgot-password?locale=de")
	if c := b.cookies["rf_acme"]; c.Path != "/" {
		t.Fatalf("Path %q", c.Path)
	}
	h := http.Header{"Origin": {"https://reset.acme.test"}}
	b.send("/forgot-password", "email=ada%40example.com&form="+b.token(), h).to("/forgot-password/sent")
	b.get("/reset-password?email_auth_code=" + linkCode).to("/reset-password")
	b.get("/").status(303)
	b.get("/.well-known/change-password").to("/forgot-password")
	b.host = "RESET.acme.test:8443"
	b.get("/forgot-password").status(200)
	for _, host := range []string{"evil.example", "", "reset.acme.test.evil.example", "good@evil:99999"} {
		b.host = host
		b.get("/forgot-password").status(404).holds("There is no such page").holdsNot("evil")
	}
}

func TestWellKnown(t *testing.T) {
	b := newSite(t).browser()
	b.get("/.well-known/change-password").status(303)
	if b.res.Header.Get("Location") != "/apps/acme/forgot-password" {
		t.Fatal("it leads elsewhere")
	}
	b.get("/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200").status(404)
	other := workflow.DefaultApplication("other")
	two := newSite(t, func(d *Deps, a *workflow.Application) { d.Applications = fakeApps{a, &other} }).browser()
	two.get("/.well-known/change-password").status(404)
}

func TestNoSuchPage(t *testing.T) {
	b := newSite(t).browser()
	for _, path := range []string{"/apps/nobody/forgot-password", "/apps/acme/nothing", "/apps/acme/reset-password/x.css", "/apps/%2e%2e/forgot-password", "/forgot-password", "/", "/dev/inbox"} {
		b.get(path).status(404)
		if strings.HasPrefix(path, "/apps") {
			b.holds("There is no such page")
		}
	}
}

func TestLanguage(t *testing.T) {
	b := newSite(t).browser()
	b.do("GET", "/apps/acme/forgot-password", "", http.Header{"Accept-Language": {"de-AT,de;q=0.9,en;q=0.5"}}).
		holds(`<html lang="de"`, "Passwort zurücksetzen", `hreflang="en"`)
	b.do("GET", "/apps/acme/forgot-password?locale=en", "", http.Header{"Accept-Language": {"de"}}).holds(`<html lang="en"`)
	b.do("GET", "/apps/acme/forgot-password", "", http.Header{"Accept-Language": {"de"}}).holds(`<html lang="en"`) // chosen once, kept
	b.post("/apps/acme/forgot-password", "email", "ada@example.com")
	if b.engine.last.request.Locale != "en" {
		t.Fatalf("mail in %q", b.engine.last.request.Locale)
	}
	for _, bad := range []string{"../../x", "<html>", "xx", strings.Repeat("a", 300)} {
		newSite(t).browser().get("/apps/acme/forgot-password?locale=" + strings.ReplaceAll(bad, "<", "%3C")).status(200).holds(`<html lang="en"`).holdsNot(bad + `"`)
	}
	fr := newSite(t, func(_ *Deps, a *workflow.Application) { a.Locale = "de" }).browser()
	fr.header.Set("Accept-Language", "fr-CH")
	fr.get("/apps/acme/forgot-password").holds(`<html lang="de"`)
	fr.post("/apps/acme/forgot-password", "email", "ada@example.com")
	if fr.engine.last.request.Locale != "fr-CH" {
		t.Fatalf("mail in %q; there may be French mails", fr.engine.last.request.Locale)
	}
}

func TestLookOfTheApplication(t *testing.T) {
	b := newSite(t, func(_ *Deps, a *workflow.Application) {
		a.Name = `<b>"Acme" & Söhne</b>`
		a.Appearance = workflow.Appearance{Color: "#ffd400", Logo: "data:image/png;base64,iVBORw0KGgo="}
	}).browser()
	b.get("/apps/acme/forgot-password").holds("&lt;b&gt;", `src="data:image/png;base64,iVBORw0KGgo="`).holdsNot("<b>\"Acme", "ZgotmplZ")
	_, after, _ := strings.Cut(b.body, `href="/static/theme/`)
	name, _, _ := strings.Cut(after, `"`)
	b.get("/static/theme/"+name).status(200).holds("--button:#ffd400", "--on-button:#000000", "--link:#8a7200", "prefers-color-scheme:dark")
	if !strings.Contains(b.res.Header.Get("Cache-Control"), "immutable") {
		t.Fatal("the theme is not kept")
	}
	b.get("/static/theme/acme-000000000000.css").status(404)
	b.get("/static/theme/nobody-000000000000.css").status(404)
	for _, bad := range []string{"javascript:alert(1)", "https://evil.example/x.png", "data:text/html;base64,AAAA", `data:image/png;base64,AA"onerror=`} {
		if logo(bad) != "" {
			t.Errorf("%q was taken as a logo", bad)
		}
	}
	for _, bad := range []string{"", "red", "#fff", "#12345g", "#123456;}body{"} {
		if _, ok := theme(bad); ok {
			t.Errorf("%q was taken as a colour", bad)
		}
	}
}

func TestPagesAreSmallAndSelfContained(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode).to("/apps/acme/reset-password")
	total := len(b.body)
	s, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	c := newSite(t).browser()
	for _, name := range []string{"page.css", "page.js"} {
		b.holds(`="` + s.paths[name] + `"`)
		c.get(s.paths[name]).status(200)
		total += len(c.body)
		if !strings.Contains(c.res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s is not kept", name)
		}
	}
	if total >= 30<<10 {
		t.Errorf("a page weighs %d bytes", total)
	}
	if strings.Contains(b.body, "http://") || strings.Contains(b.body, "https://") || strings.Contains(b.body, `"//`) {
		t.Error("the page loads something from elsewhere")
	}
	c.get("/static/page.css").status(404)
}

func TestCheckPassword(t *testing.T) {
	b := newSite(t).browser()
	b.get("/apps/acme/forgot-password")
	b.post("/apps/acme/check-password", "password", "abc").status(403) // no code, no verdict
	b.get("/apps/acme/reset-password?email_auth_code=" + linkCode).to("/apps/acme/reset-password")
	page := b.body
	b.post("/apps/acme/check-password", "password", "abc").status(200).holds(`"failed":["too_short","too_weak"]`, `"score":0`, `"word":"very weak"`).holdsNot("abc")
	if len(b.res.Cookies()) != 0 {
		t.Error("a verdict set a cookie")
	}
	limited := false
	for range 40 {
		b.body = page
		b.post("/apps/acme/check-password", "password", newPassword)
		limited = limited || b.res.StatusCode == 429
	}
	if !limited {
		t.Error("a browser may ask without end")
	}
	b.clock.at = b.clock.at.Add(time.Minute)
	b.body = page
	b.post("/apps/acme/check-password", "password", newPassword).status(200).holds(`"failed":[]`)
	b.called("introspect", "introspect")
}

type oneMail []InboxMail

func (m oneMail) Mails() []InboxMail { return m }

func TestInboxAndFront(t *testing.T) {
	b := newSite(t, func(d *Deps, _ *workflow.Application) {
		d.Demo = &Demo{Application: "acme", Accounts: []string{"ada@example.com"}}
		d.Inbox = oneMail{{ID: "m1", At: start, From: "a@acme.test", To: "ada@example.com", Subject: "<i>Hello</i>",
			Text: "plain <u>", HTML: "<html><head></head><body><a href='https://id.example.org/x'>go</a><script>x</script></body></html>"}}
	}).browser()
	b.get("/").status(200).holds("/apps/acme/forgot-password", "/dev/inbox", "ada@example.com")
	b.get("/dev/inbox").status(200).holds("&lt;i&gt;Hello", "/dev/inbox/m1")
	b.get("/dev/inbox/m1").status(200).holds("plain &lt;u&gt;", `src="/dev/inbox/m1/html"`, "sandbox=")
	b.get("/dev/inbox/m1/html").status(200).holds(`<base target="_blank">`)
	csp := b.res.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "sandbox allow-popups") || strings.Contains(csp, "allow-scripts") || !strings.Contains(csp, "default-src 'none'") {
		t.Fatalf("mail policy %q", csp)
	}
	b.get("/dev/inbox/m2").status(404)
	b.get("/dev/inbox/m2/html").status(404)
}
