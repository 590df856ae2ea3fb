package builtin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/resetflow/resetflow/workflow"
)

// accountRow is a row of accounts.
type accountRow struct {
	Application  string
	ID           string
	Email        string
	Name         string
	Locale       string
	Orgs         string
	Disabled     bool
	MustReset    bool
	PasswordHash string
	Generation   int64
	ResetRequest string
	CreatedAt    int64
	UpdatedAt    int64
}

// TableName names the table for gorm.
func (accountRow) TableName() string { return "accounts" }

func (r accountRow) account() workflow.Account {
	return workflow.Account{
		ID: r.ID, Email: r.Email, Name: r.Name, Locale: r.Locale, Generation: generationBytes(r.Generation),
		Disabled: r.Disabled, Resettable: r.PasswordHash != "" && !r.Disabled,
	}
}

// Joins reports that SetPassword takes part in the store's transaction.
func (d *Directory) Joins() bool { return true }

// Find returns the account of a canonical address, in one statement.
func (d *Directory) Find(ctx context.Context, app *workflow.Application, email string) (workflow.Account, error) {
	row, err := d.byEmail(ctx, app.Slug, email)
	if err != nil {
		return workflow.Account{}, err
	}
	return row.account(), nil
}

// Lookup returns the account of an id, in one statement.
func (d *Directory) Lookup(ctx context.Context, app *workflow.Application, accountID string) (workflow.Account, error) {
	row, err := d.byID(ctx, app.Slug, accountID)
	if err != nil {
		return workflow.Account{}, err
	}
	return row.account(), nil
}

func (d *Directory) byEmail(ctx context.Context, application, email string) (accountRow, error) {
	if !sayable(application) || !sayable(email) {
		return accountRow{}, workflow.ErrNotFound
	}
	return take(d.db.Read(ctx).Where("application = ? AND email = ?", application, email))
}

func (d *Directory) byID(ctx context.Context, application, id string) (accountRow, error) {
	if _, ok := workflow.ParseID(id); !ok || !sayable(application) {
		return accountRow{}, workflow.ErrNotFound
	}
	return take(d.db.Read(ctx).Where("application = ? AND id = ?", application, id))
}

func take(query *gorm.DB) (accountRow, error) {
	var row accountRow
	err := query.Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return accountRow{}, workflow.ErrNotFound
	}
	if err != nil {
		return accountRow{}, fmt.Errorf("directory: account: %w", err)
	}
	return row, nil
}

// setPasswordSQL does everything of a new password in one statement: the hash
// where the generation still is what the code was made for, and the end of
// every session only where that was written. It returns how many accounts
// changed and how many living sessions ended.
const setPasswordSQL = `
WITH changed AS (
	UPDATE accounts SET password_hash = ?, must_reset = FALSE, generation = generation + 1, reset_request = ?, updated_at = ?
	WHERE application = ? AND id = ? AND generation = ? AND NOT disabled
	RETURNING id
), ended AS (
	UPDATE sessions SET ended_at = ?
	WHERE application = ? AND account_id = ? AND ended_at = 0 AND EXISTS (SELECT 1 FROM changed)
	RETURNING generation, expires_at
)
SELECT (SELECT count(*) FROM changed) AS changed,
	(SELECT count(*) FROM ended WHERE generation = ? AND expires_at > ?) AS live`

// SetPassword writes the hash, moves the generation and ends every session. A
// disabled or vanished account is [workflow.ErrGeneration]: whatever code led
// here was made for another state of it. A second call with the same request
// changes nothing and reports the same again.
func (d *Directory) SetPassword(ctx context.Context, app *workflow.Application, c workflow.PasswordChange) (workflow.Revoked, error) {
	generation, ok := generationOf(c.Generation)
	if _, isID := workflow.ParseID(c.AccountID); !ok || !isID {
		return workflow.Revoked{}, workflow.ErrGeneration
	}
	if c.Hash == "" || !sayable(c.Hash) || c.RequestID.IsZero() {
		return workflow.Revoked{}, fmt.Errorf("%w: a change without a hash or a request", workflow.ErrRefused)
	}
	at := micros(c.At)
	var live int
	var changed bool
	var err error
	if d.postgres() && app.Policy.History == 0 { // one statement is a transaction of its own
		changed, live, err = d.setPassword(ctx, app.Slug, c, generation)
	} else {
		err = d.db.Atomically(ctx, func(ctx context.Context) error {
			if err := d.remember(ctx, app.Slug, c.AccountID, generation, app.Policy.History); err != nil {
				return err
			}
			if d.postgres() {
				changed, live, err = d.setPassword(ctx, app.Slug, c, generation)
				return err
			}
			done := d.db.Write(ctx).Exec(`UPDATE accounts SET password_hash = ?, must_reset = FALSE, generation = generation + 1, reset_request = ?, updated_at = ?
				WHERE application = ? AND id = ? AND generation = ? AND NOT disabled`,
				c.Hash, c.RequestID.String(), at, app.Slug, c.AccountID, generation)
			if done.Error != nil || done.RowsAffected == 0 {
				return done.Error
			}
			changed = true
			live, err = d.endAll(ctx, app.Slug, c.AccountID, generation, c.At)
			return err
		})
	}
	switch {
	case err != nil:
		return workflow.Revoked{}, fmt.Errorf("directory: set password: %w", err)
	case !changed:
		return d.alreadySet(ctx, app.Slug, c, generation)
	}
	return workflow.Revoked{Sessions: live, RefreshTokens: live}, nil
}

// setPassword runs [setPasswordSQL], on PostgreSQL.
func (d *Directory) setPassword(ctx context.Context, application string, c workflow.PasswordChange, generation int64) (changed bool, live int, err error) {
	var n struct{ Changed, Live int }
	at := micros(c.At)
	err = d.db.Write(ctx).Raw(setPasswordSQL, c.Hash, c.RequestID.String(), at, application, c.AccountID, generation,
		at, application, c.AccountID, generation, at).Find(&n).Error
	return n.Changed == 1, n.Live, err
}

// alreadySet answers a change that changed nothing: done before by the same
// request, or too late.
func (d *Directory) alreadySet(ctx context.Context, application string, c workflow.PasswordChange, generation int64) (workflow.Revoked, error) {
	row, err := d.byID(ctx, application, c.AccountID)
	if errors.Is(err, workflow.ErrNotFound) || err == nil && row.ResetRequest != c.RequestID.String() {
		return workflow.Revoked{}, workflow.ErrGeneration
	}
	if err != nil {
		return workflow.Revoked{}, err
	}
	var n int64
	err = d.db.Read(ctx).Model(&sessionRow{}).
		Where("application = ? AND account_id = ? AND generation = ? AND ended_at = ? AND expires_at > ?", application, c.AccountID, generation, micros(c.At), micros(c.At)).
		Count(&n).Error
	if err != nil {
		return workflow.Revoked{}, fmt.Errorf("directory: set password: %w", err)
	}
	return workflow.Revoked{Sessions: int(n), RefreshTokens: int(n)}, nil
}

// endAll ends every session of an account, by row, and returns how many of
// them lived: not expired and of the generation.
func (d *Directory) endAll(ctx context.Context, application, accountID string, generation int64, at time.Time) (int, error) {
	var ended []struct{ Generation, ExpiresAt int64 }
	err := d.db.Write(ctx).Raw(`UPDATE sessions SET ended_at = ? WHERE application = ? AND account_id = ? AND ended_at = 0 RETURNING generation, expires_at`,
		micros(at), application, accountID).Find(&ended).Error
	if err != nil {
		return 0, fmt.Errorf("directory: end sessions: %w", err)
	}
	live := 0
	for _, s := range ended {
		if s.Generation == generation && s.ExpiresAt > micros(at) {
			live++
		}
	}
	return live, nil
}
