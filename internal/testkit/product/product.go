// Package product builds and runs the real binary for tests and benchmarks, and
// speaks its public contract.
package product

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
)

// Main runs the tests of a package and removes what they built and started.
func Main(m *testing.M) {
	testkit.Main(m, func() {
		if binary.dir != "" {
			_ = os.RemoveAll(binary.dir)
		}
	})
}

// binary is the product, built once for all tests.
var binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

// Build builds the binary once and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	binary.once.Do(func() {
		binary.dir, binary.err = os.MkdirTemp("", "resetflow-e2e-")
		if binary.err != nil {
			return
		}
		binary.path = filepath.Join(binary.dir, "resetflow")
		cmd := exec.Command("go", "build", "-o", binary.path, "./cmd/resetflow")
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			binary.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if binary.err != nil {
		t.Fatal(binary.err)
	}
	return binary.path
}

// Options say how to run the binary; zero values take an SQLite file of its own.
type Options struct {
	Database string   // database.url
	Env      []string // more variables, over the test's own
}

// Root is the project's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Server is one running `resetflow serve`.
type Server struct {
	t     testing.TB
	URL   string
	Admin string
	SMTP  *testkit.SMTP
	env   []string
	dir   string
	Log   *Log
	cmd   *exec.Cmd
	done  chan struct{} // closed when the process has ended
}

// Log is what the process printed.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *Log) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func random(t testing.TB) string {
	t.Helper()
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// Start runs the binary on a database with a mail server of its own.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, Admin: strings.Trim(random(t), "="), dir: t.TempDir(), SMTP: testkit.NewSMTP(t, testkit.SMTPOptions{})}
	if o.Database == "" {
		o.Database = "sqlite:" + filepath.Join(s.dir, "reset.db")
	}
	port := freePort(t)
	s.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	s.env = append(clean(os.Environ()),
		fmt.Sprintf("RESETFLOW_LISTEN=127.0.0.1:%d", port), "RESETFLOW_PUBLIC_URL="+s.URL, "RESETFLOW_DATABASE_URL="+o.Database,
		"RESETFLOW_SECRET_KEYS="+random(t), "RESETFLOW_SMTP_URL="+s.SMTP.URL(), "RESETFLOW_MAIL_FROM=Acme <no-reply@acme.test>",
		"RESETFLOW_ADMIN_TOKEN="+s.Admin, "RESETFLOW_METRICS_LISTEN=", "RESETFLOW_DATABASE_AUTO_MIGRATE=true", "RESETFLOW_LOG_FORMAT=json",
		"RESETFLOW_KDF_ARGON2_MEMORY=1MiB", "RESETFLOW_KDF_ARGON2_TIME=1")
	s.env = append(s.env, o.Env...)
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

func clean(env []string) []string {
	var out []string
	for _, e := range env {
		if !strings.HasPrefix(e, "RESETFLOW_") {
			out = append(out, e)
		}
	}
	return out
}

// For returns s reporting to another test.
func (s *Server) For(t testing.TB) *Server {
	copied := *s
	copied.t = t
	return &copied
}

// Run starts the process again after Kill or Stop.
func (s *Server) Run() {
	s.t.Helper()
	s.cmd = exec.Command(Build(s.t), "serve")
	s.cmd.Dir, s.cmd.Env = s.dir, s.env
	s.Log = &Log{}
	s.cmd.Stdout, s.cmd.Stderr = s.Log, s.Log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	go func() { _ = cmd.Wait(); close(done) }()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(s.URL + "/healthz") //nolint:noctx // loopback, polled with an end
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-done:
			s.t.Fatalf("serve ended: %s", s.Log)
		default:
		}
		if time.Now().After(end) {
			s.t.Fatalf("serve is not healthy: %s", s.Log)
		}
	}
}

// Stop ends the process by SIGTERM, where it runs.
func (s *Server) Stop() {
	select {
	case <-s.done:
	default:
		s.Terminate()
	}
}

// Answer is what a call answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	JSON   any
}

// Call sends one request; bearer "" sends no credential.
func (s *Server) Call(method, path, bearer, body string, header map[string]string) Answer {
	s.t.Helper()
	out, err := s.Try(method, path, bearer, body, header)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Must sends an administrator's call and fails the test unless it answers status.
func (s *Server) Must(status int, method, path string, body any) map[string]any {
	s.t.Helper()
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(raw)
	}
	got := s.Call(method, path, s.Admin, text, nil)
	if got.Status != status {
		s.t.Fatalf("%s %s: %d %s", method, path, got.Status, got.Body)
	}
	m, _ := got.JSON.(map[string]any)
	return m
}

// OldPassword is what every account starts with.
const OldPassword = "Old-tulip-harbor-41!"

// NewPassword satisfies the default policy.
const NewPassword = "Brand-new-horse-battery-7"

// Application makes an application with all flows on and generous limits.
func (s *Server) Application(slug string, over map[string]any) {
	s.t.Helper()
	app := map[string]any{
		"application": slug, "name": strings.ToUpper(slug[:1]) + slug[1:],
		"flows":       map[string]any{"email_link": map[string]any{"enabled": true}, "email_otp": map[string]any{"enabled": true}, "direct_code": map[string]any{"enabled": true}},
		"resendAfter": "1s", "redirectUrls": []string{"https://app.acme.test/login"},
		"limits": map[string]any{"perAddress": "10000/h", "perIp": "1000000/h", "perPeer": "1000000/h", "perApplication": "1000000/h", "mailsPerAccount": "10000/h"},
	}
	for k, v := range over {
		app[k] = v
	}
	s.Must(http.StatusCreated, "POST", "/admin/v1/applications", app)
}

// Key makes an API key.
func (s *Server) Key(slug, kind string, permissions ...string) string {
	s.t.Helper()
	body := map[string]any{"name": "test", "type": kind, "permissions": permissions}
	if kind == "publishable" {
		body["allowedOrigins"] = []string{"https://app.acme.test"}
	}
	return s.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+slug+"/keys", body)["key"].(string)
}

// User makes an account with OldPassword.
func (s *Server) User(slug, email string) string {
	s.t.Helper()
	return s.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+slug+"/users", map[string]any{"email": email, "password": OldPassword})["id"].(string)
}

var digitsLine = regexp.MustCompile(`(?m)^\s*(\d{6,8})\s*$`)

// Digits reads the verification code out of a mail's text.
func Digits(text string) string {
	if m := digitsLine.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// LinkCode reads a link's parameter out of a mail's text.
func LinkCode(text, param string) string {
	for _, word := range strings.Fields(text) {
		if _, after, ok := strings.Cut(word, param+"="); ok {
			code, _, _ := strings.Cut(after, "&")
			return code
		}
	}
	return ""
}
