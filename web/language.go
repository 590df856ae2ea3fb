package web

import (
	"net/http"

	"golang.org/x/text/language"

	"github.com/resetflow/resetflow/templates"
)

// speak chooses the language of a visit: asked for in the address, chosen
// before, preferred by the browser, the application's.
func (v *visit) speak() {
	q, header := v.Request().URL.Query().Get("locale"), v.Request().Header.Get("Accept-Language")
	reads := v.Request().Method == http.MethodGet || v.Request().Method == http.MethodHead
	for _, n := range v.s.Texts.Names() { // the switch offers these and no others
		if reads && n.Locale == q {
			v.state.Locale = q
		}
	}
	app := ""
	if v.app != nil {
		app = v.app.Locale
	}
	v.texts = v.s.Texts.Page(v.s.Texts.Match(v.state.Locale, header, app))
	v.locale = v.state.Locale
	if v.locale == "" {
		v.locale = preferred(header)
	}
}

// preferred is the first language of an Accept-Language header (RFC 9110
// §12.5.4) as a tag, "" where it names none. Mails are written in it, or in
// what fits best: there may be texts for mails that pages do not have.
func preferred(header string) string {
	if header == "" || len(header) > 256 {
		return ""
	}
	tags, q, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 || q[0] == 0 || tags[0] == language.Und {
		return ""
	}
	if base, confidence := tags[0].Base(); confidence == language.No || base.String() == "mul" {
		return "" // "*"
	}
	return tags[0].String()
}

// languageLink is one entry of the language switch.
type languageLink struct {
	templates.Named
	Current bool
}

func (v *visit) languages() []languageLink {
	names := v.s.Texts.Names()
	if len(names) < 2 {
		return nil
	}
	out := make([]languageLink, 0, len(names))
	for _, n := range names {
		out = append(out, languageLink{n, n.Locale == v.texts.Locale})
	}
	return out
}
