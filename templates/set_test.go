package templates

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func english(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("locales/en.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func loadText(text string) error {
	_, err := load(fstest.MapFS{"l/en.yaml": {Data: []byte(text)}}, "l")
	return err
}

// Any text that is taken out of a locale stops the start, and the error names it.
func TestEveryMissingKeyIsFound(t *testing.T) {
	lines := strings.Split(english(t), "\n")
	leaf := regexp.MustCompile(`^\s+([a-z_0-9]+): \S`)
	tried := 0
	for i, line := range lines {
		m := leaf.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		tried++
		without := strings.Join(append(append([]string(nil), lines[:i]...), lines[i+1:]...), "\n")
		if err := loadText(without); err == nil || !strings.Contains(err.Error(), m[1]) {
			t.Errorf("without %s: %v", m[1], err)
		}
	}
	if tried < 180 {
		t.Fatalf("only %d keys were tried", tried)
	}
}

func TestWrongTextsAreFound(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":     {"name: English", "name: English\nflavour: plain", "flavour"},
		"unknown word":    {`"Hello {name}."`, `"Hello {surname}."`, "{surname}"},
		"left-out word":   {`"Hello {name}."`, `"Hello."`, "{name}"},
		"code in subject": {`subject: "{app}: reset your password"`, `subject: "{app}: {code}"`, "{code}"},
		"open brace":      {`"Hello {name}."`, `"Hello {name}. {"`, "brace"},
		"empty":           {`skip_link: "Skip to the content"`, `skip_link: " "`, "skip_link"},
		"plural form":     {`minutes: {one: "{count} minute", other`, `minutes: {other`, "minutes"},
		"bidi":            {`skip_link: "Skip`, `skip_link: "\u202eSkip`, "skip_link"},
		"language":        {"language: en", "language: de", "name the file"},
		"direction":       {"dir: ltr", "dir: up", "dir"},
		"months":          {"November, December]", "November]", "months"},
	} {
		text := english(t)
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: %q is not in the file any more", name, c.old)
		}
		if err := loadText(strings.Replace(text, c.old, c.new, 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := load(fstest.MapFS{"l/de.yaml": {Data: []byte("x")}}, "l"); err == nil {
		t.Error("a broken file was taken")
	}
	if _, err := load(fstest.MapFS{"l/readme": {}}, "l"); err == nil || !strings.Contains(err.Error(), "en.yaml") {
		t.Errorf("without English: %v", err)
	}
}

func TestMatchFallsBackInOrder(t *testing.T) {
	s := mustNew(t)
	for _, c := range []struct {
		wanted []string
		want   string
	}{
		{nil, "en"}, {[]string{""}, "en"}, {[]string{"de"}, "de"}, {[]string{"de-CH"}, "de"}, {[]string{"DE"}, "de"}, {[]string{"en-GB", "de"}, "en"},
		{[]string{"xx", "de"}, "de"}, {[]string{"th", "", "de"}, "de"}, {[]string{"th", "ko"}, "en"},
		{[]string{"not a tag", "de"}, "de"}, {[]string{strings.Repeat("a-", 4000), "de"}, "de"},
		{[]string{"th, de;q=0.8, en;q=0.5"}, "de"}, {[]string{"../../etc/passwd", "de"}, "de"},
	} {
		if got := s.Match(c.wanted...); got != c.want {
			t.Errorf("%.60q: %s, want %s", c.wanted, got, c.want)
		}
	}
	m := sample(workflow.KindResetLink, "th")
	m.Application.Locale = "de-AT"
	if r, err := s.Render(m); err != nil || r.Locale != "de" || !strings.Contains(r.HTML, `lang="de"`) {
		t.Errorf("%s, %v", r.Locale, err)
	}
	if l := s.Locales(); len(l) < 2 || l[0] != "en" {
		t.Errorf("%v", l)
	}
}

func TestTimesAreUTC(t *testing.T) {
	s := mustNew(t)
	for locale, want := range map[string]string{"en": "24 November 2026 at 10:02 UTC", "de": "24. November 2026 um 10:02 Uhr (UTC)"} {
		r, err := s.Render(sample(workflow.KindResetLink, locale))
		if err != nil || !strings.Contains(strings.ReplaceAll(r.Text, "\n", " "), want) {
			t.Errorf("%s: %v\n%s", locale, err, r.Text)
		}
	}
}

func TestDurations(t *testing.T) {
	p := mustNew(t).Page("en")
	for d, want := range map[time.Duration]string{time.Second: "1 second", 58 * time.Second: "58 seconds", 90 * time.Second: "90 seconds", time.Minute: "1 minute",
		10 * time.Minute: "10 minutes", 29*time.Minute + time.Second: "30 minutes", time.Hour: "1 hour", 90 * time.Minute: "90 minutes", 24 * time.Hour: "24 hours"} {
		if got := p.Lifetime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestPlurals(t *testing.T) {
	s := mustNew(t)
	for n, want := range map[int]string{0: "You were not signed in anywhere else.", 1: "1 other session was ended.", 3: "3 other sessions were ended."} {
		if got := s.Page("en").SessionsEnded(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if got := s.Page("de").SessionsEnded(1); got != "1 andere Sitzung wurde beendet." {
		t.Error(got)
	}
}

// Every violation and every error has a sentence, and never its code.
func TestEveryViolationHasASentence(t *testing.T) {
	s := mustNew(t)
	for _, locale := range s.Locales() {
		p := s.Page(locale)
		for _, row := range workflow.ViolationTable() {
			for _, field := range []string{"email", "newPassword", "verificationCode", "requestCode", "emailAuthCode", "passwordResetCode", "flow", "locale", "redirectUrl"} {
				for _, attrs := range []map[string]string{nil, {"minLength": "8", "maxLength": "128", "attemptsRemaining": "2"}} {
					got := p.Violation(field, workflow.Violation{Code: row.Code, Attributes: attrs})
					if got == "" || strings.Contains(got, "{") || strings.Contains(got, "_") {
						t.Errorf("%s %s %s: %q", locale, field, row.Code, got)
					}
				}
			}
		}
		for _, row := range workflow.ErrorTable() {
			title, text := p.Failure(row.Code, 58*time.Second)
			if title == "" || text == "" || strings.Contains(title+text, "{") {
				t.Errorf("%s %s: %q %q", locale, row.Code, title, text)
			}
		}
	}
	p := s.Page("en")
	for _, c := range []struct {
		v    workflow.Violation
		want string
	}{
		{workflow.Violation{Code: workflow.VioTooShort, Attributes: map[string]string{"minLength": "12"}}, "Use at least 12 characters."},
		{workflow.Violation{Code: workflow.VioTooRepetitive, Attributes: map[string]string{"maxRepeat": "2"}}, "Use the same character at most 2 times in a row."},
		{workflow.Violation{Code: workflow.VioInvalidCharacter, Attributes: map[string]string{"kind": "control"}}, "This password holds a tab, a line break or another control character. Leave it out."},
		{workflow.Violation{Code: workflow.VioInvalidCharacter, Attributes: map[string]string{"kind": "invisible"}}, "This password holds an invisible character, perhaps from copying. Type it by hand."},
		{workflow.Violation{Code: workflow.VioInvalidVerificationCode, Attributes: map[string]string{"attemptsRemaining": "2"}}, "This code is not right. Compare it with our newest message. You have 2 attempts left."},
		{workflow.Violation{Code: workflow.VioInvalidVerificationCode, Attributes: map[string]string{"attemptsRemaining": "0"}}, "This code is not right. Compare it with our newest message. This code cannot be used any more. Ask for a new one."},
	} {
		if got := p.Violation("newPassword", c.v); got != c.want {
			t.Errorf("%s", got)
		}
	}
}

func TestRulesFollowThePolicy(t *testing.T) {
	p := mustNew(t).Page("en")
	policy := workflow.DefaultApplication("a").Policy
	policy.MinLength, policy.RequireClasses, policy.MaxRepeat, policy.History = 12, []string{"upper", "lower", "digit", "symbol"}, 2, 3
	var got []string
	for _, r := range p.Rules(policy) {
		if r.Text == "" {
			t.Errorf("%s has no text", r.Name)
		}
		got = append(got, string(r.Name))
	}
	if s := strings.Join(got, " "); s != "too_short missing_uppercase missing_lowercase missing_digit missing_symbol too_repetitive too_weak too_common contains_identifier recently_used" {
		t.Error(s)
	}
	policy.Breached = "off"
	for _, r := range p.Rules(policy) {
		if r.Name == workflow.VioTooCommon {
			t.Error("a rule that does not count is shown")
		}
	}
}

func TestPaletteKeepsContrast(t *testing.T) {
	card, _ := parseColor(lightCard)

	dark, _ := parseColor(darkCard)
	for _, color := range []string{"", "red", "#12", "#ffffff", "#000000", "#ffee00", "#1f4fd8", "#777777", "#808080", "#e11d48", "#1c1f24", "#00ff88"} {
		p := PaletteOf(color)
		for _, c := range []struct {
			name string
			a, b string
			want float64
		}{
			{"button text", p.Button, p.ButtonText, 4.5}, {"dark button text", p.DarkButton, p.DarkButtonText, 4.5},
			{"link", p.Link, card.String(), 4.5}, {"dark link", p.DarkLink, dark.String(), 4.5},
			{"edge", p.ButtonEdge, card.String(), 3}, {"dark edge", p.DarkButtonEdge, dark.String(), 3},
		} {
			a, _ := parseColor(c.a)
			b, _ := parseColor(c.b)
			if got := contrast(a, b); got < c.want {
				t.Errorf("%s: %s has a contrast of %.2f", color, c.name, got)
			}
		}
	}
	if p := PaletteOf("#ffee00"); p.Button != "#ffee00" || p.ButtonText != "#000000" {
		t.Errorf("a light colour is kept, with dark text: %+v", p)
	}
}
