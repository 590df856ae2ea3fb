package builtin_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/directory/directorytest"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

var (
	_ workflow.Directory = (*builtin.Directory)(nil)
	_ workflow.Users     = (*builtin.Directory)(nil)
	_ workflow.Sessions  = (*builtin.Directory)(nil)
)

func TestMain(m *testing.M) { testkit.Main(m) }

// kit is a directory on a fresh database with everything around it.
type kit struct {
	*directorytest.World
	db    *database.DB
	dir   *builtin.Directory
	store *storage.Store
}

func ring(t *testing.T, seeds ...byte) *secret.Keyring {
	t.Helper()
	var keys [][]byte
	for _, s := range seeds {
		keys = append(keys, bytes.Repeat([]byte{s}, 32))
	}
	r, err := secret.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var pool = password.NewPool(password.Options{Argon2Memory: 64, Argon2Time: 1})

func newKit(t *testing.T, dialect database.Dialect) *kit {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	db := testkit.Open(t, dialect, database.Options{Statements: func(sql string) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, sql)
	}})
	clock := directorytest.NewClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	store := storage.New(db, nil, clock) // nothing here is enqueued
	dir := builtin.New(db, ring(t, 1), pool, store, clock, builtin.Options{Issuer: "https://id.acme.test"})
	app, other := workflow.DefaultApplication("acme"), workflow.DefaultApplication("other")
	return &kit{db: db, dir: dir, store: store, World: &directorytest.World{
		Directory: dir, Users: dir, Sessions: dir, Clock: clock, App: &app, Other: &other, Atomically: db.Atomically,
		Hash: func(pw string) string {
			h, err := pool.Hash(context.Background(), pw)
			if err != nil {
				t.Fatal(err)
			}
			return h
		},
		Statements: func() []string {
			mu.Lock()
			defer mu.Unlock()
			out := seen
			seen = nil
			return out
		},
		Events: func(application string) []string {
			var events []string
			if err := db.Read(context.Background()).Raw(`SELECT event FROM audit WHERE application = ? ORDER BY event`, application).Scan(&events).Error; err != nil {
				t.Fatal(err)
			}
			return events
		},
	}}
}

func each(t *testing.T, f func(t *testing.T, dialect database.Dialect)) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) { f(t, dialect) })
	}
}

func TestDirectory(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		directorytest.Run(t, func(t *testing.T) *directorytest.World { return newKit(t, dialect).World })
	})
}

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		directorytest.RunSessions(t, func(t *testing.T) *directorytest.World { return newKit(t, dialect).World })
	})
}

func create(t *testing.T, k *kit, email, hash string) workflow.Account {
	t.Helper()
	if _, err := k.dir.CreateUser(t.Context(), "acme", workflow.NewUser{Email: email, Hash: hash}, "admin"); err != nil {
		t.Fatal(err)
	}
	a, err := k.dir.Find(t.Context(), k.App, email)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The hot path of a reset costs what the budget says.
func TestSetPasswordStatements(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		k := newKit(t, dialect)
		a := create(t, k, "a@acme.test", k.Hash("the right password"))
		if _, err := k.dir.Open(t.Context(), k.App, a.ID, workflow.Client{}); err != nil {
			t.Fatal(err)
		}
		now := k.Clock.Now()
		c := workflow.PasswordChange{RequestID: workflow.NewID(now), AccountID: a.ID, Generation: a.Generation, Hash: k.Hash("a new password"), At: now}
		var inside []string
		err := k.db.Atomically(t.Context(), func(ctx context.Context) error {
			k.Statements()
			r, err := k.dir.SetPassword(ctx, k.App, c)
			inside = k.Statements()
			if r.Sessions != 1 {
				t.Errorf("%+v", r)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[database.Dialect]int{database.SQLite: 2, database.Postgres: 1}[dialect]; len(inside) != want {
			t.Errorf("%d statements, want %d:\n%s", len(inside), want, strings.Join(inside, "\n"))
		}
	})
}

// An imported or outdated hash is made anew at the next login; nothing else moves.
func TestRehashOnLogin(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		k := newKit(t, dialect)
		old, err := password.NewPool(password.Options{Algorithm: password.Bcrypt, BcryptCost: 4}).Hash(t.Context(), "the right password")
		if err != nil {
			t.Fatal(err)
		}
		before := create(t, k, "a@acme.test", old)
		stored := func() (hash string) {
			k.db.Read(t.Context()).Raw(`SELECT password_hash FROM accounts WHERE id = ?`, before.ID).Scan(&hash)
			return hash
		}
		if _, err := k.dir.Login(t.Context(), k.App, "a@acme.test", "the wrong password", workflow.Client{}); err == nil || stored() != old {
			t.Fatal("a wrong password changed the hash")
		}
		first, err := k.dir.Login(t.Context(), k.App, "a@acme.test", "the right password", workflow.Client{})
		if err != nil || !strings.HasPrefix(stored(), "$argon2id$") {
			t.Fatalf("%.10s, %v", stored(), err)
		}
		fresh := stored()
		if _, err := k.dir.Login(t.Context(), k.App, "a@acme.test", "the right password", workflow.Client{}); err != nil || stored() != fresh {
			t.Errorf("a fresh hash is made again: %v", err)
		}
		if _, err := k.dir.Session(t.Context(), first.AccessToken); err != nil {
			t.Error("rehashing moved the generation:", err)
		}
	})
}

// Tokens outlive a rotation of secret_keys and die with their key.
func TestKeyRotation(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		k := newKit(t, dialect)
		a := create(t, k, "a@acme.test", "")
		tokens, err := k.dir.Open(t.Context(), k.App, a.ID, workflow.Client{})
		if err != nil {
			t.Fatal(err)
		}
		node := func(seeds ...byte) *builtin.Directory {
			return builtin.New(k.db, ring(t, seeds...), pool, k.store, k.Clock, builtin.Options{Issuer: "https://id.acme.test"})
		}
		if _, err := node(2).Session(t.Context(), tokens.AccessToken); err == nil {
			t.Error("a token outlives its key")
		}
		if _, err := node(2).Refresh(t.Context(), k.App, tokens.RefreshToken); err == nil {
			t.Error("a refresh token outlives its key")
		}
		rotated := node(2, 1)
		if _, err := rotated.Session(t.Context(), tokens.AccessToken); err != nil {
			t.Error(err)
		}
		next, err := rotated.Refresh(t.Context(), k.App, tokens.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := node(2).Session(t.Context(), next.AccessToken); err != nil {
			t.Error("after a rotation the token is still made with the old key:", err)
		}
	})
}

// Nothing in the database redeems anything.
func TestNoSecretAtRest(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		k := newKit(t, dialect)
		create(t, k, "a@acme.test", k.Hash("the right password"))
		tokens, err := k.dir.Login(t.Context(), k.App, "a@acme.test", "the right password", workflow.Client{Actor: "key:1", IP: "192.0.2.1"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = k.dir.Login(t.Context(), k.App, "a@acme.test", "a mistyped password", workflow.Client{})
		dump := testkit.Dump(t, k.db)
		for _, s := range []string{tokens.AccessToken, tokens.RefreshToken, "the right password", "a mistyped password", tokens.RefreshToken[60:]} {
			if strings.Contains(dump, s) {
				t.Error("a secret stands in the database")
			}
		}
	})
}

func TestBusyPool(t *testing.T) {
	k := newKit(t, database.SQLite)
	create(t, k, "a@acme.test", k.Hash("the right password"))
	slow := password.NewPool(password.Options{Argon2Memory: 19 << 10, Argon2Time: 2, MaxConcurrent: 1, Queue: time.Nanosecond})
	dir := builtin.New(k.db, ring(t, 1), slow, k.store, k.Clock, builtin.Options{})
	k.App.Limits.FailedLogins = workflow.Rate{N: 1, Per: time.Hour}
	var wg sync.WaitGroup
	codes := make([]workflow.ErrorCode, 8)
	for i := range codes {
		wg.Go(func() {
			_, err := dir.Login(context.Background(), k.App, "nobody@acme.test", "the wrong password", workflow.Client{})
			e := workflow.AsError(err)
			codes[i] = e.Code
			if e.Code == workflow.CodeOverloaded && e.RetryAfter != time.Second {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
	wg.Wait()
	busy := 0
	for _, c := range codes {
		switch c {
		case workflow.CodeOverloaded:
			busy++
		case workflow.CodeInvalidCredentials:
		default:
			t.Errorf("code %s", c)
		}
	}
	if busy == 0 {
		t.Error("a full pool turned nobody away")
	}
}

func TestPrune(t *testing.T) {
	each(t, func(t *testing.T, dialect database.Dialect) {
		k := newKit(t, dialect)
		a := create(t, k, "a@acme.test", "")
		for range 5 {
			if _, err := k.dir.Open(t.Context(), k.App, a.ID, workflow.Client{}); err != nil {
				t.Fatal(err)
			}
		}
		k.Clock.Advance(k.App.Sessions.Idle.D())
		kept, err := k.dir.Open(t.Context(), k.App, a.ID, workflow.Client{})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{3, 2, 0} {
			if n, err := k.dir.Prune(t.Context(), k.Clock.Now().Add(time.Second), 3); err != nil || n != want {
				t.Errorf("pruned %d, %v; want %d", n, err, want)
			}
		}
		if _, err := k.dir.Session(t.Context(), kept.AccessToken); err != nil {
			t.Error("a living session was pruned:", err)
		}
	})
}
