package storage

import (
	"bytes"
	"context"
	"time"
)

// Prune deletes sealed rows that are older than before (the zero time keeps
// all): of each application at most limit, and always the beginning of its
// chain. What is kept stays verifiable: the hash before the first kept row is
// kept as the chain's anchor. It returns how many rows went; 0 while another
// node seals.
//
// Heads move to the newest key here, also where nothing is pruned.
//
// Rows that are not sealed yet are pruned by [Store.Prune].
func (c *AuditChain) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 || before.IsZero() {
		return 0, nil
	}
	var applications []string
	if err := c.store.db.Read(ctx).Raw(`SELECT application FROM audit_chains ORDER BY application`).Find(&applications).Error; err != nil {
		return 0, err
	}
	gone := 0
	for _, application := range applications {
		n := 0
		err := c.store.db.Atomically(ctx, func(ctx context.Context) error {
			n = 0
			first, err := c.lead(ctx)
			if err != nil || !first {
				return err
			}
			n, err = c.pruneOne(ctx, application, micros(before), limit)
			return err
		})
		if gone += n; err != nil {
			return gone, err
		}
	}
	return gone, nil
}

func (c *AuditChain) pruneOne(ctx context.Context, application string, before int64, limit int) (int, error) {
	db := c.store.db.Write(ctx)
	heads, err := c.heads(ctx, []any{application})
	if err != nil || len(heads) == 0 {
		return 0, err // the application was deleted meanwhile
	}
	if old := heads[application]; old.KeyID != c.keys.Current() && c.distrust(old) == "" {
		// Nothing was sealed here since the keys changed; before the old one is
		// taken out the head must stand under the new one.
		if err := c.save(ctx, [][]any{c.signed(old).values()}); err != nil {
			return 0, err
		}
		if heads, err = c.heads(ctx, []any{application}); err != nil {
			return 0, err
		}
	}
	var rows []sealedRow
	err = db.Raw(`SELECT seq, hash, at FROM audit WHERE application = ? AND seq <> 0 AND seq > ? ORDER BY seq LIMIT ?`,
		application, heads[application].AnchorSeq, limit).Find(&rows).Error
	if err != nil {
		return 0, err
	}
	n := 0
	for n < len(rows) && rows[n].Row.At < before && rows[n].Seq <= heads[application].HeadSeq {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	// A head that cannot be trusted must not be signed in passing: what is
	// wrong with it goes into the chain first.
	head, told, err := c.trusted(ctx, application, heads)
	if err != nil {
		return 0, err
	}
	if len(told) > 0 {
		if err := c.mark(ctx, []sealedRow{c.behind(&head, told[0])}); err != nil {
			return 0, err
		}
	}
	head.AnchorSeq, head.AnchorHash = rows[n-1].Seq, bytes.Clone(rows[n-1].Hash)
	if err := db.Exec(`DELETE FROM audit WHERE application = ? AND seq <> 0 AND seq <= ?`, application, head.AnchorSeq).Error; err != nil {
		return 0, err
	}
	return n, c.save(ctx, [][]any{c.signed(head).values()})
}
