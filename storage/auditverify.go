package storage

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AuditHead names a place in a chain: the number and the hash of a row.
type AuditHead struct {
	Seq  int64
	Hash []byte
}

// String writes h as "number:hash", the hash in hexadecimal.
func (h AuditHead) String() string {
	return strconv.FormatInt(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash)
}

// ParseAuditHead reverses [AuditHead.String].
func ParseAuditHead(s string) (AuditHead, bool) {
	seq, hash, ok := strings.Cut(s, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	b, hexErr := hex.DecodeString(hash)
	return AuditHead{n, b}, ok && err == nil && hexErr == nil && n >= 0 && len(b) == len(genesis)
}

// AuditFault is the first thing that is wrong with a chain.
type AuditFault struct {
	Kind string // changed, removed, inserted, truncated, head, key, resumed
	Seq  int64  // where, 0 where no row can be named
	ID   string // the row's id, "" where it is gone
	Text string // one sentence for a person
}

// AuditReport is what verifying one chain found.
type AuditReport struct {
	Application    string
	Checked        int64     // rows whose hash was computed anew
	Pruned         int64     // the number of the last row that retention took
	Head           AuditHead // the last row that was checked
	Unsealed       int64     // rows that wait to be sealed
	OldestUnsealed time.Time
	Fault          *AuditFault // nil: what is there is what was sealed
}

// VerifyOptions of [AuditChain.Verify].
type VerifyOptions struct {
	// Since is a head that was exported before, the zero value for none: the
	// chain must still lead through it.
	Since AuditHead
	// Accepted are numbers of rows that tell of a resumed chain and whose reason is known.
	Accepted []int64
}

// AuditApplications lists the applications that have audit rows or a chain, ""
// for the installation among them.
func (c *AuditChain) AuditApplications(ctx context.Context) ([]string, error) {
	var list []string
	last, first := "", true
	for {
		var next []string
		where, args := "", []any(nil)
		if !first {
			where, args = " WHERE application > ?", []any{last, last}
		}
		err := c.store.db.Read(ctx).Raw(`SELECT min(application) AS application FROM (SELECT min(application) AS application FROM audit`+where+
			` UNION ALL SELECT min(application) AS application FROM audit_chains`+where+`) AS t HAVING count(application) > 0`, args...).Find(&next).Error
		if err != nil || len(next) == 0 {
			return list, err
		}
		list, last, first = append(list, next[0]), next[0], false
	}
}

const verifyPage = 1000 // rows in memory at a time

// Verify walks the chain of an application from its anchor to its head and
// computes every hash anew. It holds one page of rows in memory, takes no lock
// and may run beside the service.
//
// It cannot see that rows at the end were taken away together with an older
// copy of the chain's head put in place: for that, compare with a head that is
// kept elsewhere (o.Since).
func (c *AuditChain) Verify(ctx context.Context, application string, o VerifyOptions) (AuditReport, error) {
	var r AuditReport
	for range 5 {
		head, err := c.headOf(ctx, application)
		if err != nil {
			return r, err
		}
		w := &chainWalk{c: c, application: application, o: o, head: head}
		w.report.Application = application
		if err := w.run(ctx); err != nil {
			return r, err
		}
		r = w.report
		if r.Fault == nil {
			break
		}
		// Retention may have taken rows in the middle of the walk; then once more.
		if again, err := c.headOf(ctx, application); err != nil {
			return r, err
		} else if again.AnchorSeq == head.AnchorSeq && again.Application == head.Application {
			break
		}
	}
	var waiting struct{ Count, Oldest int64 }
	err := c.store.db.Read(ctx).Raw(`SELECT count(*) AS count, COALESCE(min(at), 0) AS oldest FROM audit WHERE application = ? AND seq = 0`, application).Find(&waiting).Error
	r.Unsealed, r.OldestUnsealed = waiting.Count, moment(waiting.Oldest)
	return r, err
}

// headOf reads a chain's row; its Mac is nil where there is none.
func (c *AuditChain) headOf(ctx context.Context, application string) (chainRow, error) {
	var rows []chainRow
	err := c.store.db.Read(ctx).Raw(`SELECT `+columnList(chainColumns, "")+` FROM audit_chains WHERE application = ?`, application).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return chainRow{HeadHash: genesis, AnchorHash: genesis}, err
	}
	return rows[0], nil
}

// chainWalk is one walk along a chain.
type chainWalk struct {
	c           *AuditChain
	application string
	o           VerifyOptions
	head        chainRow
	report      AuditReport

	page []sealedRow
	read int64 // the number of the last row that was read
	pos  int64 // the number of the last row that was right
	prev []byte
}

// next returns the next row of the chain.
func (w *chainWalk) next(ctx context.Context) (sealedRow, bool, error) {
	if len(w.page) == 0 {
		err := w.c.store.db.Read(ctx).Raw(`SELECT `+sealedColumns+` FROM audit WHERE application = ? AND seq <> 0 AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
			w.application, w.read, w.head.HeadSeq, verifyPage).Find(&w.page).Error
		if err != nil || len(w.page) == 0 {
			return sealedRow{}, false, err
		}
	}
	r := w.page[0]
	w.page, w.read = w.page[1:], r.Seq
	return r, true, nil
}

func (w *chainWalk) fault(kind string, seq int64, id, format string, args ...any) {
	w.report.Fault = &AuditFault{kind, seq, id, fmt.Sprintf(format, args...)}
}

func (w *chainWalk) run(ctx context.Context) error {
	w.pos, w.read, w.prev = w.head.AnchorSeq, w.head.AnchorSeq, w.head.AnchorHash
	w.report.Pruned = w.head.AnchorSeq
	for w.report.Fault == nil {
		r, ok, err := w.next(ctx)
		if err != nil {
			return err
		}
		w.report.Head = AuditHead{w.pos, w.prev}
		if !ok {
			break
		}
		if err := w.row(ctx, r); err != nil {
			return err
		}
	}
	if w.report.Fault == nil {
		w.ends()
	}
	if w.report.Fault == nil {
		return w.strangers(ctx)
	}
	return nil
}

// row checks one row behind the last right one.
func (w *chainWalk) row(ctx context.Context, r sealedRow) error {
	if r.Seq != w.pos+1 {
		w.fault("removed", w.pos+1, "", "%s missing before row %d (%s): removed", theRows(w.pos+1, r.Seq-1), r.Seq, r.Row.ID)
		return nil
	}
	want, known := w.c.rowHash(r.KeyID, w.prev, r.Seq, r.Row)
	if !known {
		w.fault("key", r.Seq, r.Row.ID, "row %d (%s) and later ones were sealed with the key %q, which is not configured; name it with --retired-keys", r.Seq, r.Row.ID, r.KeyID)
		return nil
	}
	if !hmac.Equal(want, r.Hash) {
		return w.wrong(ctx, r)
	}
	w.report.Checked++
	w.pos, w.prev = r.Seq, r.Hash
	if s := w.o.Since; s.Seq == r.Seq && s.Hash != nil && !hmac.Equal(s.Hash, r.Hash) {
		w.fault("head", r.Seq, r.Row.ID, "row %d (%s) is not the one that was the head before: the chain was written anew", r.Seq, r.Row.ID)
	}
	if r.Row.Event == resumedEvent && strings.HasPrefix(r.Row.Cause, resumedCause) && !w.accepted(r.Seq) {
		w.fault("resumed", r.Seq, r.Row.ID, "at row %d (%s) the chain went on from a head that could not be trusted (%s): rows before it may be missing; with the reason known, accept it with --accept %d",
			r.Seq, r.Row.ID, strings.TrimPrefix(r.Row.Cause, resumedCause), r.Seq)
	}
	return nil
}

// wrong says what happened to a row whose hash is not what it must be. The row
// behind it tells: it was computed over the hash before it.
func (w *chainWalk) wrong(ctx context.Context, r sealedRow) error {
	after, there, err := w.next(ctx)
	if err != nil {
		return err
	}
	fits := func(prev []byte, seq int64) bool {
		want, ok := w.c.rowHash(after.KeyID, prev, seq, after.Row)
		return there && ok && hmac.Equal(want, after.Hash)
	}
	switch {
	case there && fits(w.prev, r.Seq):
		w.fault("inserted", r.Seq, r.Row.ID, "row %d (%s) was inserted or moved here: row %d (%s) belongs in its place", r.Seq, r.Row.ID, after.Seq, after.Row.ID)
	case there && fits(r.Hash, after.Seq), !there && hmac.Equal(r.Hash, w.head.HeadHash):
		w.fault("changed", r.Seq, r.Row.ID, "row %d (%s) was changed: its content is not what was sealed", r.Seq, r.Row.ID)
	default:
		w.fault("changed", r.Seq, r.Row.ID, "row %d (%s) was changed, moved or inserted: its content and hash are not what was sealed", r.Seq, r.Row.ID)
	}
	return nil
}

// ends compares what was walked with the chain's own row and an exported head.
func (w *chainWalk) ends() {
	s, h := w.o.Since, w.head
	switch {
	case h.Mac == nil:
	case w.c.distrust(h) == "key_unknown":
		w.fault("key", 0, "", "the head was sealed with the key %q, which is not configured; name it with --retired-keys", h.KeyID)
	case w.c.distrust(h) != "":
		w.fault("head", 0, "", "the chain's own row, which holds its head and what retention took, was changed")
	case w.pos < h.HeadSeq:
		w.fault("truncated", w.pos+1, "", "%s missing at the end: removed", theRows(w.pos+1, h.HeadSeq))
	case !hmac.Equal(w.prev, h.HeadHash):
		w.fault("head", h.HeadSeq, "", "the last row is not the one the chain's head names: the end was changed")
	}
	switch {
	case w.report.Fault != nil || s.Hash == nil || s.Seq == 0:
	case s.Seq > w.pos:
		w.fault("truncated", w.pos+1, "", "the chain ends at row %d and led to row %d before: the end was removed", w.pos, s.Seq)
	case s.Seq == h.AnchorSeq && !hmac.Equal(s.Hash, h.AnchorHash):
		w.fault("head", s.Seq, "", "row %d, pruned since, is not the one that was the head before: the chain was written anew", s.Seq)
	}
}

// strangers looks for numbered rows outside the chain. One statement sees rows
// and head at the same moment.
func (w *chainWalk) strangers(ctx context.Context) error {
	var rows []sealedRow
	err := w.c.store.db.Read(ctx).Raw(`SELECT a.id, a.seq FROM audit a LEFT JOIN audit_chains c ON c.application = a.application
WHERE a.application = ? AND a.seq <> 0 AND (c.application IS NULL OR a.seq > c.head_seq OR a.seq <= c.anchor_seq) ORDER BY a.seq LIMIT 1`, w.application).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return err
	}
	if w.head.Mac == nil {
		w.fault("head", rows[0].Seq, rows[0].Row.ID, "the chain's own row, which holds its head, was removed; row %d (%s) and others are there", rows[0].Seq, rows[0].Row.ID)
	} else {
		w.fault("inserted", rows[0].Seq, rows[0].Row.ID, "row %d (%s) was inserted: it lies outside the chain", rows[0].Seq, rows[0].Row.ID)
	}
	return nil
}

func (w *chainWalk) accepted(seq int64) bool {
	for _, n := range w.o.Accepted {
		if n == seq {
			return true
		}
	}
	return false
}

// theRows names rows by their numbers, as the beginning of a sentence.
func theRows(from, to int64) string {
	if from == to {
		return fmt.Sprintf("row %d is", from)
	}
	return fmt.Sprintf("rows %d to %d are", from, to)
}
