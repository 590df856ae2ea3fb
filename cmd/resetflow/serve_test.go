package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
)

func serving(t *testing.T, url string, more ...string) (b *bench, base string) {
	t.Helper()
	addr := freePort(t)
	base = "http://" + addr
	return newBench(t, append([]string{"RESETFLOW_DATABASE_URL=" + url, "RESETFLOW_DATABASE_AUTO_MIGRATE=true", "RESETFLOW_LISTEN=" + addr,
		"RESETFLOW_PUBLIC_URL=" + base, "RESETFLOW_SECRET_KEYS=" + testKey, "RESETFLOW_METRICS_LISTEN="}, more...)...), base
}

// post sends body and returns the answer.
func post(t *testing.T, url, key, body string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

var digitsAlone = regexp.MustCompile(`(?m)^([0-9]{6})\r?$`)

// One full reset through the running service on both databases: mail over a
// real SMTP server, the old session dead, the confirmation sent, a clean end.
func TestServe(t *testing.T) {
	for kind, url := range testkit.Databases(t) {
		t.Run(kind, func(t *testing.T) {
			smtp := testkit.NewSMTP(t, testkit.SMTPOptions{})
			b, base := serving(t, url, "RESETFLOW_SMTP_URL="+smtp.URL(), "RESETFLOW_MAIL_FROM=Acme <no-reply@acme.test>", "RESETFLOW_PORT=1")
			p := b.start("serve")
			p.reach(base + "/readyz")
			b.write("acme.yaml", "application: acme\nflows: {email_otp: {}}\ndefault_flow: email_otp\n")
			b.ok("apply", "-f", "acme.yaml")
			b.write("users.csv", "email,password_hash,name\nada@example.com,"+testHash+",Ada\n")
			b.ok("users", "import", "-a", "acme", "users.csv")
			key := strings.TrimSpace(b.ok("keys", "create", "-a", "acme"))
			status, accepted := post(t, base+"/api/v1/password-reset/request-password-reset", key, `{"email":"ada@example.com"}`)
			if status != http.StatusAccepted {
				t.Fatalf("%d %v", status, accepted)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the log:\n%s\nthe wire:\n%s", p.stderr, smtp.Wire())
				}
			})
			mail := smtp.Wait(t, "ada@example.com", "reset_code")
			code := digitsAlone.FindStringSubmatch(mail.Text)
			if code == nil {
				t.Fatalf("no code in\n%s", mail.Text)
			}
			requestCode, _ := accepted["requestCode"].(string)
			status, done := post(t, base+"/api/v1/password-reset/reset-password", key,
				`{"requestCode":"`+requestCode+`","verificationCode":"`+code[1]+`","newPassword":"vile mango teapot 77"}`)
			if status != http.StatusOK || done["result"] != "LOGIN_REQUIRED" {
				t.Fatalf("%d %v", status, done)
			}
			smtp.Wait(t, "ada@example.com", "password_updated")
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if code := p.end(); code != 0 {
				t.Errorf("exit %d", code)
			}
			log := p.stderr.String()
			for _, secret := range []string{code[1], requestCode, key, testKey, "vile mango"} {
				if strings.Contains(log, secret) {
					t.Errorf("a secret of %d characters stands in the log", len(secret))
				}
			}
			for _, want := range []string{`"resetflow serves"`, `"version":`, strings.TrimPrefix(base, "http://"), "RESETFLOW_PORT: unknown variable", `"stopped"`} {
				if !strings.Contains(log, want) {
					t.Errorf("no %s in the log:\n%s", want, log)
				}
			}
			for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
				if !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
		})
	}
}

func TestReadinessAndMetrics(t *testing.T) {
	metrics := freePort(t)
	b, base := serving(t, "sqlite:resetflow.db", "RESETFLOW_METRICS_LISTEN="+metrics)
	p := b.start("serve")
	if body := p.reach(base + "/readyz"); !strings.Contains(body, "smtp.url is not set; messages wait in the queue") {
		t.Error(body)
	}
	p.reach(base + "/healthz")
	for _, want := range []string{`resetflow_http_requests_total{method="GET",route="/readyz",status="200"}`, "resetflow_build_info", "go_goroutines"} {
		if body := p.reach("http://" + metrics + "/metrics"); !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	res, err := http.Get(base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("metrics on the public listener: %d", res.StatusCode)
	}
}

// A request that runs when SIGTERM comes is answered.
func TestDrain(t *testing.T) {
	b, base := serving(t, "sqlite:resetflow.db")
	p := b.start("serve")
	p.reach(base + "/healthz")
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"email":"a@b.test"}`
	// The head is sent: from now on the request is under way.
	if _, err := io.WriteString(conn, "POST /api/v1/password-reset/request-password-reset HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Authorization: Bearer rfsk_"+strings.Repeat("A", 43)+"\r\nContent-Length: 20\r\n\r\n"+body[:5]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // the server must have read the head; nothing outside shows it
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if _, err := io.WriteString(conn, body[5:]); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 401 ")) {
		t.Errorf("the running request got %v %q", err, answer)
	}
	if code := p.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, p.stderr)
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func demoFolders(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "resetflow-demo-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDemo(t *testing.T) {
	b := newBench(t, "RESETFLOW_LISTEN=ignored")
	addr := freePort(t)
	base := "http://" + addr
	p := b.start("demo", "--listen", addr)
	p.reach(base + "/healthz")
	await(t, "what to click", func() bool { return strings.Contains(p.stdout.String(), "Ctrl-C") })
	out := p.stdout.String()
	for _, want := range []string{base + "/\n", base + "/apps/acme/forgot-password", base + "/dev/inbox", "request-password-reset", "create-password-reset-link",
		"ada@example.com  password ", "bob@example.com  password "} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not print %q:\n%s", want, out)
		}
	}
	if len(demoFolders(t, b.dir)) != 1 {
		t.Error("the demo's folder is not in the temporary folder")
	}
	key := regexp.MustCompile(`API key  (rfsk_\S+)`).FindStringSubmatch(out)[1]
	if status, got := post(t, base+"/api/v1/password-reset/request-password-reset", key, `{"email":"ada@example.com","flow":"email_otp"}`); status != http.StatusAccepted || got["resendAfter"] != 10.0 {
		t.Errorf("%d %v", status, got)
	}
	if status, got := post(t, base+"/api/v1/password-reset/create-password-reset-link", key, `{"email":"bob@example.com"}`); status != http.StatusCreated {
		t.Errorf("%d %v", status, got)
	}
	login := regexp.MustCompile(`ada@example.com  password (\S+)`).FindStringSubmatch(out)[1]
	if status, got := post(t, base+"/api/v1/auth/login", key, `{"email":"ada@example.com","password":"`+login+`"}`); status != http.StatusOK {
		t.Errorf("%d %v", status, got)
	}
	await(t, "the mail in the inbox", func() bool { return strings.Contains(p.reach(base+"/dev/inbox"), "ada@example.com") })
	for _, path := range []string{"/", "/apps/acme/forgot-password"} {
		p.reach(base + path)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.end(); code != 0 || !strings.Contains(p.stdout.String(), "its folder is removed") || len(demoFolders(t, b.dir)) != 0 {
		t.Errorf("exit %d, left %v\n%s", code, demoFolders(t, b.dir), p.stderr)
	}
	if log := p.stderr.String(); log != "" {
		t.Errorf("the demo is not quiet:\n%s", log)
	}
}

// A second Ctrl-C does not wait, and leaves nothing behind either.
func TestDemoSecondInterrupt(t *testing.T) {
	b := newBench(t)
	addr := freePort(t)
	p := b.start("demo", "--listen", addr)
	p.reach("http://" + addr + "/healthz")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /apps/acme/forgot-password HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			break // it has ended already
		}
		time.Sleep(50 * time.Millisecond) // two signals at once would count as one
	}
	p.end()
	if left := demoFolders(t, b.dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestDemoRefusals(t *testing.T) {
	b := newBench(t)
	b.fails(1, "--listen: cannot listen on 127.0.0.1:x", "demo", "--listen", "127.0.0.1:x")
	b.env = append(b.env, "TMPDIR="+filepath.Join(b.dir, "none"))
	b.fails(1, "demo: nothing can be written to "+filepath.Join(b.dir, "none"), "demo", "--listen", freePort(t))
}
