package password

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// MaxBytes bounds a password in bytes, before and after its normal form is
// made: it is what a body can hold. Most policies bound it earlier, see [Checker].
const MaxBytes = 16 << 10

// errLong says that a password has no normal form because of its length.
var errLong = errors.New("password: longer than 16 KiB")

// CharacterError says that a password holds a character that cannot be used.
// Kind tells what sort of character, never which or where:
//
//	encoding      bytes that are not UTF-8
//	control       a tab, a line break, another control character
//	invisible     a character without form of its own: zero width, direction, filler
//	unassigned    a character that does not exist (yet)
//	private_use   a character that means something else on every machine
//	noncharacter  U+FFFE and its like
//	old_hangul    a conjoining jamo, which has no one normal form
//	context       a character that only stands between certain others, such as U+00B7
//	empty         nothing that anybody could see
type CharacterError struct{ Kind string }

func (e *CharacterError) Error() string {
	return "password: holds a character that cannot be used: " + e.Kind
}

// joiner reports what OpaqueString refuses and emoji are written with: ZERO
// WIDTH JOINER and the two variation selectors for text and picture.
func joiner(r rune) bool { return r == '\u200d' || r == '\ufe0e' || r == '\ufe0f' }

// Normal returns the form in which a password is judged, hashed and verified:
// RFC 8265 §4 OpaqueString (every blank is U+0020, NFC, no controls), with the
// joiners of emoji left where they are. They are starters that compose with
// nothing, so the pieces between them can be treated one by one. The error is
// a [*CharacterError] but for what is longer than [MaxBytes].
func Normal(password string) (string, error) {
	if len(password) > MaxBytes {
		return "", errLong
	}
	if !utf8.ValidString(password) {
		return "", &CharacterError{"encoding"}
	}
	var out strings.Builder
	text := false
	for rest := password; rest != ""; {
		i := strings.IndexFunc(rest, joiner)
		if i == 0 {
			_, n := utf8.DecodeRuneInString(rest)
			out.WriteString(rest[:n])
			rest = rest[n:]
			continue
		}
		if i < 0 {
			i = len(rest)
		}
		piece, err := precis.OpaqueString.String(rest[:i])
		if err != nil {
			return "", &CharacterError{kindIn(rest[:i])}
		}
		out.WriteString(piece)
		rest, text = rest[i:], true
	}
	if !text { // nothing, or joiners alone: nothing that anybody could see
		return "", &CharacterError{"empty"}
	}
	if out.Len() > MaxBytes {
		return "", errLong
	}
	return out.String(), nil
}

// contextual are the characters RFC 5892 appendix A allows in some company only.
const contextual = "\u00b7\u0375\u05f3\u05f4\u30fb\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7\u06f8\u06f9"

// kindIn is the kind of the first character of a refused text that is refused
// on its own, or "context".
func kindIn(text string) string {
	for _, r := range text {
		if _, err := precis.OpaqueString.String(string(r)); err != nil && !strings.ContainsRune(contextual, r) {
			return kind(r)
		}
	}
	return "context"
}

func kind(r rune) string {
	switch {
	case unicode.IsControl(r):
		return "control"
	case unicode.Is(unicode.Co, r):
		return "private_use"
	case unicode.Is(unicode.Noncharacter_Code_Point, r):
		return "noncharacter"
	case r >= 0x1100 && r <= 0x11ff && r != 0x115f && r != 0x1160, r >= 0xa960 && r <= 0xa97c, r >= 0xd7b0 && r <= 0xd7fb:
		return "old_hangul"
	case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return "invisible"
	}
	return "unassigned"
}
