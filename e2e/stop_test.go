package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit"
)

// SIGTERM while a request runs and mails wait: the request is answered, the
// process ends well and within its time, and the next start goes on.
func TestStopped(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, kind)
			s.Application("acme", wide)
			key := s.Key("acme", "secret", all...)
			everybody := people(s, "acme", 7)
			// Some mails hang at the mail server, others wait for their next try.
			s.SMTP.SetFault("RCPT", testkit.Fault{Hang: true})
			asks := func(addresses []string) {
				t.Helper()
				for _, email := range addresses {
					if got, err := wants(s, key, email, "email_link"); err != nil || got.Status != http.StatusAccepted {
						t.Fatalf("%v %d %s", err, got.Status, got.Body)
					}
				}
			}
			asks(everybody[:3])
			eventually(t, settled, "three tries", func() bool { return len(s.SMTP.Commands("RCPT")) >= 3 })
			s.SMTP.SetFault("RCPT", testkit.Fault{Code: 450, Text: "4.7.1 later"})
			asks(everybody[3:6])
			eventually(t, settled, "three refusals", func() bool { return len(s.SMTP.Commands("RCPT")) >= 6 })

			last := everybody[6]
			body := fmt.Sprintf(`{"email":%q,"flow":"email_link"}`, last)
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			// Expect: the server says 100 once it reads the body, so that the request surely runs.
			head := fmt.Sprintf("POST /api/v1/password-reset/request-password-reset HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", key, len(body))
			if _, err := io.WriteString(conn, head); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(conn)
			if line, err := reader.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
				t.Fatalf("%v %q", err, line)
			}
			if _, err := reader.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			s.Signal(syscall.SIGTERM)
			eventually(t, settled, "the listener is closed", func() bool {
				c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
				if err == nil {
					_ = c.Close()
				}
				return err != nil
			})
			if _, err := io.WriteString(conn, body); err != nil {
				t.Fatal(err)
			}
			got, err := http.ReadResponse(reader, nil)
			if err != nil || got.StatusCode != http.StatusAccepted {
				t.Fatalf("the running request got %v %v", err, got)
			}
			if code := s.Ended(); code != 0 {
				t.Errorf("exit %d: %s", code, s.Log)
			}
			s.SMTP.SetFault("RCPT", testkit.Fault{})
			s.Run()
			arrived(t, s.SMTP, settled, "reset_link", everybody)
			idle(t, s, "acme", settled)
			for _, email := range everybody {
				if n := len(mails(s.SMTP, email, "reset_link")); n != 1 {
					t.Errorf("%s has %d mails", email, n)
				}
			}
		})
	}
}
