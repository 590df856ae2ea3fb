package workflow

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"
)

// Disowned says what "this was not me" did.
type Disowned string

// What a not-me link can do.
const (
	DisownedNothing Disowned = "nothing" // the code names nothing that can be stopped, or it was used
	DisownedStopped Disowned = "stopped" // the request was cancelled
	DisownedSecured Disowned = "secured" // the changed account is on hold, a fresh reset is on its way
)

// disownFor is how long after a change its owner may say that it was not theirs.
const disownFor = 7 * 24 * time.Hour

// notMeCode names a request on the "this was not me" page. It can stop and
// secure, and nothing else, so 128 bits of MAC suffice.
func (e *Engine) notMeCode(r Request) string {
	mac, ok := e.Keys.Derive(r.KeyID, "not-me", []byte(r.Application), r.ID[:])
	if !ok {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(r.ID[:], mac[:16]...))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// NotMe acts for the owner of an account who did not ask (NIST SP 800-63B-4
// §4.6: a notification says how to repudiate). A request that is under way is
// cancelled. After a change every session ends, nobody can log in before a
// reset, other codes are dead, and a fresh reset goes to the stored address;
// that works once. Whoever holds the mail can do no more with it than with a
// reset of their own.
func (e *Engine) NotMe(ctx context.Context, app *Application, code string, c Client) (Disowned, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(raw) != 32 {
		return DisownedNothing, nil
	}
	out := DisownedNothing
	err = retryStale(ctx, func(ctx context.Context) error {
		out = DisownedNothing
		r, others, err := e.Store.Request(ctx, app.Slug, Locator{ID: ID(raw[:16])})
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if want := e.notMeCode(r); want == "" || !equal(want, code) {
			return nil
		}
		who := from(c).because("not me")
		switch {
		case r.State.Can(EventCancel):
			u := &unit{}
			if err := e.move(u, &r, EventCancel, who); err != nil {
				return err
			}
			if err := e.Store.Commit(ctx, u.commit()); err != nil {
				return err
			}
			out = DisownedStopped
		case r.State == StateCompleted && r.DisownedAt.IsZero() && e.now().Sub(r.CompletedAt) < disownFor:
			done, err := e.secure(ctx, app, r, others, who)
			if err != nil {
				return err
			}
			if done {
				out = DisownedSecured
			}
		}
		return nil
	})
	return out, busy(err)
}

// secure puts the account of a disowned reset on hold and starts a fresh one.
func (e *Engine) secure(ctx context.Context, app *Application, r Request, others []Request, who by) (bool, error) {
	dir, err := e.Directories.For(app)
	if err != nil {
		return false, err
	}
	account, err := dir.Lookup(ctx, app, r.AccountID)
	if errors.Is(err, ErrNotFound) || err == nil && account.Disabled {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	write := func(ctx context.Context) error {
		u := &unit{}
		r.DisownedAt = e.now()
		u.save(&r)
		e.note(u, &r, "authn_password_change_disowned", who)
		for i := range others {
			if err := e.move(u, &others[i], EventSupersede, who); err != nil {
				return err
			}
		}
		if flow, set, ok := e.startable(app); ok {
			again := e.fresh(app, flow.Policy(), set, Client{Actor: "system"})
			again.Email, again.Locale = account.Email, r.Locale
			u.fresh = append(u.fresh, again)
			u.jobs = append(u.jobs, Job{Kind: JobResolve, Application: app.Slug, ID: again.ID})
			e.note(u, again, "authn_password_reset_requested", who)
		}
		return e.Store.Commit(ctx, u.commit())
	}
	if !dir.Joins() {
		if _, err := dir.Secure(ctx, app, account.ID, e.now()); err != nil {
			return false, err
		}
		return true, write(ctx)
	}
	return true, e.Store.Atomically(ctx, func(ctx context.Context) error {
		if _, err := dir.Secure(ctx, app, account.ID, e.now()); err != nil {
			return err
		}
		return write(ctx)
	})
}

// startable is the flow a reset starts with where nobody chose one: the default,
// else the first that is on.
func (e *Engine) startable(app *Application) (Flow, FlowSettings, bool) {
	candidates := append([]Flow{}, e.Flows...)
	if first, ok := e.flows[app.DefaultFlow]; ok {
		candidates = append([]Flow{first}, candidates...)
	}
	for _, f := range candidates {
		if set, on := app.Flow(f.Policy().Name); on && f.Policy().Origin == OriginUser && !f.Policy().Handle {
			return f, set, true
		}
	}
	for _, f := range candidates { // digits need the page that asked for them; their mail carries a link where it may
		if set, on := app.Flow(f.Policy().Name); on && f.Policy().Origin == OriginUser && set.IncludeLink {
			return f, set, true
		}
	}
	return nil, FlowSettings{}, false
}
