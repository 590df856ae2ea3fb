package notify_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/notify"
	"github.com/resetflow/resetflow/workflow"
)

func TestConnectionsAreKept(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{STARTTLS: true})
	s := sender(t, server.URL(), trusting(server.Roots()))
	for range 5 {
		if err := s.Deliver(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	if n := server.Connections(); n != 1 || len(server.Mails()) != 5 {
		t.Errorf("%d connections for %d mails", n, len(server.Mails()))
	}
}

func TestAConnectionEndsAfterAHundredMails(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), nil)
	for range 101 {
		if err := s.Deliver(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections for 101 mails", n)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), func(o *notify.Options) { o.IdleTimeout = 20 * time.Millisecond })
	if err := s.Deliver(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(15 * time.Second); len(server.Commands("QUIT")) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the idle connection stays open")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestARefusedAddressKeepsTheConnection(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), nil)
	server.SetFault("RCPT", testkit.Fault{Code: 550, Text: "no such user", Times: 1})
	if d := refusal(t, s.Deliver(t.Context(), letter())); !d.Permanent {
		t.Fatalf("%+v", d)
	}
	if err := s.Deliver(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A kept connection that died is replaced at once, and nothing is sent twice.
func TestStaleConnectionIsReplaced(t *testing.T) {
	for name, verb := range map[string]string{"kept connection cut": "MAIL", "cut before data": "DATA"} {
		t.Run(name, func(t *testing.T) {
			server := testkit.NewSMTP(t, testkit.SMTPOptions{})
			s := sender(t, server.URL(), nil)
			if err := s.Deliver(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			server.SetFault(verb, testkit.Fault{Drop: true, Times: 1})
			if err := s.Deliver(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			if len(server.Mails()) != 2 || server.Connections() != 2 {
				t.Errorf("%d mails over %d connections", len(server.Mails()), server.Connections())
			}
			server.SetFault(verb, testkit.Fault{Code: 421, Text: "closing", Times: 1})
			if err := s.Deliver(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			server.SetFault(verb, testkit.Fault{Drop: true}) // always: one fresh try, then the truth
			if d := refusal(t, s.Deliver(t.Context(), letter())); d.Permanent {
				t.Errorf("%+v", d)
			}
			if n := server.Connections(); n != 4 {
				t.Errorf("%d connections, want 4", n)
			}
		})
	}
}

func TestDropAfterAcceptanceIsSentOnce(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), nil)
	server.SetFault("ACCEPTED", testkit.Fault{Drop: true})
	for range 2 {
		if err := s.Deliver(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(server.Mails()); n != 2 {
		t.Errorf("%d mails accepted for 2 deliveries", n)
	}
	server.SetFault("ACCEPTED", testkit.Fault{})
	server.SetFault("QUIT", testkit.Fault{Code: 500, Text: "no"})
	if err := s.Deliver(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if n := len(server.Mails()); n != 3 {
		t.Errorf("%d mails accepted for 3 deliveries", n)
	}
}

// A connection cut before the 250 proves nothing: the message is tried again
// later, under the same Message-ID, and not at once.
func TestDropBeforeAcceptanceIsTemporary(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), nil)
	if err := s.Deliver(t.Context(), letter()); err != nil {
		t.Fatal(err)
	}
	server.SetFault("BODY", testkit.Fault{Drop: true, Times: 1})
	if d := refusal(t, s.Deliver(t.Context(), letter())); d.Permanent || !strings.Contains(d.Reply, "lost") {
		t.Errorf("%+v", d)
	}
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections: it was tried again at once", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), func(o *notify.Options) { o.VerbTimeout, o.TotalTimeout = 10*time.Second, 20*time.Second })
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			for range 4 {
				if err := s.Deliver(t.Context(), letter()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(server.Mails()); n != 96 {
		t.Errorf("%d mails", n)
	}
}

func TestRecipientIsChecked(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{NoUTF8: true})
	s := sender(t, server.URL(), nil)
	for _, to := range []string{"", "a@x.org,b@y.org", "v@x.org\r\nBcc: e@evil.org", "v@x.org\nRCPT TO:<e@evil.org>", "v@x.org\u2028", "v@x.org\u0085",
		"t@x.org> ORCPT=rfc822;e@evil.org", "Ada <ada@example.com>", "<ada@example.com>", "ada", `"a b"@x.org`, "ada@[127.0.0.1]"} {
		m := letter()
		m.Message.To = to
		if d := refusal(t, s.Deliver(t.Context(), m)); !d.Permanent {
			t.Errorf("%q: %+v", to, d)
		}
	}
	if server.Connections() != 0 {
		t.Error("a poisoned recipient opened a connection")
	}
	m := letter()
	m.Message.To = "ü@example.com"
	if d := refusal(t, s.Deliver(t.Context(), m)); !d.Permanent || !strings.Contains(d.Reply, "SMTPUTF8") {
		t.Errorf("%+v", d)
	}

	able := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s = sender(t, able.URL(), nil)
	for _, to := range []string{"ü@example.com", "ada@münchen.example", "Ada.Lovelace@example.com"} {
		m.Message.To = to
		if err := s.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	able.Wait(t, "ü@example.com", "")
	able.Wait(t, "ada@xn--mnchen-3ya.example", "")
	able.Wait(t, "Ada.Lovelace@example.com", "")
	for i, line := range able.Commands("MAIL FROM") {
		if strings.Contains(line, "SMTPUTF8") != (i == 0) {
			t.Errorf("%d: %s", i, line)
		}
	}
}

func TestInjectionThroughNames(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, server.URL(), nil)
	evil := "V\r\nBcc: e@evil.org\r\n\r\n.\r\nMAIL FROM:<x@evil.org>\u202e\u0085\u2028"
	for _, kind := range workflow.MessageKinds() {
		m := letter()
		m.Message.Kind = kind
		m.Message.Name, m.Application.Name, m.Message.Device, m.Message.Place = evil, evil, evil, evil
		if err := s.Deliver(t.Context(), m); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
	}
	mails := server.Mails()
	if len(mails) != 5 || len(server.Commands("RCPT TO")) != 5 || len(server.Commands("MAIL FROM:<no-reply@acme.test>")) != 5 {
		t.Fatalf("%d mails, %q", len(mails), server.Commands("RCPT TO"))
	}
	for _, m := range mails {
		if _, there := m.Header["Bcc"]; there || len(m.EnvelopeTo) != 1 || m.EnvelopeTo[0] != "ada@example.com" || strings.ContainsRune(m.Subject, '\u202e') {
			t.Errorf("%s: %+v", m.Kind, m.Header)
		}
	}
}
