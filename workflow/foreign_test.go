package workflow_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// foreign is a directory of its own: no transaction of ours reaches it.
type foreign struct {
	mu      sync.Mutex
	account workflow.Account
	hash    string
	set     map[workflow.ID]int // writes by request: idempotent by request id
	before  func() error        // runs before a write; its error is returned
	down    bool
}

func (f *foreign) For(*workflow.Application) (workflow.Directory, error) { return f, nil }
func (f *foreign) Joins() bool                                           { return false }

func (f *foreign) Find(_ context.Context, _ *workflow.Application, email string) (workflow.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return workflow.Account{}, errors.New("connection refused")
	}
	if email != f.account.Email {
		return workflow.Account{}, workflow.ErrNotFound
	}
	return f.account, nil
}

func (f *foreign) Lookup(ctx context.Context, app *workflow.Application, id string) (workflow.Account, error) {
	if id != f.account.ID {
		return workflow.Account{}, workflow.ErrNotFound
	}
	return f.Find(ctx, app, f.account.Email)
}

func (f *foreign) SetPassword(_ context.Context, _ *workflow.Application, c workflow.PasswordChange) (workflow.Revoked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if err := f.before(); err != nil {
			return workflow.Revoked{}, err
		}
	}
	if f.set[c.RequestID]++; f.set[c.RequestID] > 1 {
		return workflow.Revoked{Sessions: 2}, nil
	}
	if string(c.Generation) != string(f.account.Generation) {
		return workflow.Revoked{}, workflow.ErrGeneration
	}
	f.hash, f.account.Generation = c.Hash, append([]byte("after-"), c.Generation...)
	return workflow.Revoked{Sessions: 2}, nil
}

func (f *foreign) Secure(context.Context, *workflow.Application, string, time.Time) (workflow.Revoked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hash, f.account.Generation = "", append([]byte("held-"), f.account.Generation...)
	return workflow.Revoked{}, nil
}

func eachForeign(t *testing.T, fn func(t *testing.T, r *flowtest.Rig, f *foreign, store *failing)) {
	t.Helper()
	var f *foreign
	var store *failing
	o := flowtest.Options{
		Directories: func(workflow.Directories) workflow.Directories {
			f = &foreign{account: workflow.Account{ID: "u1", Email: "ada@example.com", Generation: []byte{0, 255, 7}, Resettable: true}, set: map[workflow.ID]int{}}
			return f
		},
		Store: func(real *storage.Store) workflow.Store { store = &failing{Store: real}; return store },
	}
	each(t, o, func(t *testing.T, r *flowtest.Rig) { fn(t, r, f, store) })
}

func askForeign(t *testing.T, r *flowtest.Rig) (workflow.Proof, workflow.ID) {
	t.Helper()
	got := r.Ask(r.App, flows.EmailLink, "ada@example.com")
	return workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")}, got.RequestID
}

func TestForeignDirectory(t *testing.T) {
	eachForeign(t, func(t *testing.T, r *flowtest.Rig, f *foreign, _ *failing) {
		p, id := askForeign(t, r)
		got, err := r.Reset(r.App, p)
		if err != nil || got.Revoked.Sessions != 2 || f.set[id] != 1 || f.hash == "" {
			t.Fatalf("%+v %v", got, err)
		}
		row := r.Row(r.App, id)
		if row.State != workflow.StateCompleted || len(row.SealedHash) != 0 {
			t.Errorf("%s, sealed hash of %d bytes left", row.State, len(row.SealedHash))
		}
	})
}

// A crash after the claim is finished by the sweeper, exactly once in effect,
// and the hash waits sealed meanwhile.
func TestSweeperFinishesAClaim(t *testing.T) {
	eachForeign(t, func(t *testing.T, r *flowtest.Rig, f *foreign, store *failing) {
		p, id := askForeign(t, r)
		f.before = func() error { store.on.Store(true); return nil } // the process dies after the directory answered
		if _, err := r.Reset(r.App, p); err == nil {
			t.Fatal("a reset that could not be settled was answered as done")
		}
		store.on.Store(false)
		f.before = nil
		row := r.Row(r.App, id)
		if row.State != workflow.StateApplying || len(row.SealedHash) == 0 {
			t.Fatalf("%s, sealed hash of %d bytes", row.State, len(row.SealedHash))
		}
		if dump := testkit.Dump(t, r.DB); f.hash == "" || strings.Contains(dump, f.hash) {
			t.Error("the new hash stands in clear")
		}
		r.Clock.Turn(2 * time.Minute)
		if _, err := r.Engine.Sweep(bg); err != nil {
			t.Fatal(err)
		}
		row = r.Row(r.App, id)
		if row.State != workflow.StateCompleted || len(row.SealedHash) != 0 || f.set[id] != 2 {
			t.Errorf("%s after %d writes", row.State, f.set[id])
		}
	})
}

func TestDirectoryThatIsDownConsumesNothing(t *testing.T) {
	eachForeign(t, func(t *testing.T, r *flowtest.Rig, f *foreign, _ *failing) {
		p, id := askForeign(t, r)
		f.down = true
		if _, err := r.Reset(r.App, p); workflow.AsError(err).Code != workflow.CodeOverloaded {
			t.Fatalf("%v", err)
		}
		f.down = false
		f.before = func() error { return errors.New("connection reset") }
		if _, err := r.Reset(r.App, p); workflow.AsError(err).Code != workflow.CodeOverloaded {
			t.Fatalf("%v", err)
		}
		f.before = nil
		if s := r.Row(r.App, id).State; s != workflow.StateChallenged {
			t.Fatalf("the row is %s", s)
		}
		if _, err := r.Reset(r.App, p); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestDirectoryThatRefusesForGood(t *testing.T) {
	for name, refusal := range map[string]error{"refused": workflow.ErrRefused, "generation": workflow.ErrGeneration} {
		t.Run(name, func(t *testing.T) {
			eachForeign(t, func(t *testing.T, r *flowtest.Rig, f *foreign, _ *failing) {
				p, id := askForeign(t, r)
				f.before = func() error { return refusal }
				_, err := r.Reset(r.App, p)
				flowtest.Refused(t, err, "emailAuthCode", workflow.VioInvalidEmailAuthCode)
				if row := r.Row(r.App, id); row.State != workflow.StateFailed || len(row.SealedHash) != 0 {
					t.Errorf("the row is %s", row.State)
				}
			})
		})
	}
}

// A directory that is down when the job runs delays the mail and loses nothing.
func TestResolveWaitsForTheDirectory(t *testing.T) {
	eachForeign(t, func(t *testing.T, r *flowtest.Rig, f *foreign, _ *failing) {
		f.down = true
		got, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: "ada@example.com", Client: flowtest.Caller})
		if err != nil {
			t.Fatal(err)
		}
		job := r.Jobs()[0]
		if err := r.Engine.Work(bg, job); err == nil {
			t.Fatal("the job was taken for done")
		}
		f.down = false
		if err := r.Engine.Work(bg, job); err != nil {
			t.Fatal(err)
		}
		if s := r.Row(r.App, got.RequestID).State; s != workflow.StateChallenged {
			t.Errorf("the row is %s", s)
		}
	})
}
