package attacks

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
	"github.com/resetflow/resetflow/notify"
)

// named makes an account with a name.
func (x *World) named(t *testing.T, local, name string) (email string, taken bool) {
	t.Helper()
	email = x.Address(local)
	got := x.Admin("POST", "/users", object("email", email, "name", name, "password", OldPassword))
	if got.Status == http.StatusBadRequest {
		Violated(t, got, "name", "invalid_character")
		return email, false
	}
	statusIs(t, got, http.StatusCreated)
	return email, true
}

// mails asks in both mail flows and returns the mails.
func (x *World) mails(t *testing.T, email string) []notify.ReceivedMail {
	t.Helper()
	x.Proof(email, "email_link")
	x.Proof(email, "email_otp")
	return x.MailsOf(email, "")
}

func TestSMT(t *testing.T) {
	row(t, "SMT-01", "A line break in the recipient", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, s := range []string{`\r\nBcc:` + x.Evil(), `\nBcc:` + x.Evil(), `\rBcc:` + x.Evil(), `\u2028Bcc:` + x.Evil(), `\u0085Bcc:` + x.Evil(), `%0d%0aBcc:` + x.Evil(), `\r\nRCPT TO:<` + x.Evil() + `>`, `> ORCPT=rfc822;` + x.Evil(), `\u0000`} {
			Bad(t, x.Workflow(start, `{"email":"`+v+s+`"}`))
			Bad(t, x.Workflow(start, `{"email":"`+s+v+`"}`))
			Bad(t, x.Call("POST", "/admin/v1/applications/"+x.Slug+"/users", x.Server.Admin, `{"email":"`+v+s+`"}`, nil))
		}
		x.NoMail(v)
	})
	row(t, "SMT-02", "Headers by a name", func(t *testing.T, x *World) {
		x = x.Own()
		sent := 0
		for i, name := range []string{"V\r\nBcc: " + x.Evil(), "V\nSubject: free money", "V\u2028Bcc: " + x.Evil(), "V\u0085X: y", "V Bcc: " + x.Evil(), "=?utf-8?q?V=0d=0aBcc:=20e=40evil.example.org?=", "V\\r\\nBcc: x", "\"V\" <" + x.Evil() + ">,"} {
			email, taken := x.named(t, fmt.Sprint("v", i), name)
			if !taken {
				continue
			}
			for _, m := range x.mails(t, email) {
				sent++
				if m.Header.Get("Bcc") != "" || m.Header.Get("Cc") != "" || len(m.Header["To"]) != 1 || m.To != "<"+email+">" && m.To != email {
					t.Errorf("%q: %v", name, m.Header)
				}
			}
		}
		for i, name := range []string{"Acme\r\nBcc: " + x.Evil(), "Acme\u2028", "Ac\u202eme"} {
			Has(t, "an application's name", x.Admin("PATCH", "", object("name", name)), http.StatusBadRequest)
			_ = i
		}
		x.Idle()
		if rcpt := x.SMTP.Commands("RCPT"); len(rcpt) != sent || strings.Contains(strings.Join(rcpt, " "), "evil") {
			t.Errorf("%d mails with recipients %v", sent, rcpt)
		}
	})
	row(t, "SMT-04", "A dot that ends the mail", func(t *testing.T, x *World) {
		x = x.Own()
		sent := 0
		for i, name := range []string{".", "..", ".\u00a0.", ".MAIL FROM:<" + x.Evil() + ">", "\n.\nMAIL FROM:<" + x.Evil() + ">", "\r\n.\r\n", "= .", "=0D=0A.=0D=0A"} {
			email, taken := x.named(t, fmt.Sprint("v", i), name)
			if !taken {
				continue
			}
			for _, m := range x.mails(t, email) {
				sent++
				if !strings.Contains(string(m.Raw), "text/html") || m.HTML == "" || bytes.Contains(m.Raw, []byte("\n.\r")) {
					t.Errorf("%q cut the mail", name)
				}
			}
		}
		x.Idle()
		if from := x.SMTP.Commands("MAIL FROM"); len(from) != sent || strings.Contains(strings.Join(from, " "), "evil") {
			t.Errorf("%d mails from %v", sent, from)
		}
	})
	row(t, "SMT-05", "Markup by a name", func(t *testing.T, x *World) {
		for i, name := range []string{`<a href=//evil.example.org>Click</a><img src=//evil.example.org/x>`, `"><script>alert(1)</script>`, `'onmouseover='x`, `</td></table><h1>Hi`, `<!--`, `&lt;b&gt;`} {
			email, taken := x.named(t, fmt.Sprint("v", i), name)
			if !taken {
				t.Fatalf("%q is refused", name)
			}
			for _, m := range x.mails(t, email) {
				for _, bad := range []string{"<a href=//", "<img", "<script", "<h1>Hi", "<!--<", "<b>", "'onmouseover='"} {
					if strings.Contains(m.HTML, bad) {
						t.Errorf("%q stands in the HTML as %s", name, bad)
					}
				}
				if strings.Contains(m.HTML, "//evil.example.org") || strings.Contains(m.Text, "//evil.example.org") {
					t.Errorf("%q: a mail program would link the name", name)
				}
			}
		}
	})
	row(t, "SMT-07", "Letters that turn or hide", func(t *testing.T, x *World) {
		for i, name := range []string{"Ada\u202emoc.live", "Ada\u200bB", "\u2066Ada\u2069", "Ada\ufeff", "Ada\u200d\u200dB", "Ada\u3164B"} {
			email, taken := x.named(t, fmt.Sprint("v", i), name)
			if !taken {
				continue
			}
			for _, m := range x.mails(t, email) {
				if strings.ContainsAny(m.Text+m.Subject+m.HTML, "\u202e\u200b\u2066\u2069\ufeff\u200d\u3164") {
					t.Errorf("%q reaches the mail", name)
				}
			}
		}
	})
	row(t, "SMT-08", "Long lines and letters that the server does not take", func(t *testing.T, x *World) {
		email, _ := x.named(t, "v", strings.Repeat("𝒜", 200))
		for _, m := range x.mails(t, email) {
			for line := range bytes.SplitSeq(m.Raw, []byte("\r\n")) {
				if len(line) > 998 || bytes.ContainsAny(line, "\n\r") || bytes.ContainsFunc(line, func(r rune) bool { return r > 126 }) {
					t.Errorf("a line of %d bytes: %.80q", len(line), line)
				}
			}
		}
		old := testkit.NewSMTP(t, testkit.SMTPOptions{NoUTF8: true})
		x = x.Own("RESETFLOW_SMTP_URL=" + old.URL())
		x.SMTP = old
		u := x.Person("ü")
		statusIs(t, x.Ask(u, "email_link"), http.StatusAccepted)
		eventually(t, 15*time.Second, "the message is tried", func() bool {
			l := x.Ledger()
			return len(l) > 0 && l[0]["attempts"].(float64) > 0 && l[0]["state"] != "sent"
		})
		w := x.Person("w")
		x.Redeemed(x.Proof(w, "email_link"), w, NewPassword)
		if len(old.Mails()) == 0 || len(x.MailsOf(u, "")) > 0 {
			t.Error("an address the server cannot take was sent")
		}
	})
	row(t, "SMT-10", "A sender of the caller's choice", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, name := range []string{"from", "replyTo", "reply_to", "sender", "returnPath", "subject"} {
			Violated(t, x.Workflow(start, object("email", v, name, x.Evil())), name, "unknown_field")
		}
		got := x.Call("POST", "/api/v1/password-reset/"+start, x.Key, object("email", v), map[string]string{"From": x.Evil(), "Reply-To": x.Evil(), "X-Resetflow-Client-IP": clientIP()})
		statusIs(t, got, http.StatusAccepted)
		if m := x.Next(v, "reset_link", 0); m.From != `"Acme" <no-reply@acme.test>` || m.ReplyTo != "" || m.EnvelopeFrom != "no-reply@acme.test" || m.Header.Get("Sender") != "" {
			t.Errorf("%v", m.Header)
		}
	})
	row(t, "SMT-11", "TLS stripped or forged", func(t *testing.T, x *World) {
		plain := testkit.NewSMTP(t, testkit.SMTPOptions{})
		forged := testkit.NewSMTP(t, testkit.SMTPOptions{STARTTLS: true, Username: "u", Password: "hunter2-canary"})
		other := testkit.NewSMTP(t, testkit.SMTPOptions{ImplicitTLS: true, CertHosts: []string{"mx.evil.example.org"}, Username: "u", Password: "hunter2-canary"})
		for name, s := range map[string]*testkit.SMTP{"smtp://" + plain.Addr(): plain, "smtp://u:hunter2-canary@" + plain.Addr(): plain, forged.URL(): forged, other.URL(): other} {
			y := x.Own("RESETFLOW_SMTP_URL=" + name)
			v := y.Person("v")
			statusIs(t, y.Ask(v, "email_link"), http.StatusAccepted)
			eventually(t, 15*time.Second, "a try", func() bool { l := y.Ledger(); return len(l) > 0 && l[0]["attempts"].(float64) > 0 })
			if l := y.Ledger()[0]; l["state"] != "queued" || l["lastReply"] == "" {
				t.Errorf("%v", l)
			}
			if len(s.Mails()) > 0 || len(s.Commands("MAIL"))+len(s.Commands("AUTH")) > 0 || strings.Contains(s.Wire(), "hunter2") {
				t.Errorf("something crossed: %s", s.Wire())
			}
			if strings.Contains(y.Log.String(), "hunter2") {
				t.Error("the log holds the mail server's password")
			}
		}
	})
	row(t, "SMT-13", "A loop of robots", func(t *testing.T, x *World) {
		v := x.Person("v")
		mails := x.mails(t, v)
		x.Redeem(x.Proof(v, "email_link"), NewPassword)
		for _, m := range append(mails, x.Next(v, "password_updated", 0)) {
			if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("X-Auto-Response-Suppress") != "All" || m.Header.Get("Message-Id") == "" || m.Header.Get("Date") == "" || m.Header.Get("List-Unsubscribe") != "" {
				t.Errorf("%s: %v", m.Kind, m.Header)
			}
		}
		statusIs(t, x.Ask("no-reply@acme.test", "email_link"), http.StatusAccepted)
		x.NoMail("no-reply@acme.test")
	})
	row(t, "SMT-14", "A storm of bounces", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		x.SMTP.SetFault("RCPT", testkit.Fault{Code: 550, Text: "no such user"})
		for i := range 20 {
			statusIs(t, x.Ask(x.Address(fmt.Sprint("u", i)), "email_link"), http.StatusAccepted)
		}
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
		x.Idle()
		l := x.Ledger()
		if len(l) != 1 || l[0]["state"] != "failed" || l[0]["attempts"] != 1.0 {
			t.Errorf("%v", l)
		}
		for _, line := range x.SMTP.Commands("MAIL FROM") {
			if !strings.HasPrefix(line, "MAIL FROM:<no-reply@acme.test>") {
				t.Errorf("the return path is %s", line)
			}
		}
	})
	row(t, "SMT-16", "The code beside the mail", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		m := x.MailsOf(v, "reset_code")[0]
		link := product.LinkCode(m.Text, "email_auth_code")
		for name, values := range m.Header {
			for _, value := range values {
				if strings.Contains(value, p["verificationCode"]) || strings.Contains(value, link) {
					t.Errorf("%s holds the code", name)
				}
			}
		}
		first, _, _ := strings.Cut(strings.TrimSpace(m.Text), "\n")
		if strings.Contains(first, p["verificationCode"]) {
			t.Errorf("a preview shows %s", first)
		}
	})
	row(t, "SMT-17", "Pixels and links elsewhere", func(t *testing.T, x *World) {
		v := x.Person("v")
		mails := x.mails(t, v)
		x.Redeem(x.Proof(v, "email_link"), NewPassword)
		for _, m := range append(mails, x.Next(v, "password_updated", 0)) {
			for _, bad := range []string{"<img", "<script", "<link", "url(", "@import", "background=", "<iframe", "<form"} {
				if strings.Contains(strings.ToLower(m.HTML), bad) {
					t.Errorf("%s: the HTML holds %s", m.Kind, bad)
				}
			}
			for _, part := range strings.Split(m.HTML, `href="`)[1:] {
				if to, _, _ := strings.Cut(part, `"`); !strings.HasPrefix(to, x.URL+"/") && !strings.HasPrefix(to, "mailto:") {
					t.Errorf("%s leads to %s", m.Kind, to)
				}
			}
			if m.Header.Get("X-Auto-Response-Suppress") == "" {
				t.Error("no header")
			}
		}
	})
	row(t, "SMT-19", "Another tenant's words", func(t *testing.T, x *World) {
		y := x.Second()
		x.Patch(map[string]any{"name": "Kingfisher", "mail": map[string]any{"from": "Kingfisher <k@kingfisher.example.com>"}, "locale": "de"})
		y.Patch(map[string]any{"name": "Ptarmigan", "mail": map[string]any{"from": "Ptarmigan <p@ptarmigan.example.com>"}, "locale": "en"})
		worlds, other := []*World{x, y}, []string{"Ptarmigan", "Kingfisher"}
		people := [2][]string{}
		for i, w := range worlds {
			for j := range 6 {
				people[i] = append(people[i], w.Person(fmt.Sprint("v", j)))
			}
		}
		Together(12, func(i int) product.Answer { return worlds[i%2].Ask(people[i%2][i/2], flowNames[i%2]) })
		for i, w := range worlds {
			for _, v := range people[i] {
				m := w.Next(v, "", 0)
				if strings.Contains(string(m.Raw), other[i]) || !strings.Contains(m.Subject+m.Text, []string{"Kingfisher", "Ptarmigan"}[i]) || m.Language != []string{"de", "en"}[i] || !strings.Contains(m.Text, "/apps/"+w.Slug+"/") {
					t.Errorf("%s got %s in %s", v, m.Subject, m.Language)
				}
			}
		}
	})
	row(t, "SMT-20", "HTML alone", func(t *testing.T, x *World) {
		v := x.Person("v")
		otp, link := x.Proof(v, "email_otp"), x.Proof(v, "email_link")
		a, b := x.MailsOf(v, "reset_code")[0], x.MailsOf(v, "reset_link")[0]
		for code, m := range map[string]notify.ReceivedMail{otp["verificationCode"]: a, link["emailAuthCode"]: b} {
			if !strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") || !strings.Contains(m.Text, code) || !strings.Contains(spaced.ReplaceAllString(m.HTML, ""), code) {
				t.Errorf("%s: a part lacks the code", m.Kind)
			}
		}
	})
	row(t, "SMT-22", "A greeting without end", func(t *testing.T, x *World) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		took := make(chan int, 1000)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = conn.Close() }()
					_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
					_, _ = io.WriteString(conn, "220 ")
					all, chunk := 0, []byte(strings.Repeat("x", 64<<10))
					for all < 256<<20 {
						n, err := conn.Write(chunk)
						if all += n; err != nil {
							break
						}
					}
					took <- all
				}()
			}
		}()
		x = x.Own("RESETFLOW_SMTP_URL=smtp://" + l.Addr().String() + "?tls=off")
		statusIs(t, x.Ask(x.Person("v"), "email_link"), http.StatusAccepted)
		select {
		case n := <-took:
			if n > 32<<20 { // what the sockets hold, and little more
				t.Errorf("%d bytes of a greeting were taken", n)
			}
		case <-time.After(20 * time.Second):
			t.Error("the greeting is still read")
		}
		statusIs(t, x.Call("GET", "/healthz", "", "", nil), http.StatusOK)
	})
}

// spaced is what parts digits for the eye.
var spaced = regexp.MustCompile(`&(nbsp|#160|thinsp|#8201|#8239);|[\s\p{Z}]|</?span[^>]*>`)

func TestSMTMore(t *testing.T) {
	row(t, "SMT-x1", "A mail sent twice by a server that stumbles", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		x.SMTP.SetFault("BODY", testkit.Fault{Code: 451, Text: "later", Times: 1})
		p := x.Proof(v, "email_link")
		ids := map[string]bool{}
		for _, line := range x.SMTP.Commands("Message-ID:") {
			ids[line] = true
		}
		if len(ids) != 1 || len(x.MailsOf(v, "")) != 1 || len(x.SMTP.Commands("Message-ID:")) != 2 {
			t.Errorf("%v for %d mails", ids, len(x.MailsOf(v, "")))
		}
		x.Redeemed(p, v, NewPassword)
	})
	row(t, "SMT-x2", "A server that talks to the console", func(t *testing.T, x *World) {
		x = x.Own()
		x.SMTP.SetFault("RCPT", testkit.Fault{Code: 550, Text: "\x1b[2J<script>alert(1)</script>\u202e" + strings.Repeat("y", 900)})
		statusIs(t, x.Ask(x.Person("v"), "email_link"), http.StatusAccepted)
		x.Idle()
		reply := x.Ledger()[0]["lastReply"].(string)
		if len(reply) > 200 || strings.ContainsAny(reply, "\x1b\u202e\r\n") || !strings.HasPrefix(reply, "550 ") {
			t.Errorf("%q", reply)
		}
		if strings.Contains(x.Log.String(), "\x1b") {
			t.Error("the log holds an escape")
		}
	})
	row(t, "SMT-x5", "A goodbye that breaks", func(t *testing.T, x *World) {
		x = x.Own()
		x.SMTP.SetFault("ACCEPTED", testkit.Fault{Drop: true})
		x.SMTP.SetFault("QUIT", testkit.Fault{Code: 500, Text: "what?"})
		for i := range 3 {
			v := x.Person(fmt.Sprint("v", i))
			p := x.Proof(v, "email_link")
			x.Idle()
			if n := len(x.MailsOf(v, "")); n != 1 {
				t.Errorf("%d mails for one request", n)
			}
			x.Redeemed(p, v, NewPassword)
		}
	})
	row(t, "SMT-x4", "A recipient poisoned in the database", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		x.SMTP.SetFault("MAIL", testkit.Fault{Code: 451, Text: "later", Times: 1})
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
		eventually(t, crashless, "the message is tried", func() bool { l := x.Ledger(); return len(l) > 0 && l[0]["attempts"].(float64) > 0 })
		poison := v + "> ORCPT=rfc822;e@evil.example.org\r\nRCPT TO:<e@evil.example.org"
		for _, sql := range []string{`UPDATE accounts SET email = ?`, `UPDATE messages SET recipient = ?`} {
			if err := x.DB.Write(t.Context()).Exec(sql, poison).Error; err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, crashless, "the message is given up", func() bool { return x.Ledger()[0]["state"] != "queued" })
		if rcpt := x.SMTP.Commands("RCPT"); len(rcpt) > 0 || len(x.SMTP.Mails()) > 0 {
			t.Errorf("%v", rcpt)
		}
	})
	row(t, "SMT-x3", "Asking while the mail server hangs", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		x.SMTP.SetFault("DATA", testkit.Fault{Hang: true, Times: 1})
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
		for i := range 10 { // nobody waits for that mail
			w := x.Person(fmt.Sprint("w", i))
			x.Redeemed(x.Proof(w, flowNames[i%3]), w, NewPassword)
		}
	})
}
