package builtin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/resetflow/resetflow/internal/token"
	"github.com/resetflow/resetflow/workflow"
)

// sessionRow is a row of sessions.
type sessionRow struct {
	Application string
	ID          string
	AccountID   string
	Generation  int64
	RefreshSeq  int64
	CreatedAt   int64
	RefreshedAt int64
	ExpiresAt   int64
	EndedAt     int64
}

// TableName names the table for gorm.
func (sessionRow) TableName() string { return "sessions" }

// open inserts a session where the account still is in generation and not
// disabled, in one statement, and returns its tokens. ErrGeneration otherwise:
// whoever moved the account meanwhile did so before this session existed.
func (d *Directory) open(ctx context.Context, app *workflow.Application, accountID string, generation int64) (workflow.Tokens, error) {
	now := d.now()
	id := workflow.NewID(now)
	expires := now.Add(min(app.Sessions.Refresh.D(), app.Sessions.Idle.D()))
	// Numbers in a select list have no type of their own on PostgreSQL.
	done := d.db.Write(ctx).Exec(`INSERT INTO sessions (application, id, account_id, generation, refresh_seq, created_at, refreshed_at, expires_at, ended_at)
		SELECT application, CAST(? AS TEXT), id, generation, 0, CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), 0
		FROM accounts WHERE application = ? AND id = ? AND generation = ? AND NOT disabled`,
		id.String(), micros(now), micros(now), micros(expires), app.Slug, accountID, generation)
	if done.Error != nil {
		return workflow.Tokens{}, fmt.Errorf("directory: open session: %w", done.Error)
	}
	if done.RowsAffected != 1 {
		return workflow.Tokens{}, workflow.ErrGeneration
	}
	return d.issue(app, family{application: app.Slug, session: id, generation: generation}, accountID, now, expires)
}

// issue makes both tokens of a family's present sequence number.
func (d *Directory) issue(app *workflow.Application, f family, accountID string, now, expires time.Time) (workflow.Tokens, error) {
	end := now.Add(app.Sessions.Access.D())
	if expires.Before(end) {
		end = expires
	}
	access, err := d.tokens.Sign(token.Claims{
		Application: app.Slug, UserID: accountID, SessionID: f.session.String(), TokenID: workflow.NewID(now).String(),
		Generation: f.generation, IssuedAt: now, ExpiresAt: end,
	})
	if err != nil {
		return workflow.Tokens{}, err
	}
	refresh, err := d.seal(f)
	if err != nil {
		return workflow.Tokens{}, err
	}
	return workflow.Tokens{AccessToken: access, RefreshToken: refresh, TokenType: "Bearer", ExpiresIn: int(end.Sub(now) / time.Second)}, nil
}

// Open opens a session without a password, after a reset that promised it.
func (d *Directory) Open(ctx context.Context, app *workflow.Application, accountID string, c workflow.Client) (workflow.Tokens, error) {
	row, err := d.byID(ctx, app.Slug, accountID)
	if errors.Is(err, workflow.ErrNotFound) || err == nil && row.Disabled {
		return workflow.Tokens{}, workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	if err != nil {
		return workflow.Tokens{}, busy(err)
	}
	return d.begin(ctx, app, row, c, "after reset")
}

// begin opens a session and records it in one commit.
func (d *Directory) begin(ctx context.Context, app *workflow.Application, row accountRow, c workflow.Client, cause string) (t workflow.Tokens, err error) {
	err = d.db.Atomically(ctx, func(ctx context.Context) error {
		if t, err = d.open(ctx, app, row.ID, row.Generation); err != nil {
			return err
		}
		return d.audit(ctx, auditRow{Application: app.Slug, Event: "authn_login_success", AccountID: row.ID, Actor: c.Actor, ClientIP: c.IP, Cause: cause})
	})
	if errors.Is(err, workflow.ErrGeneration) {
		return workflow.Tokens{}, workflow.Fail(workflow.CodeInvalidGrant, err)
	}
	if err != nil {
		return workflow.Tokens{}, busy(err)
	}
	return t, nil
}

// Session reads an access token and asks in one statement whether its session
// and its account still are what they were: so it is dead at once after a
// reset, a logout, disabling or deletion.
func (d *Directory) Session(ctx context.Context, accessToken string) (workflow.Session, error) {
	c, err := d.tokens.Verify(accessToken, d.now())
	if err != nil {
		return workflow.Session{}, workflow.Fail(workflow.CodeInvalidGrant, err)
	}
	var email []string
	err = d.db.Read(ctx).Raw(`SELECT a.email FROM sessions s JOIN accounts a ON a.application = s.application AND a.id = s.account_id
		WHERE s.application = ? AND s.id = ? AND s.account_id = ? AND s.generation = ? AND s.ended_at = 0 AND s.expires_at > ?
		AND a.generation = s.generation AND NOT a.disabled`,
		c.Application, c.SessionID, c.UserID, c.Generation, micros(d.now())).Find(&email).Error
	if err != nil {
		return workflow.Session{}, busy(fmt.Errorf("directory: session: %w", err))
	}
	if len(email) != 1 {
		return workflow.Session{}, workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	return workflow.Session{Application: c.Application, UserID: c.UserID, Email: email[0], SessionID: c.SessionID, ExpiresAt: c.ExpiresAt}, nil
}

// Logout ends the session of an access token.
func (d *Directory) Logout(ctx context.Context, accessToken string) error {
	c, err := d.tokens.Verify(accessToken, d.now())
	if err != nil {
		return workflow.Fail(workflow.CodeInvalidGrant, err)
	}
	err = d.db.Atomically(ctx, func(ctx context.Context) error {
		now := micros(d.now())
		done := d.db.Write(ctx).Exec(`UPDATE sessions SET ended_at = ? WHERE application = ? AND id = ? AND account_id = ? AND generation = ? AND ended_at = 0 AND expires_at > ?
			AND EXISTS (SELECT 1 FROM accounts a WHERE a.application = sessions.application AND a.id = sessions.account_id AND a.generation = sessions.generation AND NOT a.disabled)`,
			now, c.Application, c.SessionID, c.UserID, c.Generation, now)
		if done.Error != nil {
			return fmt.Errorf("directory: logout: %w", done.Error)
		}
		if done.RowsAffected == 0 {
			return workflow.Fail(workflow.CodeInvalidGrant, nil)
		}
		return d.audit(ctx, auditRow{Application: c.Application, Event: "session_ended", AccountID: c.UserID, Actor: "user", Cause: "logout " + c.SessionID})
	})
	return busy(err)
}

// JWKS returns the application's public keys as a JWK Set.
func (d *Directory) JWKS(app *workflow.Application) ([]byte, error) { return d.tokens.JWKS(app.Slug) }

// Prune deletes sessions that could not be used since before and former
// passwords nobody asks for any more, at most limit of each, and returns how
// many rows went.
func (d *Directory) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	done := d.db.Write(ctx).Exec(`DELETE FROM sessions WHERE (application, id) IN (SELECT application, id FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`,
		micros(before), limit)
	if done.Error != nil {
		return 0, fmt.Errorf("directory: prune sessions: %w", done.Error)
	}
	forgotten, err := d.pruneHistory(ctx, limit)
	return int(done.RowsAffected) + forgotten, err
}
