package storagetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// AuditBackend is an empty database whose audit rows are to be sealed. The
// tests write to it past the store, as somebody with access to the database would.
type AuditBackend struct {
	DB    *database.DB
	Store *storage.Store
	Keys  func(fill ...byte) *secret.Keyring // newest first
}

// RunAudit runs the suite of the audit chain; open makes a fresh backend for each test.
func RunAudit(t *testing.T, open func(t *testing.T) AuditBackend) {
	for _, part := range []struct {
		name string
		test func(t *testing.T, b AuditBackend)
	}{
		{"sealed in order", testAuditOrder},
		{"sealed by one of many", testAuditManySealers},
		{"committed late", testAuditLate},
		{"applications take turns", testAuditTurns},
		{"tampering", testAuditTampering},
		{"tail and head", testAuditTail},
		{"sealing goes on", testAuditGoesOn},
		{"keys", testAuditKeys},
		{"pruning", testAuditPruning},
		{"reading", testAuditReading},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

func (b AuditBackend) chain(fill ...byte) *storage.AuditChain {
	if len(fill) == 0 {
		fill = []byte{1}
	}
	return storage.NewAuditChain(b.Store, b.Keys(fill...))
}

// write inserts n rows of an application, plain.
func (b AuditBackend) write(t *testing.T, application string, n int) []workflow.AuditEntry {
	t.Helper()
	now := start()
	var all []workflow.AuditEntry
	for i := range n {
		at := now.Add(time.Duration(i) * time.Millisecond) // so that their ids come in this order
		all = append(all, workflow.AuditEntry{Application: application, ID: workflow.NewID(at), At: at, Event: "authn_login_fail",
			AccountID: fmt.Sprintf("a%d", i), Actor: "key:1", ClientIP: "192.0.2.1", Cause: "ünknown"})
	}
	for from := 0; from < len(all); from += 500 {
		must(t, b.Store.Audit(ctx, all[from:min(from+500, len(all))]...))
	}
	return all
}

// seal seals until nothing is left.
func seal(t *testing.T, c *storage.AuditChain) (n int) {
	t.Helper()
	for {
		sealed, more, err := c.Seal(ctx)
		must(t, err)
		if n += sealed; !more {
			return n
		}
	}
}

func verify(t *testing.T, c *storage.AuditChain, application string, o ...storage.VerifyOptions) storage.AuditReport {
	t.Helper()
	r, err := c.Verify(ctx, application, append(o, storage.VerifyOptions{})[0])
	must(t, err)
	return r
}

// sound verifies and fails where something is wrong.
func sound(t *testing.T, c *storage.AuditChain, application string, rows int64) storage.AuditReport {
	t.Helper()
	r := verify(t, c, application)
	if r.Fault != nil || r.Checked != rows {
		t.Fatalf("checked %d, want %d: %+v", r.Checked, rows, r.Fault)
	}
	return r
}

// broken verifies and fails unless the first fault is of kind at seq.
func broken(t *testing.T, c *storage.AuditChain, application, kind string, seq int64, o ...storage.VerifyOptions) {
	t.Helper()
	r := verify(t, c, application, o...)
	if r.Fault == nil || r.Fault.Kind != kind || r.Fault.Seq != seq {
		t.Fatalf("found %+v, want %s at %d", r.Fault, kind, seq)
	}
	if r.Fault.Text == "" || strings.Contains(r.Fault.Text, "%!") {
		t.Errorf("said %q", r.Fault.Text)
	}
}

func (b AuditBackend) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	tx := b.DB.Write(ctx).Exec(sql, args...)
	must(t, tx.Error)
	if tx.RowsAffected == 0 {
		t.Fatalf("nothing was met by %s", sql)
	}
}

func testAuditOrder(t *testing.T, b AuditBackend) {
	c := b.chain()
	if r := sound(t, c, app, 0); r.Unsealed != 0 || r.Head.Seq != 0 {
		t.Errorf("an empty chain: %+v", r)
	}
	rows := b.write(t, app, 1203) // three batches
	b.write(t, "", 2)
	if r := verify(t, c, app); r.Unsealed != 1203 || r.Fault != nil || !r.OldestUnsealed.Equal(rows[0].At) {
		t.Errorf("before sealing: %+v", r)
	}
	if n := seal(t, c); n != 1205 {
		t.Errorf("sealed %d", n)
	}
	if n := seal(t, c); n != 0 {
		t.Errorf("sealed %d once more", n)
	}
	if r := sound(t, c, app, 1203); r.Head.Seq != 1203 || r.Unsealed != 0 {
		t.Errorf("%+v", r)
	}
	sound(t, c, "", 2)
	all, err := c.AuditApplications(ctx)
	if err != nil || len(all) != 2 || all[0] != "" || all[1] != app {
		t.Errorf("chains %q %v", all, err)
	}
	b.write(t, app, 1)
	seal(t, c)
	sound(t, c, app, 1204)
}

func testAuditManySealers(t *testing.T, b AuditBackend) {
	b.write(t, app, 900)
	stop, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	errs := race(6, func(i int) error {
		if i >= 4 { // meanwhile rows are written
			for range 40 {
				if err := b.Store.Audit(ctx, workflow.AuditEntry{Application: app, Event: "authz_fail"}); err != nil {
					return err
				}
			}
			return nil
		}
		c := b.chain()
		for range 30 {
			if _, _, err := c.Seal(stop); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	seal(t, b.chain())
	sound(t, b.chain(), app, 980)
}

func testAuditLate(t *testing.T, b AuditBackend) {
	c := b.chain()
	old := start().Add(-time.Minute)
	late := workflow.AuditEntry{Application: app, ID: workflow.NewID(old), At: old, Event: "authz_fail", Actor: "late"}
	if b.DB.Dialect() == database.SQLite { // its one writer commits in order; the older id alone is what is left to see
		b.write(t, app, 2)
		seal(t, c)
		must(t, b.Store.Audit(ctx, late))
	} else {
		must(t, b.Store.Atomically(ctx, func(inside context.Context) error {
			must(t, b.Store.Audit(inside, late))
			b.write(t, app, 2) // another transaction, which commits first
			if n := seal(t, c); n != 2 {
				t.Errorf("sealed %d, and the third row was not committed yet", n)
			}
			return nil
		}))
	}
	if n := seal(t, c); n != 1 {
		t.Errorf("sealed %d late rows", n)
	}
	sound(t, c, app, 3)
	rows, _, err := b.Store.AuditEvents(ctx, app, workflow.AuditQuery{Limit: 9})
	if err != nil || len(rows) != 3 || rows[2].Actor != "late" || rows[2].Seq != 3 {
		t.Errorf("the late row is %+v %v", rows, err)
	}
}

func testAuditTurns(t *testing.T, b AuditBackend) {
	c := b.chain()
	b.write(t, "aaa", 1100)
	b.write(t, "bbb", 3)
	for range 2 {
		if _, more, err := c.Seal(ctx); err != nil || !more {
			t.Fatal(more, err)
		}
	}
	if r := verify(t, c, "bbb"); r.Unsealed != 0 || r.Checked != 3 {
		t.Errorf("a flood in one application keeps another waiting: %+v", r)
	}
	seal(t, c)
	sound(t, c, "aaa", 1100)
}
