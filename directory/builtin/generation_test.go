package builtin_test

import (
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/workflow"
)

// A session can be written in the very moment of a reset, too late for the
// reset to end its row. Its generation alone must kill it. The same for an
// account that is disabled by hand in the database.
func TestGenerationKillsWithoutASweep(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		k := newKit(t, dialect)
		exec := func(sql string, args ...any) {
			t.Helper()
			if err := k.db.Write(t.Context()).Exec(sql, args...).Error; err != nil {
				t.Fatal(err)
			}
		}
		a := create(t, k, "a@acme.test", k.Hash("the right password"))
		open := func() workflow.Tokens {
			t.Helper()
			tokens, err := k.dir.Open(t.Context(), k.App, a.ID, workflow.Client{})
			if err != nil {
				t.Fatal(err)
			}
			return tokens
		}
		dead := func(what string, tokens workflow.Tokens) {
			t.Helper()
			if _, err := k.dir.Session(t.Context(), tokens.AccessToken); workflow.AsError(err).Code != workflow.CodeInvalidGrant {
				t.Errorf("%s: session: %v", what, err)
			}
			if err := k.dir.Logout(t.Context(), tokens.AccessToken); workflow.AsError(err).Code != workflow.CodeInvalidGrant {
				t.Errorf("%s: logout: %v", what, err)
			}
			if _, err := k.dir.Refresh(t.Context(), k.App, tokens.RefreshToken); workflow.AsError(err).Code != workflow.CodeInvalidGrant {
				t.Errorf("%s: refresh: %v", what, err)
			}
		}

		tokens := open()
		now := k.Clock.Now()
		_, err := k.dir.SetPassword(t.Context(), k.App, workflow.PasswordChange{RequestID: workflow.NewID(now), AccountID: a.ID, Generation: a.Generation, Hash: k.Hash("a new password"), At: now})
		if err != nil {
			t.Fatal(err)
		}
		exec(`UPDATE sessions SET ended_at = 0 WHERE account_id = ?`, a.ID)
		dead("generation", tokens)

		// Such a row is no living session: the next reset must not count it.
		b, err := k.dir.Lookup(t.Context(), k.App, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		r, err := k.dir.SetPassword(t.Context(), k.App, workflow.PasswordChange{RequestID: workflow.NewID(now), AccountID: a.ID, Generation: b.Generation, Hash: k.Hash("a new password"), At: now})
		if err != nil || r != (workflow.Revoked{}) {
			t.Errorf("counted %+v, %v", r, err)
		}

		tokens = open()
		exec(`UPDATE accounts SET disabled = TRUE WHERE id = ?`, a.ID)
		dead("disabled", tokens)
	})
}
