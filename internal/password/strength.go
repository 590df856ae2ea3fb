package password

import (
	"strings"
	"unicode"

	zxcvbn "github.com/ccojocar/zxcvbn-go"
	"github.com/ccojocar/zxcvbn-go/matching"
)

// strengthRunes is how much is looked at: the estimator's work grows with the
// cube of the length.
const strengthRunes = 64

// Strength estimates how hard a password is to guess: the zxcvbn score, 0 to 4,
// of its first 64 characters.
func Strength(password string) int { return strength(password, nil) }

func strength(password string, words []string) int {
	runes := []rune(password)
	if len(runes) > strengthRunes {
		runes = runes[:strengthRunes]
	}
	text := string(latin(unit(runes)))
	score := estimateScore(text, words)
	for _, ones := range []string{"i", "l"} {
		if spelt := unleet(text, ones); spelt != text && score > 0 {
			score = min(score, estimateScore(spelt, words))
		}
	}
	return score
}

// estimateScore asks the estimator, without its own search for digits in place
// of letters: that tries the product of all spellings and takes a third of a
// second for a text made for it.
func estimateScore(text string, words []string) int {
	return zxcvbn.PasswordStrength(text, words, matching.FilterL33tMatcher).Score
}

// unleet reads digits and signs as the letters they are often put for; ones is
// what "1" is read as. Those at the end stay: there they are mostly added.
func unleet(text, ones string) string {
	stem := strings.TrimRightFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	return strings.NewReplacer("4", "a", "@", "a", "8", "b", "(", "c", "{", "c", "[", "c", "<", "c", "3", "e", "6", "g", "9", "g",
		"1", ones, "!", ones, "|", ones, "0", "o", "$", "s", "5", "s", "7", "t", "+", "t", "%", "x", "2", "z").Replace(stem) + text[len(stem):]
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
