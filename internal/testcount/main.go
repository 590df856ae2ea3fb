// Command testcount runs `go test` and says at the end how many tests passed
// and failed. It prints one line for each package and, of what failed, the
// whole output.
//
//	go run ./internal/testcount [-failed NAME]… [go test arguments] [-- more go test arguments]…
//
// Each group between "--" is one run of `go test -json`; the counts are over
// all of them. A subtest is a test. A test that was skipped, or that never came
// to an end, is a failed one, and so is a package that could not be built or
// that failed outside of its tests. -failed counts a check that failed before.
//
// The last line is "N passed, N failed"; the exit status is 0 only when nothing
// failed and something passed.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, groups := arguments(os.Args[1:])
	t := newTally(os.Stdout)
	for _, name := range failed {
		t.fail(name + " failed before the tests; see above")
	}
	for _, group := range groups {
		if err := run(ctx, t, group); err != nil {
			t.fail(err.Error())
		}
	}
	status := t.close()
	stop()
	os.Exit(status)
}

// arguments takes the leading -failed flags off and splits the rest at "--".
func arguments(args []string) (failed []string, groups [][]string) {
	for len(args) > 1 && args[0] == "-failed" {
		failed, args = append(failed, args[1]), args[2:]
	}
	groups = [][]string{nil}
	for _, a := range args {
		if a == "--" {
			groups = append(groups, nil)
			continue
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], a)
	}
	return failed, groups
}

// run feeds one `go test -json` to t. The status of go test alone is no news:
// it is an error only where t saw nothing fail.
func run(ctx context.Context, t *tally, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	// Interrupted, go test ends its test processes; killed, it would leave them behind.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	before := t.failed
	readErr := t.read(out)
	_, _ = io.Copy(io.Discard, out) // a writer nobody reads from would never end
	if err := cmd.Wait(); err != nil && t.failed == before {
		return fmt.Errorf("go test %v: %w", args, err)
	}
	return readErr
}
