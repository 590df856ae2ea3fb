package password

import (
	"errors"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// floor is the least length in characters that any policy can ask for
// (NIST SP 800-63B-4 §3.1.1.2).
const floor = 8

// Checker judges new passwords by an application's policy. It implements
// workflow.Policies and is safe for concurrent use.
type Checker struct{ maxBytes int }

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
	{"upper", workflow.VioMissingUppercase, func(r rune) bool { return unicode.IsUpper(r) || unicode.IsTitle(r) }},
	{"lower", workflow.VioMissingLowercase, unicode.IsLower},
	{"digit", workflow.VioMissingDigit, unicode.IsDigit},
	{"symbol", workflow.VioMissingSymbol, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
	}},
}

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
// not hold: addresses, names, the application's name.
func (c *Checker) Check(p workflow.PasswordPolicy, password string, words []string) []workflow.Violation {
	found := workflow.Violations{}
	c.check(p, password, words, func(code workflow.ViolationCode, attrs ...string) { found.Add("", code, attrs...) })
	return found[""]
}

func (c *Checker) check(p workflow.PasswordPolicy, password string, words []string, add func(workflow.ViolationCode, ...string)) {
	longest := p.MaxLength
	if longest <= 0 {
		longest = MaxBytes
	}
	shortest := max(p.MinLength, floor)
	normal, err := Normal(password)
	switch {
	case errors.Is(err, errLong): // before any other work
		add(workflow.VioTooLong, "maxLength", strconv.Itoa(longest), "maxBytes", strconv.Itoa(c.maxBytes))
		return
	case password == "":
		add(workflow.VioTooShort, "minLength", strconv.Itoa(shortest))
		return
	case err != nil:
		add(workflow.VioInvalidCharacter)
		return
	}

	length := utf8.RuneCountInString(normal)
	if length < shortest {
		add(workflow.VioTooShort, "minLength", strconv.Itoa(shortest))
	}
	if length > longest {
		add(workflow.VioTooLong, "maxLength", strconv.Itoa(longest))
	} else if len(normal) > c.maxBytes {
		add(workflow.VioTooLong, "maxLength", strconv.Itoa(longest), "maxBytes", strconv.Itoa(c.maxBytes))
	}
	missing(p.RequireClasses, normal, add)

	known := identifiers(words)
	if holds(normal, known) {
		add(workflow.VioContainsIdentifier)
	}
	if p.Breached != "off" && common(normal) {
		add(workflow.VioTooCommon)
		return // weak besides, but one reason is enough
	}
	if p.MinStrength > 0 && length >= shortest && strength(normal, known) < p.MinStrength {
		add(workflow.VioTooWeak, "minStrength", strconv.Itoa(p.MinStrength))
	}
}

func missing(required []string, normal string, add func(workflow.ViolationCode, ...string)) {
	for _, name := range required {
	class:
		for _, c := range classes {
			if c.name != name {
				continue
			}
			for _, r := range normal {
				if c.is(r) {
					break class
				}
			}
			add(c.code)
		}
	}
}
