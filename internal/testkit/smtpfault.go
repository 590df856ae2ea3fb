package testkit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Fault is what goes wrong at a verb.
type Fault struct {
	Code  int    // reply with this code and Text, where not 0
	Text  string // without the code
	Hang  bool   // answer nothing until the connection ends
	Drop  bool   // cut the connection
	Times int    // how often; 0 for always
}

// SetFault makes a verb fail from now on; the zero Fault mends it. Verbs:
//
//	GREETING EHLO STARTTLS DATA RSET NOOP QUIT   in clear, before or without TLS
//	AUTH MAIL RCPT                               always
//	BODY                                         the reply after the final dot, nothing kept
//	ACCEPTED with Drop                           kept, 250 sent, then cut
func (s *SMTP) SetFault(verb string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[verb] = f
}

// fault returns a verb's fault and counts it.
func (s *SMTP) fault(verb string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults[verb]
	if f.Times > 0 {
		next := f
		next.Times--
		if next.Times == 0 {
			next = Fault{}
		}
		s.faults[verb] = next
	}
	return f
}

// apply carries a fault out inside a session.
func (s *SMTP) apply(verb string, c net.Conn) error {
	f := s.fault(verb)
	switch {
	case f.Hang:
		<-s.stop
		return errDropped
	case f.Drop:
		_ = c.Close()
		return errDropped
	case f.Code != 0:
		return &smtp.SMTPError{Code: f.Code, EnhancedCode: smtp.NoEnhancedCode, Message: f.Text}
	}
	return nil
}

// faultyListener puts a faultyConn around every connection.
type faultyListener struct {
	net.Listener
	s *SMTP
}

func (l *faultyListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.s.mu.Lock()
		l.s.conns++
		l.s.mu.Unlock()
		switch f := l.s.fault("GREETING"); {
		case f.Hang:
			go func() { <-l.s.stop; _ = c.Close() }()
		case f.Drop:
			_ = c.Close()
		case f.Code != 0:
			_, _ = c.Write(reply(f))
			_ = c.Close()
		default:
			return &faultyConn{Conn: c, s: l.s, clear: !l.s.o.ImplicitTLS}, nil
		}
	}
}

// faultyConn sees the client's lines before the server does.
type faultyConn struct {
	net.Conn
	s       *SMTP
	clear   bool // lines can be read; false once TLS begins
	body    bool // between DATA and the final dot
	partial []byte
	ready   []byte
	drop    atomic.Bool // cut after the next write
}

func (c *faultyConn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if !c.clear {
			return c.Conn.Read(p)
		}
		buf := make([]byte, 4096)
		n, err := c.Conn.Read(buf)
		c.partial = append(c.partial, buf[:n]...)
		if err := c.lines(); err != nil {
			return 0, err
		}
		if err != nil && len(c.ready) == 0 {
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// lines passes full lines on, except those that meet a fault.
func (c *faultyConn) lines() error {
	for {
		i := bytes.IndexByte(c.partial, '\n')
		if i < 0 || !c.clear {
			if !c.clear { // what follows STARTTLS is not ours to read
				c.ready, c.partial = append(c.ready, c.partial...), nil
			}
			return nil
		}
		line := c.partial[:i+1]
		c.partial = c.partial[i+1:]
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(string(line))), " ")
		switch {
		case c.body:
			c.body = strings.TrimRight(string(line), "\r\n") != "."
		case wireVerbs[verb]:
			f := c.s.fault(verb)
			switch {
			case f.Hang:
				<-c.s.stop
				return errDropped
			case f.Drop:
				_ = c.Conn.Close()
				return errDropped
			case f.Code != 0:
				if _, err := c.Conn.Write(reply(f)); err != nil {
					return err
				}
				continue
			}
			c.body, c.clear = verb == "DATA", verb != "STARTTLS"
		}
		c.ready = append(c.ready, line...)
	}
}

// wireVerbs are the verbs that go-smtp's session does not see.
var wireVerbs = map[string]bool{"EHLO": true, "STARTTLS": true, "DATA": true, "RSET": true, "NOOP": true, "QUIT": true}

func (c *faultyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.drop.Load() {
		_ = c.Conn.Close()
	}
	return n, err
}

// dropAfterReply cuts a connection once the next reply is written.
func dropAfterReply(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if f, ok := c.(*faultyConn); ok {
		f.drop.Store(true)
	}
}

func reply(f Fault) []byte { return []byte(strconv.Itoa(f.Code) + " " + f.Text + "\r\n") }

// selfSigned makes a certificate for hosts that only the returned pool trusts.
func selfSigned(t testing.TB, hosts []string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "resetflow test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, roots
}
