package main

import (
	"strings"
	"testing"
)

// count feeds lines to a tally and returns its exit status and what it printed.
func count(t *testing.T, lines ...string) (int, string) {
	t.Helper()
	var out strings.Builder
	c := newTally(&out)
	if err := c.read(strings.NewReader(strings.Join(lines, "\n") + "\n")); err != nil {
		t.Fatal(err)
	}
	return c.close(), out.String()
}

func TestCounts(t *testing.T) {
	const done = `{"Action":"pass","Package":"p","Elapsed":1}`
	for name, c := range map[string]struct {
		lines  []string
		status int
		last   string
		holds  string
	}{
		"passed": {[]string{
			`{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"pass","Package":"p","Test":"A"}`,
			`{"Action":"run","Package":"p","Test":"B"}`, `{"Action":"pass","Package":"p","Test":"B"}`, done,
		}, 0, "2 passed, 0 failed", "ok    p  2 passed  1.0s"},
		"failed, with its words": {[]string{
			`{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"output","Package":"p","Test":"A","Output":"what went wrong\n"}`,
			`{"Action":"fail","Package":"p","Test":"A"}`, `{"Action":"fail","Package":"p","Elapsed":1}`,
		}, 1, "0 passed, 1 failed", "what went wrong"},
		"skipped": {[]string{
			`{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"skip","Package":"p","Test":"A"}`, done,
		}, 1, "0 passed, 1 failed", "SKIP: p A"},
		"not built": {[]string{
			`{"ImportPath":"p [p.test]","Action":"build-output","Output":"undefined: x\n"}`,
			`{"ImportPath":"p [p.test]","Action":"build-fail"}`,
			`{"Action":"output","Package":"p","Output":"FAIL p [build failed]\n"}`, `{"Action":"fail","Package":"p","Elapsed":0}`,
		}, 1, "0 passed, 1 failed", "undefined: x"},
		"a panic": {[]string{
			`{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"output","Package":"p","Output":"panic: oh\n"}`,
			`{"Action":"fail","Package":"p","Elapsed":0}`,
		}, 1, "0 passed, 1 failed", "panic: oh"},
		"cut off":          {[]string{`{"Action":"run","Package":"p","Test":"A"}`}, 1, "0 passed, 1 failed", "NEVER ENDED: p A"},
		"nothing ran":      {[]string{`{"Action":"skip","Package":"p"}`}, 1, "0 passed, 1 failed", "no test ran"},
		"words in between": {[]string{`go: some note`, `{"Action":"run","Package":"p","Test":"A"}`, `{"Action":"pass","Package":"p","Test":"A"}`, done}, 0, "1 passed, 0 failed", "go: some note"},
	} {
		t.Run(name, func(t *testing.T) {
			status, out := count(t, c.lines...)
			lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
			if status != c.status || lines[len(lines)-1] != c.last || !strings.Contains(out, c.holds) {
				t.Errorf("status %d, want %d; the output should hold %q and end with %q:\n%s", status, c.status, c.holds, c.last, out)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	failed, groups := arguments([]string{"-failed", "lint", "-race", "./a", "--", "./b"})
	if len(failed) != 1 || failed[0] != "lint" {
		t.Errorf("failed checks: %v", failed)
	}
	if len(groups) != 2 || strings.Join(groups[0], " ") != "-race ./a" || strings.Join(groups[1], " ") != "./b" {
		t.Errorf("groups: %v", groups)
	}
}
