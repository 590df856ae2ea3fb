package templates

import (
	"fmt"
	"strings"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Rendered is a written mail.
type Rendered struct {
	Subject string // one line, without the code
	Text    string // lines end in \n
	HTML    string
	Locale  string // the locale it is written in
}

// Render writes a mail in the locale that fits m.Message.Locale best, then the
// application's. It fails where m lacks the fact that its kind is about (a link,
// a code, a time), so that an empty mail is never sent.
func (s *Set) Render(m workflow.Mail) (Rendered, error) {
	if m.Application == nil {
		return Rendered{}, fmt.Errorf("templates: a mail without an application")
	}
	f := s.files[s.Match(m.Message.Locale, m.Application.Locale)]
	d, err := f.compose(m)
	if err != nil {
		return Rendered{}, fmt.Errorf("templates: %s: %w", m.Message.Kind, err)
	}
	html, err := d.html()
	if err != nil {
		return Rendered{}, fmt.Errorf("templates: %s: %w", m.Message.Kind, err)
	}
	return Rendered{Subject: d.Subject, Text: d.text(), HTML: html, Locale: f.Language}, nil
}

// writer composes one mail: the locale's texts and the facts made presentable.
type writer struct {
	*file
	m     workflow.Mail
	app   string
	email string
	when  string
	d     *document
}

// compose checks the facts and picks the parts of the mail.
func (f *file) compose(m workflow.Mail) (*document, error) {
	w := writer{file: f, m: m, app: cut(Clean(m.Application.Name), maxName), email: Clean(m.Message.To)}
	if w.app == "" {
		w.app = m.Application.Slug
	}
	at := m.RequestedAt
	if at.IsZero() {
		at = m.Message.CreatedAt
	}
	if at.IsZero() {
		return nil, fmt.Errorf("the time is missing")
	}
	w.when = f.lang.moment(at)
	w.d = &document{Locale: f.Language, Dir: f.Dir, App: w.app, Palette: PaletteOf(m.Application.Appearance.Color),
		AddressBelow: f.Mail.AddressBelow, Footer: fill(f.Mail.Footer, "app", w.app, "email", w.email)}
	return w.d, w.write()
}

// write fills the document by kind.
func (w *writer) write() error {
	if err := w.checkLinks(); err != nil {
		return err
	}
	switch kind := w.m.Message.Kind; {
	case w.m.Message.NoCode && (kind == workflow.KindResetLink || kind == workflow.KindResetCode):
		return w.restart()
	case kind == workflow.KindResetCode && w.m.Code != "":
		return w.resetCode()
	case kind == workflow.KindResetLink, kind == workflow.KindResetCode: // the digits were withheld: a link in their place
		return w.resetLink()
	case kind == workflow.KindPasswordUpdated:
		return w.passwordUpdated()
	case kind == workflow.KindNoAccount:
		return w.noAccount()
	case kind == workflow.KindRequestLocked:
		return w.requestLocked()
	default:
		return fmt.Errorf("there is no such kind of mail")
	}
}

func (w *writer) head(subject, title string) {
	w.d.Subject = Clean(fill(subject, "app", w.app))
	w.d.Title = title
}

// asked is the first line: who asked, when and from where.
func (w *writer) asked(format string) {
	asked := fill(format, "when", w.when, "app", w.app)
	w.d.Preheader = asked
	w.d.say(w.greeting(), asked, w.origin(w.Mail.OriginBoth, w.Mail.OriginDevice, w.Mail.OriginPlace))
}

func (w *writer) greeting() string {
	name := plainName(w.m.Message.Name, maxName)
	if name == "" {
		return ""
	}
	return fill(w.Mail.Greeting, "name", name)
}

// origin says the rough device and place, as far as they are known.
func (w *writer) origin(both, device, place string) string {
	d, p := w.device(), cut(Clean(w.m.Message.Place), maxOrigin)
	switch {
	case d != "" && p != "":
		return fill(both, "device", d, "place", p)
	case d != "":
		return fill(device, "device", d)
	case p != "":
		return fill(place, "place", p)
	}
	return ""
}

// device writes "Firefox, Windows" as words of the mail's language.
func (w *writer) device() string {
	d := plainName(w.m.Message.Device, maxOrigin)
	if browser, system, ok := strings.Cut(d, ", "); ok {
		return fill(w.Mail.Device, "browser", browser, "system", system)
	}
	return d
}

// lifetime fills a sentence about the end of a code.
func (w *writer) lifetime(format string) (string, error) {
	until := w.m.ExpiresAt
	if until.IsZero() {
		until = w.m.Message.ExpiresAt
	}
	if until.IsZero() {
		return "", fmt.Errorf("the end of its lifetime is missing")
	}
	lasts := w.m.CodeLifetime
	if lasts <= 0 {
		lasts = until.Sub(w.m.RequestedAt)
	}
	return fill(format, "until", w.lang.moment(until), "lifetime", w.lang.duration(lasts.Round(time.Second))), nil
}

func (w *writer) resetLink() error {
	t := w.Mail.ResetLink
	if w.m.Link == "" {
		return fmt.Errorf("the link is missing")
	}
	ends, err := w.lifetime(t.Lifetime)
	if err != nil {
		return err
	}
	w.head(t.Subject, t.Title)
	w.asked(w.Mail.Asked)
	w.d.button(t.Action, false, t.Button, w.m.Link)
	w.d.say(ends)
	w.notMe()
	return nil
}

func (w *writer) resetCode() error {
	t := w.Mail.ResetCode
	if !digitsOnly(w.m.Code) {
		return fmt.Errorf("the code is not 6 to 8 digits")
	}
	ends, err := w.lifetime(t.Lifetime)
	if err != nil {
		return err
	}
	w.head(t.Subject, t.Title)
	w.asked(w.Mail.Asked)
	w.d.say(t.Action)
	w.d.code(w.m.Code)
	w.d.say(ends, fill(w.Mail.NeverAsk, "app", w.app))
	if w.m.Link != "" {
		w.d.button(t.OrLink, true, t.Button, w.m.Link)
	}
	w.notMe()
	return nil
}

// notMe ends a mail that carries a proof.
func (w *writer) notMe() {
	w.d.rule()
	w.d.say(w.Mail.Unchanged)
	if w.m.NotMeLink != "" {
		w.d.aside(w.Mail.Stop, w.m.NotMeLink)
	}
}

func (w *writer) restart() error {
	t := w.Mail.Restart
	if w.m.ForgotLink == "" {
		return fmt.Errorf("the link to start again is missing")
	}
	w.head(t.Subject, t.Title)
	w.asked(w.Mail.Asked)
	w.d.say(t.Text)
	w.d.button("", false, t.Button, w.m.ForgotLink)
	w.d.rule()
	w.d.say(w.Mail.Unchanged)
	return nil
}

func (w *writer) passwordUpdated() error {
	t := w.Mail.PasswordUpdated
	w.head(t.Subject, t.Title)
	text := fill(t.Text, "app", w.app, "when", w.when)
	w.d.Preheader = text
	w.d.say(w.greeting(), text, w.origin(t.OriginBoth, t.OriginDevice, t.OriginPlace))
	if n := w.m.SessionsEnded; n > 0 {
		w.d.say(w.lang.count(t.Sessions, n))
	}
	w.d.say(t.WasMe)
	w.d.rule()
	if w.m.NotMeLink != "" {
		w.d.button(t.WasNotMe, true, t.Button, w.m.NotMeLink)
	}
	return nil
}

func (w *writer) noAccount() error {
	t := w.Mail.NoAccount
	w.head(t.Subject, t.Title)
	w.asked(w.Mail.AskedUnknown)
	w.d.say(t.Text)
	if w.m.ForgotLink != "" {
		w.d.button("", false, t.Button, w.m.ForgotLink)
	}
	w.d.rule()
	w.d.say(t.Unchanged)
	return nil
}

func (w *writer) requestLocked() error {
	t := w.Mail.RequestLocked
	w.head(t.Subject, t.Title)
	w.asked(w.Mail.Asked)
	w.d.say(t.Text)
	if w.m.ForgotLink != "" {
		w.d.button(t.Again, true, t.Button, w.m.ForgotLink)
	}
	w.d.rule()
	w.d.say(t.Unchanged)
	if w.m.NotMeLink != "" {
		w.d.aside(w.Mail.Stop, w.m.NotMeLink)
	}
	return nil
}
