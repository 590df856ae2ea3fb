package notify_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/notify"
	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var set = func() *templates.Set {
	s, err := templates.New()
	if err != nil {
		panic(err)
	}
	return s
}()

// sender makes a sender for url with short deadlines.
func sender(t *testing.T, url string, change func(*notify.Options)) *notify.Sender {
	t.Helper()
	server, err := notify.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o := notify.Options{Server: &server, From: "Installation <install@mail.test>", Templates: set, Logger: slog.New(slog.DiscardHandler),
		DialTimeout: time.Second, VerbTimeout: 300 * time.Millisecond, TotalTimeout: 2 * time.Second}
	if change != nil {
		change(&o)
	}
	s, err := notify.NewSender(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func trusting(roots *x509.CertPool) func(*notify.Options) {
	return func(o *notify.Options) {
		o.RootCAs = roots
		o.VerbTimeout, o.TotalTimeout = 5*time.Second, 10*time.Second // a handshake on a busy machine
	}
}

func letter() workflow.Mail {
	now := time.Now().Truncate(time.Second)
	app := workflow.DefaultApplication("acme")
	app.Name = "Acme"
	app.Mail = workflow.MailSettings{From: "Acme <no-reply@acme.test>", ReplyTo: "Help <help@acme.test>"}
	return workflow.Mail{
		Application: &app,
		Message:     workflow.Message{ID: workflow.NewID(now), Application: "acme", Kind: workflow.KindResetCode, To: "ada@example.com", Name: "Ada", Locale: "de", CreatedAt: now},
		Code:        "482913", Link: "https://reset.acme.test/r?email_auth_code=abc", NotMeLink: "https://reset.acme.test/not-me?m=abc", ForgotLink: "https://reset.acme.test/forgot",
		RequestedAt: now, ExpiresAt: now.Add(10 * time.Minute), CodeLifetime: 10 * time.Minute, MessageIDDomain: "reset.acme.test",
	}
}

func refusal(t *testing.T, err error) *workflow.DeliveryError {
	t.Helper()
	var d *workflow.DeliveryError
	if !errors.As(err, &d) {
		t.Fatalf("got %v, want a DeliveryError", err)
	}
	return d
}

func TestHeadersAndParts(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	m := letter()
	if err := sender(t, server.URL(), nil).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := server.Wait(t, "ada@example.com", "reset_code")
	for name, want := range map[string]string{
		"From": `"Acme" <no-reply@acme.test>`, "To": "<ada@example.com>", "Reply-To": `"Help" <help@acme.test>`,
		"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "X-Resetflow-Kind": "reset_code",
		"X-Resetflow-Message": m.Message.ID.String(), "Content-Language": "de", "Mime-Version": "1.0",
		"Message-Id": "<" + m.Message.ID.String() + "@reset.acme.test>",
	} {
		if v := got.Header[name]; len(v) != 1 || v[0] != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	for _, name := range []string{"Cc", "Bcc", "User-Agent", "X-Mailer"} {
		if v, there := got.Header[name]; there {
			t.Errorf("%s: %q must not be there", name, v)
		}
	}
	if !strings.HasPrefix(got.Header.Get("Content-Type"), "multipart/alternative") {
		t.Errorf("Content-Type: %s", got.Header.Get("Content-Type"))
	}
	want, _ := set.Render(m)
	if strings.TrimSpace(got.Text) != strings.TrimSpace(want.Text) || strings.TrimSpace(got.HTML) != strings.TrimSpace(want.HTML) || got.Subject != want.Subject {
		t.Errorf("parts differ from what was rendered:\n%s", got.Text)
	}
	if d := time.Since(got.Date); d < -time.Minute || d > time.Minute {
		t.Errorf("Date: %v", got.Date)
	}
	if mails, rcpts := server.Commands("MAIL FROM"), server.Commands("RCPT TO"); len(mails) != 1 || !strings.HasPrefix(mails[0], "MAIL FROM:<no-reply@acme.test>") ||
		len(rcpts) != 1 || rcpts[0] != "RCPT TO:<ada@example.com>" {
		t.Errorf("envelope: %q %q", mails, rcpts)
	}
	for line := range strings.SplitSeq(string(got.Raw), "\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestApplicationWithoutSenderUsesTheInstallations(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	m := letter()
	m.Application.Mail = workflow.MailSettings{}
	if err := sender(t, server.URL(), nil).Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := server.Wait(t, "ada@example.com", "")
	if got.EnvelopeFrom != "install@mail.test" || got.ReplyTo != "" {
		t.Errorf("from %q, reply-to %q", got.EnvelopeFrom, got.ReplyTo)
	}
}

func TestMessageIDIsStableOverTries(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s, m := sender(t, server.URL(), nil), letter()
	server.SetFault("BODY", testkit.Fault{Code: 451, Text: "try later", Times: 1})
	if d := refusal(t, s.Deliver(t.Context(), m)); d.Permanent {
		t.Fatal("451 is temporary")
	}
	if err := s.Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	ids := server.Commands("Message-ID:")
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("Message-IDs: %q", ids)
	}
}

func TestSTARTTLSIsRequired(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	s := sender(t, "smtp://"+server.Addr(), nil)
	d := refusal(t, s.Deliver(t.Context(), letter()))
	if d.Permanent || !strings.Contains(d.Reply, "STARTTLS") {
		t.Errorf("%+v", d)
	}
	if len(server.Commands("MAIL")) != 0 || len(server.Mails()) != 0 {
		t.Error("something was sent in clear")
	}
	if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("Ping: %v", err)
	}
}

func TestTLSAndAuth(t *testing.T) {
	for name, o := range map[string]testkit.SMTPOptions{
		"starttls": {STARTTLS: true, Username: "u", Password: "p%40ss"},
		"implicit": {ImplicitTLS: true, Username: "u", Password: "p%40ss"},
	} {
		t.Run(name, func(t *testing.T) {
			o.Password = "pass"
			server := testkit.NewSMTP(t, o)
			s := sender(t, server.URL(), trusting(server.Roots()))
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Deliver(t.Context(), letter()); err != nil {
				t.Fatal(err)
			}
			server.Wait(t, "ada@example.com", "reset_code")

			wrong := sender(t, strings.Replace(server.URL(), "u:pass", "u:secret-word", 1), trusting(server.Roots()))
			d := refusal(t, wrong.Deliver(t.Context(), letter()))
			if d.Permanent || !strings.HasPrefix(d.Reply, "535") || strings.Contains(d.Error()+fmt.Sprint(d.Cause), "secret-word") {
				t.Errorf("wrong password: %+v", d)
			}
		})
	}
}

func TestWrongCertificateIsRefused(t *testing.T) {
	other := testkit.NewSMTP(t, testkit.SMTPOptions{STARTTLS: true})
	for name, o := range map[string]testkit.SMTPOptions{"starttls": {STARTTLS: true}, "implicit": {ImplicitTLS: true}, "name": {STARTTLS: true, CertHosts: []string{"mx.elsewhere.test"}}} {
		t.Run(name, func(t *testing.T) {
			server := testkit.NewSMTP(t, o)
			roots := other.Roots()
			if name == "name" {
				roots = server.Roots()
			}
			d := refusal(t, sender(t, server.URL(), trusting(roots)).Deliver(t.Context(), letter()))
			if d.Permanent || !strings.Contains(d.Reply, "certificate") {
				t.Errorf("%+v", d)
			}
			if len(server.Commands("MAIL")) != 0 {
				t.Error("something was sent")
			}
		})
	}
}

func TestTLSOffWarnsOnce(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	var log bytes.Buffer
	s := sender(t, server.URL(), func(o *notify.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 2 {
		if err := s.Deliver(t.Context(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "tls=off"); n != 1 {
		t.Errorf("warned %d times: %s", n, &log)
	}
}

func TestTemporaryAndPermanentAtEachVerb(t *testing.T) {
	for _, c := range []struct {
		verb      string
		code      int
		permanent bool
	}{
		{"GREETING", 554, false}, {"GREETING", 421, false},
		{"MAIL", 451, false}, {"MAIL", 550, true}, {"MAIL", 530, false},
		{"RCPT", 450, false}, {"RCPT", 550, true}, {"RCPT", 421, false},
		{"DATA", 451, false}, {"DATA", 554, true},
		{"BODY", 452, false}, {"BODY", 554, true},
	} {
		t.Run(fmt.Sprint(c.verb, c.code), func(t *testing.T) {
			server := testkit.NewSMTP(t, testkit.SMTPOptions{})
			server.SetFault(c.verb, testkit.Fault{Code: c.code, Text: "words\x1b[2J of the server " + strings.Repeat("ü", 300)})
			d := refusal(t, sender(t, server.URL(), nil).Deliver(t.Context(), letter()))
			if d.Permanent != c.permanent || !strings.HasPrefix(d.Reply, fmt.Sprint(c.code)+" words") {
				t.Errorf("%+v", d)
			}
			if len(d.Reply) > 200 || strings.ContainsAny(d.Reply, "\x1b\r\n") {
				t.Errorf("reply: %q", d.Reply)
			}
			if n := len(server.Mails()); n != 0 {
				t.Errorf("%d mails accepted", n)
			}
		})
	}
}

func TestConfigurationFaultsWait(t *testing.T) {
	for verb, o := range map[string]testkit.SMTPOptions{"EHLO": {STARTTLS: true}, "STARTTLS": {STARTTLS: true}, "AUTH": {STARTTLS: true, Username: "u", Password: "p"}} {
		server := testkit.NewSMTP(t, o)
		server.SetFault(verb, testkit.Fault{Code: 554, Text: "no"})
		if d := refusal(t, sender(t, server.URL(), trusting(server.Roots())).Deliver(t.Context(), letter())); d.Permanent {
			t.Errorf("%s: %+v", verb, d)
		}
	}
	unset := sender(t, "smtp://127.0.0.1:1?tls=off", func(o *notify.Options) { o.Server = nil })
	if d := refusal(t, unset.Deliver(t.Context(), letter())); d.Permanent || d.Reply != "SMTP is not configured" {
		t.Errorf("%+v", d)
	}
	if unset.Ping(t.Context()) == nil {
		t.Error("Ping without a server must fail")
	}
	refused := sender(t, "smtp://127.0.0.1:1?tls=off", nil)
	if d := refusal(t, refused.Deliver(t.Context(), letter())); d.Permanent || !strings.Contains(d.Reply, "refused") {
		t.Errorf("%+v", d)
	}
}

func TestHangAtEachVerbEnds(t *testing.T) {
	for _, verb := range []string{"GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			o := testkit.SMTPOptions{}
			if verb == "STARTTLS" || verb == "AUTH" {
				o = testkit.SMTPOptions{STARTTLS: true, Username: "u", Password: "p"}
			}
			server := testkit.NewSMTP(t, o)
			server.SetFault(verb, testkit.Fault{Hang: true})
			s := sender(t, server.URL(), func(o *notify.Options) { o.RootCAs = server.Roots(); o.TotalTimeout = time.Second })
			done := make(chan error, 1)
			go func() { done <- s.Deliver(context.Background(), letter()) }()
			select {
			case err := <-done:
				if d := refusal(t, err); d.Permanent || !strings.Contains(d.Reply, "in time") {
					t.Errorf("%+v", d)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("the delivery hangs")
			}
		})
	}
}

func TestCancellationEndsADelivery(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	server.SetFault("RCPT", testkit.Fault{Hang: true})
	s := sender(t, server.URL(), func(o *notify.Options) { o.VerbTimeout, o.TotalTimeout = time.Hour, time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Deliver(ctx, letter()) }()
	for len(server.Commands("RCPT")) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if d := refusal(t, err); d.Permanent {
			t.Errorf("%+v", d)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("the delivery hangs after its context ended")
	}
}

func TestOverlongReplyIsBounded(t *testing.T) {
	server := testkit.NewSMTP(t, testkit.SMTPOptions{})
	server.SetFault("GREETING", testkit.Fault{Code: 220, Text: strings.Repeat("x", 10<<20)})
	d := refusal(t, sender(t, server.URL(), trusting(nil)).Deliver(t.Context(), letter()))
	if d.Permanent || !strings.Contains(d.Reply, "too long") {
		t.Errorf("%+v", d)
	}
}
