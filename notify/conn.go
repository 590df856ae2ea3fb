package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// maxReplyBytes bounds what a server may send in one step, TLS handshake
// included; more is an attack or a fault.
const maxReplyBytes = 64 << 10

var (
	errLongReply  = errors.New("the server's reply is too long")
	errNoStartTLS = errors.New("the server does not offer STARTTLS, so nothing was sent; mend it, or write tls=off in smtp.url")
	errNoAuth     = errors.New("the server offers no AUTH mechanism that we know")
	errNoUTF8     = errors.New("the server does not take addresses with other letters than ASCII (SMTPUTF8)")
)

// meteredConn bounds what is read between two calls of reset.
type meteredConn struct {
	net.Conn
	read atomic.Int64
}

func (c *meteredConn) Read(p []byte) (int, error) {
	if c.read.Load() > maxReplyBytes {
		return 0, errLongReply
	}
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// conn is an open connection that said EHLO, switched to TLS and logged in.
type conn struct {
	raw    *meteredConn
	client *smtp.Client
	sent   int         // mails handed over on it
	idle   *time.Timer // closes it while it waits in the pool
}

// arm gives the next verb its time: the shorter of d and what ctx leaves.
func (c *conn) arm(ctx context.Context, d time.Duration) error {
	c.raw.read.Store(0)
	until := time.Now().Add(d)
	if limit, ok := ctx.Deadline(); ok && limit.Before(until) {
		until = limit
	}
	if err := c.raw.SetDeadline(until); err != nil {
		return err
	}
	return ctx.Err() // a cancellation after this finds the new deadline and shortens it
}

// watch makes a cancellation of ctx end a pending read or write at once.
func (c *conn) watch(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.raw.SetDeadline(time.Unix(1, 0)) })
}

func (c *conn) close() { _ = c.raw.Close() }

// quit says goodbye, without waiting long for the answer.
func (c *conn) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(time.Second))
	_ = c.client.Quit()
	c.close()
}

// open dials, greets, protects and logs in. Every error is a *failure.
func (s *Sender) open(ctx context.Context) (*conn, error) {
	dialing, cancel := context.WithTimeout(ctx, s.o.DialTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(dialing, "tcp", s.server.Address())
	if err != nil {
		return nil, fail(verbDial, err)
	}
	c := &conn{raw: &meteredConn{Conn: nc}}
	defer c.watch(ctx)()
	if f := s.greet(ctx, c); f != nil {
		c.close()
		return nil, f
	}
	return c, nil
}

func (s *Sender) greet(ctx context.Context, c *conn) *failure {
	var wire net.Conn = c.raw
	if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
		return fail(verbGreeting, err)
	}
	if s.server.Security == ImplicitTLS {
		secured := tls.Client(c.raw, s.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return fail(verbTLS, err)
		}
		wire = secured
	}
	client, err := smtp.NewClient(wire, s.server.Host)
	if err != nil {
		return fail(verbGreeting, err)
	}
	c.client = client
	if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
		return fail(verbHello, err)
	}
	if err := client.Hello(s.o.Hello); err != nil {
		return fail(verbHello, err)
	}
	if s.server.Security == StartTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return fail(verbTLS, errNoStartTLS)
		}
		if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
			return fail(verbTLS, err)
		}
		if err := client.StartTLS(s.tls); err != nil {
			return fail(verbTLS, err)
		}
	}
	return s.login(ctx, c)
}

// login authenticates where a user is configured. ParseURL has made sure that
// there is TLS; the mechanisms themselves refuse without it once more.
func (s *Sender) login(ctx context.Context, c *conn) *failure {
	if s.server.Username == "" {
		return nil
	}
	if _, secured := c.client.TLSConnectionState(); !secured {
		return fail(verbAuth, errNoStartTLS)
	}
	_, offered := c.client.Extension("AUTH")
	auth := pick(offered, s.server)
	if auth == nil {
		return fail(verbAuth, errNoAuth)
	}
	if err := c.arm(ctx, s.o.VerbTimeout); err != nil {
		return fail(verbAuth, err)
	}
	if err := c.client.Auth(auth); err != nil {
		return fail(verbAuth, err)
	}
	return nil
}

// pick chooses a mechanism: over verified TLS the simplest is as good as any
// and the one that servers get right.
func pick(offered string, s Server) smtp.Auth {
	has := map[string]bool{}
	for _, m := range strings.Fields(strings.ToUpper(offered)) {
		has[m] = true
	}
	switch {
	case has["PLAIN"]:
		return smtp.PlainAuth("", s.Username, s.Password, s.Host, false)
	case has["LOGIN"]:
		return smtp.LoginAuth(s.Username, s.Password, s.Host, false)
	case has["SCRAM-SHA-256"]:
		return smtp.ScramSHA256Auth(s.Username, s.Password)
	case has["SCRAM-SHA-1"]:
		return smtp.ScramSHA1Auth(s.Username, s.Password)
	}
	return nil
}
