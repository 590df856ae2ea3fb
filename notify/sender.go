package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

// Renderer writes mails; *templates.Set is one.
type Renderer interface {
	Render(m workflow.Mail) (templates.Rendered, error)
}

// Options are what a [Sender] needs. Durations that are zero take their default.
type Options struct {
	Server    *Server        // nil: not configured, so messages wait
	From      string         // mail.from of the installation, for applications without one of their own
	Templates Renderer       // required
	RootCAs   *x509.CertPool // nil for the machine's
	Hello     string         // our name in EHLO; the machine's where empty
	Logger    *slog.Logger   // nil for slog.Default

	DialTimeout  time.Duration // 5 s
	VerbTimeout  time.Duration // 10 s for each step of the exchange
	TotalTimeout time.Duration // 18 s for a whole delivery, below the 20 s of a graceful stop; the end of the data gets what is left of it
	IdleTimeout  time.Duration // 30 s a connection is kept
}

// Sender delivers mails over SMTP (RFC 5321). It may be used by many goroutines.
type Sender struct {
	o      Options
	server Server
	tls    *tls.Config
	pool   *pool
}

var _ workflow.Deliverer = (*Sender)(nil)

// NewSender makes a sender. It opens no connection; see [Sender.Ping]. A server
// without TLS is warned about once, here.
func NewSender(o Options) (*Sender, error) {
	if o.Templates == nil {
		return nil, errors.New("notify: a sender needs templates")
	}
	setDefault(&o.DialTimeout, 5*time.Second)
	setDefault(&o.VerbTimeout, 10*time.Second)
	setDefault(&o.TotalTimeout, 18*time.Second)
	setDefault(&o.IdleTimeout, defaultIdle)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Hello == "" {
		o.Hello = "localhost"
		if name, err := os.Hostname(); err == nil && name != "" && ascii(name) {
			o.Hello = name
		}
	}
	s := &Sender{o: o, pool: &pool{keep: o.IdleTimeout}}
	if _, err := s.mailbox("mail.from", o.From, ""); err != nil {
		return nil, err
	}
	if o.Server == nil {
		return s, nil
	}
	s.server = *o.Server
	s.tls = &tls.Config{ServerName: s.server.Host, RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
	if s.server.Security == Plain {
		o.Logger.Warn("smtp.url says tls=off: every mail, with the codes in it, crosses the network in clear", "server", s.server.Address())
	}
	return s, nil
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// Close ends the kept connections.
func (s *Sender) Close() { s.pool.close() }

// errNotConfigured is what messages wait for.
var errNotConfigured = errors.New("SMTP is not configured")

// Deliver hands m to the mail server. nil means that the server has taken it
// for good; every other answer is a *workflow.DeliveryError.
func (s *Sender) Deliver(ctx context.Context, m workflow.Mail) error {
	if s.o.Server == nil {
		return &workflow.DeliveryError{Reply: errNotConfigured.Error(), Cause: errNotConfigured}
	}
	if m.Application == nil {
		return &workflow.DeliveryError{Reply: "the mail has no application", Cause: errors.New("notify: a mail without an application")}
	}
	e, err := s.seal(m, time.Now())
	if err != nil {
		// A fault of ours or of the settings can be mended while the message
		// waits; an address that is none cannot.
		return &workflow.DeliveryError{Permanent: errors.Is(err, errRecipient), Reply: words(err.Error()), Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.TotalTimeout)
	defer cancel()
	if f := s.deliver(ctx, e); f != nil {
		return f.delivery()
	}
	return nil
}

// deliver uses a kept connection or opens one. A kept one that turns out dead
// before anything was taken is replaced by a fresh one, once.
func (s *Sender) deliver(ctx context.Context, e envelope) *failure {
	if kept := s.pool.take(); kept != nil {
		f := s.transact(ctx, kept, e)
		if f == nil || !f.stale() || ctx.Err() != nil {
			return f
		}
	}
	fresh, err := s.open(ctx)
	if err != nil {
		var f *failure
		errors.As(err, &f)
		return f
	}
	return s.transact(ctx, fresh, e)
}

// transact sends one mail on c and then keeps or ends c.
func (s *Sender) transact(ctx context.Context, c *conn, e envelope) *failure {
	stop := c.watch(ctx)
	f := s.exchange(ctx, c, e)
	alive := stop() // false: the context ended and has cut the connection
	switch {
	case f == nil && alive:
		c.sent++
		s.pool.put(c)
	case f == nil:
		c.close()
	case alive && f.at == verbRcpt && f.code != 0 && f.code != 421 && s.reset(ctx, c):
		s.pool.put(c) // the address was refused, the connection is fine
	default:
		c.close()
	}
	return f
}

// exchange is RFC 5321 §3.3: MAIL, RCPT, DATA, each with its own deadline.
func (s *Sender) exchange(ctx context.Context, c *conn, e envelope) *failure {
	if e.utf8 {
		if ok, _ := c.client.Extension("SMTPUTF8"); !ok {
			return &failure{at: verbMail, code: 550, err: errNoUTF8, said: errNoUTF8.Error()}
		}
	}
	c.client.SkipSMTPUTF8(!e.utf8) // asking for it needlessly makes the next hop refuse
	for _, step := range []struct {
		at  verb
		run func() error
	}{
		{verbMail, func() error { return c.client.Mail("<" + e.from + ">") }},
		{verbRcpt, func() error { return c.client.Rcpt("<" + e.to + ">") }},
	} {
		if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
			return fail(step.at, err)
		}
		if err := step.run(); err != nil {
			return fail(step.at, err)
		}
	}
	if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
		return fail(verbData, err)
	}
	w, err := c.client.Data()
	if err != nil {
		return fail(verbData, err)
	}
	// The end of the data gets all the time that is left: a server that scans
	// before it answers has perhaps taken the mail already, and giving up early
	// would send it twice.
	if err := c.arm(ctx, s.o.TotalTimeout); err != nil {
		return fail(verbBody, err)
	}
	if _, err := w.Write(e.data); err != nil {
		return fail(verbBody, err) // without the final dot the server has taken nothing
	}
	if err := w.Close(); err != nil {
		return fail(verbBody, err)
	}
	return nil
}

// reset clears a refused transaction (RSET).
func (s *Sender) reset(ctx context.Context, c *conn) bool {
	if c.arm(ctx, s.o.VerbTimeout/4) != nil {
		return false
	}
	return c.client.Reset() == nil
}

// Ping proves that the server can be used: dial, EHLO, TLS, AUTH, NOOP. The
// error says what is wrong in one line, without secrets.
func (s *Sender) Ping(ctx context.Context) error {
	if s.o.Server == nil {
		return errNotConfigured
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.TotalTimeout)
	defer cancel()
	c, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("smtp: %w", err)
	}
	defer c.watch(ctx)()
	if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
		c.close()
		return fmt.Errorf("smtp: %w", fail(verbNoop, err))
	}
	if err := c.client.Noop(); err != nil {
		c.close()
		return fmt.Errorf("smtp: %w", fail(verbNoop, err))
	}
	go c.quit()
	return nil
}
