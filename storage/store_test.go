package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// TestDeleteReachesEveryTable looks into every table of the schema, so that a
// table which is added later cannot be forgotten.
func TestDeleteReachesEveryTable(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		s := storage.New(db, nil, &clock{})
		w := db.Write(ctx)
		for _, slug := range []string{"gone", "kept"} {
			a := workflow.DefaultApplication(slug)
			a.Hosts = []string{slug + ".test"}
			ok(t, s.Create(ctx, a, "admin"))
			ok(t, s.CreateKey(ctx, workflow.APIKey{ID: "k", Application: slug, Type: workflow.KeySecret, Hash: []byte(slug)}, "admin"))
			r := row("ann", workflow.StateChallenged)
			r.Application = slug
			ok(t, s.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Messages: []workflow.Message{{Application: slug, ID: r.ID, RequestID: r.ID, Kind: "k", State: "sent", To: "a"}}}))
			for _, durable := range []bool{true, false} {
				_, err := s.Take(ctx, slug, workflow.Quota{Name: "per_ip", Key: "k", Rate: workflow.Rate{N: 1, Per: time.Hour}, Durable: durable})
				ok(t, err)
			}
			ok(t, w.Exec(`INSERT INTO accounts (application, id, email, created_at, updated_at) VALUES (?, 'a', 'e', 1, 1)`, slug).Error)
			ok(t, w.Exec(`INSERT INTO sessions (application, id, account_id, generation, created_at, expires_at) VALUES (?, 's', 'a', 1, 1, 1)`, slug).Error)
			ok(t, w.Exec(`INSERT INTO password_history (application, id, account_id, generation, password_hash) VALUES (?, 'p', 'a', 1, 'h')`, slug).Error)
		}
		_, _, err := storage.NewAuditChain(s, auditKeys(t, 1)).Seal(ctx)
		ok(t, err)
		ok(t, s.Delete(ctx, "gone", "admin"))
		checked := 0
		for _, table := range testkit.Tables(t, db) {
			if strings.HasPrefix(table, "river_") || table == "limits_fast" && db.Dialect() == database.SQLite {
				continue // the queue's own, and a table that only PostgreSQL fills
			}
			column := "application"
			if table == "applications" {
				column = "slug"
			}
			for slug, want := range map[string]bool{"gone": false, "kept": true} {
				var n int
				ok(t, db.Read(ctx).Raw(`SELECT count(*) FROM `+table+` WHERE `+column+` = ?`, slug).Find(&n).Error)
				if (n > 0) != want {
					t.Errorf("%s holds %d rows of the application that is %s", table, n, slug)
				}
			}
			checked++
		}
		if checked < 9 {
			t.Errorf("only %d tables were looked at", checked)
		}
		var causes []string
		ok(t, db.Read(ctx).Raw(`SELECT cause FROM audit WHERE application = '' AND event = 'authz_admin' ORDER BY at`).Find(&causes).Error)
		if len(causes) != 2 || causes[0] != "application_deleting:gone" || causes[1] != "application_deleted:gone" {
			t.Errorf("the deletion is audited as %q", causes)
		}
	})
}

// TestAdministrationIsAudited counts the rows of each change, and none of a
// change that failed.
func TestAdministrationIsAudited(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		s := storage.New(db, nil, &clock{})
		a := workflow.DefaultApplication("acme")
		ok(t, s.Create(ctx, a, "admin"))
		_ = s.Create(ctx, a, "admin")
		_ = s.Update(ctx, a, "admin") // version 0 is stale
		a.Version = 1
		ok(t, s.Update(ctx, a, "key:7"))
		k := workflow.APIKey{ID: "k1", Application: "acme", Type: workflow.KeySecret, Hash: []byte("secret hash")}
		ok(t, s.CreateKey(ctx, k, "admin"))
		_ = s.CreateKey(ctx, k, "admin")
		ok(t, s.RevokeKey(ctx, "acme", "k1", "admin"))
		_ = s.RevokeKey(ctx, "acme", "k1", "admin")
		var rows []string
		ok(t, db.Read(ctx).Raw(`SELECT event || ' ' || cause || ' ' || actor FROM audit WHERE application = 'acme' ORDER BY at, id`).Find(&rows).Error)
		want := map[string]bool{"authz_admin application_created admin": true, "authz_admin application_updated key:7": true,
			"privilege_permissions_changed key_created:k1 admin": true, "privilege_permissions_changed key_revoked:k1 admin": true}
		for _, r := range rows {
			if !want[r] {
				t.Errorf("unexpected or repeated: %q", r)
			}
			delete(want, r)
		}
		for r := range want {
			t.Errorf("missing: %q", r)
		}
	})
}

// TestNothingStaleWithoutDatabase closes the database under a store with a full
// cache, once with polling and once without.
func TestNothingStaleWithoutDatabase(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		still, polling := storage.New(db, nil, &clock{}), storage.New(db, nil, &clock{})
		ok(t, still.Create(ctx, workflow.DefaultApplication("acme"), "admin"))
		running, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { polling.Run(running); close(ended) }()
		time.Sleep(1200 * time.Millisecond) // the first poll empties the cache
		for _, s := range []*storage.Store{still, polling} {
			_, err := s.Application(ctx, "acme")
			ok(t, err)
		}
		ok(t, db.Close())
		if a, err := polling.Application(ctx, "acme"); err != nil || a.Slug != "acme" {
			t.Errorf("young settings are not served from memory: %v", err)
		}
		time.Sleep(2100 * time.Millisecond)
		for _, s := range []*storage.Store{still, polling} {
			if a, err := s.Application(ctx, "acme"); err == nil || errors.Is(err, workflow.ErrNotFound) {
				t.Errorf("settings older than 2 s: %v, %v", a, err)
			}
		}
		cancel()
		<-ended
	})
}

// TestTypedErrors hands in what cannot be kept; each has an error to tell it by.
func TestTypedErrors(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		s := storage.New(db, nil, &clock{})
		r := row("ann", workflow.StateRequested)
		if err := s.Commit(ctx, workflow.Commit{New: []workflow.Request{r}, Jobs: []workflow.Job{{Kind: workflow.JobResolve, ID: r.ID}}}); err == nil {
			t.Error("jobs were taken without a queue")
		}
		if _, _, err := s.Request(ctx, "acme", workflow.Locator{ID: r.ID}); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("the row stayed: %v", err)
		}
		r.Email = "a\x00"
		if err := s.Commit(ctx, workflow.Commit{New: []workflow.Request{r}}); !errors.Is(err, storage.ErrText) {
			t.Errorf("got %v, want ErrText", err)
		}
		if _, err := s.Take(ctx, "acme", workflow.Quota{Name: "n", Key: "\xff", Rate: workflow.Rate{N: 1, Per: time.Second}}); !errors.Is(err, storage.ErrText) {
			t.Errorf("got %v, want ErrText", err)
		}
		if _, err := s.Take(ctx, "acme", workflow.Quota{Name: "n", Key: "k"}); err == nil {
			t.Error("a limit without a rate let a call pass")
		}
	})
}
