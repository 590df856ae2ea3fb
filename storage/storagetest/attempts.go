package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

type ctxType = context.Context

var errLost = errors.New("lost")

func testSavingLeavesAttempts(t *testing.T, b Backend) {
	for _, rows := range []int{1, 2} {
		list := []workflow.Request{challenged("ann"), challenged("bob")}[:rows]
		for i := range list {
			list[i].State = workflow.StateDecoy
			list[i].AccountID = ""
		}
		insert(t, b, list...)
		read := load(t, b, list[0]) // before the guesses
		for range 2 {
			if _, ok, err := b.ReserveAttempt(ctx, app, read.ID, start(), guesses); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		list[0], list[0].Attempts = read, 0
		must(t, b.Commit(ctx, workflow.Commit{Saved: list}))
		if got := load(t, b, read); got.Attempts != 2 || got.Version != 2 {
			t.Errorf("%d attempts at version %d after a save, want 2 at 2", got.Attempts, got.Version)
		}
	}
}

func testAttempts(t *testing.T, b Backend) {
	for _, state := range []workflow.State{workflow.StateChallenged, workflow.StateDecoy, workflow.StateRequested, workflow.StateCompleted, workflow.StateSuperseded} {
		r := challenged(string(state))
		r.State = state
		insert(t, b, r)
		now := start()
		seen := make([]int, 50)
		errs := race(50, func(i int) error {
			got, ok, err := b.ReserveAttempt(ctx, app, r.ID, now, guesses)
			if err == nil && !ok {
				return errLost
			}
			seen[i] = got.Attempts
			return err
		})
		if n := won(t, errs, errLost); n != 5 {
			t.Fatalf("%s: %d attempts of 50, want 5", state, n)
		}
		counts := map[int]int{}
		for _, n := range seen {
			counts[n]++
		}
		for n := 1; n <= 5; n++ {
			if counts[n] != 1 {
				t.Errorf("%s: count %d came %d times, want once", state, n, counts[n])
			}
		}
		if got := load(t, b, r); got.Attempts != 5 || got.State != state || got.Version != 1 {
			t.Errorf("%s: row %+v", state, got)
		}
		must(t, b.ReturnAttempt(ctx, app, r.ID, guesses))
		if got, ok, err := b.ReserveAttempt(ctx, app, r.ID, now, guesses); err != nil || !ok || got.Attempts != 5 {
			t.Errorf("%s: after a return: %v %v %d", state, err, ok, got.Attempts)
		}
	}
	none := challenged("none")
	none.MaxAttempts = 0
	insert(t, b, none)
	if _, ok, err := b.ReserveAttempt(ctx, app, none.ID, start(), guesses); ok || err != nil {
		t.Errorf("an attempt where none is counted: %v %v", ok, err)
	}
	mustBe(t, "returning what was not taken", b.ReturnAttempt(ctx, app, none.ID, guesses), workflow.ErrNotFound)
	if _, ok, err := b.ReserveAttempt(ctx, app, workflow.NewID(start()), start(), guesses); ok || err != nil {
		t.Errorf("an attempt of an unknown request: %v %v", ok, err)
	}
}

func testAttemptsSurvive(t *testing.T, b Backend) {
	r := challenged("ann")
	insert(t, b, r)
	if _, ok, err := b.ReserveAttempt(ctx, app, r.ID, start(), guesses); err != nil || !ok {
		t.Fatal(ok, err)
	}
	err := b.Atomically(ctx, func(ctx ctxType) error {
		saved, _, err := b.Request(ctx, app, workflow.Locator{ID: r.ID})
		must(t, err)
		must(t, b.Commit(ctx, workflow.Commit{Saved: []workflow.Request{saved}}))
		return errLost
	})
	mustBe(t, "rolled back", err, errLost)
	if got := load(t, b, r); got.Attempts != 1 || got.Version != 1 {
		t.Errorf("%d attempts at version %d, want 1 at 1", got.Attempts, got.Version)
	}
	// Inside a transaction it could be rolled back, so there it is refused.
	err = b.Atomically(ctx, func(ctx ctxType) error {
		_, ok, err := b.ReserveAttempt(ctx, app, r.ID, start(), guesses)
		if err == nil || ok {
			t.Errorf("reserved inside a transaction: %v %v", ok, err)
		}
		return nil
	})
	must(t, err)
}

func testHalfOpen(t *testing.T, b Backend) {
	r := challenged("ann")
	insert(t, b, r)
	if _, ok, err := b.ReserveAttempt(ctx, app, r.ID, r.ExpiresAt, guesses); ok || err != nil {
		t.Errorf("an attempt at the very end: %v %v", ok, err)
	}
	if _, ok, err := b.ReserveAttempt(ctx, app, r.ID, r.ExpiresAt.Add(-time.Microsecond), guesses); !ok || err != nil {
		t.Errorf("no attempt a microsecond before the end: %v %v", ok, err)
	}
	if list, err := b.Overdue(ctx, r.ExpiresAt.Add(-time.Microsecond), 10); err != nil || len(list) != 0 {
		t.Errorf("overdue before its end: %v %v", list, err)
	}
	if list, err := b.Overdue(ctx, r.ExpiresAt, 10); err != nil || len(list) != 1 {
		t.Errorf("not overdue at its end: %v %v", list, err)
	}
}

func testOthers(t *testing.T, b Backend) {
	r, operator, done, stranger := challenged("ann"), challenged("ann"), challenged("ann"), challenged("bob")
	operator.Origin, operator.State = workflow.OriginOperator, workflow.StateLocked
	done.State = workflow.StateCompleted
	elsewhere := challenged("ann")
	elsewhere.Application = "other"
	insert(t, b, r, operator, done, stranger, elsewhere)
	got, others, err := b.Request(ctx, app, workflow.Locator{ID: r.ID})
	must(t, err)
	if got.ID != r.ID || len(others) != 1 || others[0].ID != operator.ID {
		t.Errorf("got %s with %+v", got.ID, others)
	}
	got, others, err = b.Request(ctx, app, workflow.Locator{ID: done.ID})
	must(t, err)
	if got.ID != done.ID || len(others) != 2 {
		t.Errorf("a finished request: %s with %d others, want 2", got.ID, len(others))
	}
	one, two := challenged(""), challenged("")
	one.State, two.State = workflow.StateLocked, workflow.StateLocked
	insert(t, b, one, two)
	if _, others, err = b.Request(ctx, app, workflow.Locator{ID: one.ID}); err != nil || len(others) != 0 {
		t.Errorf("a decoy has others: %v %v", others, err)
	}
}

func testByHash(t *testing.T, b Backend) {
	r := challenged("ann")
	r.CodeHash = []byte{1, 2, 3}
	insert(t, b, r, challenged("bob")) // bob's has no hash
	got, _, err := b.Request(ctx, app, workflow.Locator{Hashes: [][]byte{{9}, {1, 2, 3}}})
	must(t, err)
	if got.ID != r.ID {
		t.Errorf("got %s", got.ID)
	}
	for _, at := range []workflow.Locator{{}, {Hashes: [][]byte{{}}}, {Hashes: [][]byte{nil}}, {Hashes: [][]byte{{9}}}, {Hashes: [][]byte{}}} {
		_, _, err := b.Request(ctx, app, at)
		mustBe(t, "a locator of nothing", err, workflow.ErrNotFound)
	}
}

func testRedeem(t *testing.T, b Backend) {
	r := challenged("ann")
	r.State, r.CompletedAt = workflow.StateCompleted, start()
	plain := challenged("bob")
	plain.State, plain.CompletedAt, plain.AuthSession = workflow.StateCompleted, start(), false
	open := challenged("cid")
	open.CompletedAt = start()
	insert(t, b, r, plain, open)
	now := start()
	mustBe(t, "not promised", b.RedeemAuthSession(ctx, app, plain.ID, now.Add(-time.Minute), now), workflow.ErrNotFound)
	mustBe(t, "not completed", b.RedeemAuthSession(ctx, app, open.ID, now.Add(-time.Minute), now), workflow.ErrNotFound)
	mustBe(t, "too late", b.RedeemAuthSession(ctx, app, r.ID, r.CompletedAt, now), workflow.ErrNotFound)
	errs := race(16, func(int) error { return b.RedeemAuthSession(ctx, app, r.ID, r.CompletedAt.Add(-time.Microsecond), now) })
	if n := won(t, errs, workflow.ErrNotFound); n != 1 {
		t.Errorf("%d logins of one reset, want 1", n)
	}
	if got := load(t, b, r); !got.AuthSessionUsed.Equal(now) {
		t.Errorf("used at %v, want %v", got.AuthSessionUsed, now)
	}
}

// guesses is a budget that no test of attempts uses up.
var guesses = quota("failed_codes", "guesses", 1_000_000, time.Hour, true)

// A budget is exact over the requests of an account, is given back with its
// attempt, and does not keep an attempt from counting.
func testBudget(t *testing.T, b Backend) {
	must(t, b.Create(ctx, settings(app), "admin"))
	budget := quota("failed_codes", "one account", 7, time.Hour, true)
	var rows []workflow.Request
	for i := range 4 {
		r := challenged(fmt.Sprint("u", i))
		insert(t, b, r)
		rows = append(rows, r)
	}
	now := start()
	errs := race(20, func(i int) error { // 20 attempts on 4 rows with 5 each, 7 units
		got, ok, err := b.ReserveAttempt(ctx, app, rows[i%4].ID, now, budget)
		if err == nil && !ok {
			t.Error("an attempt was refused because of the budget")
		}
		if err == nil && got.Spent {
			return errLost
		}
		return err
	})
	if n := won(t, errs, errLost); n != 7 {
		t.Fatalf("%d units of 7 were taken", n)
	}
	must(t, b.ReturnAttempt(ctx, app, rows[0].ID, budget))
	if got, ok, err := b.ReserveAttempt(ctx, app, rows[0].ID, now, budget); err != nil || !ok || got.Spent {
		t.Errorf("after a return: %v %v spent %v", ok, err, got.Spent)
	}
	if got, ok, err := b.ReserveAttempt(ctx, app, rows[0].ID, now, budget); err != nil || ok {
		t.Errorf("a row without attempts: %v %v spent %v", ok, err, got.Spent)
	}
	// A return that is rolled back gives nothing back.
	_ = b.Atomically(ctx, func(ctx context.Context) error {
		must(t, b.ReturnAttempt(ctx, app, rows[1].ID, budget))
		return errLost
	})
	if load(t, b, rows[1]).Attempts != 5 {
		t.Error("a rolled back return was kept")
	}
	if spent, err := b.Spent(ctx, app, budget); err != nil || !spent {
		t.Errorf("the budget after a rolled back return: %v %v", spent, err)
	}
}
