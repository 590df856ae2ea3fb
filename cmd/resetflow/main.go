// Command resetflow is the service and everything one does with it from a
// terminal. It is the one place that wires the packages together and the only
// importer of config; each subcommand has a file of its own.
//
// Manners (contract §2): exit code 0 done, 1 failed, 2 wrong usage or
// configuration; an error is one line on stderr that says how to mend it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// world is what a command sees of its surroundings, so that tests can give it another.
type world struct {
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	environ []string
}

type commands struct {
	Demo       demoCommand       `cmd:"" help:"Try it: everything in a temporary folder, with an inbox to look into."`
	Serve      serveCommand      `cmd:"" help:"Run the service."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database's schema up to date, or see what is missing."`
	Apply      applyCommand      `cmd:"" help:"Create or update applications from YAML."`
	Export     exportCommand     `cmd:"" help:"Print an application as the YAML that apply reads."`
	Keys       keysCommand       `cmd:"" help:"Create, list and revoke API keys."`
	Users      usersCommand      `cmd:"" help:"Import users with their existing password hashes."`
	Audit      auditCommand      `cmd:"" help:"Verify and export the audit trail."`
	Breached   breachedCommand   `cmd:"" help:"Make a filter of leaked passwords from a downloaded list."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`
}

func main() {
	os.Exit(run(os.Args[1:], &world{os.Stdin, os.Stdout, os.Stderr, os.Environ()}))
}

// leave carries the exit code of kong's own ending (--help) out of its parser.
type leave int

// run is main without the process: it returns the exit code.
func run(args []string, w *world) (code int) {
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(leave)
			if !ok {
				panic(r)
			}
			code = int(exit)
		}
	}()
	parser, err := newParser(w)
	if err != nil {
		return report(w, err)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return report(w, wrongUsage(fmt.Errorf("%w; see resetflow --help", err)))
	}
	ctx, stop := interruptible()
	defer stop()
	chosen.BindTo(ctx, (*context.Context)(nil))
	return report(w, chosen.Run())
}

func newParser(w *world) (*kong.Kong, error) {
	return kong.New(&commands{},
		kong.Name("resetflow"),
		kong.Description("Password resets for the users you have, where you have them."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Writers(w.stdout, w.stderr),
		kong.Exit(func(code int) { panic(leave(code)) }),
		kong.Bind(w),
	)
}

// interruptible returns a context that the first SIGINT or SIGTERM ends. The
// second one ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
			return
		}
		<-signals
		atOnce()
		os.Exit(1)
	}()
	return ctx, cancel
}
