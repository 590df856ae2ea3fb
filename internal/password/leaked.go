package password

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Leaks is where a [Checker] looks for leaked passwords besides the list it
// brings along. Its zero value looks nowhere.
type Leaks struct {
	// File is asked wherever leaks count, nil where there is none.
	File interface {
		Has(password string) (bool, error)
	}
	// Online is asked where a policy says so, and only about a password that
	// nothing else is wrong with.
	Online interface {
		Has(ctx context.Context, password string) (bool, error)
	}
	Logger *slog.Logger // told of failures, at most once a minute
	quiet  *quiet
}

// quiet lets each word through once a minute.
type quiet struct {
	mu   sync.Mutex
	next map[string]time.Time
}

// WithLeaks returns a checker that also looks there.
func (c *Checker) WithLeaks(l Leaks) *Checker {
	with := *c
	with.leaks = l
	with.leaks.quiet = &quiet{next: map[string]time.Time{}}
	return &with
}

func (l Leaks) warn(what string, err error) {
	if l.Logger == nil {
		return
	}
	l.quiet.mu.Lock()
	defer l.quiet.mu.Unlock()
	if now := time.Now(); now.After(l.quiet.next[what]) {
		l.quiet.next[what] = now.Add(time.Minute)
		l.Logger.Warn(what, "error", err)
	}
}

// onFile asks the file. Where it cannot be read, [Checker.Leaked] tells.
func (l Leaks) onFile(normal string) bool {
	if l.File == nil {
		return false
	}
	known, err := l.File.Has(normal)
	if err != nil {
		l.warn("breached.file cannot be read; new passwords are compared with the built-in list alone", err)
		return false
	}
	return known
}

// Leaked reports whether a password that passed [Checker.Check] is known
// outside, where p says to ask. What nobody can tell is no where p fails open,
// with a warning in the log, and [workflow.ErrBusy] where it fails closed: the
// code stays usable and the password can be sent again.
func (c *Checker) Leaked(ctx context.Context, p workflow.PasswordPolicy, password string) (bool, error) {
	if p.Breached == "off" {
		return false, nil
	}
	normal, err := Normal(password)
	if err != nil {
		return false, err
	}
	closed := p.BreachedFail == "closed"
	if closed && c.leaks.File != nil {
		if _, err := c.leaks.File.Has(normal); err != nil {
			c.leaks.warn("breached.file cannot be read; policy.breached_fail is closed, so passwords are refused", err)
			return false, workflow.ErrBusy
		}
	}
	if p.Breached != "online" || c.leaks.Online == nil {
		return false, nil
	}
	known, err := c.leaks.Online.Has(ctx, normal)
	switch {
	case err == nil:
		return known, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case closed:
		c.leaks.warn("breached.url cannot be asked; policy.breached_fail is closed, so passwords are refused", err)
		return false, workflow.ErrBusy
	}
	c.leaks.warn("breached.url cannot be asked; new passwords are compared with the lists here alone", err)
	return false, nil
}
