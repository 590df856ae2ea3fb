package address

import (
	"net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestParseTakes(t *testing.T) {
	for in, want := range map[string]string{
		"v@x.org":                              "v@x.org",
		"V.Last+Tag@Example.COM":               "v.last+tag@example.com",
		"o'neil/dept=x@mail.example.co.uk":     "o'neil/dept=x@mail.example.co.uk",
		"a%b_c*d@x.org":                        "a%b_c*d@x.org", // wildcards are letters like others
		"user@MÜNCHEN.example":                 "",              // Ü would have to be mapped
		"user@münchen.example":                 "user@xn--mnchen-3ya.example",
		"user@mu\u0308nchen.example":           "user@xn--mnchen-3ya.example",
		"user@XN--MNCHEN-3YA.example":          "user@xn--mnchen-3ya.example",
		"jose\u0301@x.org":                     "josé@x.org",
		"José@x.org":                           "josé@x.org",
		"JOSÉ@x.org":                           "josÉ@x.org", // É and é are two letters here
		"用户@例え.jp":                             "用户@xn--r8jz45g.jp",
		"почта@пример.рф":                      "почта@xn--e1afmkfd.xn--p1ai",
		"dem\u24de@gmail.com":                  "dem\u24de@gmail.com",
		"\uff41dmin@x.org":                     "\uff41dmin@x.org",
		"\u017fam@x.org":                       "\u017fam@x.org",
		"\u0130@x.org":                         "\u0130@x.org",
		"m\u0131ke@example.org":                "m\u0131ke@example.org",
		"v@\u0131x.org":                        "v@xn--x-eka.org",
		"v@a-b.x--y.org":                       "v@a-b.x--y.org",
		strings.Repeat("a", 64) + "@x.org":     strings.Repeat("a", 64) + "@x.org",
		"a@" + strings.Repeat("b", 63) + ".de": "a@" + strings.Repeat("b", 63) + ".de",
	} {
		got, ok := Parse(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
}

// The names are the rows of the attack corpus that these texts stand for.
func TestParseRefuses(t *testing.T) {
	for row, texts := range map[string][]string{
		"ADR-02 lists": {"e@evil.org,v@x.org", "e@evil.org;v@x.org", "e@evil.org v@x.org", "e@evil.org%20v@x.org",
			"e@evil.org\nv@x.org", "e@evil.org|v@x.org", "v@x.org,", "@v@x.org"},
		"ADR-07, ADR-08, ADR-10 mapped onto ASCII": {"\u212a@x.org", "v@\u212a.org", "v@\u017fx.org", "v@\uff41.org", "v@x\u3002org", "v@x\uff0eorg",
			"v@\u24de.org", "v@\u0130x.org", "a\u037eb@x.org", "a\u1fefb@x.org", "v@x.\u2126rg"},
		"ADR-11 blanks": {" v@x.org", "v@x.org ", "v @x.org", "v@ x.org", "\tv@x.org", "v@x.org\u00a0", "\u200bv@x.org", "v\u200d@x.org",
			"v\u3164@x.org", "v\u2800@x.org", "v\u3000@x.org", "v\ufe0f@x.org", "v\u034f@x.org", "\ufeffv@x.org"},
		"ADR-13 odd dots":       {".v@x.org", "v.@x.org", "v..w@x.org", "v@x..org", "v@.x.org", "v@x.org.", "v@x.org.."},
		"ADR-16 quoted":         {`"e@evil.org x"@x.org`, `"v"@x.org`, `"t@x.org> ORCPT=e@evil.org"@x.org`, `v"@x.org`, `V <v@x.org>`, "<v@x.org>", "v@x.org(c)", "(c)v@x.org", `v\@x@x.org`},
		"ADR-17 parameters":     {"t@x.org> ORCPT=e@evil.org", "t@x.org> NOTIFY=NEVER", "t@x.org>"},
		"ADR-19 encoded words":  {"=?utf-8?q?v=40x.org=3e=00?=@evil.org", "=?x@evil.org", "a=?b?=@x.org"},
		"ADR-20 domains":        {"v@xn--", "v@xn--a.org", "v@xn--x.org", "v@xn---.org", "v@-x.org", "v@x-.org", "v@x_y.org", "v@\u0308x.org", "v@xn--80ak6aa92e-.com", "v@\u05d0a.org", "v@a\u200db.org", "v@%78.org"},
		"ADR-22 local or odd":   {"root@localhost", "v@[127.0.0.1]", "v@x", "v@127.0.0.1", "v@[IPv6:::1]", "v@x.1", "v@", "@x.org", "@", "v", "", "v@x.org:25", "v@x.org/", "v@x.org?"},
		"SMT-01 line breaks":    {"v@x.org\r\nBcc:e@evil.org", "v@x.org\n", "v\u2028@x.org", "v\u0085@x.org", "v\r@x.org", "v@x.org%0d%0aBcc:e@evil.org", "v\u0000@x.org"},
		"bidi and unassigned":   {"v\u202e@x.org", "\u2066v@x.org", "v\u061c@x.org", "v\U000E0041@x.org", "v\ue000@x.org", "v\uffff@x.org", "v\ufffd@x.org", "\u0301v@x.org", "a.\u0301v@x.org"},
		"invalid UTF-8":         {"v\xff@x.org", "v@x\xc3.org", "\xed\xa0\x80@x.org"},
		"DOS-04 long":           {strings.Repeat("(", 1<<20), strings.Repeat("[", 1<<20), strings.Repeat("a@", 1<<19), strings.Repeat("a", 65) + "@x.org", "a@" + strings.Repeat("b", 64) + ".de", "a@" + strings.Repeat("b.", 130) + "de"},
		"long once normalised":  {strings.Repeat("é", 33) + "@x.org", "a@" + strings.Repeat("用户.", 36) + "jp"},
		"NFC longer than it is": {strings.Repeat("\U0001d15e", 16) + "@x.org"},
	} {
		for _, in := range texts {
			if got, ok := Parse(in); ok || got != "" {
				if len(in) > 40 {
					in = in[:40] + "…"
				}
				t.Errorf("%s: %q is taken as %q", row, in, got)
			}
		}
	}
}

func TestLookAlikesDiffer(t *testing.T) {
	for _, pair := range [][2]string{
		{"mike@example.org", "m\u0131ke@example.org"}, {"sam@x.org", "\u017fam@x.org"}, {"i@x.org", "\u0130@x.org"},
		{"demo@gmail.com", "dem\u24de@gmail.com"}, {"admin@x.org", "\uff41dmin@x.org"}, {"v@ix.org", "v@\u0131x.org"},
		{"admin@x.org", "\u0430dmin@x.org"}, {"v@x.org", "v@\u0445.org"}, {"stra\u00dfe@x.org", "strasse@x.org"}, {"v@stra\u00dfe.de", "v@strasse.de"},
		{"b_b@x.org", "bab@x.org"},
	} {
		a, ok := Parse(pair[0])
		b, ok2 := Parse(pair[1])
		if !ok || !ok2 || a == b {
			t.Errorf("%q and %q: %q, %q", pair[0], pair[1], a, b)
		}
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{"alice@example.com": "a***@example.com", "a@x.org": "a***@x.org", "用户@x.org": "用***@x.org", "": "***", "x": "***"} {
		if got := Mask(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"v@x.org", "V@X.ORG", "josé@münchen.example", "v@xn--mnchen-3ya.example", "a=?b@x.org", "\u212a@x.org", "почта@пример.рф", "v@\u0131x.org", "a\u0308@b\u0308.de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Parse(s)
		if !ok {
			if got != "" {
				t.Fatalf("%q is refused and still gives %q", s, got)
			}
			return
		}
		if again, ok := Parse(got); !ok || again != got {
			t.Fatalf("%q: canonical %q is read as %q, %v", s, got, again, ok)
		}
		if len(s) > MaxBytes || len(got) > MaxBytes || !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || strings.Count(got, "@") != 1 {
			t.Fatalf("%q: canonical %q", s, got)
		}
		_, domain, _ := strings.Cut(got, "@")
		if !strings.Contains(domain, ".") || strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			t.Fatalf("%q: domain %q", s, domain)
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r >= 'A' && r <= 'Z' || strings.ContainsRune(`"(),:;<>[\]`, r) {
				t.Fatalf("%q: canonical %q holds %U", s, got, r)
			}
		}
		// Somebody else's parser must see one address and the same.
		if a, err := mail.ParseAddress(got); err != nil || a.Address != got || a.Name != "" {
			t.Fatalf("%q: net/mail reads %v, %v", got, a, err)
		}
	})
}
