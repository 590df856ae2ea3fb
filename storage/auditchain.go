package storage

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/resetflow/resetflow/workflow"
)

// AuditChain seals audit rows into one hash chain for each application ("" is
// the installation's own) and verifies it.
//
// A row is inserted plain by whoever decides something and sealed later: it
// gets the next number of its chain and a hash over every field, that number
// and the hash before it. The order of a chain is the order of sealing, so a
// row whose transaction committed late simply comes later. Hashes are keyed by
// secret_keys; who can only write to the database can break a chain, and
// cannot mend it.
//
// It is safe for concurrent use. On several nodes one seals at a time.
type AuditChain struct {
	store *Store
	keys  workflow.Keys

	mu    sync.Mutex
	begun bool   // whether a round through the applications is under way
	last  string // the application the round came to
}

// NewAuditChain makes the chain of a store's audit rows.
func NewAuditChain(s *Store, keys workflow.Keys) *AuditChain {
	return &AuditChain{store: s, keys: keys}
}

const (
	sealBatch = 500 // rows of one transaction

	// sealLock is the number of PostgreSQL's advisory lock that the sealing
	// node holds for a transaction: "rfaudit" in ASCII.
	sealLock = 0x72666175646974

	purposeRow  = "audit/row/v1"
	purposeHead = "audit/head/v1"

	// resumedEvent and resumedCause mark a row that says: the chain's head could
	// not be trusted here, and sealing went on from it all the same.
	resumedEvent = "sys_monitor_disabled"
	resumedCause = "audit_chain:"
)

// genesis stands before the first row of every chain.
var genesis = make([]byte, 32)

// chainRow is a row of audit_chains; its fields stand in the order of chainColumns.
type chainRow struct {
	Application string
	HeadSeq     int64
	HeadHash    []byte
	AnchorSeq   int64
	AnchorHash  []byte
	KeyID       string
	Mac         []byte

	// Beyond is the largest number near the head that a row holds which nobody
	// sealed, 0 where there is none.
	Beyond int64
}

var chainColumns = []column{{"application", "text"}, {"head_seq", "bigint"}, {"head_hash", "bytea"}, {"anchor_seq", "bigint"}, {"anchor_hash", "bytea"},
	{"key_id", "text"}, {"mac", "bytea"}}

func (r chainRow) values() []any {
	return []any{r.Application, r.HeadSeq, r.HeadHash, r.AnchorSeq, r.AnchorHash, r.KeyID, r.Mac}
}

// sealedRow is a row of audit with its seal.
type sealedRow struct {
	Row   auditRow `gorm:"embedded"`
	Seq   int64
	Hash  []byte
	KeyID string
}

// TableName names the table for gorm.
func (sealedRow) TableName() string { return "audit" }

var sealedColumns = columnList(auditColumns, "") + ", seq, hash, key_id"

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// rowHash is what a row's hash must be behind prev. ok is false where the key
// is not configured.
func (c *AuditChain) rowHash(keyID string, prev []byte, seq int64, row auditRow) (hash []byte, ok bool) {
	parts := [][]byte{prev, number(seq)}
	for _, v := range row.values() {
		switch v := v.(type) {
		case string:
			parts = append(parts, []byte(v))
		case int64:
			parts = append(parts, number(v))
		default:
			panic(fmt.Sprintf("storage: a column of audit has the type %T, which the chain cannot encode", v))
		}
	}
	return c.keys.Derive(keyID, purposeRow, parts...)
}

func (c *AuditChain) headMAC(keyID string, r chainRow) (mac []byte, ok bool) {
	return c.keys.Derive(keyID, purposeHead, []byte(r.Application), number(r.HeadSeq), r.HeadHash, number(r.AnchorSeq), r.AnchorHash)
}

// distrust says why a head cannot be trusted, "" where it can.
func (c *AuditChain) distrust(r chainRow) string {
	want, ok := c.headMAC(r.KeyID, r)
	switch {
	case !ok:
		return "key_unknown"
	case !hmac.Equal(want, r.Mac):
		return "head_changed"
	}
	return ""
}

// lead makes this transaction the only one that seals or prunes. On SQLite
// every write transaction is. It reports false where another node is at it.
func (c *AuditChain) lead(ctx context.Context) (bool, error) {
	if !c.store.postgres() {
		return true, nil
	}
	var first bool
	err := c.store.db.Write(ctx).Raw(`SELECT pg_try_advisory_xact_lock(?)`, int64(sealLock)).Find(&first).Error
	return first, err
}

// Seal seals one batch of rows. It reports how many, and whether another call
// now may find more: applications take turns, so that a flood in one does not
// keep the others waiting.
func (c *AuditChain) Seal(ctx context.Context) (sealed int, more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var waiting []string
	// One cheap look, so that an idle service takes no writer.
	if err := c.store.db.Read(ctx).Raw(`SELECT id FROM audit WHERE seq = 0 LIMIT 1`).Find(&waiting).Error; err != nil || len(waiting) == 0 {
		c.begun = false
		return 0, false, err
	}
	var begun bool
	var last string
	err = c.store.db.Atomically(ctx, func(ctx context.Context) error {
		sealed, more, begun, last = 0, false, c.begun, c.last
		if first, err := c.lead(ctx); err != nil || !first {
			return err
		}
		where, args := "", []any(nil)
		if begun {
			where, args = " AND application > ?", []any{last}
		}
		var rows []auditRow
		err := c.store.db.Write(ctx).Raw(`SELECT `+columnList(auditColumns, "")+` FROM audit WHERE seq = 0`+where+` ORDER BY application, id LIMIT ?`,
			append(args, sealBatch)...).Find(&rows).Error
		if err != nil {
			return err
		}
		full := len(rows) == sealBatch
		more = full || begun
		begun = full
		if full {
			last = rows[len(rows)-1].Application
		}
		sealed = len(rows)
		return c.seal(ctx, rows)
	})
	if err != nil {
		return 0, false, err
	}
	c.begun, c.last = begun, last
	return sealed, more, nil
}

// seal appends rows, which stand together by application, to their chains.
func (c *AuditChain) seal(ctx context.Context, rows []auditRow) error {
	if len(rows) == 0 {
		return nil
	}
	var names []any
	for i, r := range rows {
		if i == 0 || rows[i-1].Application != r.Application {
			names = append(names, r.Application)
		}
	}
	heads, err := c.heads(ctx, names)
	if err != nil {
		return err
	}
	var done []sealedRow
	var moved [][]any
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].Application == rows[0].Application {
			n++
		}
		head, told, err := c.trusted(ctx, rows[0].Application, heads)
		if err != nil {
			return err
		}
		for _, r := range append(told, rows[:n]...) {
			done = append(done, c.behind(&head, r))
		}
		moved = append(moved, c.signed(head).values())
		rows = rows[n:]
	}
	if err := c.mark(ctx, done); err != nil {
		return err
	}
	return c.save(ctx, moved)
}

// behind seals r behind head and moves head there.
func (c *AuditChain) behind(head *chainRow, r auditRow) sealedRow {
	one := sealedRow{Row: r, Seq: head.HeadSeq + 1, KeyID: c.keys.Current()}
	one.Hash, _ = c.rowHash(one.KeyID, head.HeadHash, one.Seq, r) // the current key is always there
	head.HeadSeq, head.HeadHash = one.Seq, one.Hash
	return one
}

// heads loads the chains of applications.
func (c *AuditChain) heads(ctx context.Context, applications []any) (map[string]chainRow, error) {
	var rows []chainRow
	err := c.store.db.Write(ctx).Raw(`SELECT `+columnList(chainColumns, "c.")+`,
(SELECT COALESCE(max(a.seq), 0) FROM audit a WHERE a.application = c.application AND a.seq <> 0 AND a.seq > c.head_seq AND a.seq <= c.head_seq + 1000000) AS beyond
FROM audit_chains c WHERE c.application IN ( `+marks(len(applications))+`)`, applications...).Find(&rows).Error
	heads := make(map[string]chainRow, len(rows))
	for _, r := range rows {
		heads[r.Application] = r
	}
	return heads, err
}

// trusted returns the head to go on from. Sealing never stops: where the head
// cannot be trusted, a row that says so is made, inserted and handed back to be
// sealed first. It stays in the chain for everybody to see.
func (c *AuditChain) trusted(ctx context.Context, application string, heads map[string]chainRow) (chainRow, []auditRow, error) {
	head, known := heads[application]
	why := ""
	if known {
		if why = c.distrust(head); why == "key_unknown" {
			why += ":" + head.KeyID
		}
		if head.Beyond != 0 { // their numbers are taken, and they stay where they are as evidence
			why, head.HeadSeq = "rows_inserted", head.Beyond
		}
	} else {
		head = chainRow{Application: application, HeadHash: genesis, AnchorHash: genesis}
		var left []sealedRow
		err := c.store.db.Write(ctx).Raw(`SELECT seq, hash FROM audit WHERE application = ? AND seq <> 0 AND seq < 1000000000000000 ORDER BY seq DESC LIMIT 1`, application).Find(&left).Error
		if err != nil {
			return head, nil, err
		}
		if len(left) > 0 {
			why = "head_removed"
			head.HeadSeq, head.HeadHash = left[0].Seq, left[0].Hash
			head.AnchorSeq, head.AnchorHash = head.HeadSeq, head.HeadHash
		}
	}
	if why == "" {
		return head, nil, nil
	}
	row := auditRowOf(workflow.AuditEntry{Application: application, Event: resumedEvent, Actor: "system", Cause: resumedCause + why}, c.store.clock.Now())
	st := c.store.statement()
	st.insert("audit", auditColumns, [][]any{row.values()}, "")
	return head, []auditRow{row}, c.store.db.Write(ctx).Exec(st.String(), st.args...).Error
}

// signed returns r under the current key.
func (c *AuditChain) signed(r chainRow) chainRow {
	r.KeyID = c.keys.Current()
	r.Mac, _ = c.headMAC(r.KeyID, r)
	return r
}

var errMoved = errors.New("storage: audit rows went away while they were being sealed; it is tried again")

// mark writes the seals of rows that have none.
func (c *AuditChain) mark(ctx context.Context, rows []sealedRow) error {
	if tx, ok := c.store.db.PgxTx(ctx); ok {
		// Arrays, so that the statement is the same for every number of rows.
		var applications, ids []string
		var seqs []int64
		var hashes [][]byte
		for _, r := range rows {
			applications, ids = append(applications, r.Row.Application), append(ids, r.Row.ID)
			seqs, hashes = append(seqs, r.Seq), append(hashes, r.Hash)
		}
		tag, err := tx.Exec(ctx, `UPDATE audit SET seq = v.seq, hash = v.hash, key_id = $5
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) AS v (application, id, seq, hash)
WHERE audit.application = v.application AND audit.id = v.id AND audit.seq = 0`, applications, ids, seqs, hashes, rows[0].KeyID)
		if err == nil && tag.RowsAffected() != int64(len(rows)) {
			err = errMoved
		}
		return err
	}
	columns := []column{{"application", "text"}, {"id", "text"}, {"seq", "bigint"}, {"hash", "bytea"}, {"key_id", "text"}}
	values := make([][]any, len(rows))
	for i, r := range rows {
		values[i] = []any{r.Row.Application, r.Row.ID, r.Seq, r.Hash, r.KeyID}
	}
	st := c.store.statement()
	st.write("WITH v (", columnList(columns, ""), ") AS (")
	st.values(columns, values)
	st.write(") UPDATE audit SET seq = v.seq, hash = v.hash, key_id = v.key_id FROM v ",
		"WHERE audit.application = v.application AND audit.id = v.id AND audit.seq = 0")
	tx := c.store.db.Write(ctx).Exec(st.String(), st.args...)
	if tx.Error == nil && tx.RowsAffected != int64(len(rows)) {
		return errMoved
	}
	return tx.Error
}

func (c *AuditChain) save(ctx context.Context, chains [][]any) error {
	st := c.store.statement()
	st.insert("audit_chains", chainColumns, chains, "")
	st.write(" ON CONFLICT (application) DO UPDATE SET ")
	for i, col := range chainColumns[1:] {
		if i > 0 {
			st.write(", ")
		}
		st.write(col.name, " = excluded.", col.name)
	}
	return c.store.db.Write(ctx).Exec(st.String(), st.args...).Error
}
