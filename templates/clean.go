package templates

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Clean makes text from outside fit for one line of a mail: NFC, without
// control, format (direction marks, zero-width) and line-separating characters,
// with single blanks. It neither escapes nor shortens.
func Clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	gap := false
	for _, r := range norm.NFC.String(s) {
		switch {
		case unicode.IsSpace(r) || unicode.In(r, unicode.Zl, unicode.Zp):
			gap = true
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs) || invisible(r):
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(r)
		}
	}
	return b.String()
}

// invisible are letters and marks without a shape, which Unicode does not count
// as format characters: Hangul fillers, the combining grapheme joiner, Braille
// blank, variation selectors.
func invisible(r rune) bool {
	switch r {
	case 0x115F, 0x1160, 0x3164, 0xFFA0, 0x034F, 0x2800:
		return true
	}
	return r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF
}

// The longest values of a mail, in characters. A name of the size of a page
// would be a message of its own.
const (
	maxName   = 64
	maxOrigin = 64
)

// cut shortens s to n characters, with an ellipsis.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:n-1])) + "…"
}

var bareHost = regexp.MustCompile(`\.([\p{L}\p{N}-]{2,})`)

// plainName cleans and cuts a value that its owner chose freely, and takes
// apart what a mail program would turn into a link ("evil.example", "//host"):
// somebody may have signed up under a name that is an advertisement, with
// another person's address.
func plainName(s string, limit int) string {
	s = cut(Clean(s), limit)
	s = strings.ReplaceAll(s, "://", ": //")
	return bareHost.ReplaceAllString(s, ". $1")
}
