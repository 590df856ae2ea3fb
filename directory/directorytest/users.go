package directorytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

func users(t *testing.T, w *World) {
	made, err := w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{
		Email: alice, Name: "Alice 👩‍🚀", Locale: "pt-BR", Hash: w.Hash(rightOne), Orgs: []string{"one", "two"}}, "key:7")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := workflow.ParseID(made.ID); !ok || made.Email != alice || made.Name != "Alice 👩‍🚀" || made.Locale != "pt-BR" || !slices.Equal(made.Orgs, []string{"one", "two"}) ||
		!made.HasPassword || made.Disabled || made.MustReset || !made.CreatedAt.Equal(w.Clock.Now()) {
		t.Errorf("made %+v", made)
	}
	read, err := w.Users.User(t.Context(), w.App.Slug, made.ID)
	if err != nil || fmt.Sprint(read) != fmt.Sprint(made) {
		t.Errorf("read %+v, %v", read, err)
	}
	w.Clock.Advance(time.Minute)
	changed, err := w.Users.UpdateUser(t.Context(), w.App.Slug, made.ID, workflow.UserPatch{Name: ptr("Al"), Orgs: ptr([]string{})}, "key:7")
	if err != nil || changed.Name != "Al" || len(changed.Orgs) != 0 || changed.Orgs == nil || changed.Locale != "pt-BR" || !changed.UpdatedAt.Equal(w.Clock.Now()) || !changed.CreatedAt.Equal(made.CreatedAt) {
		t.Errorf("changed %+v, %v", changed, err)
	}
	if err := w.Users.DeleteUser(t.Context(), w.App.Slug, made.ID, "key:7"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Users.User(t.Context(), w.App.Slug, made.ID); !errors.Is(err, workflow.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if e := strings.Join(w.Events(w.App.Slug), " "); e != "user_created user_deleted user_updated" {
		t.Errorf("events %s", e)
	}
}

func userRefusals(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	bob := w.user(t, w.App, "bob@acme.test")
	theirs := w.user(t, w.Other, alice)
	events := len(w.Events(w.App.Slug))
	_, err := w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: alice}, "admin")
	wantErr(t, "taken address", err, workflow.ErrNotUnique)
	_, err = w.Users.UpdateUser(t.Context(), w.App.Slug, bob, workflow.UserPatch{Email: ptr(alice)}, "admin")
	wantErr(t, "changed to a taken address", err, workflow.ErrNotUnique)
	_, err = w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: "c@acme.test", Name: "a\x00b"}, "admin")
	wantCode(t, "NUL in a name", err, workflow.CodeViolations)
	_, err = w.Users.UpdateUser(t.Context(), w.App.Slug, id, workflow.UserPatch{Orgs: ptr([]string{"a\x00b"})}, "admin")
	wantCode(t, "NUL in an org", err, workflow.CodeViolations)
	for _, bad := range []string{"", "1", theirs, "00000000-0000-7000-8000-000000000000", "\x00"} {
		_, err := w.Users.User(t.Context(), w.App.Slug, bad)
		wantErr(t, "read", err, workflow.ErrNotFound)
		_, err = w.Users.UpdateUser(t.Context(), w.App.Slug, bad, workflow.UserPatch{Name: ptr("x")}, "admin")
		wantErr(t, "update", err, workflow.ErrNotFound)
		wantErr(t, "delete", w.Users.DeleteUser(t.Context(), w.App.Slug, bad, "admin"), workflow.ErrNotFound)
		_, err = w.Users.EndSessions(t.Context(), w.App.Slug, bad, "admin")
		wantErr(t, "end sessions", err, workflow.ErrNotFound)
		wantErr(t, "require reset", w.Users.RequireReset(t.Context(), w.App.Slug, bad, "admin"), workflow.ErrNotFound)
	}
	if n := len(w.Events(w.App.Slug)); n != events {
		t.Errorf("%d audit rows for what was not done", n-events)
	}
	if u, err := w.Users.User(t.Context(), w.Other.Slug, theirs); err != nil || u.Email != alice {
		t.Errorf("the other application's user: %+v, %v", u, err)
	}
	// Two at once with one address: one wins, and nobody sees a database error.
	errs := make([]error, 8)
	together(len(errs), func(i int) {
		_, errs[i] = w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: "race@acme.test"}, "admin")
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantErr(t, "race", err, workflow.ErrNotUnique)
		}
	}
	if won != 1 {
		t.Errorf("%d accounts with one address", won)
	}
}

func userPages(t *testing.T, w *World) {
	var want []string
	for i := range 7 {
		want = append(want, w.user(t, w.App, fmt.Sprintf("u%d@acme.test", i)))
		w.Clock.Advance(time.Millisecond)
	}
	w.user(t, w.Other, alice)
	slices.Sort(want)
	var got []string
	for cursor, pages := "", 0; ; pages++ {
		rows, next, err := w.Users.ListUsers(t.Context(), w.App.Slug, "", cursor, 3)
		if err != nil || len(rows) > 3 || pages > 3 {
			t.Fatalf("page %d: %d rows, %v", pages, len(rows), err)
		}
		for _, u := range rows {
			got = append(got, u.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d of %d users, or out of order", len(got), len(want))
	}
	rows, next, err := w.Users.ListUsers(t.Context(), w.App.Slug, "u3@acme.test", "", 3)
	if err != nil || len(rows) != 1 || rows[0].Email != "u3@acme.test" || next != "" {
		t.Errorf("by address: %d rows, %v", len(rows), err)
	}
	for _, email := range []string{"u%@acme.test", alice, "\x00"} {
		if rows, _, err := w.Users.ListUsers(t.Context(), w.App.Slug, email, "", 3); err != nil || len(rows) != 0 {
			t.Errorf("%q: %d rows, %v", email, len(rows), err)
		}
	}
	_, _, err = w.Users.ListUsers(t.Context(), w.App.Slug, "", "no cursor", 3)
	wantCode(t, "cursor", err, workflow.CodeViolations)
}
