package password

import (
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

var loose = workflow.PasswordPolicy{MinLength: 8, MaxLength: 128, Breached: "off"}

func codes(p workflow.PasswordPolicy, pw string, words ...string) string {
	var names []string
	for _, v := range NewChecker(Argon2id).Check(p, pw, words) {
		names = append(names, string(v.Code))
	}
	return strings.Join(names, " ")
}

func TestLengths(t *testing.T) {
	for pw, want := range map[string]string{
		"":                                     "too_short",
		"1234567":                              "too_short",
		strings.Repeat("😀", 7):                 "too_short",
		strings.Repeat("😀", 8):                 "",
		strings.Repeat("e\u0301", 7):           "too_short", // seven letters, however composed
		strings.Repeat("\ufdfa", 7):            "too_short", // one character, eighteen in NFKC
		strings.Repeat("😀", 128):               "",
		strings.Repeat("😀", 129):               "too_long",
		strings.Repeat("a", 129):               "too_long",
		strings.Repeat("a", 1025):              "too_long",
		strings.Repeat("a", 10<<20):            "too_long",
		"with a\ttab":                          "invalid_character",
		"\x00\x00\x00\x00\x00\x00\x00\x00":     "invalid_character",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff": "invalid_character",
	} {
		if got := codes(loose, pw); got != want {
			t.Errorf("%.20q…: %q, want %q", pw, got, want)
		}
	}
	lower := loose
	lower.MinLength, lower.MaxLength = 1, 0
	if got := codes(lower, "1234567"); got != "too_short" {
		t.Errorf("the floor can be lowered: %q", got)
	}
	v := NewChecker(Argon2id).Check(lower, "1234567", nil)
	if v[0].Attributes["minLength"] != "8" {
		t.Errorf("attributes: %v", v[0].Attributes)
	}
	long := NewChecker(Bcrypt).Check(loose, strings.Repeat("é", 37), nil)
	if len(long) != 1 || long[0].Code != workflow.VioTooLong || long[0].Attributes["maxBytes"] != "72" {
		t.Errorf("bcrypt: %v", long)
	}
}

func TestClassesRequired(t *testing.T) {
	p := loose
	p.RequireClasses = []string{"upper", "lower", "digit", "symbol"}
	for pw, want := range map[string]string{
		"xxxxxxxx":   "missing_uppercase missing_digit missing_symbol",
		"XXXXXXX1":   "missing_lowercase missing_symbol",
		"Xx1 Xx1 Xx": "",
		"Ünïcode٣!":  "",
		"漢字漢字漢字漢字":   "missing_uppercase missing_lowercase missing_digit missing_symbol",
	} {
		if got := codes(p, pw); got != want {
			t.Errorf("%s: %q, want %q", pw, got, want)
		}
	}
}

func TestCommonAndStrength(t *testing.T) {
	p := workflow.PasswordPolicy{MinLength: 8, MaxLength: 128, MinStrength: 2, Breached: "offline"}
	for pw, want := range map[string]string{
		"password": "too_common", "PASSWORD": "too_common", "p a s s w o r d": "too_common", "Password1!": "too_common", "Password123456!": "too_common",
		"passwordpassword": "too_common", "trustno1": "too_common", "p4ssw0rd": "too_weak", "aaaaaaaaaaaa": "too_weak", "qqqqqqqqqqqqqqqqqq": "too_weak",
		"дждждждждждж": "too_weak", "abcdefghijk": "too_weak", "l33tsp34k": "too_weak", "Dr4g0nfly1": "too_weak", "correct horse battery": "", "Tr0ub4dor&3-lake": "", "kühler Wald im Nebel": "", "короткий лесной путь": "",
	} {
		if got := codes(p, pw); got != want {
			t.Errorf("%s: %q, want %q", pw, got, want)
		}
	}
	off := p
	off.Breached, off.MinStrength = "off", 0
	if got := codes(off, "password"); got != "" {
		t.Errorf("switched off: %q", got)
	}
	for i, pw := range []string{"aaaa", "", "correct horse battery staple"} {
		if got := Strength(pw); got != []int{0, 0, 4}[i] {
			t.Errorf("%q: strength %d", pw, got)
		}
	}
	if Strength(strings.Repeat("4@8({[<369&1!|0$5+7%2", 40)) < 0 || Strength(strings.Repeat("xk", 500)) < 0 {
		t.Error("no score")
	}
}

func TestIdentifiers(t *testing.T) {
	for _, row := range []struct {
		pw    string
		words []string
		want  bool
	}{
		{"my alice.smith pw", []string{"alice.smith@example.com"}, true},
		{"xALICExxxx", []string{"alice.smith@example.com"}, true},
		{"s-m-i-t-h 4471", []string{"alice.smith@example.com"}, true},
		{"the acmecorp way", []string{"bo@acmecorp.co.uk"}, true},
		{"nothing but .co.uk", []string{"bo@acmecorp.co.uk"}, false},
		{"bobobobo", []string{"bo@x.org", "Bo Li"}, false}, // shorter than four
		{"lieber MÜLLER du", []string{"Jan Müller"}, true},
		{"Jan ist hier", []string{"Jan Müller"}, false},
		{"go acme tools go", []string{"Acme Tools"}, true},
		{"unrelated words", []string{"alice.smith@example.com", "Acme", ""}, false},
	} {
		if got := codes(loose, row.pw, row.words...) == "contains_identifier"; got != row.want {
			t.Errorf("%q with %q: %v", row.pw, row.words, got)
		}
	}
}

func TestNoViolationHoldsThePassword(t *testing.T) {
	p := workflow.PasswordPolicy{MinLength: 20, MaxLength: 10, RequireClasses: Classes(), MinStrength: 4, Breached: "offline"}
	for _, v := range NewChecker(Argon2id).Check(p, "letmein-now", []string{"letmein"}) {
		for _, value := range v.Attributes {
			if strings.Contains(value, "letmein") {
				t.Errorf("%s tells %q", v.Code, value)
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"password", "e\u0301\u200d👩", "\xff", "1!|7", "漢字"} {
		f.Add(s)
	}
	p := workflow.PasswordPolicy{MinLength: 8, MaxLength: 128, MinStrength: 3, Breached: "offline", RequireClasses: Classes()}
	f.Fuzz(func(t *testing.T, pw string) {
		NewChecker(Argon2id).Check(p, pw, []string{"alice@example.com"})
		if n, err := Normal(pw); err == nil {
			if again, err := Normal(n); err != nil || again != n {
				t.Fatalf("%q: the normal form %q is not its own: %q, %v", pw, n, again, err)
			}
		}
	})
}
