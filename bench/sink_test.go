package bench

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mail is what a caller needs of one delivered mail.
type mail struct {
	kind string
	code string    // of the link, or the digits
	at   time.Time // when the final dot was read
}

// sink is a mail server that does as little as it can: it shares the
// processors with what is measured. It hands mails over by address.
type sink struct {
	listener net.Listener
	waiting  sync.Map // address → chan mail
	confirms atomic.Int64
	codes    atomic.Int64
	last     atomic.Int64 // when the last mail came, unix nanoseconds
}

func newSink(tb testing.TB) *sink {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &sink{listener: l}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *sink) url() string { return "smtp://" + s.listener.Addr().String() + "?tls=off" }

// expect returns where the next mails to address arrive. It must be called
// before the mail is asked for.
func (s *sink) expect(address string) chan mail {
	c := make(chan mail, 4)
	s.waiting.Store(address, c)
	return c
}

func (s *sink) forget(address string) { s.waiting.Delete(address) }

// quiet waits until no mail has come for the given time, at most two minutes.
func (s *sink) quiet(d time.Duration) {
	begin := time.Now()
	for time.Since(begin) < 2*time.Minute {
		since := time.Since(time.Unix(0, s.last.Load()))
		if since >= d && time.Since(begin) >= d {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// serve speaks just enough SMTP (RFC 5321) for one client of ours.
func (s *sink) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReaderSize(nc, 32<<10)
	say := func(line string) bool { _, err := nc.Write([]byte(line + "\r\n")); return err == nil }
	if !say("220 sink ESMTP") {
		return
	}
	var to string
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		answer := "250 ok"
		switch verb := strings.ToUpper(string(line[:min(4, len(line))])); verb {
		case "EHLO":
			answer = "250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8"
		case "RCPT":
			_, after, _ := bytes.Cut(line, []byte("<"))
			address, _, _ := bytes.Cut(after, []byte(">"))
			to = string(address)
		case "DATA":
			if !say("354 go on") {
				return
			}
			body, err := data(r)
			if err != nil {
				return
			}
			s.take(to, body)
			answer = "250 taken"
		case "QUIT":
			say("221 bye")
			return
		}
		if !say(answer) {
			return
		}
	}
}

// data reads up to the line with a single dot.
func data(r *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(line) <= 3 && bytes.Equal(bytes.TrimRight(line, "\r\n"), []byte(".")) {
			return body, nil
		}
		body = append(body, line...)
	}
}

func (s *sink) take(to string, body []byte) {
	now := time.Now()
	s.last.Store(now.UnixNano())
	m := mail{kind: header(body, "X-Resetflow-Kind: "), at: now}
	if m.kind == "password_updated" {
		s.confirms.Add(1)
	} else {
		s.codes.Add(1)
	}
	c, ok := s.waiting.Load(to)
	if !ok {
		return
	}
	switch m.kind {
	case "reset_link":
		m.code = linkCode(body)
	case "reset_code":
		m.code = digits(body)
	}
	select {
	case c.(chan mail) <- m:
	default:
	}
}

func header(body []byte, name string) string {
	_, after, _ := bytes.Cut(body, []byte(name))
	value, _, _ := bytes.Cut(after, []byte("\r\n"))
	return string(value)
}

// linkCode reads the parameter of the first link: the text part comes first, in
// quoted-printable (RFC 2045 §6.7), where "=" is "=3D" and lines may be broken.
func linkCode(body []byte) string {
	_, after, _ := bytes.Cut(body, []byte("email_auth_code="))
	after = bytes.TrimPrefix(after[:min(400, len(after))], []byte("3D"))
	after = bytes.ReplaceAll(after, []byte("=\r\n"), nil)
	end := bytes.IndexFunc(after, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
	return string(after[:max(end, 0)])
}

// digits reads the first line that holds six to eight digits and nothing else.
func digits(body []byte) string {
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) < 6 || len(line) > 8 {
			continue
		}
		if bytes.IndexFunc(line, func(r rune) bool { return r < '0' || r > '9' }) < 0 {
			return string(line)
		}
	}
	return ""
}
