package notify

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"time"
)

// ReceivedMail is a mail as a server got it.
type ReceivedMail struct {
	EnvelopeFrom string
	EnvelopeTo   []string // as given to RCPT, in order
	From, To     string   // headers, decoded
	ReplyTo      string
	Subject      string
	Date         time.Time
	MessageID    string // without angle brackets
	Kind         string // X-Resetflow-Kind
	Message      string // X-Resetflow-Message
	Language     string // Content-Language
	Text, HTML   string
	Header       netmail.Header // as on the wire, undecoded
	Raw          []byte
	ReceivedAt   time.Time
}

// maxPart bounds one decoded part of a mail.
const maxPart = 4 << 20

// ParseMail reads a mail's headers and its text and HTML parts.
func ParseMail(raw []byte) (ReceivedMail, error) {
	m := ReceivedMail{Raw: raw}
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return m, fmt.Errorf("notify: the mail has no readable headers: %w", err)
	}
	h := msg.Header
	m.Header = h
	m.From, m.To, m.ReplyTo = decoded(h.Get("From")), decoded(h.Get("To")), decoded(h.Get("Reply-To"))
	m.Subject = decoded(h.Get("Subject"))
	m.Date, _ = h.Date()
	m.MessageID = strings.Trim(h.Get("Message-Id"), "<>")
	m.Kind, m.Message, m.Language = h.Get("X-Resetflow-Kind"), h.Get("X-Resetflow-Message"), h.Get("Content-Language")
	return m, m.readParts(h.Get("Content-Type"), h.Get("Content-Transfer-Encoding"), msg.Body, 0)
}

func decoded(s string) string {
	if d, err := new(mime.WordDecoder).DecodeHeader(s); err == nil {
		return d
	}
	return s
}

// readParts keeps the first plain and the first HTML part, at most three levels deep.
func (m *ReceivedMail) readParts(contentType, encoding string, body io.Reader, depth int) error {
	if contentType == "" {
		contentType = "text/plain"
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("notify: Content-Type cannot be read: %w", err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		if depth == 3 {
			return nil
		}
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return fmt.Errorf("notify: a part cannot be read: %w", err)
			}
			if err := m.readParts(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p, depth+1); err != nil {
				return err
			}
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	content, err := io.ReadAll(io.LimitReader(body, maxPart))
	if err != nil {
		return fmt.Errorf("notify: a part cannot be decoded: %w", err)
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	switch {
	case kind == "text/plain" && m.Text == "":
		m.Text = text
	case kind == "text/html" && m.HTML == "":
		m.HTML = text
	}
	return nil
}
