package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output; ends with " [pkg.test]" for test builds
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// part is what is known of one package so far.
type part struct {
	output         map[string][]string // by test; "" for the package
	running        map[string]bool
	passed, failed int
}

// tally counts results and prints them as packages end.
type tally struct {
	out            io.Writer
	parts          map[string]*part
	builds         []string // output of compilers, in order
	passed, failed int
}

func newTally(out io.Writer) *tally { return &tally{out: out, parts: map[string]*part{}} }

// read takes the events of one run. Lines that are no events are printed as they are.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(t.out, "%s", line)
			} else {
				t.take(e)
			}
		}
		if err == io.EOF {
			t.unfinished()
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the output of go test: %w", err)
		}
	}
}

func (t *tally) part(name string) *part {
	p := t.parts[name]
	if p == nil {
		p = &part{output: map[string][]string{}, running: map[string]bool{}}
		t.parts[name] = p
	}
	return p
}

func (t *tally) take(e event) {
	if e.Package == "" {
		if e.Action == "build-output" {
			t.builds = append(t.builds, e.Output)
		}
		return
	}
	p := t.part(e.Package)
	switch e.Action {
	case "run":
		p.running[e.Test] = true
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.end(e, p)
			return
		}
		delete(p.running, e.Test)
		if e.Action == "pass" {
			p.passed++
			delete(p.output, e.Test)
			return
		}
		p.failed++
		t.show(e.Action, e, p.output[e.Test])
		delete(p.output, e.Test)
	}
}

// end closes a package. What failed outside of a test (a build, a panic, a
// TestMain, a time-out) counts once and shows all that the package said.
func (t *tally) end(e event, p *part) {
	cut := make([]string, 0, len(p.running))
	for name := range p.running {
		cut = append(cut, name)
	}
	slices.Sort(cut)
	for _, name := range cut {
		p.failed++
		t.show("never ended", event{Package: e.Package, Test: name}, p.output[name])
	}
	if e.Action == "fail" && p.failed == 0 {
		p.failed++
		t.show("fail", e, append(t.builds, p.output[""]...))
		t.builds = nil
	} else if e.Action == "fail" && len(cut) > 0 {
		t.show("fail", e, p.output[""])
	}
	t.passed += p.passed
	t.failed += p.failed
	delete(t.parts, e.Package)
	switch {
	case p.failed > 0:
		fmt.Fprintf(t.out, "FAIL  %s  %d passed, %d failed  %.1fs\n", e.Package, p.passed, p.failed, e.Elapsed)
	case p.passed > 0:
		fmt.Fprintf(t.out, "ok    %s  %d passed  %.1fs\n", e.Package, p.passed, e.Elapsed)
	}
}

// unfinished counts packages that go test began and never spoke of again.
func (t *tally) unfinished() {
	names := make([]string, 0, len(t.parts))
	for name := range t.parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.end(event{Action: "fail", Package: name}, t.parts[name])
	}
}

func (t *tally) show(what string, e event, output []string) {
	fmt.Fprintf(t.out, "--- %s: %s\n%s", strings.ToUpper(what), strings.TrimSpace(e.Package+" "+e.Test), strings.Join(output, ""))
	if what == "skip" {
		fmt.Fprintln(t.out, "    a test that does not run proves nothing: it counts as failed")
	}
}

// fail counts one thing that went wrong outside of any package.
func (t *tally) fail(what string) {
	t.failed++
	fmt.Fprintln(t.out, "FAIL  "+what)
}

// close prints what is left and the counts, and returns the exit status.
func (t *tally) close() int {
	fmt.Fprint(t.out, strings.Join(t.builds, ""))
	if t.passed == 0 && t.failed == 0 {
		t.fail("no test ran at all")
	}
	fmt.Fprintf(t.out, "\n%d passed, %d failed\n", t.passed, t.failed)
	if t.failed > 0 {
		return 1
	}
	return 0
}
