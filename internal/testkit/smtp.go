package testkit

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/resetflow/resetflow/notify"
)

// SMTPOptions shape a test server. The zero value speaks in clear.
type SMTPOptions struct {
	STARTTLS    bool
	ImplicitTLS bool
	CertHosts   []string // names of the certificate; 127.0.0.1 and localhost where empty
	Username    string   // with Password: AUTH PLAIN is offered (over TLS) and required
	Password    string
	NoUTF8      bool             // do not offer SMTPUTF8
	Faults      map[string]Fault // by verb; see SetFault
}

// SMTP is a real mail server on a loopback port that keeps what it gets and
// fails as it is told.
type SMTP struct {
	o        SMTPOptions
	server   *smtp.Server
	listener net.Listener
	roots    *x509.CertPool
	stop     chan struct{}
	wire     lockedBuffer

	mu     sync.Mutex
	faults map[string]Fault
	mails  []notify.ReceivedMail
	conns  int
	news   chan struct{} // closed and replaced at every mail
}

// NewSMTP starts a server; it ends with the test.
func NewSMTP(t testing.TB, o SMTPOptions) *SMTP {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("the test mail server cannot listen: %v", err)
	}
	s := &SMTP{o: o, listener: l, stop: make(chan struct{}), faults: map[string]Fault{}, news: make(chan struct{})}
	for v, f := range o.Faults {
		s.faults[v] = f
	}
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &smtpSession{s: s, conn: c, loggedIn: o.Username == ""}, nil
	}))
	s.server.Domain = "mx.test"
	s.server.EnableSMTPUTF8 = !o.NoUTF8
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.Debug = &s.wire
	var serve net.Listener = &faultyListener{Listener: l, s: s}
	if o.STARTTLS || o.ImplicitTLS {
		hosts := o.CertHosts
		if len(hosts) == 0 {
			hosts = []string{"127.0.0.1", "localhost"}
		}
		config, roots := selfSigned(t, hosts)
		s.roots = roots
		if o.ImplicitTLS {
			serve = tls.NewListener(serve, config)
		} else {
			s.server.TLSConfig = config
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.server.Serve(serve) }()
	t.Cleanup(func() {
		close(s.stop)
		_ = s.server.Close()
		_ = l.Close() // a server that has not begun to serve does not close it
		<-done
	})
	return s
}

// Addr is host:port.
func (s *SMTP) Addr() string { return s.listener.Addr().String() }

// Roots trusts the server's certificate; nil without TLS.
func (s *SMTP) Roots() *x509.CertPool { return s.roots }

// URL is the smtp.url that reaches the server, with its user.
func (s *SMTP) URL() string {
	user := ""
	if s.o.Username != "" {
		user = s.o.Username + ":" + s.o.Password + "@"
	}
	switch {
	case s.o.ImplicitTLS:
		return "smtps://" + user + s.Addr()
	case s.o.STARTTLS:
		return "smtp://" + user + s.Addr()
	}
	return "smtp://" + s.Addr() + "?tls=off"
}

// Mails returns what was accepted, oldest first.
func (s *SMTP) Mails() []notify.ReceivedMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]notify.ReceivedMail(nil), s.mails...)
}

// Forget drops the kept mails.
func (s *SMTP) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = nil
}

// Connections counts the connections since the start.
func (s *SMTP) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// Wire returns everything that crossed the connections, TLS taken off.
func (s *SMTP) Wire() string { return s.wire.String() }

// Commands returns the lines of the wire that begin with a verb, e.g. "RCPT".
func (s *SMTP) Commands(verb string) []string {
	var out []string
	for line := range strings.SplitSeq(s.Wire(), "\n") {
		if strings.HasPrefix(strings.ToUpper(line), strings.ToUpper(verb)) {
			out = append(out, strings.TrimRight(line, "\r"))
		}
	}
	return out
}

// Wait returns the newest mail to an address (of a kind, "" for any), waiting
// up to 15 s for it.
func (s *SMTP) Wait(t testing.TB, to, kind string) notify.ReceivedMail {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		s.mu.Lock()
		news := s.news
		for i := len(s.mails) - 1; i >= 0; i-- {
			m := s.mails[i]
			if len(m.EnvelopeTo) == 1 && m.EnvelopeTo[0] == to && (kind == "" || m.Kind == kind) {
				s.mu.Unlock()
				return m
			}
		}
		count := len(s.mails)
		s.mu.Unlock()
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("no mail of kind %q to %s came within 15 s; %d others did", kind, to, count)
		}
	}
}

func (s *SMTP) keep(m notify.ReceivedMail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	close(s.news)
	s.news = make(chan struct{})
}

// smtpSession is one connection.
type smtpSession struct {
	s        *SMTP
	conn     *smtp.Conn
	loggedIn bool
	from     string
	to       []string
}

var errPleaseLogIn = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}

func (x *smtpSession) Reset()        { x.from, x.to = "", nil }
func (x *smtpSession) Logout() error { return nil }

func (x *smtpSession) AuthMechanisms() []string {
	if x.s.o.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (x *smtpSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if err := x.s.apply("AUTH", x.conn.Conn()); err != nil {
			return err
		}
		if user != x.s.o.Username || password != x.s.o.Password {
			return smtp.ErrAuthFailed
		}
		x.loggedIn = true
		return nil
	}), nil
}

func (x *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if !x.loggedIn {
		return errPleaseLogIn
	}
	x.from = from
	return x.s.apply("MAIL", x.conn.Conn())
}

func (x *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := x.s.apply("RCPT", x.conn.Conn()); err != nil {
		return err
	}
	x.to = append(x.to, to)
	return nil
}

func (x *smtpSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := x.s.apply("BODY", x.conn.Conn()); err != nil {
		return err
	}
	m, err := notify.ParseMail(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "unreadable: " + strconv.Quote(err.Error())}
	}
	m.EnvelopeFrom, m.EnvelopeTo, m.ReceivedAt = x.from, x.to, time.Now()
	x.s.keep(m)
	if x.s.fault("ACCEPTED").Drop {
		dropAfterReply(x.conn.Conn())
	}
	return nil
}

// maxWire bounds the kept transcript; what comes later is left out.
const maxWire = 8 << 20

// lockedBuffer is a bytes.Buffer for many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() < maxWire {
		l.b.Write(p)
	}
	return len(p), nil
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var errDropped = errors.New("testkit: the connection was dropped")
