package settings

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// maxName is the longest name in characters: it stands in mail subjects.
const maxName = 100

func (r *reader) checkName(app *workflow.Application) {
	if !r.named { // it will be the slug
		return
	}
	switch {
	case strings.TrimSpace(app.Name) == "":
		r.refuse("name", workflow.VioTooShort, "min", "1")
	case utf8.RuneCountInString(app.Name) > maxName:
		r.refuse("name", workflow.VioTooLong, "max", strconv.Itoa(maxName))
	case !plain(app.Name):
		r.refuse("name", workflow.VioInvalidValue, "form", "no control or direction characters")
	}
}

// plain reports whether s can stand in a subject line: no controls, no line or
// paragraph separators, nothing that turns the reading direction.
func plain(s string) bool {
	for _, c := range s {
		if unicode.IsControl(c) || unicode.In(c, unicode.Zl, unicode.Zp, unicode.Cf) && c != '\u200d' {
			return false
		}
	}
	return true
}

// checkLater refuses what belongs to parts that come with a later version:
// taking the setting and doing nothing would be the worse answer.
func (r *reader) checkLater(app *workflow.Application) {
	switch app.Directory.Kind {
	case "builtin":
	case "sql", "webhook":
		r.refuse("directory.kind", workflow.VioNotAvailable, "allowed", "builtin")
	default:
		r.refuse("directory.kind", workflow.VioInvalidValue, "allowed", "builtin")
	}
	if len(app.Dialects) > 0 {
		r.refuse("dialects", workflow.VioNotAvailable)
	}
	r.each("dialect.origins", app.Dialect.Origins, origin, "https://host without path")
	r.oneOf("dialect.unleash.unknownEmail", app.Dialect.Unleash.UnknownEmail, "neutral", "not_found")
	r.oneOf("dialect.unleash.usedToken", app.Dialect.Unleash.UsedToken, "unauthorized", "forbidden")
}

func (r *reader) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.refuse(path, workflow.VioInvalidValue, "allowed", strings.Join(allowed, ","))
	}
}
