package templates

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/resetflow/resetflow/workflow"
)

// Values from outside are data: printed as they are, escaped in HTML, never read
// as a template, and without characters that turn lines or directions.
func TestHostileValues(t *testing.T) {
	s := mustNew(t)
	link := regexp.MustCompile(`href="([^"]*)"`)
	for _, evil := range []string{
		`<a href=//evil>Click</a><img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `{{.}}`, `{{7*7}}`, `${7*7}`, `<%=7*7%>`, `{link}{name}{app}`,
		"V\r\nBcc: e@evil.org", "V\u2028\u0085X-Evil: 1", "\u202eevil\u202c", "a\u200bb\u2066c", "\x00\x1b[2J", "\xff\xfe", strings.Repeat("ä", 5000),
		"visit https://evil.example/now", "www.evil.example",
	} {
		for name, m := range variants("en") {
			m.Message.Name, m.Message.Device = evil, evil
			if !strings.Contains(evil, "://") { // the place is computed and the application's name configured: links there are nobody's attack
				m.Message.Place, m.Application.Name = evil, evil
			}
			r, err := s.Render(m)
			if err != nil {
				t.Fatalf("%s with %q: %v", name, evil, err)
			}
			for part, text := range map[string]string{"subject": r.Subject, "text": r.Text, "html": r.HTML} {
				for _, c := range text {
					if unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Cc, c) && c != '\n' {
						t.Errorf("%s with %q: the %s holds %U", name, evil, part, c)
					}
				}
			}
			if strings.ContainsAny(r.Subject, "\r\n") || len([]rune(r.Subject)) > 140 {
				t.Errorf("%s with %q: subject %q", name, evil, r.Subject)
			}
			for _, tag := range []string{"<script", "<img", "<a href=//", "onerror=alert(1)>"} {
				if strings.Contains(r.HTML, tag) {
					t.Errorf("%s with %q: %s in the HTML part", name, evil, tag)
				}
			}
			for _, m := range link.FindAllStringSubmatch(r.HTML, -1) {
				if !strings.HasPrefix(m[1], "https://reset.acme.test/") {
					t.Errorf("%s with %q: link to %s", name, evil, m[1])
				}
			}
			if strings.Contains(r.Text, "https://evil") {
				t.Errorf("%s with %q: a mail program would make a link of it", name, evil)
			}
		}
	}
}

func TestTemplateSyntaxIsPrinted(t *testing.T) {
	s := mustNew(t)
	for _, name := range []string{`{{.}}`, `{{7*7}}`, `${7*7}`, `<%=7*7%>`, `{email}`} {
		m := sample(workflow.KindResetLink, "en")
		m.Message.Name = name
		r, err := s.Render(m)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(r.Text, "Hello "+name+".") || !strings.Contains(html.UnescapeString(r.HTML), "Hello "+name+".") {
			t.Errorf("%s is not printed as it is:\n%s", name, r.Text)
		}
	}
}

func TestLinksThatNoMailMayHold(t *testing.T) {
	s := mustNew(t)
	for _, link := range []string{"javascript:alert(1)", "//evil", "https:evil", "ftp://x/y", "data:text/html,x", "https://x/\nhttps://evil", "https://x/ y", "https://", `https://x/"><b>`} {
		for name, change := range map[string]func(*workflow.Mail){
			"link": func(m *workflow.Mail) { m.Link = link }, "not-me": func(m *workflow.Mail) { m.NotMeLink = link }, "forgot": func(m *workflow.Mail) { m.ForgotLink = link },
		} {
			m := sample(workflow.KindResetLink, "en")
			change(&m)
			if _, err := s.Render(m); err == nil {
				t.Errorf("%s %q was written", name, link)
			} else if strings.Contains(err.Error(), link) {
				t.Errorf("the error repeats the link: %v", err)
			}
		}
	}
	for _, p := range proofParameters {
		m := sample(workflow.KindResetLink, "en")
		m.NotMeLink = "https://reset.acme.test/not-me?" + p + "=x"
		if _, err := s.Render(m); err == nil {
			t.Errorf("a not-me link with %s was written", p)
		}
	}
}

func TestAMailWithoutItsPointIsRefused(t *testing.T) {
	s := mustNew(t)
	for name, change := range map[string]func(*workflow.Mail){
		"link":        func(m *workflow.Mail) { m.Link = "" },
		"code":        func(m *workflow.Mail) { m.Message.Kind, m.Code, m.Link = workflow.KindResetCode, "12345", "" },
		"letters":     func(m *workflow.Mail) { m.Message.Kind, m.Code = workflow.KindResetCode, "48a913" },
		"neither":     func(m *workflow.Mail) { m.Message.Kind, m.Code, m.Link = workflow.KindResetCode, "", "" },
		"restart":     func(m *workflow.Mail) { m.Message.NoCode, m.ForgotLink = true, "" },
		"kind":        func(m *workflow.Mail) { m.Message.Kind = "advertisement" },
		"application": func(m *workflow.Mail) { m.Application = nil },
		"time":        func(m *workflow.Mail) { m.RequestedAt, m.Message.CreatedAt = time.Time{}, time.Time{} },
		"end":         func(m *workflow.Mail) { m.ExpiresAt = time.Time{} },
	} {
		m := sample(workflow.KindResetLink, "en")
		change(&m)
		if r, err := s.Render(m); err == nil {
			t.Errorf("%s: written all the same:\n%s", name, r.Text)
		}
	}
}

func TestPlainName(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Lovelace": "Ada Lovelace", "  Ada \t Lovelace\n": "Ada Lovelace", "J.R. Tolkien": "J.R. Tolkien", "evil.example": "evil. example",
		"https://evil.example/x": "https: //evil. example/x", "e\u0301": "é", "\u202eada": "ada", "李小龍": "李小龍", "": "", "\u3164": "",
	} {
		if got := plainName(in, maxName); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
