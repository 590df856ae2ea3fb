package main

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/internal/password/leaks"
)

// breached runs `resetflow breached build` and returns what it printed.
func breached(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(append([]string{"breached", "build"}, args...), &world{strings.NewReader(stdin), &out, &errs, nil})
	return code, out.String(), errs.String()
}

func TestBreachedBuild(t *testing.T) {
	dir := t.TempDir()
	list, out := filepath.Join(dir, "list.txt"), filepath.Join(dir, "leaked.filter")
	body := fmt.Sprintf("%X:3\r\n%x:1\r\n", sha1.Sum([]byte("harbour tulip 41")), sha1.Sum([]byte("seen once")))
	if err := os.WriteFile(list, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := breached(t, "", list, "--out", out)
	if code != 0 || !strings.Contains(stdout, "2 hashes of 2 lines") || stderr != "" {
		t.Fatalf("%d %q %q", code, stdout, stderr)
	}
	if code, stdout, _ = breached(t, body, "-", "--out", out, "--min-count", "2"); code != 0 || !strings.Contains(stdout, "1 hashes of 2 lines") {
		t.Errorf("by count: %d %q", code, stdout)
	}
	if code, _, stderr = breached(t, "e\u0301clair au caf\u00e9\n", "-", "--plain", "--out", out); code != 0 {
		t.Fatalf("plain: %d %q", code, stderr)
	}
	f, err := leaks.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if known, err := f.Has("\u00e9clair au caf\u00e9"); err != nil || !known {
		t.Errorf("the normal form is not on the list: %v, %v", known, err)
	}
}

func TestBreachedBuildRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "leaked.filter")
	for _, row := range []struct {
		stdin, want string
		code        int
		args        []string
	}{
		{"hunter2\n", "-:1: not a SHA-1", 2, []string{"-", "--out", out}},
		{"\n", "holds nothing", 1, []string{"-", "--out", out}},
		{"x\n", "--min-count", 2, []string{"-", "--plain", "--min-count", "2", "--out", out}},
		{"", "cannot be read", 2, []string{filepath.Join(t.TempDir(), "none"), "--out", out}},
		{"", "--out", 2, []string{"-"}},
	} {
		code, stdout, stderr := breached(t, row.stdin, row.args...)
		if code != row.code || !strings.Contains(stderr, row.want) || strings.Contains(stderr, "hunter2") || stdout != "" && row.want != "--out" {
			t.Errorf("%q: %d %q %q", row.args, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a filter was left")
	}
}

func TestPace(t *testing.T) {
	var out bytes.Buffer
	p := newPace(&out, 100e6)
	at := time.Unix(1e9, 0)
	p.now = func() time.Time { return at }
	for _, step := range []struct {
		stage    leaks.Stage
		n, total int64
		after    time.Duration
	}{{leaks.StageRead, 1e6, 0, 0}, {leaks.StageRead, 25e6, 0, 5 * time.Second}, {leaks.StageRead, 26e6, 0, time.Second},
		{leaks.StageWrite, 1, 4e6, time.Second}, {leaks.StageWrite, 2e6, 4e6, 10 * time.Second}} {
		at = at.Add(step.after)
		p.show(step.stage, step.n, step.total)
	}
	want := "reading: 25.0 MB, 5.0 a second, 25 %, 15s left\nwriting: 2.0 million hashes, 0.2 a second, 50 %, 10s left\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}

func TestABreachedFileThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var c config.Config
	c.Breached.File = path
	_, err := (&service{}).newChecker(c, nil)
	if err == nil || !strings.Contains(err.Error(), "breached.file: ") || !strings.Contains(err.Error(), "resetflow breached build") {
		t.Errorf("%v", err)
	}
	if _, err := (&service{}).newChecker(config.Config{}, nil); err != nil {
		t.Errorf("without a file: %v", err)
	}
}
