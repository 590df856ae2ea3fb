package templates

import (
	"strconv"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// ErrorTexts are the sentences for violations and errors that a page can show.
type ErrorTexts struct {
	EmailRequired    string `yaml:"email_required"`
	EmailInvalid     string `yaml:"email_invalid"`
	CodeRequired     string `yaml:"code_required"`
	CodeWrong        string `yaml:"code_wrong"`
	CodeGone         string `yaml:"code_gone"` // used, replaced, expired or never valid
	CodeShape        string `yaml:"code_shape"`
	SupportCodeWrong string `yaml:"support_code_wrong"`
	PasswordRequired string `yaml:"password_required"`
	ConfirmDiffers   string `yaml:"confirm_differs"`
	TooShortFormat   Plural `yaml:"too_short" vars:"count"`
	TooShort         string `yaml:"too_short_plain"`
	TooLongFormat    Plural `yaml:"too_long" vars:"count"`
	TooLong          string `yaml:"too_long_plain"`
	Breached         string `yaml:"breached"`
	TooCommon        string `yaml:"too_common"`
	TooWeak          string `yaml:"too_weak"`
	Identifier       string `yaml:"contains_identifier"`
	RecentlyUsed     string `yaml:"recently_used"`
	RepeatFormat     Plural `yaml:"too_repetitive" vars:"count"`
	Repeat           string `yaml:"too_repetitive_plain"`
	Character        string `yaml:"invalid_character"`
	Control          string `yaml:"invalid_control"`
	Invisible        string `yaml:"invalid_invisible"`
	Unknown          string `yaml:"invalid_unknown"` // not assigned, private, old, or no text at all
	Uppercase        string `yaml:"missing_uppercase"`
	Lowercase        string `yaml:"missing_lowercase"`
	Digit            string `yaml:"missing_digit"`
	Symbol           string `yaml:"missing_symbol"`
	NotEnabled       string `yaml:"not_enabled"`
	NotAllowed       string `yaml:"not_allowed"` // e.g. an address to return to that is not on the list
	Busy             string `yaml:"busy"`
	Other            string `yaml:"other"`
}

// Violation returns the sentence for a violation of a field, named as in the
// API ("email", "verificationCode", "newPassword", …). It never fails: what has
// no sentence of its own gets a general one.
func (p *PageTexts) Violation(field string, v workflow.Violation) string {
	e := p.Errors
	switch v.Code {
	case workflow.VioRequired:
		switch field {
		case "email":
			return e.EmailRequired
		case "newPassword":
			return e.PasswordRequired
		}
		return e.CodeRequired
	case workflow.VioInvalidEmail:
		return e.EmailInvalid
	case workflow.VioInvalidVerificationCode:
		if n, err := strconv.Atoi(v.Attributes["attemptsRemaining"]); err == nil {
			return e.CodeWrong + " " + p.AttemptsLeft(n)
		}
		return e.CodeWrong
	case workflow.VioInvalidEmailAuthCode, workflow.VioInvalidRequestCode, workflow.VioInvalidAuthSessionCode:
		return e.CodeGone
	case workflow.VioInvalidResetCode:
		return e.SupportCodeWrong
	case workflow.VioTooShort, workflow.VioTooLong:
		return p.length(field, v)
	case workflow.VioTooRepetitive:
		if n, err := strconv.Atoi(v.Attributes["maxRepeat"]); err == nil {
			return p.lang.count(e.RepeatFormat, n)
		}
		return e.Repeat
	case workflow.VioInvalidCharacter:
		return p.character(v.Attributes["kind"])
	case workflow.VioNotEnabled:
		return e.NotEnabled
	case workflow.VioNotAllowed:
		return e.NotAllowed
	}
	if s := p.passwordSentence(v.Code); s != "" {
		return s
	}
	return e.Other
}

// length is the sentence for a value of the wrong length.
func (p *PageTexts) length(field string, v workflow.Violation) string {
	e := p.Errors
	switch field {
	case "email":
		return e.EmailInvalid
	case "verificationCode", "requestCode", "emailAuthCode", "passwordResetCode":
		if v.Code == workflow.VioTooShort {
			return e.CodeRequired
		}
		return e.CodeShape
	}
	if v.Code == workflow.VioTooShort {
		if n, err := strconv.Atoi(v.Attributes["minLength"]); err == nil {
			return p.lang.count(e.TooShortFormat, n)
		}
		return e.TooShort
	}
	if n, err := strconv.Atoi(v.Attributes["maxLength"]); err == nil {
		return p.lang.count(e.TooLongFormat, n)
	}
	return e.TooLong
}

// character is the sentence for a character of a kind that cannot be used.
func (p *PageTexts) character(kind string) string {
	switch kind {
	case "control":
		return p.Errors.Control
	case "invisible", "empty":
		return p.Errors.Invisible
	case "unassigned", "private_use", "noncharacter", "old_hangul", "encoding":
		return p.Errors.Unknown
	}
	return p.Errors.Character
}

// passwordSentence is the sentence for a rule about passwords, "" for others.
func (p *PageTexts) passwordSentence(c workflow.ViolationCode) string {
	e := p.Errors
	switch c {
	case workflow.VioBreached:
		return e.Breached
	case workflow.VioTooCommon:
		return e.TooCommon
	case workflow.VioTooWeak:
		return e.TooWeak
	case workflow.VioContainsIdentifier:
		return e.Identifier
	case workflow.VioRecentlyUsed:
		return e.RecentlyUsed
	case workflow.VioMissingUppercase:
		return e.Uppercase
	case workflow.VioMissingLowercase:
		return e.Lowercase
	case workflow.VioMissingDigit:
		return e.Digit
	case workflow.VioMissingSymbol:
		return e.Symbol
	}
	return ""
}

// Failure returns a title and a sentence for an error as a whole; after is the
// time to wait, 0 where none is known.
func (p *PageTexts) Failure(code workflow.ErrorCode, after time.Duration) (title, text string) {
	t := p.Problem
	switch code {
	case workflow.CodeCooldown:
		return t.LimitedTitle, p.TooEarly(seconds(after))
	case workflow.CodeRateLimited:
		return t.LimitedTitle, p.Limited(max(after, time.Second))
	case workflow.CodeOverloaded:
		return t.BusyTitle, t.BusyText
	case workflow.CodeNotFound, workflow.CodeUserNotFound, workflow.CodeMethodNotAllowed:
		return t.NotFoundTitle, t.NotFoundText
	case workflow.CodeForbidden, workflow.CodeOriginNotAllowed:
		return t.StaleTitle, t.StaleText
	}
	return t.Title, t.Text
}

// seconds rounds up to whole seconds, at least 1.
func seconds(d time.Duration) int { return max(int((d+time.Second-1)/time.Second), 1) }
