package notify

import (
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// The bounds of the development inbox.
const (
	inboxMails    = 200
	inboxMaxBytes = 1 << 20
)

// Inbox is a mail server of this process for development: it listens on a
// loopback port, keeps the newest 200 mails in memory and passes none on.
type Inbox struct {
	server   *smtp.Server
	listener net.Listener

	mu    sync.Mutex
	mails []ReceivedMail // oldest first
	total int
}

// NewInbox starts an inbox on a free port of 127.0.0.1.
func NewInbox() (*Inbox, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the development inbox cannot listen on 127.0.0.1: %w", err)
	}
	i := &Inbox{listener: l}
	i.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &inboxSession{inbox: i}, nil }))
	i.server.Domain = "localhost"
	i.server.MaxMessageBytes = inboxMaxBytes
	i.server.MaxRecipients = 10
	i.server.EnableSMTPUTF8 = true
	i.server.ReadTimeout, i.server.WriteTimeout = time.Minute, time.Minute
	i.server.ErrorLog = log.New(io.Discard, "", 0) // a sender that hangs up is no news
	go func() { _ = i.server.Serve(l) }()
	return i, nil
}

// URL is what smtp.url must be for mails to arrive here.
func (i *Inbox) URL() string { return "smtp://" + i.listener.Addr().String() + "?tls=off" }

// Mails returns the kept mails, newest first.
func (i *Inbox) Mails() []ReceivedMail {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make([]ReceivedMail, len(i.mails))
	for n, m := range i.mails {
		out[len(out)-1-n] = m
	}
	return out
}

// Total counts the mails since the start, also those that are not kept any more.
func (i *Inbox) Total() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.total
}

// Close stops listening and ends every connection.
func (i *Inbox) Close() error { return i.server.Close() }

func (i *Inbox) keep(m ReceivedMail) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.total++
	i.mails = append(i.mails, m)
	if extra := len(i.mails) - inboxMails; extra > 0 {
		i.mails = append([]ReceivedMail(nil), i.mails[extra:]...)
	}
}

// inboxSession is one connection to the inbox.
type inboxSession struct {
	inbox *Inbox
	from  string
	to    []string
}

func (s *inboxSession) Reset()        { s.from, s.to = "", nil }
func (s *inboxSession) Logout() error { return nil }

func (s *inboxSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *inboxSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *inboxSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m, err := ParseMail(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "The message cannot be read"}
	}
	m.EnvelopeFrom, m.EnvelopeTo, m.ReceivedAt = s.from, s.to, time.Now()
	s.inbox.keep(m)
	return nil
}
