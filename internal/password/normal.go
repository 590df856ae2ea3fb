package password

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// MaxBytes bounds a password in bytes, before and after its normal form is made.
const MaxBytes = 1024

// Why a password has no normal form.
var (
	errLong      = errors.New("password: longer than 1024 bytes")
	errCharacter = errors.New("password: holds a character that cannot be used")
)

// joiner reports what OpaqueString refuses and emoji are written with: ZERO
// WIDTH JOINER and the two variation selectors for text and picture.
func joiner(r rune) bool { return r == '\u200d' || r == '\ufe0e' || r == '\ufe0f' }

// Normal returns the form in which a password is judged, hashed and verified:
// RFC 8265 §4 OpaqueString (every blank is U+0020, NFC, no controls), with the
// joiners of emoji left where they are. They are starters that compose with
// nothing, so the pieces between them can be treated one by one.
func Normal(password string) (string, error) {
	if len(password) > MaxBytes {
		return "", errLong
	}
	if !utf8.ValidString(password) {
		return "", errCharacter
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
			return "", errCharacter
		}
		out.WriteString(piece)
		rest, text = rest[i:], true
	}
	if !text { // nothing, or joiners alone: nothing that anybody could see
		return "", errCharacter
	}
	if out.Len() > MaxBytes {
		return "", errLong
	}
	return out.String(), nil
}
