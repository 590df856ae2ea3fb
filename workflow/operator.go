package workflow

import (
	"context"
	"errors"
	"slices"
)

// CreateLink makes a direct code for an operator. No mail leaves, no limit of
// end users applies, and it supersedes only the account's older operator code.
//
// Errors: violations on flow (not_enabled) and redirectUrl, user_not_found.
func (e *Engine) CreateLink(ctx context.Context, app *Application, in OperatorInput) (OperatorCode, error) {
	var flow Flow
	for _, f := range e.Flows {
		if _, on := app.Flow(f.Policy().Name); on && f.Policy().Origin == OriginOperator {
			flow = f
		}
	}
	v := Violations{}
	if flow == nil {
		v.Add("flow", VioNotEnabled)
	}
	if in.RedirectURL != "" && !slices.Contains(app.RedirectURLs, in.RedirectURL) {
		v.Add("redirectUrl", VioNotAllowed)
	}
	if err := v.Err(); err != nil {
		return OperatorCode{}, err
	}
	dir, err := e.Directories.For(app)
	if err != nil {
		return OperatorCode{}, busy(err)
	}
	account, err := e.operatorAccount(ctx, app, dir, in)
	if err != nil {
		return OperatorCode{}, err
	}
	set, _ := app.Flow(flow.Policy().Name)
	var out OperatorCode
	var older []Request
	err = retryStale(ctx, func(ctx context.Context) error {
		r := e.fresh(app, flow.Policy(), set, in.Client)
		r.AccountID, r.Email, r.Generation = account.ID, account.Email, account.Generation
		r.Reason, r.RedirectURL, r.Sends = cut(in.Reason, 500), in.RedirectURL, 1
		ch, err := flow.Challenge(e.Keys, *r, set, true)
		if err != nil {
			return err
		}
		r.CodeHash = ch.CodeHash
		u := &unit{fresh: []*Request{r}}
		for i := range older {
			if err := e.move(u, &older[i], EventSupersede, from(in.Client)); err != nil {
				return err
			}
		}
		if err := e.move(u, r, EventIssue, from(in.Client)); err != nil {
			return err
		}
		out = OperatorCode{Code: ch.Code, Link: e.link(app, FlowSettings{}, "password_reset_code", ch.Link), ExpiresAt: r.ExpiresAt, RequestID: r.ID}
		err = e.Store.Commit(ctx, u.commit())
		if errors.Is(err, ErrLive) || errors.Is(err, ErrStale) {
			var lerr error
			if older, lerr = e.Store.Live(ctx, app.Slug, account.ID, OriginOperator); lerr != nil {
				return lerr
			}
		}
		return err
	})
	if err != nil {
		return OperatorCode{}, busy(err)
	}
	return out, nil
}

func (e *Engine) operatorAccount(ctx context.Context, app *Application, dir Directory, in OperatorInput) (Account, error) {
	var account Account
	var err error
	if in.UserID != "" {
		account, err = dir.Lookup(ctx, app, in.UserID)
	} else {
		account, err = dir.Find(ctx, app, in.Email)
	}
	switch {
	case errors.Is(err, ErrNotFound), err == nil && (account.Disabled || !account.Resettable):
		return Account{}, Fail(CodeUserNotFound, nil)
	case err != nil:
		return Account{}, &Error{Code: CodeOverloaded, RetryAfter: retrySoon, Cause: err}
	}
	return account, nil
}

// Cancel withdraws a request. Errors: not_found, not_cancellable.
func (e *Engine) Cancel(ctx context.Context, app *Application, id ID, actor string) error {
	r, _, err := e.Store.Request(ctx, app.Slug, Locator{ID: id})
	if errors.Is(err, ErrNotFound) {
		return Fail(CodeNotFound, nil)
	}
	if err != nil {
		return busy(err)
	}
	return e.cancel(ctx, &r, by{actor: actor})
}

func (e *Engine) cancel(ctx context.Context, r *Request, who by) error {
	return busy(e.withFresh(ctx, r, func(ctx context.Context) error {
		if !r.State.Can(EventCancel) {
			return Fail(CodeNotCancellable, nil)
		}
		u := &unit{}
		if err := e.move(u, r, EventCancel, who); err != nil {
			return err
		}
		return e.Store.Commit(ctx, u.commit())
	}))
}

// RetryMessage tries a failed or waiting message again, now. Errors: not_found,
// not_retryable (delivered, or its code is dead).
func (e *Engine) RetryMessage(ctx context.Context, app *Application, id ID, actor string) error {
	m, r, err := e.Ledger.Message(ctx, app.Slug, id)
	if errors.Is(err, ErrNotFound) {
		return Fail(CodeNotFound, nil)
	}
	if err != nil {
		return busy(err)
	}
	now := e.now()
	if m.State != MessageQueued && m.State != MessageFailed || !now.Before(m.ExpiresAt) {
		return Fail(CodeNotRetryable, nil)
	}
	return busy(e.Store.Atomically(ctx, func(ctx context.Context) error {
		if err := e.Ledger.Record(ctx, app.Slug, id, Outcome{State: MessageQueued, Reply: m.LastReply, NextTry: now, At: now}); err != nil {
			return err
		}
		u := &unit{jobs: []Job{{Kind: JobMessage, Application: app.Slug, ID: id}}}
		e.note(u, &Request{Application: app.Slug, ID: m.RequestID, AccountID: r.AccountID, State: r.State}, "authz_admin", by{actor: actor, cause: "message retry"})
		return e.Store.Commit(ctx, u.commit())
	}))
}
