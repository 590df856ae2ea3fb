package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/resetflow/resetflow/workflow"
)

type usersCommand struct {
	Import importCommand `cmd:"" help:"Import users from CSV or JSON lines, with their existing password hashes."`
}

type importCommand struct {
	target
	Application string `short:"a" required:"" placeholder:"SLUG" help:"The application the users belong to."`
	DryRun      bool   `help:"Judge every row and import none."`
	File        string `arg:"" help:"CSV with a header, or one JSON object a line; - reads standard input."`
}

// Help describes the two forms.
func (importCommand) Help() string {
	return `CSV:        email,password_hash,name,locale,disabled,orgs
            ada@example.com,$2b$12$…,Ada,en,false,sales;support
JSON lines: {"email":"ada@example.com","passwordHash":"$argon2id$…","name":"Ada","orgs":["sales"]}

Only the address is required. A user without a hash signs in elsewhere: there is
no password to reset.
Hashes: argon2id in PHC form, bcrypt. A bad row is listed with its line and left
out, the others are imported; the exit code is 1 if any was bad.`
}

// Run imports row by row: each is a commit of its own, so that an import that
// breaks off can be run again and lists what is there already.
func (c importCommand) Run(ctx context.Context, w *world) error {
	source, size, err := openImport(c.File, w.stdin)
	if err != nil {
		return wrongUsage(err)
	}
	defer func() { _ = source.Close() }()
	counted := &countingReader{Reader: source}
	rows, err := newRowReader(counted)
	if err != nil {
		return wrongUsage(fmt.Errorf("%s:%w", c.File, err))
	}
	in, err := c.open(ctx, w)
	if err != nil {
		return err
	}
	defer in.close()
	if _, err := in.application(ctx, c.Application); err != nil {
		return because(notFound(c.Application, err))
	}
	run := importRun{importCommand: c, w: w, in: in, seen: map[string]int{}, progress: newProgress(w.stderr, size)}
	return run.all(ctx, rows, counted)
}

type importRun struct {
	importCommand
	w         *world
	in        installation
	seen      map[string]int // canonical address → line, of a dry run
	progress  *progress
	good, bad int
}

func (r *importRun) all(ctx context.Context, rows rowReader, counted *countingReader) error {
	for {
		row, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.one(ctx, row)
		}
		var fault rowFault
		switch {
		case err == nil:
			r.good++
		case errors.As(err, &fault):
			r.bad++
			r.progress.clear()
			fmt.Fprintf(r.w.stderr, "%s:%d: %s\n", r.File, row.line, printable(fault.Error()))
		case ctx.Err() != nil:
			r.progress.clear()
			return fmt.Errorf("%s:%d: interrupted after %s; run the import again, what is there already is listed as such", r.File, row.line, count(r.good, "imported user"))
		default:
			r.progress.clear()
			return fmt.Errorf("%s:%d: stopped here after %s: %w; mend it and run the import again", r.File, row.line, count(r.good, "imported user"), because(err))
		}
		r.progress.show(counted.n, r.good, r.bad)
	}
	r.progress.clear()
	word := "imported"
	if r.DryRun {
		word = "would import"
	}
	fmt.Fprintf(r.w.stdout, "%s %s, %s bad\n", word, count(r.good, "user"), count(r.bad, "row"))
	if r.bad > 0 {
		return told{}
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// one imports or, in a dry run, judges one row. A rowFault is the row's own.
func (r *importRun) one(ctx context.Context, row userRow) error {
	u, err := row.user()
	if err != nil {
		return err
	}
	if r.DryRun {
		if line, twice := r.seen[u.Email]; twice {
			return rowFault{fmt.Errorf("email: stands in line %d already", line)}
		}
		r.seen[u.Email] = row.line
		exists, err := r.in.userExists(ctx, r.Application, u.Email)
		if err == nil && exists {
			return rowFault{errAlreadyThere}
		}
		return err
	}
	err = r.in.createUser(ctx, r.Application, u)
	var refused *workflow.Error
	switch {
	case errors.Is(err, workflow.ErrNotUnique):
		return rowFault{errAlreadyThere}
	case errors.As(err, &refused) && refused.Code == workflow.CodeViolations:
		return rowFault{because(err)}
	}
	return err
}

var errAlreadyThere = errors.New("email: the application has a user with this address already")

func openImport(path string, stdin io.Reader) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: cannot be read: %w", path, errors.Unwrap(err))
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return nil, 0, fmt.Errorf("%s: is not a file; name a CSV file or a file of JSON lines", path)
	}
	return f, info.Size(), nil
}

type countingReader struct {
	io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct {
	out   io.Writer // nil: none
	total int64
	shown int64 // percent, -1 before the first
}

func newProgress(out io.Writer, total int64) *progress {
	p := &progress{total: total, shown: -1}
	if f, ok := out.(*os.File); ok && total > 0 && term.IsTerminal(int(f.Fd())) {
		p.out = out
	}
	return p
}

func (p *progress) show(done int64, good, bad int) {
	percent := int64(100)
	if p.total > 0 {
		percent = min(done*100/p.total, 100)
	}
	if p.out == nil || percent == p.shown && (good+bad)%100 != 0 {
		return
	}
	p.shown = percent
	const width = 30
	bar := make([]byte, width)
	for i := range bar {
		bar[i] = ' '
		if int64(i)*100 < percent*width {
			bar[i] = '='
		}
	}
	fmt.Fprintf(p.out, "\r[%s] %3d %%  %d imported, %d bad", bar, percent, good, bad)
}

func (p *progress) clear() {
	if p.out != nil && p.shown >= 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = -1
	}
}
