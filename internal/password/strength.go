package password

import (
	"strings"
	"unicode"

	zxcvbn "github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/match"
	"github.com/ccojocar/zxcvbn-go/matching"
)

const (
	strengthRunes = 64 // the estimator's work grows with the cube of the length
	leetKinds     = 6  // and with the product of the spellings of digits and signs
)

// Strength estimates how hard a password is to guess: the zxcvbn score, 0 to 4,
// of its first 64 characters.
func Strength(password string) int { return strength(password, nil) }

func strength(password string, words []string) int {
	runes := []rune(password)
	if len(runes) > strengthRunes {
		runes = runes[:strengthRunes]
	}
	runes = latin(unit(runes))
	filters := []func(match.Matcher) bool{}
	if kinds(runes) > leetKinds {
		filters = append(filters, matching.FilterL33tMatcher)
	}
	return zxcvbn.PasswordStrength(string(runes), words, filters...).Score
}

// unit returns what a password repeats: "дждждж" is worth "дж". The estimator
// sees repeated single characters only.
func unit(r []rune) []rune {
next:
	for period := 1; period <= len(r)/2; period++ {
		for i := period; i < len(r); i++ {
			if r[i] != r[i-period] {
				continue next
			}
		}
		return r[:period]
	}
	return r
}

// latin writes letters of other alphabets as Latin ones. The estimator takes
// every letter beyond ASCII for one of a large set and calls any Cyrillic word
// strong; an alphabet has about as many letters as the Latin one.
func latin(r []rune) []rune {
	out := make([]rune, len(r))
	for i, c := range r {
		if c > unicode.MaxASCII && unicode.IsLetter(c) && !unicode.In(c, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) {
			low := 'a' + unicode.ToLower(c)%26
			if unicode.IsUpper(c) {
				low -= 'a' - 'A'
			}
			c = low
		}
		out[i] = c
	}
	return out
}

func kinds(r []rune) int {
	n := 0
	for _, c := range "4@8({[<369&1!|0$5+7%2" {
		if strings.ContainsRune(string(r), c) {
			n++
		}
	}
	return n
}
