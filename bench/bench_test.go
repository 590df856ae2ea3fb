package bench

import (
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// Reads and rolled back transactions are no write transactions.
func TestStatementsAreCountedByTransaction(t *testing.T) {
	var s statements
	for _, sql := range []string{
		"BEGIN", "INSERT INTO a VALUES (1)", "SELECT 1", "COMMIT",
		"begin", "update a set b = 1", "rollback",
		"SELECT updated_at FROM a", "-- name: X :one\nUPDATE a SET b = 2", "WITH x AS (SELECT 1) DELETE FROM a",
	} {
		s.see(sql)
	}
	count, writes, texts := s.take()
	if count != 6 || writes != 3 || len(texts) != 10 {
		t.Errorf("%d statements, %d write transactions, %d texts; want 6, 3, 10", count, writes, len(texts))
	}
	if count, writes, texts = s.take(); count+writes+len(texts) != 0 {
		t.Error("taking leaves something behind")
	}
}

func TestAShareIsJudgedByItsInterval(t *testing.T) {
	for _, c := range []struct {
		s        share
		detected bool
	}{
		{share{pairs: 10_000, slower: 5_000}, false},
		{share{pairs: 10_000, slower: 5_150}, false},
		{share{pairs: 10_000, slower: 5_170}, true},
		{share{pairs: 10_000, slower: 4_830}, true},
		{share{pairs: 10_000, slower: 4_900, ties: 200}, false},
		{share{pairs: 100, slower: 60}, false},
	} {
		if c.s.detected() != c.detected {
			t.Errorf("%s: detected is %v", c.s, c.s.detected())
		}
	}
}

func TestTheSinkHandsMailsOverByAddress(t *testing.T) {
	s := newSink(t)
	link, digit := s.expect("ada@acme.test"), s.expect("bob@acme.test")
	nc, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	c := textproto.NewConn(nc)
	send := func(code int, line string) {
		t.Helper()
		if line != "" {
			if err := c.PrintfLine("%s", line); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := c.ReadResponse(code); err != nil {
			t.Fatal(err)
		}
	}
	send(220, "")
	send(250, "EHLO here")
	for _, m := range []struct{ to, body string }{
		{"ada@acme.test", "X-Resetflow-Kind: reset_link\r\n\r\nhttp://h/reset-password?email_auth_code=3DAbc-=\r\n_9z\r\n\r\nsoon"},
		{"bob@acme.test", "X-Resetflow-Kind: reset_code\r\n\r\n20260101 no\r\n  123456\r\n"},
		{"eve@acme.test", "X-Resetflow-Kind: password_updated\r\n\r\n"},
	} {
		send(250, "MAIL FROM:<no-reply@acme.test>")
		send(250, "RCPT TO:<"+m.to+">")
		send(354, "DATA")
		w := c.DotWriter()
		_, _ = io.Copy(w, strings.NewReader(m.body))
		_ = w.Close()
		send(250, "")
	}
	send(221, "QUIT")
	if m := <-link; m.code != "Abc-_9z" || m.kind != "reset_link" {
		t.Errorf("the link's code is %q of %q", m.code, m.kind)
	}
	if m := <-digit; m.code != "123456" {
		t.Errorf("the digits are %q", m.code)
	}
	if s.confirms.Load() != 1 || s.codes.Load() != 2 {
		t.Errorf("%d confirmations, %d codes", s.confirms.Load(), s.codes.Load())
	}
}

// The report itself, small: it must go through on SQLite and name each
// figure. No value is judged.
func TestASmallReport(t *testing.T) {
	s := size{pairs: 9, load: 400 * time.Millisecond, idle: 3, starts: 1}
	out := strings.Builder{}
	lite := measure(t, "SQLite", file(t), file(t), s, io.Discard)
	table(&out, lite, lite)
	for flow, c := range lite.counted {
		if c.statements < 5 || c.writes < 3 || len(c.alone) < 10 {
			t.Errorf("%s: %.1f statements and %.1f write transactions are too few to be true", flow, c.statements, c.writes)
		}
	}
	for _, flow := range flowNames {
		if lite.cheap[flow].count == 0 || lite.standard[flow].count == 0 || lite.pairs[flow].real.pairs != s.pairs {
			t.Errorf("%s: something was not measured: %+v", flow, lite.pairs[flow].real)
		}
	}
	if strings.Count(out.String(), "\n") < 25 || strings.Contains(out.String(), "NaN") {
		t.Errorf("the table is not whole:\n%s", out.String())
	}
}
