package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// printed is what a process wrote so far.
type printed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *printed) Write(raw []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(raw)
}
func (p *printed) String() string { p.mu.Lock(); defer p.mu.Unlock(); return p.b.String() }

var curlLine = regexp.MustCompile(`(?m)^  4\. .*curl -s (\S+) -H 'Authorization: (Bearer \S+)' -H 'Content-Type: (\S+)' -d '(.*)'$`)

// What the README says first: one command in a fresh clone. The pages answer,
// the printed call works, the mail is in the inbox, its code resets the
// password, and Ctrl-C ends it and leaves nothing.
func TestDemoFromACleanClone(t *testing.T) {
	t.Parallel()
	folder, temp := filepath.Join(t.TempDir(), "clone"), t.TempDir()
	if out, err := exec.Command("git", "clone", "-q", product.Root(), folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	address := product.FreeAddress(t)
	base := "http://" + address
	demo := exec.Command("go", "run", "./cmd/resetflow", "demo", "--listen", address)
	demo.Dir, demo.Env = folder, append(os.Environ(), "TMPDIR="+temp)
	demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal does, for Ctrl-C reaches all of it
	var out printed
	demo.Stdout, demo.Stderr = &out, &out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = demo.Wait(); close(done) }()
	t.Cleanup(func() { _ = syscall.Kill(-demo.Process.Pid, syscall.SIGKILL); <-done })
	eventually(t, 3*time.Minute, "the demo says how to end it", func() bool {
		select {
		case <-done:
			t.Fatalf("the demo ended: %s", out.String())
		default:
		}
		return strings.Contains(out.String(), "Ctrl-C")
	})
	call := func(method, url, auth, contentType, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, url, strings.NewReader(body)) //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", auth)
		req.Header.Set("Content-Type", contentType)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(raw)
	}
	for _, path := range []string{"/", "/apps/acme/forgot-password", "/dev/inbox"} {
		if status, body := call("GET", base+path, "", "", ""); status != http.StatusOK || !strings.Contains(body, "</html>") {
			t.Errorf("%s answers %d", path, status)
		}
	}
	line := curlLine.FindStringSubmatch(out.String())
	if line == nil {
		t.Fatalf("no call was printed to paste: %s", out.String())
	}
	url, auth, contentType := line[1], line[2], line[3]
	status, body := call("POST", url, auth, contentType, line[4])
	var accepted struct{ RequestCode string }
	if err := json.Unmarshal([]byte(body), &accepted); err != nil || status != http.StatusAccepted {
		t.Fatalf("the printed call answers %d %s", status, body)
	}
	digits := ""
	eventually(t, settled, "the mail is in the inbox", func() bool {
		_, list := call("GET", base+"/dev/inbox", "", "", "")
		if open := regexp.MustCompile(`/dev/inbox/[^/"]+`).FindString(list); open != "" {
			_, mail := call("GET", base+open, "", "", "")
			digits = product.Digits(mail)
		}
		return digits != ""
	})
	status, body = call("POST", base+"/api/v1/password-reset/reset-password", auth, contentType,
		`{"requestCode":"`+accepted.RequestCode+`","verificationCode":"`+digits+`","newPassword":"`+NewPassword+`"}`)
	if status != http.StatusOK {
		t.Errorf("the reset answers %d %s", status, body)
	}
	if status, body = call("POST", base+"/api/v1/auth/login", auth, contentType, `{"email":"ada@example.com","password":"`+NewPassword+`"}`); status != http.StatusOK {
		t.Errorf("the login answers %d %s", status, body)
	}
	if err := syscall.Kill(-demo.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Ctrl-C did not end it")
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "resetflow-demo-*")); len(left) > 0 || !strings.Contains(out.String(), "its folder is removed") {
		t.Errorf("left %v; it said: %s", left, out.String())
	}
	if changed, err := exec.Command("git", "-C", folder, "status", "--porcelain").CombinedOutput(); err != nil || len(changed) > 0 {
		t.Errorf("the demo changed the clone: %v %s", err, changed)
	}
}
