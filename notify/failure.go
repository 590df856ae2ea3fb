package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// verb is a step of the exchange, for judging what went wrong in it.
type verb string

const (
	verbDial     verb = "dial"
	verbGreeting verb = "greeting"
	verbHello    verb = "EHLO"
	verbTLS      verb = "STARTTLS"
	verbAuth     verb = "AUTH"
	verbMail     verb = "MAIL"
	verbRcpt     verb = "RCPT"
	verbData     verb = "DATA"
	verbBody     verb = "end of data"
	verbNoop     verb = "NOOP"
)

// maxReply bounds what is kept of the server's words.
const maxReply = 200

// failure is what went wrong at a verb.
type failure struct {
	at   verb
	code int // of the server's reply, 0 where it gave none
	err  error
	said string
}

func (f *failure) Error() string { return string(f.at) + ": " + f.said }
func (f *failure) Unwrap() error { return f.err }

// fail reads an error of a verb.
func fail(at verb, err error) *failure {
	f := &failure{at: at, err: err}
	var reply *textproto.Error
	switch {
	case errors.As(err, &reply):
		f.code = reply.Code
		f.said = words(strconv.Itoa(reply.Code) + " " + reply.Msg)
	default:
		f.said = words(plainCause(err) + " at " + string(at))
	}
	return f
}

// permanent reports whether trying again would be in vain. A refusal of MAIL,
// RCPT or DATA by 5xx is about this message; the same at the greeting, at
// STARTTLS or AUTH, or "authenticate first" (RFC 4954 §6) at MAIL, is about the
// configuration, which somebody can mend while the message waits.
func (f *failure) permanent() bool {
	switch f.at {
	case verbMail, verbRcpt, verbData, verbBody:
		return f.code >= 500 && f.code <= 599 && f.code != 530 && f.code != 534 && f.code != 535 && f.code != 538
	}
	return false
}

// stale reports whether a kept connection had died before the server took
// anything of the message, so that a fresh one may try at once. A server that
// does not answer is there: it is waited for once, not twice.
func (f *failure) stale() bool {
	if errors.Is(f, os.ErrDeadlineExceeded) {
		return false
	}
	switch f.at {
	case verbMail, verbRcpt, verbData:
		return f.code == 0 || f.code == 421
	}
	return false
}

// delivery makes the port's error of f.
func (f *failure) delivery() *workflow.DeliveryError {
	return &workflow.DeliveryError{Permanent: f.permanent(), Reply: f.said, Cause: f}
}

// plainCause names an error of the network without addresses of the machine.
func plainCause(err error) string {
	var (
		unknownCA *x509.UnknownAuthorityError
		hostname  *x509.HostnameError
		invalid   *x509.CertificateInvalidError
		bad       *tls.CertificateVerificationError
		dns       *net.DNSError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &hostname):
		return "the server's certificate is for another name"
	case errors.As(err, &invalid):
		return "the server's certificate is not valid"
	case errors.As(err, &unknownCA), errors.As(err, &bad):
		return "the server's certificate is not trusted"
	case errors.As(err, &dns):
		return "the server's name was not found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "connection lost"
	case errors.Is(err, errLongReply), errors.Is(err, errNoStartTLS), errors.Is(err, errNoAuth), errors.Is(err, errNoUTF8):
		return err.Error()
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	return "the exchange failed"
}

// words makes what a server said fit for a row and a page: one line, without
// control and direction characters, at most maxReply bytes.
func words(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}), " ")
	if len(s) <= maxReply {
		return s
	}
	s = s[:maxReply]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
