package builtin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	kdf "github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/workflow"
)

// Login checks a password and opens a session.
//
// The order is the same for known and unknown addresses, and so are the
// statements: the client's budget, the account, the account's budget, the hash,
// one audit row. Units of both budgets are taken before the hash, so that a
// burst cannot outrun the count, and given back when the password was right.
//
// The account's budget is counted by account and generation: a reset opens a
// new one, so whoever was locked out by somebody else's guessing is let in with
// the new password.
func (d *Directory) Login(ctx context.Context, app *workflow.Application, email, password string, c workflow.Client) (workflow.Tokens, error) {
	perIP, known := clientQuota(app, c)
	if known {
		if err := d.passClient(ctx, app, c, perIP); err != nil {
			return workflow.Tokens{}, err
		}
	}
	row, err := d.byEmail(ctx, app.Slug, email)
	if err != nil && !errors.Is(err, workflow.ErrNotFound) {
		return workflow.Tokens{}, busy(err)
	}
	budget := workflow.Quota{Name: "failed_logins", Key: counted(row, email), Rate: app.Limits.FailedLogins, Durable: true}
	refused, err := d.limiter.Take(ctx, app.Slug, budget)
	if err != nil {
		return workflow.Tokens{}, busy(err)
	}

	hash := row.PasswordHash
	if hash == "" || refused != nil {
		hash = d.pool.Dummy() // beyond the budget no password is right, and it takes as long
	}
	ok, rehash, err := d.pool.Verify(ctx, hash, password)
	if errors.Is(err, kdf.ErrUnknown) {
		// A hash nobody can verify must not tell the account apart from others.
		ok, rehash, err = d.pool.Verify(ctx, d.pool.Dummy(), password)
	}
	if err != nil {
		d.giveBack(ctx, app.Slug, known, perIP, refused == nil, budget)
		return workflow.Tokens{}, busy(err)
	}
	if !ok || refused != nil || row.Disabled {
		return workflow.Tokens{}, d.failed(ctx, app.Slug, row, c, refused != nil)
	}

	// Right: everything wrong that was tried before is forgotten, as a unit as
	// large as the whole window; of the client's budget only what this call took.
	budget.Rate = workflow.Rate{N: 1, Per: budget.Rate.Per}
	d.giveBack(ctx, app.Slug, known, perIP, true, budget)
	if row.MustReset {
		if err := d.audit(ctx, auditRow{Application: app.Slug, Event: "authn_login_fail", AccountID: row.ID, Actor: c.Actor, ClientIP: c.IP, Cause: "password_reset_required"}); err != nil {
			return workflow.Tokens{}, busy(err)
		}
		return workflow.Tokens{}, workflow.Fail(workflow.CodePasswordResetRequired, nil)
	}
	if rehash {
		d.rehash(ctx, row, password)
	}
	t, err := d.begin(ctx, app, row, c, "")
	if public := (*workflow.Error)(nil); errors.As(err, &public) && public.Code == workflow.CodeInvalidGrant {
		// The account moved while its old password was being checked.
		return workflow.Tokens{}, workflow.Fail(workflow.CodeInvalidCredentials, err)
	}
	return t, err
}

// clientQuota is the budget of wrong passwords of one client; known is false
// where no address is known.
func clientQuota(app *workflow.Application, c workflow.Client) (q workflow.Quota, known bool) {
	network := workflow.Network(c.IP)
	q = workflow.Quota{Name: "failed_logins_ip", Key: network, Rate: app.Limits.PerIP}
	if c.Peer { // a proxy nobody named: many people behind one address
		q.Rate = app.Limits.PerPeer
	}
	return q, network != ""
}

// passClient takes a unit of the client's budget. A refusal is audited once a
// minute, so that a flood cannot write a row a call.
func (d *Directory) passClient(ctx context.Context, app *workflow.Application, c workflow.Client, q workflow.Quota) error {
	refused, err := d.limiter.Take(ctx, app.Slug, q)
	if err != nil {
		return busy(err)
	}
	if refused == nil {
		return nil
	}
	once := workflow.Quota{Name: "audit", Key: q.Name + " " + q.Key, Rate: workflow.Rate{N: 1, Per: time.Minute}}
	if again, err := d.limiter.Take(ctx, app.Slug, once); err != nil {
		return busy(err)
	} else if again == nil {
		if err := d.audit(ctx, auditRow{Application: app.Slug, Event: "excess_rate_limit_exceeded", Actor: c.Actor, ClientIP: c.IP, Cause: q.Name}); err != nil {
			return busy(err)
		}
	}
	return &workflow.Error{Code: workflow.CodeRateLimited, RetryAfter: refused.After, Limit: &workflow.LimitState{Name: q.Name, Rate: q.Rate}}
}

// counted names what failed logins count for: the account in its generation,
// or the digest of an address without one.
func counted(row accountRow, email string) string {
	if row.ID != "" {
		return "account:" + row.ID + ":" + strconv.FormatInt(row.Generation, 36)
	}
	sum := sha256.Sum256([]byte(email))
	return "address:" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// giveBack returns what was taken. A failure costs the caller a unit and no
// more, so it does not fail the login.
func (d *Directory) giveBack(ctx context.Context, application string, ip bool, perIP workflow.Quota, account bool, budget workflow.Quota) {
	if ip {
		_ = d.limiter.Return(ctx, application, perIP)
	}
	if account {
		_ = d.limiter.Return(ctx, application, budget)
	}
}

// failed records a wrong login and returns the one answer for all of them.
func (d *Directory) failed(ctx context.Context, application string, row accountRow, c workflow.Client, beyond bool) error {
	a := auditRow{Application: application, Event: "authn_login_fail", AccountID: row.ID, Actor: c.Actor, ClientIP: c.IP}
	switch {
	case beyond:
		a.Event, a.Cause = "authn_login_fail_max", "failed_logins"
	case row.ID == "":
		a.Cause = "unknown"
	case row.Disabled:
		a.Cause = "disabled"
	}
	if err := d.audit(ctx, a); err != nil {
		return busy(err)
	}
	return workflow.Fail(workflow.CodeInvalidCredentials, nil)
}

// rehash replaces a hash made with other parameters. The password is the same,
// so the generation stays; the old hash is the condition, so that a password
// changed meanwhile stays. It may fail: the next login tries again.
func (d *Directory) rehash(ctx context.Context, row accountRow, password string) {
	hash, err := d.pool.Hash(ctx, password)
	if err != nil {
		return
	}
	d.db.Write(ctx).Exec(`UPDATE accounts SET password_hash = ? WHERE application = ? AND id = ? AND password_hash = ?`, hash, row.Application, row.ID, row.PasswordHash)
}
