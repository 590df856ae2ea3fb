package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/templates"
)

//go:embed views
var viewFiles embed.FS

// view is what a page template sees.
type view struct {
	T       *templates.PageTexts
	Title   string
	App     string // name, "" where there is no application
	Logo    template.URL
	Base    string
	Self    string // path of this page, for the language switch
	Form    string // form token
	CSS, JS string
	Theme   string // path of the application's colours, "" for the built-in ones
	Wrong   []mistake
	Notice  string // a calm sentence above the form, e.g. that one must wait
	Good    string // a sentence that something worked
	Langs   []languageLink
	D       any // the page's own data
}

// mistake is one thing to mend, linked to its field.
type mistake struct{ Field, Text string }

// At returns what is to mend about a field, "" where it is right.
func (w view) At(field string) string {
	var all []string
	for _, m := range w.Wrong {
		if m.Field == field {
			all = append(all, m.Text)
		}
	}
	return strings.Join(all, " ")
}

func loadViews() (map[string]*template.Template, error) {
	names, err := viewFiles.ReadDir("views")
	if err != nil {
		return nil, err
	}
	funcs := template.FuncMap{"sent": sentTo, "account": accountOf, "initial": initial, "bare": bare}
	views := map[string]*template.Template{}
	for _, n := range names {
		if n.Name() == "layout.html" {
			continue
		}
		t, err := template.New("layout.html").Funcs(funcs).ParseFS(viewFiles, "views/layout.html", "views/"+n.Name())
		if err != nil {
			return nil, fmt.Errorf("web: view %s: %w", n.Name(), err)
		}
		views[strings.TrimSuffix(n.Name(), path.Ext(n.Name()))] = t
	}
	return views, nil
}

// sentTo says where a message went, with the address set off, so that a typo in it is seen.
func sentTo(t *templates.PageTexts, email string) template.HTML { return setOff(t.Check.Sent, email) }

// accountOf says whose password is set.
func accountOf(t *templates.PageTexts, email string) template.HTML {
	return setOff(t.Reset.Account, email)
}

// setOff writes a sentence with the value in it marked.
func setOff(sentence func(string) string, value string) template.HTML {
	const mark = "\x00"
	before, after, _ := strings.Cut(sentence(mark), mark)
	esc := template.HTMLEscapeString
	return template.HTML(esc(before) + `<bdi class="value">` + esc(value) + `</bdi>` + esc(after)) //nolint:gosec // every part is escaped
}

// initial is the letter shown where an application has no logo.
func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}

// bare takes the angle brackets off an address without a name.
func bare(address string) string {
	if strings.HasPrefix(address, "<") {
		return strings.Trim(address, "<>")
	}
	return address
}

// view starts the data of a page.
func (v *visit) view(title, self string, data any) view {
	w := view{T: v.texts, Title: title, Base: v.base, CSS: v.s.static.paths["page.css"], JS: v.s.static.paths["page.js"], D: data}
	if v.app != nil {
		w.App, w.Logo, w.Theme = v.app.Name, logo(v.app.Appearance.Logo), themePath(v.app)
		w.Self, w.Form = v.base+self, v.formToken()
		if w.App == "" {
			w.App = v.app.Slug
		}
		w.Langs = v.languages()
	}
	return w
}

// show renders a page and keeps the cookie.
func (v *visit) show(status int, name string, w view) error {
	if v.app != nil {
		if err := v.save(); err != nil {
			return err
		}
	}
	return v.render(status, name, w)
}

// render writes a page. It is rendered whole first, so that an error never
// leaves half a page.
func (v *visit) render(status int, name string, w view) error {
	var b bytes.Buffer
	t, ok := v.s.views[name]
	if !ok {
		return errors.New("web: no view " + name)
	}
	if err := t.Execute(&b, w); err != nil {
		return fmt.Errorf("web: view %s: %w", name, err)
	}
	h := v.Response().Header()
	h.Set("Content-Language", v.texts.Locale)
	return v.Blob(status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// logoForm is the only form of a logo that is put into a page.
var logoForm = regexp.MustCompile(`^data:image/(png|svg\+xml|webp);base64,[A-Za-z0-9+/]+=*$`)

// logo returns the application's logo, "" where it is none of ours.
func logo(s string) template.URL {
	if len(s) > 40<<10 || !logoForm.MatchString(s) {
		return ""
	}
	return template.URL(s) //nolint:gosec // an image as data, of a form that was checked
}

// statusOK is written out where a page is the ordinary answer.
const statusOK = http.StatusOK
