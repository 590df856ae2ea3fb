package builtin

import (
	"context"
	"errors"
	"fmt"

	"github.com/resetflow/resetflow/workflow"
)

// Former passwords are kept as hashes, and only where an application's policy
// asks for a history; pruning drops what an earlier policy left. The present
// hash, in the account's row, counts as the newest.

// Used reports whether password is one of the account's last n, the present one
// included. It implements [workflow.Remembering].
func (d *Directory) Used(ctx context.Context, application, accountID, password string, n int) (bool, error) {
	row, err := d.byID(ctx, application, accountID)
	if errors.Is(err, workflow.ErrNotFound) || n < 1 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var hashes []string
	if row.PasswordHash != "" {
		hashes = append(hashes, row.PasswordHash)
	}
	if n = min(n, workflow.MaxHistory); n > 1 {
		var former []string
		err := d.db.Read(ctx).Raw(`SELECT password_hash FROM password_history WHERE application = ? AND account_id = ? AND generation <> ? ORDER BY generation DESC LIMIT ?`,
			application, accountID, row.Generation, n-1).Find(&former).Error
		if err != nil {
			return false, fmt.Errorf("directory: password history: %w", err)
		}
		hashes = append(hashes, former...)
	}
	return d.pool.Any(ctx, hashes, password)
}

// remember keeps the present hash before a change replaces it, where the
// account still is in a generation, and drops what is older than n passwords
// with the new one counted. It runs in the transaction of the change. Where the
// change then changes nothing the row does no harm: the hash was good in that
// generation, and it is written once.
func (d *Directory) remember(ctx context.Context, application, accountID string, generation int64, n int) error {
	n = min(n, workflow.MaxHistory)
	if n < 1 {
		return nil
	}
	err := d.db.Write(ctx).Exec(`INSERT INTO password_history (application, id, account_id, generation, password_hash)
		SELECT application, ?, id, generation, password_hash FROM accounts
		WHERE application = ? AND id = ? AND generation = ? AND password_hash <> ''
		ON CONFLICT DO NOTHING`,
		workflow.NewID(d.now()).String(), application, accountID, generation).Error
	if err != nil {
		return fmt.Errorf("directory: password history: %w", err)
	}
	err = d.db.Write(ctx).Exec(`DELETE FROM password_history WHERE application = ? AND account_id = ? AND id NOT IN
		(SELECT id FROM password_history WHERE application = ? AND account_id = ? ORDER BY generation DESC LIMIT ?)`,
		application, accountID, application, accountID, n-1).Error
	if err != nil {
		return fmt.Errorf("directory: password history: %w", err)
	}
	return nil
}

// pruneHistory drops what applications remember that do not ask for it any
// more, at most limit. It reads the policy from the stored settings, so that no
// reset pays for it.
func (d *Directory) pruneHistory(ctx context.Context, limit int) (int, error) {
	asks := `COALESCE(json_extract(doc, '$.policy.history'), 0)`
	if d.postgres() {
		asks = `COALESCE((doc::jsonb #>> '{policy,history}')::int, 0)`
	}
	done := d.db.Write(ctx).Exec(`DELETE FROM password_history WHERE (application, id) IN (SELECT application, id FROM password_history
		WHERE application IN (SELECT slug FROM applications WHERE `+asks+` = 0) LIMIT ?)`, limit)
	if done.Error != nil {
		return 0, fmt.Errorf("directory: prune password history: %w", done.Error)
	}
	return int(done.RowsAffected), nil
}
