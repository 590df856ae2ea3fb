package builtin

import (
	"context"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Secure puts an account on hold after its owner disowned a change: the
// generation moves, so that every code and token of it is dead, and the right
// password answers password_reset_required until the next reset.
func (d *Directory) Secure(ctx context.Context, app *workflow.Application, accountID string, at time.Time) (r workflow.Revoked, err error) {
	err = d.db.Atomically(ctx, func(ctx context.Context) error {
		row, err := d.locked(ctx, app.Slug, accountID)
		if err != nil {
			return err
		}
		live, err := d.endAll(ctx, app.Slug, accountID, row.Generation, at)
		if err != nil {
			return err
		}
		r = workflow.Revoked{Sessions: live, RefreshTokens: live}
		row.MustReset, row.UpdatedAt = true, micros(at)
		row.Generation++
		return d.save(ctx, row)
	})
	if err != nil {
		return workflow.Revoked{}, err
	}
	return r, nil
}
