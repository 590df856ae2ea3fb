package directorytest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

// parallelRotation: of many rotations of one token exactly one wins. The others
// hold a used token and end the family: that is the price of having no grace,
// and what a thief racing the owner must not get around.
func parallelRotation(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	for range 5 {
		tokens := w.login(t, rightOne)
		const contenders = 16
		got := make([]workflow.Tokens, contenders)
		errs := make([]error, contenders)
		together(contenders, func(i int) { got[i], errs[i] = w.Sessions.Refresh(context.Background(), w.App, tokens.RefreshToken) })
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				w.dead(t, "the winner's tokens", got[i])
				continue
			}
			wantCode(t, "a loser", err, workflow.CodeInvalidGrant)
		}
		if won != 1 {
			t.Errorf("%d of %d rotations won", won, contenders)
		}
		w.dead(t, "the rotated token", tokens)
	}
}

func together(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// refreshAgainstReset: whatever comes first, after the reset no older token
// lives, also one whose rotation was in flight.
func refreshAgainstReset(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	before, after := 0, 0
	for range 200 {
		a := w.find(t, alice)
		tokens, err := w.Sessions.Open(t.Context(), w.App, a.ID, client)
		if err != nil {
			t.Fatal(err)
		}
		c := w.change(a)
		var rotated workflow.Tokens
		var refreshErr, setErr error
		var revoked workflow.Revoked
		together(2, func(i int) {
			if i == 0 {
				rotated, refreshErr = w.Sessions.Refresh(context.Background(), w.App, tokens.RefreshToken)
			} else {
				revoked, setErr = w.set(context.Background(), w.App, c)
			}
		})
		if setErr != nil {
			t.Fatal(setErr)
		}
		if revoked.Sessions != 1 {
			t.Fatalf("%d sessions ended, one lived", revoked.Sessions)
		}
		w.dead(t, "token from before", tokens)
		if refreshErr != nil {
			wantCode(t, "rotation", refreshErr, workflow.CodeInvalidGrant)
			after++
			continue
		}
		before++
		w.dead(t, "token from the rotation in flight", rotated)
		if t.Failed() {
			return
		}
	}
	t.Logf("the rotation came first %d times, the reset %d times", before, after)
}

// loginAgainstReset: a login with the old password that was being checked
// while the reset committed opens nothing that lives.
func loginAgainstReset(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	for range 30 {
		w.patch(t, id, workflow.UserPatch{Hash: ptr(w.Hash(rightOne))})
		c := w.change(w.find(t, alice))
		var tokens workflow.Tokens
		var loginErr, setErr error
		together(2, func(i int) {
			if i == 0 {
				tokens, loginErr = w.Sessions.Login(context.Background(), w.App, alice, rightOne, client)
			} else {
				_, setErr = w.set(context.Background(), w.App, c)
			}
		})
		if setErr != nil {
			t.Fatal(setErr)
		}
		if loginErr == nil {
			w.dead(t, "a session opened with the old password", tokens)
			continue
		}
		var e *workflow.Error
		if !errors.As(loginErr, &e) || e.Code != workflow.CodeInvalidCredentials {
			t.Fatal(loginErr)
		}
	}
}
