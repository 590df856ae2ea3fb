package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/password/leaks"
)

type breachedCommand struct {
	Build breachedBuildCommand `cmd:"" help:"Make a filter from a list of hashes or passwords."`
}

type breachedBuildCommand struct {
	Out      string `required:"" placeholder:"FILTER" help:"Where the filter goes; breached.file in the configuration names it."`
	Plain    bool   `help:"The list holds passwords, one a line."`
	MinCount uint64 `placeholder:"N" help:"Leave out hashes that were seen less often."`
	File     string `arg:"" help:"Lines of a SHA-1 in hex, alone or with :COUNT behind; - reads standard input."`
}

// Help says what it takes and how to go on.
func (breachedBuildCommand) Help() string {
	return `The list is what the downloader of Have I Been Pwned writes: one file of SHA-1
hashes in any order, 40 hex digits and how often each was seen. The filter takes
about 22 bits for each; one password in a million that is not on the list is
taken for one that is.

Memory stays below 100 MiB. While it runs, FILTER.runs beside the filter takes
8 bytes for each hash. FILTER is replaced at the end and not before: a build
that was stopped is simply started again. --min-count makes smaller filters.`
}

// Run builds beside the old filter and replaces it at the end.
func (c breachedBuildCommand) Run(ctx context.Context, w *world) error {
	source, size, err := openImport(c.File, w.stdin)
	if err != nil {
		return wrongUsage(err)
	}
	defer func() { _ = source.Close() }()
	if c.Plain && c.MinCount > 0 {
		return wrongUsage(errors.New("--min-count: a list of passwords has no counts; leave it out"))
	}
	p := newPace(w.stderr, size)
	built, err := leaks.Build(ctx, source, c.Out, leaks.BuildOptions{
		Plain: c.Plain, MinCount: c.MinCount, Progress: p.show,
		Normal: func(s string) string {
			if normal, err := password.Normal(s); err == nil {
				return normal
			}
			return s
		},
	})
	p.clear()
	var bad *leaks.LineError
	switch {
	case errors.As(err, &bad):
		return wrongUsage(fmt.Errorf("%s:%w", c.File, bad))
	case ctx.Err() != nil:
		return errors.New("stopped; nothing was changed, start it again")
	case err != nil:
		return fmt.Errorf("%s: not made: %w", c.Out, err)
	}
	filter, err := leaks.Open(c.Out)
	if err != nil {
		return err
	}
	defer func() { _ = filter.Close() }()
	_, err = fmt.Fprintf(w.stdout, "%s: %d hashes of %d lines, %.1f MiB; set breached.file to it and restart\n",
		c.Out, filter.Len(), built.Read, float64(built.Bytes)/(1<<20))
	return err
}

// pace shows how far a build is, how fast, and how long it takes still: a line
// that is drawn anew on a terminal, one every ten seconds elsewhere.
type pace struct {
	out      io.Writer
	terminal bool
	size     int64 // of the list in bytes, 0 where unknown
	stage    leaks.Stage
	begun    time.Time // of the stage
	next     time.Time
	now      func() time.Time
}

func newPace(out io.Writer, size int64) *pace {
	p := &pace{out: out, size: size, now: time.Now}
	if f, ok := out.(*os.File); ok {
		p.terminal = term.IsTerminal(int(f.Fd()))
	}
	return p
}

// show draws a stage: bytes read, or values written.
func (p *pace) show(stage leaks.Stage, n, total int64) {
	now := p.now()
	if stage != p.stage {
		p.stage, p.begun, p.next = stage, now, now.Add(time.Second)
	}
	if now.Before(p.next) {
		return
	}
	every := 10 * time.Second
	if p.terminal {
		every = time.Second / 4
	}
	p.next = now.Add(every)
	unit := "million hashes"
	if stage == leaks.StageRead {
		unit, total = "MB", p.size
	}
	rate := float64(n) / max(now.Sub(p.begun).Seconds(), 0.001)
	line := fmt.Sprintf("%s: %.1f %s, %.1f a second", stage, float64(n)/1e6, unit, rate/1e6)
	if total > 0 {
		left := time.Duration(float64(max(total-n, 0)) / rate * float64(time.Second))
		line += fmt.Sprintf(", %d %%, %s left", min(n*100/total, 100), left.Round(time.Second))
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.out, line)
}

func (p *pace) clear() {
	if p.terminal && p.stage != "" {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
