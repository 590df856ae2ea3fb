package workflow

import (
	"context"
	"errors"
	"time"
)

// expire is how the sweeper ends what time left behind.
func (e *Engine) expire(ctx context.Context, rows []Request) error {
	u := &unit{}
	for i := range rows {
		if !rows[i].State.Can(EventExpire) {
			continue
		}
		if err := e.move(u, &rows[i], EventExpire, system); err != nil {
			return err
		}
	}
	return e.Store.Commit(ctx, u.commit())
}

// Sweep expires overdue requests and finishes claims that a crash left behind.
// It is safe on several nodes at once. It returns how many rows it moved.
func (e *Engine) Sweep(ctx context.Context) (int, error) {
	const batch = 100
	rows, err := e.Sweeping.Overdue(ctx, e.now(), batch)
	if err != nil {
		return 0, err
	}
	moved := len(rows)
	if err := e.expire(ctx, append([]Request(nil), rows...)); len(rows) > 0 && err != nil {
		moved = 0
		for i := range rows { // one of them moved meanwhile: each by itself
			if err := e.expire(ctx, rows[i:i+1]); err == nil {
				moved++
			} else if !errors.Is(err, ErrStale) {
				return moved, err
			}
		}
	}
	left, err := e.Sweeping.Unsettled(ctx, e.now().Add(-unsettledAfter), batch)
	if err != nil {
		return moved, err
	}
	for i := range left {
		if err := e.resume(ctx, &left[i]); err != nil {
			e.Logger.WarnContext(ctx, "a claimed reset could not be finished; it is tried again", "request", left[i].ID.String(), "error", err)
			continue
		}
		moved++
	}
	return moved, nil
}

// unsettledAfter is how long a claim may be under way before the sweeper takes it up.
const unsettledAfter = time.Minute

// resume finishes one claim: the hash is in the row, the request's id makes the
// directory's write idempotent.
func (e *Engine) resume(ctx context.Context, r *Request) error {
	app, err := e.Applications.Application(ctx, r.Application)
	if err != nil {
		return err
	}
	dir, err := e.Directories.For(app)
	if err != nil {
		return err
	}
	hash, err := e.Keys.Open(sealContext(*r), r.SealedHash)
	if err != nil {
		return err
	}
	account, err := dir.Lookup(ctx, app, r.AccountID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	change := PasswordChange{RequestID: r.ID, AccountID: r.AccountID, Generation: r.Generation, Hash: string(hash), At: e.now()}
	_, err = e.finish(ctx, app, r, dir, account, change, system.because("sweeper"), ProofEmailAuthCode)
	return err
}
