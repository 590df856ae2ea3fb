package workflow

import (
	"context"
	"errors"
)

// proved is a right code and what it speaks of.
type proved struct {
	request Request
	others  []Request // other live requests of the account
	flow    Flow
	set     FlowSettings
	account Account
	dir     Directory
	// giveBack returns the reserved attempt and units; called exactly once.
	giveBack func(ctx context.Context) error
}

// invalidCode is the one answer to every code that is not right.
func invalidCode(kind ProofKind, r *Request) *Error {
	switch kind {
	case ProofEmailAuthCode:
		return Violate("emailAuthCode", VioInvalidEmailAuthCode)
	case ProofPasswordResetCode:
		return Violate("passwordResetCode", VioInvalidResetCode)
	}
	return Violate("verificationCode", VioInvalidVerificationCode, "attemptsRemaining", itoa(r.AttemptsRemaining()))
}

// prove judges a proof. The order is: limits, row, reservation, code, account.
// Everything that answers "not right" answers alike.
func (e *Engine) prove(ctx context.Context, app *Application, p Proof, c Client) (*proved, error) {
	kind := p.Kind()
	reader, ok := e.proofs[kind]
	if !ok {
		return nil, invalidCode(kind, &Request{})
	}
	out := &proved{giveBack: func(context.Context) error { return nil }}
	if kind == ProofPasswordResetCode {
		q := operatorTries(c)
		if err := e.take(ctx, app, c, q); err != nil {
			return nil, err
		}
		out.giveBack = func(ctx context.Context) error { return e.Limiter.Return(ctx, app.Slug, q) }
	}
	at, ok := reader.Locate(e.Keys, p)
	if !ok {
		return nil, e.refuse(ctx, app, kind, c, "malformed")
	}
	var err error
	out.request, out.others, err = e.Store.Request(ctx, app.Slug, at)
	if errors.Is(err, ErrNotFound) {
		return nil, e.refuse(ctx, app, kind, c, "unknown")
	}
	if err != nil {
		return nil, busy(err)
	}
	out.flow, ok = e.flows[out.request.Flow]
	if !ok || !takes(out.flow.Policy(), out.request, kind) {
		return nil, e.refuse(ctx, app, kind, c, "another flow")
	}
	var on bool
	out.set, on = app.Flow(out.request.Flow)
	if kind == ProofVerificationCode {
		return e.proveDigits(ctx, app, out, p, c, on)
	}
	if !out.flow.Verify(e.Keys, out.request, out.set, p) || !on {
		return nil, e.reject(ctx, app, &out.request, kind, c, "wrong")
	}
	if why := unusable(out.request, e); why != "" {
		return nil, e.reject(ctx, app, &out.request, kind, c, why)
	}
	return e.proveAccount(ctx, app, out, kind, c)
}

// takes reports whether a request may be redeemed by a proof of a kind: its
// flow's own, or the link where its mail carried one.
func takes(p FlowPolicy, r Request, kind ProofKind) bool {
	return p.Proof == kind || kind == ProofEmailAuthCode && p.Origin == OriginUser && r.LinkSent
}

// unusable says why a request cannot be redeemed now, "" if it can.
func unusable(r Request, e *Engine) string {
	switch {
	case !r.State.Can(EventClaim):
		return string(r.State)
	case r.Expired(e.now()):
		return "expired"
	case r.AccountID == "":
		return "decoy"
	}
	return ""
}

// proveDigits reserves before it compares: an attempt of the row and a unit of
// the account's budget are committed first, so that no crash, rollback or
// parallel call buys a guess.
func (e *Engine) proveDigits(ctx context.Context, app *Application, out *proved, p Proof, c Client, on bool) (*proved, error) {
	if !handles(e.Keys, out.flow, out.request, p.RequestCode) {
		return nil, e.refuseAs(ctx, app, Violate("requestCode", VioInvalidRequestCode), c, "wrong request code")
	}
	budget := failures(app, out.request.AccountID, out.request.Email)
	r, ok, err := e.Store.ReserveAttempt(ctx, app.Slug, out.request.ID, e.now(), budget)
	if err != nil {
		return nil, busy(err)
	}
	if !ok {
		return nil, e.refuseAs(ctx, app, Violate("requestCode", VioInvalidRequestCode), c, "used up or expired")
	}
	out.request = r.Request
	right := out.flow.Verify(e.Keys, r.Request, out.set, p)
	// A locked row has its digits used up, whatever the attempts say meanwhile.
	if !right || !on || r.Spent || r.State != StateChallenged || unusable(r.Request, e) != "" {
		return nil, e.reject(ctx, app, &out.request, ProofVerificationCode, c, "wrong")
	}
	out.giveBack = func(ctx context.Context) error {
		return e.Store.ReturnAttempt(ctx, app.Slug, r.ID, budget)
	}
	out.request.Attempts--
	return e.proveAccount(ctx, app, out, ProofVerificationCode, c)
}

// proveAccount checks that the account is the one the code was made for.
func (e *Engine) proveAccount(ctx context.Context, app *Application, out *proved, kind ProofKind, c Client) (*proved, error) {
	var err error
	if out.dir, err = e.Directories.For(app); err != nil {
		return nil, busy(errors.Join(err, out.giveBack(ctx)))
	}
	out.account, err = out.dir.Lookup(ctx, app, out.request.AccountID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, &Error{Code: CodeOverloaded, RetryAfter: retrySoon, Cause: errors.Join(err, out.giveBack(ctx))}
	}
	if err != nil || out.account.Disabled || !out.account.Resettable || string(out.account.Generation) != string(out.request.Generation) {
		return nil, e.outdate(ctx, app, &out.request, kind, c)
	}
	return out, nil
}

// outdate ends a request whose account moved on, and answers like a wrong code.
func (e *Engine) outdate(ctx context.Context, app *Application, r *Request, kind ProofKind, c Client) error {
	err := e.withFresh(ctx, r, func(ctx context.Context) error {
		if !r.State.Can(EventOutdate) {
			return nil
		}
		u := &unit{}
		if err := e.move(u, r, EventOutdate, from(c)); err != nil {
			return err
		}
		return e.Store.Commit(ctx, u.commit())
	})
	if err != nil {
		return busy(err)
	}
	return invalidCode(kind, r)
}

// withFresh runs fn, and again with the row read anew each time it lost a race.
func (e *Engine) withFresh(ctx context.Context, r *Request, fn func(ctx context.Context) error) error {
	first := true
	return retryStale(ctx, func(ctx context.Context) error {
		if !first {
			fresh, _, err := e.Store.Request(ctx, r.Application, Locator{ID: r.ID})
			if err != nil {
				return err
			}
			*r = fresh
		}
		first = false
		return fn(ctx)
	})
}

// reject records a wrong code for a known row, committed, and locks the row
// when it was the last attempt. Rows of every state run the same statements.
func (e *Engine) reject(ctx context.Context, app *Application, r *Request, kind ProofKind, c Client, cause string) error {
	last := kind == ProofVerificationCode && r.AttemptsRemaining() == 0
	attempts := r.Attempts
	err := e.withFresh(ctx, r, func(ctx context.Context) error {
		u := &unit{}
		if r.State.Can(EventReject) {
			if err := e.move(u, r, EventReject, from(c).because(cause)); err != nil {
				return err
			}
		} else {
			e.note(u, r, vocabulary(EventReject), from(c).because(cause))
		}
		if last {
			u.jobs = append(u.jobs, Job{Kind: JobLocked, Application: app.Slug, ID: r.ID})
			if r.State.Can(EventLock) {
				if err := e.move(u, r, EventLock, from(c)); err != nil {
					return err
				}
			}
		}
		return e.Store.Commit(ctx, u.commit())
	})
	if err != nil {
		return busy(err)
	}
	r.Attempts = attempts
	return invalidCode(kind, r)
}

// refuse records a code that names no row.
func (e *Engine) refuse(ctx context.Context, app *Application, kind ProofKind, c Client, cause string) error {
	answer := invalidCode(kind, &Request{})
	if kind == ProofVerificationCode {
		answer = Violate("requestCode", VioInvalidRequestCode)
	}
	return e.refuseAs(ctx, app, answer, c, cause)
}

func (e *Engine) refuseAs(ctx context.Context, app *Application, answer *Error, c Client, cause string) error {
	u := &unit{}
	e.note(u, &Request{Application: app.Slug}, vocabulary(EventReject), from(c).because(cause))
	if err := e.Store.Commit(ctx, u.commit()); err != nil {
		return busy(err)
	}
	return answer
}
