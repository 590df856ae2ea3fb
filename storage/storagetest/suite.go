// Package storagetest is what every store must do. It speaks the domain's
// ports alone and is run on SQLite and on PostgreSQL.
//
// Two rules it keeps: contenders in a race are handed the same version, read
// before the race, or a broken store would pass by luck; and a test of what must
// not happen looks afterwards, through a reading of its own.
package storagetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Port is everything a store offers.
type Port interface {
	workflow.Store
	workflow.Ledger
	workflow.Sweeping
	workflow.Limiter
	workflow.Registry
	workflow.APIKeys
	workflow.History
	Audit(ctx context.Context, entries ...workflow.AuditEntry) error
}

// Backend is an empty store to be tested.
type Backend struct {
	Port
	// Node opens one more node on the same database, its cache kept fresh.
	Node func() Port
	// Jobs counts the jobs that are committed.
	Jobs func() int
	// FailJobs makes the queue refuse every job from now on (nil: take them again).
	FailJobs func(err error)
	// SetNow sets the clock that stamps what is written.
	SetNow func(now time.Time)
}

// Run runs the suite; open makes a fresh backend for each test.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, b Backend)
	}{
		{"round trip", testRoundTrip},
		{"versions", testVersions},
		{"contenders for a version", testContenders},
		{"stale writes nothing", testStaleWritesNothing},
		{"one live request", testLive},
		{"replacing the live request", testReplacing},
		{"contenders for the live request", testLiveContenders},
		{"rollback", testRollback},
		{"failing queue", testFailingQueue},
		{"saving leaves attempts", testSavingLeavesAttempts},
		{"budget of attempts", testBudget},
		{"attempts are exact", testAttempts},
		{"attempts survive a rollback", testAttemptsSurvive},
		{"lifetime is half-open", testHalfOpen},
		{"other live requests", testOthers},
		{"by hash", testByHash},
		{"login after reset", testRedeem},
		{"ledger", testLedger},
		{"overdue and unsettled", testSweep},
		{"pruning", testPrune},
		{"limit is exact", testLimitExact},
		{"limits all or none", testAllOrNone},
		{"limits race all or none", testAllOrNoneRace},
		{"limit returns and refills", testLimitRefill},
		{"limit order and waits", testRefusal},
		{"limits join a transaction", testLimitJoins},
		{"limit shared by all", testLease},
		{"applications", testApplications},
		{"applications on two nodes", testApplicationNodes},
		{"deleting an application", testDelete},
		{"keys", testKeys},
		{"history", testHistory},
		{"tenants", testTenants},
		{"odd texts", testOddTexts},
		{"times", testTimes},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

const app = "acme"

var ctx = context.Background()

// start is a time of the present, as exact as it is stored.
func start() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// challenged is a request as the engine makes one, with every field set.
func challenged(account string) workflow.Request {
	now := start()
	return workflow.Request{
		Application: app, ID: workflow.NewID(now), Flow: "email_otp", Origin: workflow.OriginUser, State: workflow.StateChallenged, Version: 1,
		Email: account + "@example.test", AccountID: account, Generation: []byte{1, 0, 255}, KeyID: "k1",
		Sends: 1, LinkSent: true, MaxAttempts: 5, Locale: "pt-BR", RedirectURL: "https://app.example.test/in?a=1", ClientIP: "2001:db8::1",
		UserAgent: "Mozilla/5.0 (ünïcode)", Actor: "key:1", Reason: "asked for", CreatedAt: now, ExpiresAt: now.Add(10 * time.Minute),
		SkipConfirmation: true, AuthSession: true, DisownedAt: start().Add(time.Minute),
	}
}

func message(r workflow.Request) workflow.Message {
	now := start()
	return workflow.Message{
		Application: r.Application, ID: workflow.NewID(now), RequestID: r.ID, AccountID: r.AccountID, Kind: workflow.KindResetCode, State: workflow.MessageQueued,
		Send: 1, WithLink: true, NoCode: true, To: r.Email, Name: "Ann", Locale: "de", Device: "Firefox", Place: "192.0.2.0/24",
		NextTry: now.Add(time.Second), CreatedAt: now, ExpiresAt: now.Add(time.Minute),
	}
}

func entry(r workflow.Request) workflow.AuditEntry {
	return workflow.AuditEntry{
		Application: r.Application, ID: workflow.NewID(start()), At: start(), Event: "authn_password_change", RequestID: r.ID, AccountID: r.AccountID,
		Actor: "page", ClientIP: "192.0.2.1", Move: workflow.EventClaim, From: workflow.StateChallenged, To: workflow.StateApplying, Cause: "code",
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", what, err, want)
	}
}

func insert(t *testing.T, b Backend, rows ...workflow.Request) {
	t.Helper()
	must(t, b.Commit(ctx, workflow.Commit{New: rows}))
}

func load(t *testing.T, b Port, r workflow.Request) workflow.Request {
	t.Helper()
	got, _, err := b.Request(ctx, r.Application, workflow.Locator{ID: r.ID})
	must(t, err)
	return got
}

// race runs n calls at once and returns their errors.
func race(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(1)
	for i := range n {
		done.Go(func() {
			ready.Wait()
			errs[i] = call(i)
		})
	}
	ready.Done()
	done.Wait()
	return errs
}

// won counts the calls without an error; every other must have failed with want.
func won(t *testing.T, errs []error, want error) int {
	t.Helper()
	n := 0
	for _, err := range errs {
		if err == nil {
			n++
		} else if !errors.Is(err, want) {
			t.Errorf("lost with %v, want %v", err, want)
		}
	}
	return n
}
