package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
)

// beBinary makes the test binary behave as resetflow, so that exit codes,
// signals and the whole process are tested without building it once more.
const beBinary = "RESETFLOWTEST_BE_BINARY"

func TestMain(m *testing.M) {
	if os.Getenv(beBinary) != "" {
		main()
		return
	}
	testkit.Main(m)
}

const (
	testKey   = "NtZpRjpUiXJzXo7UbEfXU3vNvvbQKcqkTtYkvdIC9u8="
	testToken = "a-token-for-tests-of-forty-characters-ok"
	testHash  = "$2b$04$abcdefghijklmnopqrstuuBHGIcEVAw1fPnhIGb2GYA7tf0sY7xGm"
)

// bench is a folder to run resetflow in, with its own environment.
type bench struct {
	t   *testing.T
	dir string
	env []string
}

func newBench(t *testing.T, env ...string) *bench {
	t.Helper()
	dir := t.TempDir()
	return &bench{t, dir, append([]string{beBinary + "=1", "HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}, env...)}
}

func (b *bench) write(name, body string) string {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(body), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return name
}

func (b *bench) command(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	c := exec.Command(self, args...)
	c.Dir, c.Env = b.dir, b.env
	return c
}

// run runs a command to its end and returns its streams and exit code.
func (b *bench) run(args ...string) (stdout, stderr string, code int) {
	b.t.Helper()
	return b.feed("", args...)
}

func (b *bench) feed(stdin string, args ...string) (stdout, stderr string, code int) {
	b.t.Helper()
	c := b.command(args...)
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// ok runs a command that must succeed.
func (b *bench) ok(args ...string) string {
	b.t.Helper()
	stdout, stderr, code := b.run(args...)
	if code != 0 {
		b.t.Fatalf("resetflow %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// fails runs a command that must end with code and one line on stderr that holds want.
func (b *bench) fails(code int, want string, args ...string) {
	b.t.Helper()
	_, stderr, got := b.run(args...)
	if got != code || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
		b.t.Errorf("resetflow %s: exit %d, want %d with one line holding %q; stderr:\n%s", strings.Join(args, " "), got, code, want, stderr)
	}
}

// process is a command that runs until it is told to end.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *safeBuffer
	stderr *safeBuffer
	done   chan struct{}
}

func (b *bench) start(args ...string) *process {
	b.t.Helper()
	p := &process{b.t, b.command(args...), &safeBuffer{}, &safeBuffer{}, make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	b.t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	return p
}

// end waits for the process and returns its exit code.
func (p *process) end() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatalf("the process did not end; stderr:\n%s", p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// reach waits until url answers 200 and returns the body.
func (p *process) reach(url string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return string(body)
			}
		}
		select {
		case <-p.done:
			p.t.Fatalf("the process ended early:\n%s", p.stderr)
		case <-ctx.Done():
			p.t.Fatalf("%s does not answer; stderr:\n%s", url, p.stderr)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freePort returns an address nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
