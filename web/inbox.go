package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// Inbox holds the mails that a demo caught instead of sending.
type Inbox interface {
	// Mails lists them, newest first.
	Mails() []InboxMail
}

// InboxMail is one caught mail.
type InboxMail struct {
	ID      string // letters, digits and hyphens
	At      time.Time
	From    string
	To      string
	Subject string
	Text    string // the plain part
	HTML    string // the HTML part
}

// inboxPolicy lets the list show a mail in a frame of our own.
var inboxPolicy = pagePolicy + "; frame-src 'self'"

// mailPolicy puts a mail into a sandbox: its own inline styles and nothing
// else, no scripts, and links that open outside of the frame.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; " +
	"sandbox allow-popups allow-popups-to-escape-sandbox"

type inboxData struct {
	Mails []InboxMail
	Open  *InboxMail
}

// inbox lists the mails.
func (s *server) inbox(v *visit) error {
	if err := v.onlyReads(); err != nil {
		return err
	}
	return v.inboxPage(nil)
}

// inboxMail shows one mail beside the list.
func (s *server) inboxMail(v *visit) error {
	if err := v.onlyReads(); err != nil {
		return err
	}
	m := s.caught(v.Param("id"))
	if m == nil {
		return errNotFound
	}
	return v.inboxPage(m)
}

func (v *visit) inboxPage(open *InboxMail) error {
	v.texts = v.s.Texts.Page("en") // a tool for developers
	v.Response().Header().Set("Content-Security-Policy", inboxPolicy)
	w := v.view("Inbox", "", inboxData{v.s.Inbox.Mails(), open})
	w.CSS, w.JS, w.Theme = v.s.static.paths["page.css"], v.s.static.paths["inbox.js"], v.s.static.paths["inbox.css"]
	return v.render(statusOK, "inbox", w)
}

// inboxHTML sends the HTML part for the frame.
func (s *server) inboxHTML(c echo.Context) error {
	secureHeaders(c.Response().Header(), mailPolicy)
	c.Response().Header().Set("X-Frame-Options", "SAMEORIGIN")
	c.Response().Header().Del("Cross-Origin-Opener-Policy")
	m := s.caught(c.Param("id"))
	if m == nil || (c.Request().Method != http.MethodGet && c.Request().Method != http.MethodHead) {
		return c.NoContent(http.StatusNotFound)
	}
	html := strings.Replace(m.HTML, "<head>", `<head><base target="_blank">`, 1)
	return c.HTML(http.StatusOK, html)
}

func (s *server) caught(id string) *InboxMail {
	for _, m := range s.Inbox.Mails() {
		if m.ID == id {
			return &m
		}
	}
	return nil
}

// onlyReads refuses everything but GET and HEAD.
func (v *visit) onlyReads() error {
	if reads, err := v.reading(); err == nil && reads {
		return nil
	}
	v.Response().Header().Set("Allow", "GET, HEAD")
	return errMethod
}
