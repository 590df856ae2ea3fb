// Package directorytest is what every directory must do, as tests that run on
// any of them and on both databases.
//
// Run holds the promises of workflow.Directory. RunSessions holds those of a
// directory that keeps sessions (workflow.Sessions) and is administered here
// (workflow.Users). Races give every contender the same already-read state, so
// that a directory without a condition in its update cannot pass by luck.
package directorytest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// World is a fresh directory with everything a test needs around it.
type World struct {
	Directory workflow.Directory
	Users     workflow.Users    // prepares accounts
	Sessions  workflow.Sessions // nil where the directory keeps none
	Clock     *Clock
	Hash      func(password string) string
	// Atomically is the store's transaction, where the directory joins it.
	Atomically func(ctx context.Context, fn func(ctx context.Context) error) error
	// Statements returns the statements since it was called last.
	Statements func() []string
	// Events returns the names of an application's audit events, sorted.
	Events     func(application string) []string
	App, Other *workflow.Application
}

// New makes a world; it is called once for each test.
type New func(t *testing.T) *World

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// The accounts and passwords of the tests.
const (
	alice    = "alice@acme.test"
	rightOne = "the right password"
	newOne   = "a new password"
)

var client = workflow.Client{Actor: "key:test", KeyID: "test", IP: "192.0.2.7"}

// user makes an account with rightOne as its password and returns its id.
func (w *World) user(t *testing.T, app *workflow.Application, email string) string {
	t.Helper()
	u, err := w.Users.CreateUser(t.Context(), app.Slug, workflow.NewUser{Email: email, Name: "Alice", Hash: w.Hash(rightOne)}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func (w *World) find(t *testing.T, email string) workflow.Account {
	t.Helper()
	a, err := w.Directory.Find(t.Context(), w.App, email)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// change is a new password for an account as it is now.
func (w *World) change(a workflow.Account) workflow.PasswordChange {
	now := w.Clock.Now()
	return workflow.PasswordChange{RequestID: workflow.NewID(now), AccountID: a.ID, Generation: a.Generation, Hash: w.Hash(newOne), At: now}
}

// set changes a password as the engine does: in one transaction where the
// directory joins it.
func (w *World) set(ctx context.Context, app *workflow.Application, c workflow.PasswordChange) (r workflow.Revoked, err error) {
	if !w.Directory.Joins() {
		return w.Directory.SetPassword(ctx, app, c)
	}
	err = w.Atomically(ctx, func(ctx context.Context) error {
		r, err = w.Directory.SetPassword(ctx, app, c)
		return err
	})
	return r, err
}

func (w *World) patch(t *testing.T, id string, p workflow.UserPatch) {
	t.Helper()
	if _, err := w.Users.UpdateUser(t.Context(), w.App.Slug, id, p, "admin"); err != nil {
		t.Fatal(err)
	}
}

func (w *World) login(t *testing.T, password string) workflow.Tokens {
	t.Helper()
	tokens, err := w.Sessions.Login(t.Context(), w.App, alice, password, client)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (w *World) alive(accessToken string) bool {
	_, err := w.Sessions.Session(context.Background(), accessToken)
	return err == nil
}

// dead fails unless both tokens of a pair are invalid_grant.
func (w *World) dead(t *testing.T, what string, tokens workflow.Tokens) {
	t.Helper()
	_, err := w.Sessions.Session(t.Context(), tokens.AccessToken)
	wantCode(t, what+": access token", err, workflow.CodeInvalidGrant)
	_, err = w.Sessions.Refresh(t.Context(), w.App, tokens.RefreshToken)
	wantCode(t, what+": refresh token", err, workflow.CodeInvalidGrant)
}

func wantCode(t *testing.T, what string, err error, code workflow.ErrorCode) {
	t.Helper()
	var e *workflow.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func ptr[T any](v T) *T { return &v }
