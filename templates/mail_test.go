package templates

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var update = flag.Bool("update", false, "write testdata anew")

func mustNew(t testing.TB) *Set {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	sampleLink   = "https://reset.acme.test/apps/acme/reset-password?email_auth_code=AZ2nGOc1dHqD8Q2Xn0y7mVnJp1kq3l8w5z0T4u6YbCdEfGhIjKlMnOpQrStUvWxYz0123456"
	sampleNotMe  = "https://reset.acme.test/apps/acme/not-me?stop=AZ2nGOc1dHqD8Q2Xn0y7mVnJp1kq3l8w5z0T4u6YbCd"
	sampleForgot = "https://reset.acme.test/apps/acme/forgot-password"
)

var at = time.Date(2026, 11, 24, 10, 2, 31, 0, time.FixedZone("elsewhere", 9*3600)).Add(9 * time.Hour)

// sample is a mail of a kind with every fact known.
func sample(kind workflow.MessageKind, locale string) workflow.Mail {
	app := workflow.DefaultApplication("acme")
	app.Name = "Acme"
	m := workflow.Mail{
		Application: &app,
		Message: workflow.Message{Application: "acme", ID: workflow.ID{1, 2, 3}, Kind: kind, To: "ada@example.com", Name: "Ada Lovelace",
			Locale: locale, Device: "Firefox, Windows", Place: "203.0.113.0/24", CreatedAt: at},
		NotMeLink: sampleNotMe, ForgotLink: sampleForgot, RequestedAt: at, MessageIDDomain: "reset.acme.test",
	}
	switch kind {
	case workflow.KindResetLink:
		m.Link, m.CodeLifetime = sampleLink, 30*time.Minute
	case workflow.KindResetCode:
		m.Code, m.CodeLifetime = "482913", 10*time.Minute
	}
	m.ExpiresAt = at.Add(m.CodeLifetime)
	return m
}

// variants are every mail that leaves, by the name of its golden.
func variants(locale string) map[string]workflow.Mail {
	v := map[string]workflow.Mail{}
	for _, kind := range workflow.MessageKinds() {
		v[string(kind)] = sample(kind, locale)
	}
	m := sample(workflow.KindResetCode, locale)
	m.Link, m.Message.WithLink = sampleLink, true
	v["reset_code-with_link"] = m
	m = sample(workflow.KindResetCode, locale)
	m.Code, m.Link, m.Message.WithLink = "", sampleLink, true
	v["reset_code-link_only"] = m
	for _, kind := range []workflow.MessageKind{workflow.KindResetLink, workflow.KindResetCode} {
		m = sample(kind, locale)
		m.Code, m.Link, m.Message.NoCode = "", "", true
		v[string(kind)+"-restart"] = m
	}
	m = sample(workflow.KindResetLink, locale)
	m.Message.Name, m.Message.Device, m.Message.Place = "", "", ""
	v["reset_link-unknown_origin"] = m
	m = sample(workflow.KindResetCode, locale)
	m.Code, m.Message.Place = "48291377", ""
	v["reset_code-eight_digits"] = m
	for name, n := range map[string]int{"password_updated-one_session": 1, "password_updated-sessions": 3} {
		m = sample(workflow.KindPasswordUpdated, locale)
		m.SessionsEnded = n
		v[name] = m
	}
	m = sample(workflow.KindPasswordUpdated, locale)
	m.Message.Device, m.Message.Name = "", ""
	v["password_updated-place_only"] = m
	return v
}

func TestGoldens(t *testing.T) {
	s := mustNew(t)
	for _, locale := range s.Locales() {
		for name, m := range variants(locale) {
			r, err := s.Render(m)
			if err != nil {
				t.Errorf("%s %s: %v", locale, name, err)
				continue
			}
			if r.Locale != locale {
				t.Errorf("%s %s: written in %s", locale, name, r.Locale)
			}
			golden(t, filepath.Join(locale, name+".txt"), "Subject: "+r.Subject+"\n\n"+r.Text)
			golden(t, filepath.Join(locale, name+".html"), r.HTML)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./templates -update and look at the difference", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run go test ./templates -update and look at the difference\n%s", path, got)
	}
}

var aloneLink = regexp.MustCompile(`(?m)^\s*https?://\S+\s*$`)

func TestTextPartHoldsOneResetLink(t *testing.T) {
	s := mustNew(t)
	for _, locale := range s.Locales() {
		for name, m := range variants(locale) {
			r, err := s.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if m.Link != "" {
				want = 1
			}
			if n := strings.Count(r.Text, "email_auth_code="); n != want {
				t.Errorf("%s %s: %d reset links, want %d\n%s", locale, name, n, want, r.Text)
			}
			alone := aloneLink.FindAllString(r.Text, -1)
			if want == 1 && (len(alone) != 1 || strings.TrimSpace(alone[0]) != m.Link) {
				t.Errorf("%s %s: alone on their lines: %q", locale, name, alone)
			}
			if strings.Contains(r.Text, "not-me") != strings.Contains(r.HTML, "not-me") {
				t.Errorf("%s %s: the not-me link is in one part only", locale, name)
			}
		}
	}
}

func TestCodeStandsAloneAndNeverInSubjectOrPreview(t *testing.T) {
	s := mustNew(t)
	alone := regexp.MustCompile(`(?m)^\s*(\d{6,8})\s*$`)
	hidden := regexp.MustCompile(`(?s)<div style="display:none.*?</div>`)
	for _, locale := range s.Locales() {
		for name, m := range variants(locale) {
			r, err := s.Render(m)
			if err != nil {
				t.Fatal(err)
			}
			found := alone.FindAllStringSubmatch(r.Text, -1)
			switch {
			case m.Code == "" && len(found) != 0:
				t.Errorf("%s %s: digits without a code: %q", locale, name, found)
			case m.Code != "" && (len(found) != 1 || found[0][1] != m.Code):
				t.Errorf("%s %s: code lines %q", locale, name, found)
			}
			if m.Code == "" {
				continue
			}
			if strings.Contains(r.Subject, m.Code) || strings.Contains(hidden.FindString(r.HTML), m.Code) || hidden.FindString(r.HTML) == "" {
				t.Errorf("%s %s: the code shows in the subject or in the preview", locale, name)
			}
			tags := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(r.HTML, "")
			if !strings.Contains(tags, m.Code) {
				t.Errorf("%s %s: the digits cannot be copied from the HTML part in one piece", locale, name)
			}
		}
	}
}

func TestTextPartIsNarrow(t *testing.T) {
	s := mustNew(t)
	for _, locale := range s.Locales() {
		for name, m := range variants(locale) {
			r, _ := s.Render(m)
			for line := range strings.SplitSeq(r.Text, "\n") {
				if len([]rune(line)) > 76 && !strings.Contains(line, "http") {
					t.Errorf("%s %s: %q", locale, name, line)
				}
			}
		}
	}
}
