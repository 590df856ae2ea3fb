package notify

import (
	"bytes"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/resetflow/resetflow/internal/address"
	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

// envelope is a mail ready for the wire.
type envelope struct {
	from, to string // addr-specs
	utf8     bool   // one of them needs SMTPUTF8 (RFC 6531)
	data     []byte
}

// errRecipient says that the stored address is none that may stand on a wire.
var errRecipient = errors.New("the stored address is not an e-mail address")

// seal writes m for the wire.
func (s *Sender) seal(m workflow.Mail, now time.Time) (envelope, error) {
	to, ok := wireAddress(m.Message.To)
	if !ok {
		return envelope{}, errRecipient
	}
	from, err := s.mailbox("mail.from", m.Application.Mail.From, s.o.From)
	if err != nil {
		return envelope{}, err
	}
	if from == nil {
		return envelope{}, errors.New("mail.from is not set, neither here nor for the application")
	}
	r, err := s.o.Templates.Render(m)
	if err != nil {
		return envelope{}, err
	}
	msg, err := s.headers(m, from, to, r, now)
	if err != nil {
		return envelope{}, err
	}
	msg.SetBodyString(mail.TypeTextPlain, r.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, r.HTML)
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return envelope{}, err
	}
	return envelope{from: from.Address, to: to, utf8: !ascii(from.Address) || !ascii(to), data: b.Bytes()}, nil
}

// headers sets every header of contract §9. The recipient stands in To and
// nowhere else.
func (s *Sender) headers(m workflow.Mail, from *netmail.Address, to string, r templates.Rendered, now time.Time) (*mail.Msg, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithEncoding(mail.EncodingQP), mail.WithCharset(mail.CharsetUTF8))
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: to})
	reply, err := s.mailbox("mail.reply_to", m.Application.Mail.ReplyTo, "")
	if err != nil {
		return nil, err
	}
	if reply != nil {
		msg.ReplyToMailAddress(reply)
	}
	domain := m.MessageIDDomain
	if d, ok := wireAddress("x@" + domain); !ok || d != "x@"+domain {
		_, domain, _ = strings.Cut(from.Address, "@")
	}
	msg.Subject(templates.Clean(r.Subject))
	msg.SetDateWithValue(now.UTC())
	msg.SetMessageIDWithValue(m.Message.ID.String() + "@" + domain) // the same at every try: a reader keeps one copy
	for name, value := range map[mail.Header]string{
		"Auto-Submitted":           "auto-generated", // RFC 3834: no vacation notice answers it
		"X-Auto-Response-Suppress": "All",
		"X-Resetflow-Kind":         string(m.Message.Kind),
		"X-Resetflow-Message":      m.Message.ID.String(),
		"Content-Language":         r.Locale,
	} {
		msg.SetGenHeader(name, value)
	}
	return msg, nil
}

// mailbox reads a configured mailbox; nil where neither text is set. Only the
// configuration names one, never a request.
func (s *Sender) mailbox(key, own, fallback string) (*netmail.Address, error) {
	text := own
	if text == "" {
		text = fallback
	}
	if text == "" {
		return nil, nil
	}
	a, err := netmail.ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a mailbox such as Acme <no-reply@example.com>", key)
	}
	addr, ok := wireAddress(a.Address)
	if !ok {
		return nil, fmt.Errorf("%s holds no e-mail address that can be used", key)
	}
	return &netmail.Address{Name: templates.Clean(a.Name), Address: addr}, nil
}

// wireAddress checks an address by contract §5's grammar and returns what goes
// on the wire: the local part as it is stored, the domain in A-labels.
func wireAddress(s string) (string, bool) {
	canonical, ok := address.Parse(s)
	if !ok {
		return "", false
	}
	local, _, _ := strings.Cut(s, "@")
	_, domain, _ := strings.Cut(canonical, "@")
	return local + "@" + domain, true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
