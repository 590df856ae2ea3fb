package builtin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/workflow"
)

var _ workflow.Remembering = (*builtin.Directory)(nil)

// history runs a test with an application that remembers n passwords and an
// account whose password is "number 0".
func history(t *testing.T, n int, test func(t *testing.T, k *kit, app *workflow.Application, id string)) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			k := newKit(t, dialect)
			app := *k.App
			app.Policy.History = n
			u, err := k.dir.CreateUser(t.Context(), app.Slug, workflow.NewUser{Email: "h@acme.test", Hash: k.Hash("number 0")}, "admin")
			if err != nil {
				t.Fatal(err)
			}
			test(t, k, &app, u.ID)
		})
	}
}

// reset sets a password as a reset does.
func reset(t *testing.T, k *kit, app *workflow.Application, id, password string) {
	t.Helper()
	a, err := k.dir.Lookup(t.Context(), app, id)
	if err != nil {
		t.Fatal(err)
	}
	change := workflow.PasswordChange{RequestID: workflow.NewID(k.Clock.Now()), AccountID: id, Generation: a.Generation, Hash: k.Hash(password), At: k.Clock.Now()}
	for range 2 { // a repetition changes nothing, here neither
		if _, err := k.dir.SetPassword(t.Context(), app, change); err != nil {
			t.Fatal(err)
		}
	}
}

func used(t *testing.T, k *kit, app *workflow.Application, id, password string, n int) bool {
	t.Helper()
	yes, err := k.dir.Used(t.Context(), app.Slug, id, password, n)
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

func remembered(t *testing.T, k *kit) int {
	t.Helper()
	var n int
	if err := k.db.Read(t.Context()).Raw(`SELECT count(*) FROM password_history`).Find(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheLastPasswordsAreRemembered(t *testing.T) {
	history(t, 3, func(t *testing.T, k *kit, app *workflow.Application, id string) {
		for i := 1; i <= 5; i++ {
			reset(t, k, app, id, fmt.Sprint("number ", i))
		}
		for i, want := range []bool{false, false, false, true, true, true} {
			if got := used(t, k, app, id, fmt.Sprint("number ", i), 3); got != want {
				t.Errorf("number %d: used is %v", i, got)
			}
		}
		if n := remembered(t, k); n != 2 { // and the present one in the account
			t.Errorf("%d former hashes are kept", n)
		}
		if !used(t, k, app, id, "number 5", 1) || used(t, k, app, id, "number 4", 1) {
			t.Error("a history of one is the present password")
		}
		if used(t, k, app, id, "number 5", 0) || used(t, k, app, workflow.NewID(time.Now()).String(), "number 5", 3) {
			t.Error("a past that is not there")
		}
	})
}

func TestAdministratorsChangesAreRemembered(t *testing.T) {
	history(t, 3, func(t *testing.T, k *kit, app *workflow.Application, id string) {
		update := func(p workflow.UserPatch) {
			t.Helper()
			if _, err := k.dir.UpdateUser(t.Context(), app.Slug, id, p, "admin"); err != nil {
				t.Fatal(err)
			}
		}
		hash, mail := k.Hash("number 1"), "moved@acme.test"
		update(workflow.UserPatch{Hash: &hash, Remember: 3})
		update(workflow.UserPatch{Email: &mail, Remember: 3}) // moves the generation, not the password
		if n := remembered(t, k); n != 1 || !used(t, k, app, id, "number 0", 3) || !used(t, k, app, id, "number 1", 3) {
			t.Errorf("%d former hashes", n)
		}
		hash = k.Hash("number 2")
		update(workflow.UserPatch{Hash: &hash, Remember: 1})
		if n := remembered(t, k); n != 0 {
			t.Errorf("%d former hashes where one password is remembered", n)
		}
	})
}

func TestNothingIsKeptWhereNobodyAsks(t *testing.T) {
	history(t, 0, func(t *testing.T, k *kit, app *workflow.Application, id string) {
		reset(t, k, app, id, "number 1")
		if n := remembered(t, k); n != 0 {
			t.Fatalf("%d former hashes without a history", n)
		}
		for slug, n := range map[string]int{"asks": 3, "asks-no-more": 0} {
			other := workflow.DefaultApplication(slug)
			other.Policy.History = n
			if err := k.store.Create(t.Context(), other, "admin"); err != nil {
				t.Fatal(err)
			}
			for g := range 3 {
				err := k.db.Write(t.Context()).Exec(`INSERT INTO password_history (application, id, account_id, generation, password_hash) VALUES (?, ?, 'a', ?, 'h')`,
					slug, fmt.Sprint(g), g).Error
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, want := range []int{2, 1, 0} {
			if n, err := k.dir.Prune(t.Context(), k.Clock.Now().Add(-time.Hour), 2); err != nil || n > 2 || remembered(t, k) != 3+max(want-1, 0) {
				t.Errorf("pruned %d, left %d: %v", n, remembered(t, k), err)
			}
		}
	})
}

func TestADeletedAccountIsForgotten(t *testing.T) {
	history(t, 3, func(t *testing.T, k *kit, app *workflow.Application, id string) {
		reset(t, k, app, id, "number 1")
		if err := k.dir.DeleteUser(t.Context(), app.Slug, id, "admin"); err != nil {
			t.Fatal(err)
		}
		if n := remembered(t, k); n != 0 {
			t.Errorf("%d former hashes of nobody", n)
		}
	})
}

func TestHashesBeyondTheBoundAreRefused(t *testing.T) {
	history(t, 0, func(t *testing.T, k *kit, app *workflow.Application, id string) {
		heavy := "$argon2id$v=19$m=262144,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZXN1bXNvbWVzdW1zb21lc3VtMDEyMzQ1Njc4OTA"
		_, err := k.dir.CreateUser(t.Context(), app.Slug, workflow.NewUser{Email: "heavy@acme.test", Hash: heavy}, "admin")
		if workflow.AsError(err).Violations["passwordHash"] == nil {
			t.Errorf("created: %v", err)
		}
		if _, err = k.dir.UpdateUser(t.Context(), app.Slug, id, workflow.UserPatch{Hash: &heavy}, "admin"); workflow.AsError(err).Violations["passwordHash"] == nil {
			t.Errorf("updated: %v", err)
		}
	})
}
