package storagetest

import (
	"slices"
	"testing"
	"time"

	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

func testAuditTampering(t *testing.T, b AuditBackend) {
	c := b.chain()
	const n = 9
	b.write(t, app, n)
	seal(t, c)
	sound(t, c, app, n)
	set := func(column string) string { return `UPDATE audit SET ` + column + ` WHERE application = ? AND seq = ?` }
	// Each field of a row is under the hash: one change each, and back again.
	for _, field := range []struct{ change, back string }{
		{"at = at + 1", "at = at - 1"}, {"event = 'authn_login_success'", "event = 'authn_login_fail'"}, {"actor = 'key:2'", "actor = 'key:1'"},
		{"client_ip = ''", "client_ip = '192.0.2.1'"}, {"cause = 'unknown'", "cause = 'ünknown'"}, {"account_id = 'a'", "account_id = 'a4'"},
		{"request_id = 'r'", "request_id = ''"}, {"move = 'claim'", "move = ''"}, {"from_state = 'x'", "from_state = ''"}, {"to_state = 'x'", "to_state = ''"},
		{"actor = 'key:1192', client_ip = '.0.2.1'", "actor = 'key:1', client_ip = '192.0.2.1'"}, // shifted between fields
	} {
		b.exec(t, set(field.change), app, 5)
		broken(t, c, app, "changed", 5)
		b.exec(t, set(field.back), app, 5)
		sound(t, c, app, n)
	}
	// The last row has none behind it that would tell.
	b.exec(t, set("actor = 'x'"), app, n)
	broken(t, c, app, "changed", n)
	b.exec(t, set("actor = 'key:1'"), app, n)
	// Two rows swapped.
	b.exec(t, set("seq = -1"), app, 3)
	b.exec(t, set("seq = 3"), app, 4)
	b.exec(t, set("seq = 4"), app, -1)
	broken(t, c, app, "inserted", 3)
	b.exec(t, set("seq = -1"), app, 3)
	b.exec(t, set("seq = 3"), app, 4)
	b.exec(t, set("seq = 4"), app, -1)
	sound(t, c, app, n)
	// A row hidden from the walk, and one sent back among the unsealed ones.
	for _, seq := range []int{-6, 0} {
		b.exec(t, `UPDATE audit SET seq = ? WHERE application = ? AND account_id = 'a5'`, seq, app)
		broken(t, c, app, "removed", 6)
		b.exec(t, `UPDATE audit SET seq = 6 WHERE application = ? AND account_id = 'a5'`, app)
		sound(t, c, app, n)
	}
	// A row inserted, with the numbers behind it moved up; the hash is a copy, for none can be made.
	for seq := n; seq >= 3; seq-- {
		b.exec(t, set("seq = seq + 1"), app, seq)
	}
	b.exec(t, `INSERT INTO audit (application, id, at, event, seq, hash, key_id) SELECT application, 'x', at, event, 3, hash, key_id FROM audit WHERE application = ? AND seq = 2`, app)
	broken(t, c, app, "inserted", 3)
	b.exec(t, `DELETE FROM audit WHERE id = 'x'`)
	for seq := 4; seq <= n+1; seq++ {
		b.exec(t, set("seq = seq - 1"), app, seq)
	}
	sound(t, c, app, n)
	// Rows outside the chain, with numbers of their own.
	for _, seq := range []int{n + 1, -3} {
		b.exec(t, `INSERT INTO audit (application, id, at, event, seq) VALUES (?, 'x', 1, 'e', ?)`, app, seq)
		broken(t, c, app, "inserted", int64(seq))
		b.exec(t, `DELETE FROM audit WHERE id = 'x'`)
	}
	// Rows removed in the middle, and at the beginning as if retention had taken them.
	b.exec(t, `DELETE FROM audit WHERE application = ? AND seq IN (6, 7)`, app)
	broken(t, c, app, "removed", 6)
	b.exec(t, `DELETE FROM audit WHERE application = ? AND seq <= 7`, app)
	broken(t, c, app, "removed", 1)
	b.exec(t, `UPDATE audit_chains SET anchor_seq = 7 WHERE application = ?`, app)
	if r := verify(t, c, app); r.Fault == nil {
		t.Error("a beginning that was cut off and explained away goes unseen")
	}
}

func testAuditTail(t *testing.T, b AuditBackend) {
	c := b.chain()
	b.write(t, app, 5)
	seal(t, c)
	exported := sound(t, c, app, 5).Head
	if read, ok := storage.ParseAuditHead(exported.String()); !ok || read.String() != exported.String() {
		t.Errorf("a head reads back as %v", read)
	}
	type old struct {
		HeadHash, Mac []byte
	}
	var copied old
	must(t, b.DB.Read(ctx).Raw(`SELECT head_hash, mac FROM audit_chains WHERE application = ?`, app).Scan(&copied).Error)
	b.write(t, app, 4)
	seal(t, c)
	newer := sound(t, c, app, 9).Head
	through := func(h storage.AuditHead) storage.VerifyOptions { return storage.VerifyOptions{Since: h} }
	if r := verify(t, c, app, through(exported)); r.Fault != nil {
		t.Errorf("the chain leads through its own earlier head: %+v", r.Fault)
	}
	// The tail removed: the chain's own row still names it.
	b.exec(t, `DELETE FROM audit WHERE application = ? AND seq > 5`, app)
	broken(t, c, app, "truncated", 6)
	// Its number set back: that row is under a key.
	b.exec(t, `UPDATE audit_chains SET head_seq = 5, head_hash = ? WHERE application = ?`, copied.HeadHash, app)
	broken(t, c, app, "head", 0)
	// An old copy of that row put in place: nothing in the database can tell any
	// more. A head that was exported does.
	b.exec(t, `UPDATE audit_chains SET mac = ? WHERE application = ?`, copied.Mac, app)
	sound(t, c, app, 5)
	broken(t, c, app, "truncated", 6, through(newer))
	// The tail written anew by somebody who can seal: only an exported head shows it.
	b.write(t, app, 4)
	seal(t, c)
	sound(t, c, app, 9)
	broken(t, c, app, "head", 9, through(newer))
	// Everything gone.
	b.exec(t, `DELETE FROM audit WHERE application = ?`, app)
	b.exec(t, `DELETE FROM audit_chains WHERE application = ?`, app)
	sound(t, c, app, 0)
	broken(t, c, app, "truncated", 1, through(newer))
}

// testAuditGoesOn breaks chains under a running sealer: rows must go on being
// sealed, in this application and in others, and what happened must stay visible.
func testAuditGoesOn(t *testing.T, b AuditBackend) {
	for name, breakIt := range map[string]func(slug string){
		"head":    func(slug string) { b.exec(t, `UPDATE audit_chains SET head_seq = 2 WHERE application = ?`, slug) },
		"removed": func(slug string) { b.exec(t, `DELETE FROM audit_chains WHERE application = ?`, slug) },
		"key":     func(slug string) { b.exec(t, `UPDATE audit_chains SET key_id = 'beef' WHERE application = ?`, slug) },
		"beyond": func(slug string) {
			b.exec(t, `INSERT INTO audit (application, id, at, event, seq) VALUES (?, 'x', 1, 'e', 4)`, slug)
		},
	} {
		c, slug, other := b.chain(), "x-"+name, "y-"+name
		b.write(t, slug, 3)
		b.write(t, other, 1)
		seal(t, c)
		breakIt(slug)
		b.write(t, slug, 2)
		b.write(t, other, 2)
		if n := seal(t, c); n != 4 {
			t.Errorf("%s: sealed %d rows", name, n)
		}
		sound(t, c, other, 3)
		r := verify(t, c, slug)
		if r.Fault == nil || r.Unsealed != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		rows, _, err := b.Store.AuditEvents(ctx, slug, workflow.AuditQuery{Event: "sys_monitor_disabled", Limit: 9})
		if err != nil || len(rows) != 1 || rows[0].Seq == 0 {
			t.Errorf("%s: what happened is told by %v %v", name, rows, err)
			continue
		}
		if name == "head" || name == "key" { // the rows themselves are whole
			broken(t, c, slug, "resumed", rows[0].Seq)
			if r := verify(t, c, slug, storage.VerifyOptions{Accepted: []int64{rows[0].Seq}}); r.Fault != nil || r.Checked != 6 {
				t.Errorf("%s, accepted: %+v", name, r)
			}
		}
	}
}

func testAuditKeys(t *testing.T, b AuditBackend) {
	b.write(t, app, 3)
	seal(t, b.chain(1))
	b.write(t, app, 2)
	seal(t, b.chain(2, 1))
	sound(t, b.chain(2, 1), app, 5)
	sound(t, b.chain(3, 2, 1), app, 5)
	broken(t, b.chain(2), app, "key", 1)
	broken(t, b.chain(1), app, "key", 4)
	// The head of a chain where nothing happens moves to the new key too, so that
	// taking the old one out later does not look like tampering.
	idle := "idle"
	b.write(t, idle, 2)
	seal(t, b.chain(1))
	if n, err := b.chain(2, 1).Prune(ctx, start().Add(-time.Hour), 5); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	b.write(t, idle, 1)
	if n := seal(t, b.chain(2)); n != 1 {
		t.Errorf("sealed %d", n)
	}
	sound(t, b.chain(2, 1), idle, 3)
	// Somebody who can write but has another key.
	b.write(t, app, 1)
	seal(t, b.chain(2, 1))
	b.exec(t, `UPDATE audit SET key_id = '' WHERE application = ? AND seq = 6`, app)
	broken(t, b.chain(2, 1), app, "key", 6)
}

func testAuditPruning(t *testing.T, b AuditBackend) {
	c := b.chain()
	must(t, b.Store.Create(ctx, settings(app), "admin"))
	old := start().Add(-100 * time.Hour)
	for i := range 7 {
		at := old.Add(time.Duration(i) * time.Second)
		must(t, b.Store.Audit(ctx, workflow.AuditEntry{Application: app, ID: workflow.NewID(at), At: at, Event: "authz_fail"}))
	}
	seal(t, c)
	head := sound(t, c, app, 8).Head
	before := start().Add(-time.Hour)
	if _, err := b.Store.Prune(ctx, workflow.Retention{Audit: before}, 100); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Prune(ctx, time.Time{}, 100); n != 0 || err != nil {
		t.Fatalf("pruned %d for ever-lasting rows: %v", n, err)
	}
	sound(t, c, app, 8) // the store leaves sealed rows alone
	for _, want := range []int{5, 2, 0} {
		if n, err := c.Prune(ctx, before, 5); n != want || err != nil {
			t.Fatalf("pruned %d, want %d: %v", n, want, err)
		}
	}
	r := sound(t, c, app, 1)
	if r.Pruned != 7 || r.Head.String() != head.String() {
		t.Errorf("after pruning: %+v", r)
	}
	b.write(t, app, 2)
	seal(t, c)
	sound(t, c, app, 3)
	b.exec(t, `DELETE FROM audit WHERE application = ? AND seq = 8`, app)
	broken(t, c, app, "removed", 8)
	// A head that cannot be trusted is not signed in passing.
	other := "other"
	must(t, b.Store.Audit(ctx, workflow.AuditEntry{Application: other, ID: workflow.NewID(old), At: old, Event: "authz_fail"}))
	b.write(t, other, 1)
	seal(t, c)
	b.exec(t, `UPDATE audit_chains SET anchor_hash = head_hash WHERE application = ?`, other)
	if n, err := c.Prune(ctx, before, 5); n != 1 || err != nil {
		t.Fatalf("pruned %d: %v", n, err)
	}
	broken(t, c, other, "resumed", 3)
}

func testAuditReading(t *testing.T, b AuditBackend) {
	rows := b.write(t, app, 25)
	b.write(t, "other", 1)
	special := rows[0]
	special.ID, special.Event, special.RequestID = workflow.NewID(start()), "authz_fail", workflow.NewID(start())
	must(t, b.Store.Audit(ctx, special))
	seal(t, b.chain())
	var got []workflow.ID
	q := workflow.AuditQuery{Limit: 10}
	for pages := 1; ; pages++ {
		page, next, err := b.Store.AuditEvents(ctx, app, q)
		must(t, err)
		for _, e := range page {
			got = append(got, e.ID)
			if e.Seq == 0 || len(e.Hash) != 32 || e.KeyID == "" {
				t.Errorf("no seal on %+v", e)
			}
		}
		if q.Cursor = next; next == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if len(got) != 26 || !slices.IsSortedFunc(got, func(a, b workflow.ID) int { return -compareIDs(a, b) }) {
		t.Errorf("%d rows, not newest first", len(got))
	}
	for name, one := range map[string]struct {
		q    workflow.AuditQuery
		want int
	}{
		"event":          {workflow.AuditQuery{Event: "authz_fail"}, 1},
		"request":        {workflow.AuditQuery{Request: special.RequestID}, 1},
		"account":        {workflow.AuditQuery{Account: "a7"}, 1},
		"since":          {workflow.AuditQuery{Since: rows[20].At, Limit: 100}, 5},
		"since tomorrow": {workflow.AuditQuery{Since: start().Add(24 * time.Hour)}, 0},
		"nothing":        {workflow.AuditQuery{Event: "none"}, 0},
		"odd text":       {workflow.AuditQuery{Account: "a\x00"}, 0},
	} {
		page, next, err := b.Store.AuditEvents(ctx, app, one.q)
		if err != nil || next != "" || len(page) != one.want {
			t.Errorf("%s: %d rows, next %q, %v", name, len(page), next, err)
		}
	}
	if _, _, err := b.Store.AuditEvents(ctx, app, workflow.AuditQuery{Cursor: "x"}); workflow.AsError(err).Code != workflow.CodeViolations {
		t.Errorf("a cursor that is none: %v", err)
	}
	var all []workflow.ID
	must(t, b.Store.EachAuditEvent(ctx, app, time.Time{}, func(e workflow.SealedEntry) error { all = append(all, e.ID); return nil }))
	slices.Reverse(got)
	if !slices.Equal(all, got) {
		t.Errorf("all of them are %d rows", len(all))
	}
}

func compareIDs(a, b workflow.ID) int { return slices.Compare(a[:], b[:]) }
