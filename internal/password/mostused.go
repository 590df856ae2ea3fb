package password

import (
	"strings"
	"sync"
	"unicode"

	"github.com/ccojocar/zxcvbn-go/frequency"
)

// commonList are the most used passwords, folded; the list is the one the
// strength estimator brings along.
var commonList = sync.OnceValue(func() map[string]struct{} {
	list := frequency.Lists["Passwords"].List
	set := make(map[string]struct{}, len(list))
	for _, word := range list {
		set[strings.ToLower(word)] = struct{}{}
	}
	return set
})

// common reports whether a password is on the list, or is a listed one in thin
// disguise. The form compared: lower case; without blanks and signs; without
// up to four digits at the end, or a listed number there ("123456"); and what
// it repeats.
func common(normal string) bool {
	list := commonList()
	on := func(s string) bool { _, found := list[s]; return found }

	folded := strings.ToLower(normal)
	bare := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, folded)
	stem := strings.TrimRight(bare, "0123456789")
	tail := bare[len(stem):]
	return on(folded) || on(bare) || on(string(unit([]rune(bare)))) ||
		stem != "" && on(stem) && (len(tail) <= 4 || on(tail))
}
