package password

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/resetflow/resetflow/workflow"
)

// floor is the least length in characters that any policy can ask for
// (NIST SP 800-63B-4 §3.1.1.2).
const floor = 8

// ordinaryBytes bounds a password in bytes where a policy takes at most as many
// characters. Only a policy that takes more takes up to [MaxBytes].
const ordinaryBytes = 1024

// Checker judges new passwords by an application's policy. It implements
// workflow.Policies and workflow.Breaches and is safe for concurrent use.
type Checker struct {
	maxBytes int // of the algorithm
	leaks    Leaks
}

// NewChecker makes a checker for passwords that algorithm will hash: bcrypt
// takes 72 bytes at most, which is told as too_long here and not as a failure later.
func NewChecker(algorithm Algorithm) *Checker {
	if algorithm == Bcrypt {
		return &Checker{maxBytes: bcryptBytes}
	}
	return &Checker{maxBytes: MaxBytes}
}

// classes are the names require_classes takes.
var classes = []struct {
	name string
	code workflow.ViolationCode
	is   func(rune) bool
}{
	{"upper", workflow.VioMissingUppercase, upper},
	{"lower", workflow.VioMissingLowercase, unicode.IsLower},
	{"digit", workflow.VioMissingDigit, unicode.IsDigit},
	{"symbol", workflow.VioMissingSymbol, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
	}},
	// "other" is whatever the first three are not.
	{"other", workflow.VioMissingSymbol, func(r rune) bool { return !upper(r) && !unicode.IsLower(r) && !unicode.IsDigit(r) }},
	{"special", workflow.VioMissingSymbol, func(r rune) bool { return r < utf8.RuneSelf && special[r] }},
}

func upper(r rune) bool { return unicode.IsUpper(r) || unicode.IsTitle(r) }

// special are the signs that the class of this name takes.
var special = func() (set [utf8.RuneSelf]bool) {
	for _, r := range `!@#$%^&*()_+-={}[]|\:;'"<>,.?/` {
		set[r] = true
	}
	return set
}()

// Classes lists the names that a policy's RequireClasses may hold.
func Classes() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// Check returns the violations of password under p, as codes and attributes;
// the attributes are p's own numbers. words are identifiers the password must
// not hold: addresses, names, the application's name. It asks nobody outside;
// [Checker.Leaked] does.
func (c *Checker) Check(p workflow.PasswordPolicy, password string, words []string) []workflow.Violation {
	found := workflow.Violations{}
	c.check(p, password, words, func(code workflow.ViolationCode, attrs ...string) { found.Add("", code, attrs...) })
	return found[""]
}

// bytesUnder is how many bytes a password may have where a policy takes
// longest characters.
func (c *Checker) bytesUnder(longest int) int {
	if longest <= ordinaryBytes {
		return min(c.maxBytes, ordinaryBytes)
	}
	return c.maxBytes
}

func (c *Checker) check(p workflow.PasswordPolicy, password string, words []string, add func(workflow.ViolationCode, ...string)) {
	longest := p.MaxLength
	if longest <= 0 {
		longest = ordinaryBytes
	}
	most := c.bytesUnder(longest)
	tooManyBytes := func() {
		add(workflow.VioTooLong, "maxLength", strconv.Itoa(longest), "maxBytes", strconv.Itoa(most))
	}
	shortest := max(p.MinLength, floor)
	normal, err := Normal(password)
	var bad *CharacterError
	switch {
	case errors.Is(err, errLong):
		tooManyBytes()
		return
	case password == "":
		add(workflow.VioTooShort, "minLength", strconv.Itoa(shortest))
		return
	case errors.As(err, &bad):
		add(workflow.VioInvalidCharacter, "kind", bad.Kind)
		return
	}

	length := utf8.RuneCountInString(normal)
	if length < shortest {
		add(workflow.VioTooShort, "minLength", strconv.Itoa(shortest))
	}
	switch {
	case length > longest:
		add(workflow.VioTooLong, "maxLength", strconv.Itoa(longest))
	case len(normal) > most:
		tooManyBytes()
	}
	if repeats(normal, p.MaxRepeat) {
		add(workflow.VioTooRepetitive, "maxRepeat", strconv.Itoa(p.MaxRepeat))
	}
	missing(p.RequireClasses, normal, add)

	// What is easily guessed is so in wide, bold and circled letters as well.
	plain := norm.NFKC.String(normal)
	known := identifiers(words)
	if holds(plain, known) {
		add(workflow.VioContainsIdentifier)
	}
	if length > longest {
		return // the rest costs with the length, and it has to be shortened anyway
	}
	if p.Breached != "off" {
		switch {
		case common(plain):
			add(workflow.VioTooCommon)
			return // weak besides, but one reason is enough
		case length >= shortest && c.leaks.onFile(normal):
			add(workflow.VioBreached)
			return
		}
	}
	if p.MinStrength > 0 && length >= shortest && strength(plain, known) < p.MinStrength {
		add(workflow.VioTooWeak, "minStrength", strconv.Itoa(p.MinStrength))
	}
}

// repeats reports whether a character stands more than most times in a row;
// most 0 is any number.
func repeats(normal string, most int) bool {
	last, row := rune(-1), 0
	for _, r := range normal {
		if r != last {
			last, row = r, 0
		}
		if row++; most > 0 && row > most {
			return true
		}
	}
	return false
}

// missing adds a violation for each class that no character is of, and one
// where several classes say the same.
func missing(required []string, normal string, add func(workflow.ViolationCode, ...string)) {
	var said []workflow.ViolationCode
	for _, name := range required {
		for _, c := range classes {
			if c.name == name && !strings.ContainsFunc(normal, c.is) && !slices.Contains(said, c.code) {
				add(c.code)
				said = append(said, c.code)
			}
		}
	}
}
