package storage

import (
	"context"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var _ workflow.AuditTrail = (*Store)(nil)

func (r sealedRow) entry() (workflow.SealedEntry, error) {
	e, err := r.Row.entry()
	return workflow.SealedEntry{AuditEntry: e, Seq: r.Seq, Hash: r.Hash, KeyID: r.KeyID}, err
}

// auditLook is how many rows one page looks at: a filter that meets hardly any
// row must not make one call read the whole table.
const auditLook = 20_000

// AuditEvents lists an application's audit entries newest first. A page holds
// at most 200; where a filter meets few rows it may hold fewer than asked for
// and still have a next. A cursor that is none is a violation on cursor.
func (s *Store) AuditEvents(ctx context.Context, application string, q workflow.AuditQuery) ([]workflow.SealedEntry, string, error) {
	seen := newFilter(application)
	if !q.Request.IsZero() {
		seen.where += " AND request_id = ? AND request_id <> ''" // it has an index of its own
		seen.args = append(seen.args, q.Request.String())
	}
	if !q.Since.IsZero() { // ids grow with time
		seen.where += " AND id >= ?"
		seen.args = append(seen.args, firstID(q.Since))
	}
	if err := seen.after(q.Cursor); err != nil || seen.dirty {
		return nil, "", err
	}
	f := &filter{where: "at >= ?", args: []any{micros(q.Since)}}
	f.equal("event", q.Event)
	f.equal("account_id", q.Account)
	if f.dirty {
		return nil, "", nil
	}
	size := pageSize(q.Limit)
	args := append(append(append([]any{}, seen.args...), auditLook), f.args...)
	var rows []sealedRow
	err := s.db.Read(ctx).Raw(`SELECT * FROM (SELECT `+sealedColumns+` FROM audit WHERE `+seen.where+` ORDER BY id DESC LIMIT ?) AS looked
WHERE `+f.where+` ORDER BY id DESC LIMIT ?`, append(args, size+1)...).Find(&rows).Error
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].Row.ID
	} else {
		// The last row that was looked at, if there are others behind it.
		var last []string
		err := s.db.Read(ctx).Raw(`SELECT id FROM audit WHERE `+seen.where+` ORDER BY id DESC LIMIT 2 OFFSET ?`, append(seen.args, auditLook-1)...).Find(&last).Error
		if err != nil {
			return nil, "", err
		}
		if len(last) == 2 {
			next = last[0]
		}
	}
	list, err := toSealed(rows)
	return list, next, err
}

// EachAuditEvent calls fn for an application's entries since a time (zero for
// all), oldest first, a page of them in memory at a time. fn's error ends it.
func (s *Store) EachAuditEvent(ctx context.Context, application string, since time.Time, fn func(workflow.SealedEntry) error) error {
	from := ""
	if !since.IsZero() {
		from = firstID(since)
	}
	for {
		var rows []sealedRow
		err := s.db.Read(ctx).Raw(`SELECT `+sealedColumns+` FROM audit WHERE application = ? AND id > ? ORDER BY id LIMIT ?`, application, from, verifyPage).Find(&rows).Error
		if err != nil || len(rows) == 0 {
			return err
		}
		from = rows[len(rows)-1].Row.ID
		list, err := toSealed(rows)
		if err != nil {
			return err
		}
		for _, e := range list {
			if e.At.Before(since) {
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}

func toSealed(rows []sealedRow) ([]workflow.SealedEntry, error) {
	list := make([]workflow.SealedEntry, 0, len(rows))
	for _, r := range rows {
		e, err := r.entry()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}
