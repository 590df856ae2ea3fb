package storage

import (
	"context"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Overdue lists unfinished requests whose lifetime ended at or before now,
// those that waited longest first. The lifetime is half-open.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]workflow.Request, error) {
	return s.sweep(ctx, `state IN ('requested', 'challenged', 'decoy', 'locked') AND expires_at <= ? ORDER BY expires_at`, now, limit)
}

// Unsettled lists requests that have been applying since before.
func (s *Store) Unsettled(ctx context.Context, before time.Time, limit int) ([]workflow.Request, error) {
	return s.sweep(ctx, `state = 'applying' AND moved_at < ? ORDER BY moved_at`, before, limit)
}

func (s *Store) sweep(ctx context.Context, where string, at time.Time, limit int) ([]workflow.Request, error) {
	if limit <= 0 {
		return nil, nil
	}
	var rows []requestRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(requestColumns, "")+` FROM requests WHERE `+where+` LIMIT ?`, micros(at), limit).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	return toRequests(rows)
}

// Prune deletes requests that ended, with their messages; other messages and
// audit rows that were never sealed by their own age; and limits that are full
// again. Of each it takes at most limit, so that nobody waits long for a lock.
// A zero time keeps all.
func (s *Store) Prune(ctx context.Context, keep workflow.Retention, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	gone := 0
	err := s.db.Atomically(ctx, func(ctx context.Context) error {
		var err error
		gone, err = s.pruneRequests(ctx, micros(keep.Requests), limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	applications, err := s.slugs(ctx)
	if err != nil {
		return gone, err
	}
	db := s.db.Write(ctx)
	for _, application := range append(applications, "") {
		// Ids grow with time, so the key finds the old rows without an index on the time.
		// Sealed rows go by AuditChain.Prune, which keeps the chain whole.
		err := db.Exec(`DELETE FROM audit WHERE application = ? AND at < ? AND seq = 0 AND id IN (SELECT id FROM audit WHERE application = ? AND id < ? AND seq = 0 ORDER BY id LIMIT ?)`,
			application, micros(keep.Audit), application, firstID(keep.Audit), limit).Error
		if err != nil {
			return gone, err
		}
		err = db.Exec(`DELETE FROM messages WHERE application = ? AND id IN (SELECT id FROM messages
WHERE application = ? AND id < ? AND state <> 'queued' AND created_at < ? ORDER BY id LIMIT ?)`, application, application, firstID(keep.Messages), micros(keep.Messages), limit).Error
		if err != nil {
			return gone, err
		}
	}
	for _, table := range []string{"limits", "limits_fast"} {
		err := db.Exec(`DELETE FROM `+table+` WHERE tat < `+s.nowSQL()+` AND (application, name, key) IN
(SELECT application, name, key FROM `+table+` WHERE tat < `+s.nowSQL()+` LIMIT ?)`, limit).Error
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// pruneRequests deletes a batch of finished requests. A node that comes at the
// same time takes other rows instead of waiting.
func (s *Store) pruneRequests(ctx context.Context, before int64, limit int) (int, error) {
	var rows []requestRow
	wait := ""
	if s.postgres() {
		wait = " FOR UPDATE SKIP LOCKED"
	}
	db := s.db.Write(ctx)
	err := db.Raw(`SELECT application, id FROM requests WHERE ended_at > 0 AND ended_at < ? AND expires_at < ? ORDER BY ended_at LIMIT ?`+wait,
		before, before, limit).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	const batch = 500 // keeps the number of bound values far from both databases' bounds
	for from := 0; from < len(rows); from += batch {
		part := rows[from:min(from+batch, len(rows))]
		args := make([]any, 0, 2*len(part))
		pairs := ""
		for i, r := range part {
			if i > 0 {
				pairs += ", "
			}
			pairs += "(?, ?)"
			args = append(args, r.Application, r.ID)
		}
		for _, key := range []string{"messages WHERE (application, request_id)", "requests WHERE (application, id)"} {
			if err := db.Exec(`DELETE FROM `+key+` IN (VALUES `+pairs+`)`, args...).Error; err != nil {
				return 0, err
			}
		}
	}
	return len(rows), nil
}

func (s *Store) slugs(ctx context.Context) ([]string, error) {
	var list []string
	err := s.db.Read(ctx).Raw(`SELECT slug FROM applications ORDER BY slug`).Find(&list).Error
	return list, err
}

// firstID is the smallest text an id made at t could have.
func firstID(t time.Time) string {
	id := workflow.NewID(t).String()
	return id[:13] // the 48 bits of milliseconds (RFC 9562 §5.7)
}
