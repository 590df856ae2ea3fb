package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// wordRunes is the length from which an identifier counts (contract §10).
const wordRunes = 4

// identifiers splits what is known about a person and a product into the words
// a password must not hold: of an address the local part, its pieces and the
// domain's main label; of other texts the whole and its words.
func identifiers(words []string) []string {
	var out []string
	add := func(s string) {
		s = strings.ToLower(norm.NFC.String(s))
		if utf8.RuneCountInString(s) >= wordRunes {
			out = append(out, s)
		}
	}
	for _, word := range words {
		local, domain, address := strings.Cut(word, "@")
		add(local)
		for _, piece := range strings.FieldsFunc(local, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }) {
			add(piece)
		}
		if address {
			add(mainLabel(domain))
		}
	}
	return out
}

// mainLabel is the label of a domain that names its owner, as good as it gets
// without a list of public suffixes: the last but one, or the one before
// where that is a short word below a country ("example.co.uk").
func mainLabel(domain string) string {
	labels := strings.Split(domain, ".")
	n := len(labels)
	if n < 2 {
		return domain
	}
	if n > 2 && len(labels[n-1]) == 2 && len(labels[n-2]) <= 3 {
		return labels[n-3]
	}
	return labels[n-2]
}

// holds reports whether a password holds one of the words, in any case and
// also when blanks and signs are put between its letters.
func holds(normal string, words []string) bool {
	folded := strings.ToLower(normal)
	bare := letters(folded)
	for _, word := range words {
		if strings.Contains(folded, word) {
			return true
		}
		if w := letters(word); utf8.RuneCountInString(w) >= wordRunes && strings.Contains(bare, w) {
			return true
		}
	}
	return false
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}
