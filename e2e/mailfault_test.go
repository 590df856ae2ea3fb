package e2e

import (
	"io"
	"net"
	"net/http"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// relay listens on an address and passes connections on to another: a mail
// server that was down and is up again.
func relay(t *testing.T, address, to string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				}()
			}
		}
	}()
}

// down starts a service whose mail server is not there yet.
func down(t *testing.T, kind string) (s *product.Server, address string) {
	t.Helper()
	address = product.FreeAddress(t)
	o := product.Options{Env: []string{"RESETFLOW_SMTP_URL=smtp://" + address + "?tls=off"}}
	if kind == "postgres" {
		o.Database = testkit.Postgres(t)
	}
	return product.Start(t, o), address
}

// shape is an answer without what differs from call to call.
func shape(t *testing.T, got product.Answer) []string {
	t.Helper()
	m, ok := got.JSON.(map[string]any)
	if !ok || got.Status != http.StatusAccepted || m["result"] != "ACCEPTED" {
		t.Fatalf("a request is answered %d %s", got.Status, got.Body)
	}
	var out []string
	for k := range m {
		out = append(out, k)
	}
	for k := range got.Header {
		out = append(out, "header "+k)
	}
	sort.Strings(out)
	return out
}

// hidden asks for a known and an unknown address of a flow and compares the answers.
func hidden(t *testing.T, s *product.Server, key, email string, want []string) {
	t.Helper()
	for _, address := range []string{email, "nobody-" + email} {
		got, err := wants(s, key, address, "email_link")
		if err != nil {
			t.Fatal(err)
		}
		if fields := shape(t, got); want != nil && !reflect.DeepEqual(fields, want) {
			t.Errorf("the answer has %v, with a working mail server %v", fields, want)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := s.Call("GET", path, "", "", nil); got.Status != http.StatusOK {
			t.Errorf("%s answers %d %s", path, got.Status, got.Body)
		}
	}
}

func smtpCheck(t *testing.T, s *product.Server) string {
	t.Helper()
	m, _ := s.Call("GET", "/readyz", "", "", nil).JSON.(map[string]any)
	checks, _ := m["checks"].(map[string]any)
	text, _ := checks["smtp"].(string)
	return text
}

// A mail server that is down, slow, refusing or hanging is invisible to the
// caller; every mail arrives once when it is back; /readyz tells.
func TestMailServerFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, address := down(t, kind)
			s.Application("acme", wide)
			key := s.Key("acme", "secret", all...)
			everybody := people(s, "acme", 8)
			hidden(t, s, key, everybody[0], nil)
			eventually(t, settled, "readyz warns about the mail server", func() bool { return strings.HasPrefix(smtpCheck(t, s), "warn: the mail server does not answer") })
			if m := messages(t, s, "acme"); len(m) == 1 && m[0]["state"] != "queued" {
				t.Errorf("the ledger says %v", m[0])
			}
			relay(t, address, s.SMTP.Addr())
			arrived(t, s.SMTP, settled, "reset_link", everybody[:1])
			got, err := wants(s, key, "somebody@else.example.com", "email_link")
			if err != nil {
				t.Fatal(err)
			}
			want := shape(t, got)
			for i, fault := range []struct {
				name, verb string
				testkit.Fault
			}{
				{"refuses the greeting", "GREETING", testkit.Fault{Code: 554, Text: "no service here"}},
				{"is busy", "GREETING", testkit.Fault{Code: 421, Text: "too busy"}},
				{"cuts the connection", "GREETING", testkit.Fault{Drop: true}},
				{"greylists", "RCPT", testkit.Fault{Code: 450, Text: "4.7.1 try again later"}},
				{"has a full disk after the data", "BODY", testkit.Fault{Code: 452, Text: "4.3.1 no room"}},
				{"hangs", "GREETING", testkit.Fault{Hang: true}},
				{"hangs at the recipient", "RCPT", testkit.Fault{Hang: true}},
			} {
				connections, recipients := s.SMTP.Connections(), len(s.SMTP.Commands("RCPT"))
				s.SMTP.SetFault(fault.verb, fault.Fault)
				if fault.verb != "RCPT" { // else the kept connection would do
					s.SMTP.SetFault("MAIL", testkit.Fault{Drop: true})
				}
				hidden(t, s, key, everybody[i+1], want)
				eventually(t, settled, "the service tries a mail server that "+fault.name, func() bool {
					return s.SMTP.Connections() > connections || len(s.SMTP.Commands("RCPT")) > recipients
				})
				s.SMTP.SetFault(fault.verb, testkit.Fault{})
				s.SMTP.SetFault("MAIL", testkit.Fault{})
			}
			arrived(t, s.SMTP, 2*settled, "reset_link", everybody)
			idle(t, s, "acme", settled)
			for _, email := range everybody {
				if n := len(mails(s.SMTP, email, "reset_link")); n != 1 {
					t.Errorf("%s has %d mails", email, n)
				}
			}
			eventually(t, settled, "readyz sees the mail server again", func() bool { return smtpCheck(t, s) == "ok" })
		})
	}
}

// A permanent refusal ends a message: it stands as failed with the server's
// reply and is not tried again. A connection that breaks after the acceptance
// makes no second mail.
func TestMailRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "sqlite")
	s.Application("acme", wide)
	key := s.Key("acme", "secret", all...)
	ledger := func(email string) map[string]any {
		t.Helper()
		var row map[string]any
		eventually(t, settled, "the message to "+email+" is decided", func() bool {
			for _, m := range messages(t, s, "acme") {
				if m["to"] == email && m["state"] != "queued" {
					row = m
				}
			}
			return row != nil
		})
		return row
	}
	for email, fault := range map[string]struct {
		verb, state, reply string
		testkit.Fault
	}{
		"rcpt@example.com": {"RCPT", "failed", "550 5.1.1 no such user", testkit.Fault{Code: 550, Text: "5.1.1 no such user", Times: 1}},
		"data@example.com": {"BODY", "failed", "552 5.3.4 too much", testkit.Fault{Code: 552, Text: "5.3.4 too much", Times: 1}},
		"quit@example.com": {"ACCEPTED", "sent", "accepted", testkit.Fault{Drop: true, Times: 1}},
	} {
		s.User("acme", email)
		s.SMTP.SetFault(fault.verb, fault.Fault)
		hidden(t, s, key, email, nil)
		if row := ledger(email); row["state"] != fault.state || row["lastReply"] != fault.reply || row["attempts"] != 1.0 || row["nextTry"] != nil {
			t.Errorf("%s: the ledger says %v", fault.verb, row)
		}
	}
	// A second try would come after two seconds.
	time.Sleep(3 * time.Second)
	for email, want := range map[string]int{"rcpt@example.com": 0, "data@example.com": 0, "quit@example.com": 1} {
		if got := len(mails(s.SMTP, email, "reset_link")); got != want || ledger(email)["attempts"] != 1.0 {
			t.Errorf("%s: %d mails after %v tries", email, got, ledger(email)["attempts"])
		}
	}
}
