package web

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

var colourForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// theme writes the custom properties that carry a product's colour, as the
// palette that pages and mails share made it readable. It is a file of its own
// because the Content-Security-Policy allows no style inside a page.
func theme(colour string) (css string, ok bool) {
	if !colourForm.MatchString(colour) {
		return "", false
	}
	p := templates.PaletteOf(colour)
	const properties = "--button:%s;--on-button:%s;--button-line:%s;--link:%s;--focus:%s;--tint:%s"
	return fmt.Sprintf(":root{"+properties+"}\n@media (prefers-color-scheme:dark){:root{"+properties+"}}\n",
		p.Button, p.ButtonText, p.ButtonEdge, p.Link, p.Link, p.Button,
		p.DarkButton, p.DarkButtonText, p.DarkButtonEdge, p.DarkLink, p.DarkLink, p.DarkButton), true
}

// themePath is the address of an application's colours, "" for the built-in ones.
func themePath(app *workflow.Application) string {
	css, ok := theme(app.Appearance.Color)
	if !ok {
		return ""
	}
	return "/static/theme/" + app.Slug + "-" + hashName([]byte(css)) + ".css"
}

func (s *server) serveTheme(c echo.Context) error {
	lost := s.handleAnywhere(func(*visit) error { return errNotFound })
	file, isCSS := strings.CutSuffix(c.Param("file"), ".css")
	dash := strings.LastIndexByte(file, '-')
	if !isCSS || dash < 1 {
		return lost(c)
	}
	app, err := s.Applications.Application(c.Request().Context(), file[:dash])
	if err != nil {
		return lost(c)
	}
	css, ok := theme(app.Appearance.Color)
	if !ok || hashName([]byte(css)) != file[dash+1:] { // the colour changed; new pages name the new file
		return lost(c)
	}
	return lasting(c, asset{"text/css; charset=utf-8", []byte(css)})
}
