// Package address reads e-mail addresses: one strict grammar for everything
// that comes in, and one canonical spelling for everything that is compared.
//
// The grammar is the addr-spec of RFC 5322 §3.4.1 with RFC 6531's UTF-8, cut
// down to what can be written to safely: a dot-atom local part and a dotted
// domain. Quoted local parts, comments, routes, domain literals and encoded
// words are refused, since every one of them has been used to make two programs
// see two recipients in one text.
//
// The canonical spelling is NFC with ASCII letters lower-cased and the domain
// as A-labels. Other letters are compared as they are. No case folding and no
// compatibility mapping happens: "ⓞ" and the full-width "ａ" stay themselves in
// a local part, and where a mapping would turn a letter into an ASCII one
// (KELVIN SIGN, which is "K" in NFC) the address is refused, so that no
// look-alike ever reads as somebody else.
package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// The limits in bytes: RFC 5321 §4.5.3.1 and its erratum 1690 for the whole.
const (
	MaxBytes      = 254
	MaxLocalBytes = 64
	maxLabelBytes = 63
)

// Parse returns the canonical form of an addr-spec; ok is false for everything
// else. The length is looked at before anything is parsed, so that a long text
// costs nothing. Parse(canonical) returns canonical.
func Parse(s string) (canonical string, ok bool) {
	if len(s) == 0 || len(s) > MaxBytes || !utf8.ValidString(s) {
		return "", false
	}
	local, domain, found := strings.Cut(s, "@")
	if !found {
		return "", false
	}
	if local, ok = canonicalLocal(local); !ok {
		return "", false
	}
	if domain, ok = canonicalDomain(domain); !ok {
		return "", false
	}
	canonical = local + "@" + domain
	return canonical, len(canonical) <= MaxBytes
}

// Mask shows whose address it is to somebody who knows it already, and nobody
// else: the first character of the local part and the domain.
func Mask(canonical string) string {
	local, domain, found := strings.Cut(canonical, "@")
	if !found || local == "" {
		return "***"
	}
	_, n := utf8.DecodeRuneInString(local)
	return local[:n] + "***@" + domain
}

func canonicalLocal(s string) (string, bool) {
	if !dotAtom(s) {
		return "", false
	}
	s, ok := composed(s)
	// "=?" opens an encoded word (RFC 2047): harmless as an address, but mail
	// programs have decoded it into another one.
	if !ok || len(s) > MaxLocalBytes || !dotAtom(s) || strings.Contains(s, "=?") {
		return "", false
	}
	return lowerASCII(s), true
}

// dotAtom reports whether s is atoms between single dots.
func dotAtom(s string) bool {
	start := true
	for _, r := range s {
		switch {
		case r == '.':
			if start {
				return false
			}
			start = true
			continue
		case r < utf8.RuneSelf:
			if !atext(byte(r)) {
				return false
			}
		case !visible(r), start && unicode.Is(unicode.M, r):
			return false
		}
		start = false
	}
	return !start
}

// atext is RFC 5322 §3.2.3's.
func atext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// visible reports whether r can be seen: no blank, no control, no format or
// bidi character, nothing private, unassigned or ignored by default.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.IsSpace(r) && !unicode.Is(unicode.Z, r) &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		r != '\u2800' && // a braille cell without dots
		r != utf8.RuneError
}

// composed returns s in NFC. ok is false where that made an ASCII character out
// of another one: only U+212A, U+037E and U+1FEF do, and all pass for somebody else's letter.
func composed(s string) (string, bool) {
	if norm.NFC.IsNormalString(s) {
		return s, true
	}
	for _, r := range s {
		if r >= utf8.RuneSelf {
			if d := norm.NFC.String(string(r)); d != "" && d[0] < utf8.RuneSelf {
				return "", false
			}
		}
	}
	return norm.NFC.String(s), true
}

// lookup is the profile of UTS #46 for looking names up, made strict.
var lookup = idna.New(idna.MapForLookup(), idna.StrictDomainName(true), idna.BidiRule(),
	idna.CheckHyphens(true), idna.CheckJoiners(true), idna.VerifyDNSLength(true), idna.Transitional(false))

func canonicalDomain(s string) (string, bool) {
	s, ok := composed(s)
	if !ok {
		return "", false
	}
	s = lowerASCII(s)
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return "", false
	}
	for i, label := range labels {
		if labels[i], ok = canonicalLabel(label); !ok {
			return "", false
		}
	}
	// A last label of digits alone makes an IP address, not a name (RFC 3696 §2).
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return "", false
	}
	return strings.Join(labels, "."), true
}

// canonicalLabel returns a label as A-label. Both forms of an internationalised
// label must lead to each other without any mapping, so that one spelling of a
// domain exists and no look-alike is mapped onto a foreign one.
func canonicalLabel(s string) (string, bool) {
	if s == "" || !strings.HasPrefix(s, "xn--") && ldh(s) {
		return s, ldh(s)
	}
	ascii, err := lookup.ToASCII(s)
	if err != nil || !ldh(ascii) || !strings.HasPrefix(ascii, "xn--") {
		return "", false
	}
	uni, err := lookup.ToUnicode(ascii)
	if err != nil || uni != s && ascii != s || strings.Contains(uni, ".") {
		return "", false
	}
	back, err := lookup.ToASCII(uni)
	return ascii, err == nil && back == ascii && uni != ascii
}

// ldh reports whether s is a label of lower-case letters, digits and inner
// hyphens (RFC 1123 §2.1).
func ldh(s string) bool {
	if s == "" || len(s) > maxLabelBytes || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
