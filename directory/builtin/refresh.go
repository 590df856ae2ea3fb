package builtin

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/resetflow/resetflow/workflow"
)

// family is what a refresh token stands for.
type family struct {
	application string
	session     workflow.ID
	seq         int64
	generation  int64
}

// The layout of a refresh token before base64url: session, sequence number,
// generation, key id, HMAC-SHA-256 over all of them and the application.
const (
	refreshHead  = 16 + 8 + 8 + 4
	refreshBytes = refreshHead + 32
)

var refreshText = base64.RawURLEncoding.EncodedLen(refreshBytes)

const refreshPurpose = "refresh-token"

// seal writes the refresh token of f under the current key.
func (d *Directory) seal(f family) (string, error) {
	id, err := hex.DecodeString(d.keys.Current())
	if err != nil || len(id) != 4 {
		return "", fmt.Errorf("directory: a key id is not of four bytes")
	}
	b := make([]byte, 0, refreshBytes)
	b = append(b, f.session[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(f.seq))
	b = binary.BigEndian.AppendUint64(b, uint64(f.generation))
	b = append(b, id...)
	mac, ok := d.keys.Derive(d.keys.Current(), refreshPurpose, []byte(f.application), b)
	if !ok {
		return "", fmt.Errorf("directory: the current key does not derive")
	}
	return base64.RawURLEncoding.EncodeToString(append(b, mac...)), nil
}

// unseal reads a refresh token; ok is false for everything we did not write.
func (d *Directory) unseal(application, text string) (f family, ok bool) {
	if len(text) != refreshText {
		return f, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != refreshBytes {
		return f, false
	}
	head := b[:refreshHead]
	mac, ok := d.keys.Derive(hex.EncodeToString(head[32:]), refreshPurpose, []byte(application), head)
	if !ok || subtle.ConstantTimeCompare(mac, b[refreshHead:]) != 1 {
		return f, false
	}
	f = family{application: application, seq: int64(binary.BigEndian.Uint64(head[16:])), generation: int64(binary.BigEndian.Uint64(head[24:]))}
	copy(f.session[:], head)
	return f, true
}

// rotateSQL moves a session to the next token. It is the gate through which
// exactly one holder of a token gets: the sequence number, the session's life
// and the account's generation are conditions of the one update.
const rotateSQL = `UPDATE sessions SET refresh_seq = refresh_seq + 1, refreshed_at = ?,
		expires_at = CASE WHEN created_at + ? < ? THEN created_at + ? ELSE ? END
	WHERE application = ? AND id = ? AND refresh_seq = ? AND generation = ? AND ended_at = 0 AND expires_at > ? AND created_at + ? > ?
	AND EXISTS (SELECT 1 FROM accounts a WHERE a.application = sessions.application AND a.id = sessions.account_id
		AND a.generation = sessions.generation AND NOT a.disabled)
	RETURNING account_id, expires_at`

// Refresh rotates: the token given is used up and a new pair is returned. An
// older token of the family (with our signature, so once handed out) means that
// two hold it, and one of them stole it: the session ends, for both (RFC 9700
// §4.14.2). There is no grace: of several calls with one token at once one
// wins, and the others end the session.
func (d *Directory) Refresh(ctx context.Context, app *workflow.Application, refreshToken string) (workflow.Tokens, error) {
	f, ok := d.unseal(app.Slug, refreshToken)
	if !ok {
		return workflow.Tokens{}, workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	now := d.now()
	absolute := app.Sessions.Refresh.D().Microseconds()
	idle := micros(now.Add(app.Sessions.Idle.D()))
	var rows []struct {
		AccountID string
		ExpiresAt int64
	}
	err := d.db.Write(ctx).Raw(rotateSQL, micros(now), absolute, idle, absolute, idle,
		app.Slug, f.session.String(), f.seq, f.generation, micros(now), absolute, micros(now)).Find(&rows).Error
	if err != nil {
		return workflow.Tokens{}, busy(fmt.Errorf("directory: refresh: %w", err))
	}
	if len(rows) == 0 {
		if err := d.replayed(ctx, f); err != nil {
			return workflow.Tokens{}, busy(err)
		}
		return workflow.Tokens{}, workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	f.seq++
	return d.issue(app, f, rows[0].AccountID, now, moment(rows[0].ExpiresAt))
}

// replayed ends the session of a token that was used before, and records it once.
func (d *Directory) replayed(ctx context.Context, f family) error {
	return d.db.Atomically(ctx, func(ctx context.Context) error {
		var accounts []string
		err := d.db.Write(ctx).Raw(`UPDATE sessions SET ended_at = ? WHERE application = ? AND id = ? AND generation = ? AND refresh_seq > ? AND ended_at = 0 RETURNING account_id`,
			micros(d.now()), f.application, f.session.String(), f.generation, f.seq).Find(&accounts).Error
		if err != nil {
			return fmt.Errorf("directory: replay: %w", err)
		}
		if len(accounts) == 0 {
			return nil
		}
		return d.audit(ctx, auditRow{Application: f.application, Event: "authn_token_reuse", AccountID: accounts[0], Actor: "token", Cause: "session " + f.session.String()})
	})
}
