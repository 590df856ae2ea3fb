package api

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/resetflow/resetflow/workflow"
)

// printable refuses control and format characters, which databases, logs and
// mails read differently; the two joiners are letters of some scripts.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.Is(unicode.C, r) && r != '\u200c' && r != '\u200d' || r == '\u2028' || r == '\u2029'
	})
}

// slugs and ids as they stand in paths; anything else names nothing.
var (
	slugForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	idForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)
)

// tagForm is the outer form of a language tag (RFC 5646 §2.1), hyphens only.
var tagForm = regexp.MustCompile(`^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$`)

// maxTag is the length that RFC 5646 §4.4.1 asks every reader to support.
const maxTag = 35

// checkLocale refuses a malformed tag. A well-formed unknown one is fine: it
// falls back (contract §5).
func checkLocale(v workflow.Violations, tag string) {
	ok := len(tag) <= maxTag && tagForm.MatchString(tag)
	if ok {
		_, err := language.Parse(tag)
		var unknown language.ValueError
		ok = err == nil || errors.As(err, &unknown)
	}
	if !ok {
		v.Add("locale", workflow.VioInvalidLocale)
	}
}

// stamp writes a time as RFC 3339 in UTC with whole seconds; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// seconds rounds up, so that nobody is told to come back too early.
func seconds(d time.Duration) int64 {
	return int64((max(d, 0) + time.Second - 1) / time.Second)
}

// cut shortens s to at most n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func isHTTPS(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https"
}
