package templates

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// Plural is one text in the plural forms of its language, by their CLDR names.
// Which forms a language needs is checked by [New]; {count} stands for the number.
type Plural struct {
	Zero  string `yaml:"zero"`
	One   string `yaml:"one"`
	Two   string `yaml:"two"`
	Few   string `yaml:"few"`
	Many  string `yaml:"many"`
	Other string `yaml:"other"`
}

// form returns the text of a form, "" where the locale does not have it.
func (p Plural) form(f plural.Form) string {
	switch f {
	case plural.Zero:
		return p.Zero
	case plural.One:
		return p.One
	case plural.Two:
		return p.Two
	case plural.Few:
		return p.Few
	case plural.Many:
		return p.Many
	}
	return p.Other
}

// formats say how a language writes dates and durations.
type formats struct {
	Months  []string `yaml:"months"`
	Moment  string   `yaml:"moment" vars:"day,month,year,time"` // always in UTC, and it says so
	Seconds Plural   `yaml:"seconds" vars:"count"`
	Minutes Plural   `yaml:"minutes" vars:"count"`
	Hours   Plural   `yaml:"hours" vars:"count"`
}

// locale knows how one language counts and tells the time.
type locale struct {
	tag     language.Tag
	formats formats
}

var dayAndMonth = regexp.MustCompile(`(\{day\}\.?) (\{month\})`)

// count fills the plural form that n needs.
func (l locale) count(p Plural, n int) string {
	return fill(p.form(l.pluralForm(n)), "count", strconv.Itoa(n))
}

func (l locale) pluralForm(n int) plural.Form {
	return plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)
}

// moment writes t in UTC to the minute. Day and month stay on one line.
func (l locale) moment(t time.Time) string {
	t = t.UTC()
	return fill(dayAndMonth.ReplaceAllString(l.formats.Moment, "$1\u00a0$2"), "day", strconv.Itoa(t.Day()), "month", l.formats.Months[t.Month()-1],
		"year", strconv.Itoa(t.Year()), "time", t.Format("15:04"))
}

// duration writes d in its largest fitting unit, rounded up.
func (l locale) duration(d time.Duration) string {
	switch {
	case d < 2*time.Minute && d%time.Minute != 0:
		return l.count(l.formats.Seconds, seconds(d))
	case d >= time.Hour && d%time.Hour < time.Minute:
		return l.count(l.formats.Hours, int(d/time.Hour))
	case d > 3*time.Hour:
		return l.count(l.formats.Hours, int((d+time.Hour-1)/time.Hour))
	default:
		return l.count(l.formats.Minutes, int((d+time.Minute-1)/time.Minute))
	}
}

// fill replaces {name} by the value that follows name in pairs, in one pass:
// braces inside values are never read again.
func fill(format string, pairs ...string) string {
	if len(pairs) == 0 {
		return format
	}
	old := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		old = append(old, "{"+pairs[i]+"}", pairs[i+1])
	}
	return strings.NewReplacer(old...).Replace(format)
}
