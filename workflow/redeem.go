package workflow

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"time"
)

// retrySoon is the wait named with a 503 that a moment should mend.
const retrySoon = time.Second

// authSessionLife is how long an authSessionCode can be redeemed (contract §5).
const authSessionLife = 60 * time.Second

func itoa(n int) string { return strconv.Itoa(n) }

// Introspect tells the holder of a right code what it is good for. It consumes
// nothing; a wrong verification code counts as an attempt.
func (e *Engine) Introspect(ctx context.Context, app *Application, p Proof, c Client) (Introspection, error) {
	ok, err := e.prove(ctx, app, p, c)
	if err != nil {
		return Introspection{}, err
	}
	if err := ok.giveBack(ctx); err != nil {
		return Introspection{}, busy(err)
	}
	return Introspection{
		Flow: ok.request.Flow, ExpiresAt: ok.request.ExpiresAt, AttemptsRemaining: ok.request.AttemptsRemaining(),
		CountsAttempts: ok.request.MaxAttempts > 0, MaskedEmail: mask(ok.account.Email), Email: ok.account.Email,
		Locale: e.locale(app, ok.request.Locale, ok.account.Locale), Policy: app.Policy,
	}, nil
}

// Reset redeems a code: it judges the code, then the password, hashes, and
// writes everything in one commit. The code stays usable until that commit.
//
// Errors: violations on skipPasswordUpdatedEmail (not_allowed), on the code's
// field, on newPassword; rate_limited, overloaded (nothing consumed).
func (e *Engine) Reset(ctx context.Context, app *Application, in ResetInput) (Receipt, error) {
	if in.SkipConfirmation && (!in.Client.Trusted || !app.Confirmation.AllowSkip || in.Proof.Kind() == ProofPasswordResetCode) {
		return Receipt{}, Violate("skipPasswordUpdatedEmail", VioNotAllowed)
	}
	ok, err := e.prove(ctx, app, in.Proof, in.Client)
	if err != nil {
		return Receipt{}, err
	}
	words := []string{ok.account.Email, ok.account.Name, app.Name, app.Slug}
	bad, err := Judge(ctx, e.Policies, ok.dir, app.Slug, app.Policy, ok.account.ID, in.NewPassword, words)
	if err != nil {
		return Receipt{}, busy(errors.Join(err, ok.giveBack(ctx)))
	}
	if len(bad) > 0 {
		if err := ok.giveBack(ctx); err != nil {
			return Receipt{}, busy(err)
		}
		return Receipt{}, &Error{Code: CodeViolations, Violations: Violations{"newPassword": bad}}
	}
	hash, err := e.Hasher.Hash(ctx, in.NewPassword)
	if err != nil {
		return Receipt{}, busy(errors.Join(err, ok.giveBack(ctx)))
	}
	change := PasswordChange{RequestID: ok.request.ID, AccountID: ok.account.ID, Generation: ok.request.Generation, Hash: hash, At: e.now()}
	if ok.dir.Joins() {
		return e.applyJoined(ctx, app, in, ok, change)
	}
	return e.applyForeign(ctx, app, in, ok, change)
}

// settlement prepares the moves of a completed reset on u, and counts what the
// receipt says of other requests.
func (e *Engine) settlement(app *Application, u *unit, r *Request, others []Request, account Account, rev *Revoked, who by) error {
	r.CompletedAt, r.SealedHash = e.now(), nil
	r.AuthSession = app.LoginAfterReset
	if err := e.move(u, r, EventSettle, who); err != nil {
		return err
	}
	for i := range others {
		if err := e.move(u, &others[i], EventSupersede, who.because("password changed")); err != nil {
			return err
		}
	}
	rev.PendingResets = len(others)
	if e.confirms(app, r) {
		m := e.message(app, r, KindPasswordUpdated, account)
		m.Send, m.Ended, m.ExpiresAt = confirmationSend, rev.Sessions, m.CreatedAt.Add(GiveUpAfter)
		u.messages = append(u.messages, m)
		u.jobs = append(u.jobs, Job{Kind: JobMessage, Application: app.Slug, ID: m.ID})
	}
	return nil
}

func (e *Engine) confirms(app *Application, r *Request) bool {
	return app.Confirmation.Enabled && !r.SkipConfirmation
}

func (e *Engine) receipt(app *Application, r *Request, rev Revoked) Receipt {
	out := Receipt{Result: ResultLoginRequired, RedirectURL: r.RedirectURL, Revoked: rev, Confirmation: "skipped"}
	if e.confirms(app, r) {
		out.Confirmation = "queued"
	}
	if r.AuthSession {
		out.Result, out.AuthSessionCode = ResultAuthSession, e.authSessionCode(*r)
	}
	return out
}

// applyJoined writes everything in one commit: the directory takes part.
func (e *Engine) applyJoined(ctx context.Context, app *Application, in ResetInput, ok *proved, change PasswordChange) (Receipt, error) {
	var out Receipt
	who := from(in.Client)
	lost := error(nil)
	err := retryStale(ctx, func(ctx context.Context) error {
		r, others := ok.request, ok.others
		if lost != nil { // somebody saved the row, or another of the account: read anew and judge the state again
			var err error
			if r, others, err = e.Store.Request(ctx, app.Slug, Locator{ID: r.ID}); err != nil {
				return err
			}
			if unusable(r, e) != "" || string(r.Generation) != string(change.Generation) || r.Sends != ok.request.Sends {
				return ErrGeneration
			}
		}
		others = append([]Request(nil), others...)
		lost = e.Store.Atomically(ctx, func(ctx context.Context) error {
			rev, err := ok.dir.SetPassword(ctx, app, change)
			if err != nil {
				return err
			}
			u := &unit{}
			r := r
			r.SkipConfirmation = in.SkipConfirmation
			if app.LoginAfterReset {
				// The promised login is bound to the account as this reset leaves it.
				changed, err := ok.dir.Lookup(ctx, app, r.AccountID)
				if err != nil {
					return err
				}
				r.Generation = changed.Generation
			}
			if err := e.move(u, &r, EventClaim, who); err != nil {
				return err
			}
			settled := who
			if in.SkipConfirmation {
				settled = who.because("confirmation skipped")
			}
			if err = e.settlement(app, u, &r, others, ok.account, &rev, settled); err != nil {
				return err
			}
			if err := e.Store.Commit(ctx, u.commit()); err != nil {
				return err
			}
			out = e.receipt(app, &r, rev)
			return ok.giveBack(ctx) // what was reserved for a right code, in the same commit
		})
		return lost
	})
	if err == nil {
		return out, nil
	}
	if errors.Is(err, ErrGeneration) || errors.Is(err, ErrNotFound) {
		return Receipt{}, e.outdate(ctx, app, &ok.request, in.Proof.Kind(), in.Client)
	}
	return Receipt{}, busy(errors.Join(err, ok.giveBack(ctx)))
}

// applyForeign claims (committed), tells the directory, and settles. The hash
// waits sealed in the row, so that the sweeper can finish what a crash left.
func (e *Engine) applyForeign(ctx context.Context, app *Application, in ResetInput, ok *proved, change PasswordChange) (Receipt, error) {
	r := ok.request
	sealed, err := e.Keys.Seal(sealContext(r), []byte(change.Hash))
	if err != nil {
		return Receipt{}, busy(errors.Join(err, ok.giveBack(ctx)))
	}
	u := &unit{}
	r.SealedHash, r.SkipConfirmation = sealed, in.SkipConfirmation
	if err := e.move(u, &r, EventClaim, from(in.Client)); err != nil {
		return Receipt{}, e.reject(ctx, app, &ok.request, in.Proof.Kind(), in.Client, "raced")
	}
	if err := e.Store.Commit(ctx, u.commit()); errors.Is(err, ErrStale) {
		return Receipt{}, e.reject(ctx, app, &ok.request, in.Proof.Kind(), in.Client, "raced")
	} else if err != nil {
		return Receipt{}, busy(errors.Join(err, ok.giveBack(ctx)))
	}
	r.Version++
	if err := ok.giveBack(ctx); err != nil {
		e.Logger.WarnContext(ctx, "a reserved attempt was not given back; it ends with its window", "request", r.ID.String(), "error", err)
	}
	return e.finish(ctx, app, &r, ok.dir, ok.account, change, from(in.Client), in.Proof.Kind())
}

func sealContext(r Request) string { return "new-hash/" + r.Application + "/" + r.ID.String() }

// finish tells a foreign directory and settles, releases or gives up.
func (e *Engine) finish(ctx context.Context, app *Application, r *Request, dir Directory, account Account, change PasswordChange, who by, kind ProofKind) (Receipt, error) {
	rev, err := dir.SetPassword(ctx, app, change)
	u := &unit{}
	switch {
	case err == nil:
		others, oerr := e.liveOf(ctx, app, r)
		if oerr != nil {
			return Receipt{}, busy(oerr)
		}
		if app.LoginAfterReset {
			changed, lerr := dir.Lookup(ctx, app, r.AccountID)
			if lerr != nil {
				return Receipt{}, busy(lerr)
			}
			r.Generation = changed.Generation
		}
		if err := e.settlement(app, u, r, others, account, &rev, who); err != nil {
			return Receipt{}, busy(err)
		}
		if err := e.Store.Commit(ctx, u.commit()); err != nil {
			return Receipt{}, busy(err) // the sweeper settles it: SetPassword is idempotent by request
		}
		return e.receipt(app, r, rev), nil
	case errors.Is(err, ErrGeneration), errors.Is(err, ErrRefused):
		r.SealedHash = nil
		if merr := e.move(u, r, EventGiveUp, who.because("directory")); merr != nil {
			return Receipt{}, busy(merr)
		}
		if cerr := e.Store.Commit(ctx, u.commit()); cerr != nil {
			return Receipt{}, busy(cerr)
		}
		return Receipt{}, invalidCode(kind, r)
	default:
		r.SealedHash = nil
		if merr := e.move(u, r, EventRelease, who.because("directory")); merr != nil {
			return Receipt{}, busy(merr)
		}
		if cerr := e.Store.Commit(ctx, u.commit()); cerr != nil {
			return Receipt{}, busy(cerr)
		}
		return Receipt{}, &Error{Code: CodeOverloaded, RetryAfter: retrySoon, Cause: err}
	}
}

func (e *Engine) liveOf(ctx context.Context, app *Application, r *Request) ([]Request, error) {
	var out []Request
	for _, o := range []Origin{OriginUser, OriginOperator} {
		live, err := e.Store.Live(ctx, app.Slug, r.AccountID, o)
		if err != nil {
			return nil, err
		}
		for _, x := range live {
			if x.ID != r.ID {
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// authSessionCode is derived from a completed request; the row keeps only
// whether it was promised and used.
func (e *Engine) authSessionCode(r Request) string {
	mac, ok := e.Keys.Derive(r.KeyID, "auth-session", []byte(r.Application), r.ID[:], []byte(r.AccountID))
	if !ok {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(r.ID[:], mac...))
}

// RedeemAuthSession redeems an authSessionCode, once, within 60 s of the reset
// and while the account is as that reset left it, and returns the account to
// open a session for.
//
// Errors: violation authSessionCode (invalid_auth_session_code), overloaded.
func (e *Engine) RedeemAuthSession(ctx context.Context, app *Application, code string) (string, error) {
	invalid := Violate("authSessionCode", VioInvalidAuthSessionCode)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(raw) != 48 {
		return "", invalid
	}
	r, _, err := e.Store.Request(ctx, app.Slug, Locator{ID: ID(raw[:16])})
	if errors.Is(err, ErrNotFound) {
		return "", invalid
	}
	if err != nil {
		return "", busy(err)
	}
	want := e.authSessionCode(r)
	if want == "" || !equal(want, code) || !r.AuthSession || r.State != StateCompleted {
		return "", invalid
	}
	dir, err := e.Directories.For(app)
	if err != nil {
		return "", busy(err)
	}
	account, err := dir.Lookup(ctx, app, r.AccountID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", &Error{Code: CodeOverloaded, RetryAfter: retrySoon, Cause: err}
	}
	if err != nil || account.Disabled || string(account.Generation) != string(r.Generation) {
		return "", invalid
	}
	now := e.now()
	switch err := e.Store.RedeemAuthSession(ctx, app.Slug, r.ID, now.Add(-authSessionLife), now); {
	case errors.Is(err, ErrNotFound):
		return "", invalid
	case err != nil:
		return "", busy(err)
	}
	return r.AccountID, nil
}
