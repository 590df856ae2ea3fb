package directorytest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Run checks the promises of workflow.Directory.
func Run(t *testing.T, make New) {
	for name, test := range map[string]func(*testing.T, *World){
		"found": found, "unknown": unknown, "look-alikes": lookAlikes, "disabled": disabled, "tenants": tenants,
		"set password": setPassword, "wrong generation": wrongGeneration, "moves": moves, "vanished": vanished, "made anew": madeAnew,
		"idempotent": idempotent, "one of many": oneOfMany, "rollback": rollback,
	} {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

func found(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	w.Statements()
	a := w.find(t, alice)
	if n := len(w.Statements()); n != 1 {
		t.Errorf("Find takes %d statements", n)
	}
	if a.ID != id || a.Email != alice || a.Name != "Alice" || a.Disabled || !a.Resettable || len(a.Generation) == 0 {
		t.Errorf("%+v", a)
	}
	b, err := w.Directory.Lookup(t.Context(), w.App, id)
	if err != nil || b.ID != a.ID || b.Email != a.Email || !bytes.Equal(a.Generation, b.Generation) {
		t.Errorf("looked up %+v, %v", b, err)
	}
	bare, err := w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: "sso@acme.test"}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := w.Directory.Lookup(t.Context(), w.App, bare.ID); err != nil || a.Resettable {
		t.Errorf("an account without a password can be reset: %v", err)
	}
}

func unknown(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	for _, email := range []string{"", "nobody@acme.test", "%", "alic_@acme.test", "%@acme.test", "alice@acme.test\x00", "alice@acme.test\xff", " alice@acme.test"} {
		if _, err := w.Directory.Find(t.Context(), w.App, email); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("%q: %v", email, err)
		}
	}
	for _, id := range []string{"", "1", "%", "\x00", "00000000-0000-7000-8000-000000000000", "' OR 1=1 --"} {
		if _, err := w.Directory.Lookup(t.Context(), w.App, id); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// Both databases must agree that these are different people.
func lookAlikes(t *testing.T, w *World) {
	emails := []string{"k@acme.test", "\u212a@acme.test", "mike@acme.test", "m\u0131ke@acme.test", "\u0130@acme.test", "i@acme.test", "ss@acme.test",
		"\u00df@acme.test", "\u017fs@acme.test", "\u24de@acme.test", "o@acme.test", "\u00e9@acme.test", "\u00c9@acme.test", "e\u0301@acme.test", "B_b@acme.test", "bab@acme.test"}
	ids := map[string]string{}
	for _, e := range emails {
		ids[e] = w.user(t, w.App, e)
	}
	for _, e := range emails {
		if a := w.find(t, e); a.ID != ids[e] || a.Email != e {
			t.Errorf("%q finds %q", e, a.Email)
		}
	}
	if _, err := w.Directory.Find(t.Context(), w.App, "K@acme.test"); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("letter case is folded by the database: %v", err)
	}
}

func disabled(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	before := w.find(t, alice)
	w.patch(t, id, workflow.UserPatch{Disabled: ptr(true)})
	a := w.find(t, alice)
	if !a.Disabled || a.Resettable {
		t.Errorf("%+v", a)
	}
	_, err := w.set(t.Context(), w.App, w.change(before))
	wantErr(t, "code from before", err, workflow.ErrGeneration)
	_, err = w.set(t.Context(), w.App, w.change(a))
	wantErr(t, "generation of the disabled account", err, workflow.ErrGeneration)
	w.patch(t, id, workflow.UserPatch{Disabled: ptr(false)})
	if b := w.find(t, alice); bytes.Equal(b.Generation, a.Generation) || bytes.Equal(b.Generation, before.Generation) || !b.Resettable {
		t.Error("enabling brings an old generation back")
	}
}

func tenants(t *testing.T, w *World) {
	mine, theirs := w.user(t, w.App, alice), w.user(t, w.Other, alice)
	a := w.find(t, alice)
	if a.ID != mine {
		t.Errorf("found the account of another application")
	}
	if _, err := w.Directory.Lookup(t.Context(), w.App, theirs); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("looked up the account of another application: %v", err)
	}
	_, err := w.set(t.Context(), w.Other, w.change(a))
	wantErr(t, "password of another application's account", err, workflow.ErrGeneration)
	other, _ := w.Directory.Find(t.Context(), w.Other, alice)
	if _, err := w.set(t.Context(), w.App, w.change(a)); err != nil {
		t.Fatal(err)
	}
	if again, err := w.Directory.Find(t.Context(), w.Other, alice); err != nil || !bytes.Equal(other.Generation, again.Generation) {
		t.Errorf("the namesake in another application moved: %v", err)
	}
}

func setPassword(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	before := w.find(t, alice)
	if r, err := w.set(t.Context(), w.App, w.change(before)); err != nil || r != (workflow.Revoked{}) {
		t.Fatalf("%+v, %v", r, err)
	}
	if after := w.find(t, alice); bytes.Equal(before.Generation, after.Generation) {
		t.Error("a new password does not move the generation")
	}
}

func wrongGeneration(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	a := w.find(t, alice)
	for name, g := range map[string][]byte{"none": nil, "empty": {}, "short": a.Generation[:7], "long": append(bytes.Clone(a.Generation), 0), "zero": make([]byte, 8), "other": {1, 2, 3, 4, 5, 6, 7, 8}} {
		c := w.change(a)
		c.Generation = g
		_, err := w.set(t.Context(), w.App, c)
		wantErr(t, name, err, workflow.ErrGeneration)
	}
	if b := w.find(t, alice); !bytes.Equal(a.Generation, b.Generation) {
		t.Error("a refused change moved the account")
	}
}

// moves: what moves the generation and what must not.
func moves(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	last := w.find(t, alice).Generation
	for _, step := range []struct {
		name  string
		patch workflow.UserPatch
		moves bool
	}{
		{"name", workflow.UserPatch{Name: ptr("Alice B.")}, false},
		{"locale", workflow.UserPatch{Locale: ptr("de")}, false},
		{"orgs", workflow.UserPatch{Orgs: ptr([]string{"a"})}, false},
		{"nothing", workflow.UserPatch{}, false},
		{"the same address", workflow.UserPatch{Email: ptr(alice)}, false},
		{"enabled already", workflow.UserPatch{Disabled: ptr(false)}, false},
		{"password", workflow.UserPatch{Hash: ptr(w.Hash(newOne))}, true},
		{"address", workflow.UserPatch{Email: ptr("other@acme.test")}, true},
		{"disabled", workflow.UserPatch{Disabled: ptr(true)}, true},
		{"enabled", workflow.UserPatch{Disabled: ptr(false)}, true},
	} {
		stale, err := w.Directory.Lookup(t.Context(), w.App, id)
		if err != nil {
			t.Fatal(err)
		}
		w.patch(t, id, step.patch)
		a, err := w.Directory.Lookup(t.Context(), w.App, id)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(a.Generation, last) == step.moves {
			t.Errorf("%s: moved %v", step.name, !step.moves)
		}
		if step.moves {
			_, err := w.set(t.Context(), w.App, w.change(stale))
			wantErr(t, "a code from before "+step.name, err, workflow.ErrGeneration)
		}
		last = a.Generation
	}
	if _, err := w.Directory.Find(t.Context(), w.App, alice); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("the old address still finds the account: %v", err)
	}
}

func vanished(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	a := w.find(t, alice)
	if err := w.Users.DeleteUser(t.Context(), w.App.Slug, id, "admin"); err != nil {
		t.Fatal(err)
	}
	_, err := w.set(t.Context(), w.App, w.change(a))
	wantErr(t, "an account that is gone", err, workflow.ErrGeneration)
}

func madeAnew(t *testing.T, w *World) {
	first := w.user(t, w.App, alice)
	a := w.find(t, alice)
	if err := w.Users.DeleteUser(t.Context(), w.App.Slug, first, "admin"); err != nil {
		t.Fatal(err)
	}
	w.user(t, w.App, alice)
	if b := w.find(t, alice); b.ID == a.ID || bytes.Equal(a.Generation, b.Generation) {
		t.Error("the new account looks like its forerunner")
	}
}

func idempotent(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	var tokens workflow.Tokens
	if w.Sessions != nil {
		tokens = w.login(t, rightOne)
	}
	c := w.change(w.find(t, alice))
	one, err := w.set(t.Context(), w.App, c)
	if err != nil {
		t.Fatal(err)
	}
	after := w.find(t, alice)
	w.Clock.Advance(time.Second)
	two, err := w.set(t.Context(), w.App, c)
	if err != nil || one != two {
		t.Errorf("again: %+v, %v; at first %+v", two, err, one)
	}
	if again := w.find(t, alice); !bytes.Equal(after.Generation, again.Generation) {
		t.Error("the same change twice moves the generation twice")
	}
	if w.Sessions != nil {
		if one.Sessions != 1 {
			t.Errorf("%d sessions ended", one.Sessions)
		}
		w.dead(t, "after the change", tokens)
	}
	other := w.change(w.find(t, alice))
	other.Generation = c.Generation
	_, err = w.set(t.Context(), w.App, other)
	wantErr(t, "another request for the old generation", err, workflow.ErrGeneration)
}

// oneOfMany: of changes that all read the same generation exactly one wins.
func oneOfMany(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	a := w.find(t, alice)
	const contenders = 12
	errs := make(chan error, contenders)
	start := make(chan struct{})
	for range contenders {
		c := w.change(a)
		go func() {
			<-start
			_, err := w.set(context.Background(), w.App, c)
			errs <- err
		}()
	}
	close(start)
	won := 0
	for range contenders {
		switch err := <-errs; {
		case err == nil:
			won++
		case !errors.Is(err, workflow.ErrGeneration):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d changes won", won, contenders)
	}
}

// rollback: a directory that joins leaves nothing behind when the commit fails.
func rollback(t *testing.T, w *World) {
	if !w.Directory.Joins() {
		return
	}
	w.user(t, w.App, alice)
	before := w.find(t, alice)
	broken := errors.New("the rest of the commit failed")
	err := w.Atomically(t.Context(), func(ctx context.Context) error {
		if _, err := w.Directory.SetPassword(ctx, w.App, w.change(before)); err != nil {
			return err
		}
		return broken
	})
	wantErr(t, "commit", err, broken)
	if after := w.find(t, alice); !bytes.Equal(before.Generation, after.Generation) {
		t.Error("the generation moved without a commit")
	}
}
