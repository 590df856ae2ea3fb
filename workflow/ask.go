package workflow

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"
)

// Request starts a reset. It looks nobody up: it passes the limits, writes one
// row and one job, and answers; so the answer cannot depend on the account.
//
// Errors: violations on flow (not_enabled) and redirectUrl (not_allowed),
// cooldown_active, rate_limited, overloaded.
func (e *Engine) Request(ctx context.Context, app *Application, in RequestInput) (Accepted, error) {
	name := in.Flow
	if name == "" {
		name = app.DefaultFlow
	}
	flow, known := e.flows[name]
	set, on := app.Flow(name)
	v := Violations{}
	if !known || !on || flow.Policy().Origin != OriginUser {
		v.Add("flow", VioNotEnabled)
	}
	if in.RedirectURL != "" && !slices.Contains(app.RedirectURLs, in.RedirectURL) {
		v.Add("redirectUrl", VioNotAllowed)
	}
	if err := v.Err(); err != nil {
		return Accepted{}, err
	}
	if err := e.take(ctx, app, in.Client, asking(app, in.Email, in.Client)...); err != nil {
		return Accepted{}, err
	}
	r := e.fresh(app, flow.Policy(), set, in.Client)
	r.Email, r.Locale, r.RedirectURL = in.Email, in.Locale, in.RedirectURL
	u := &unit{fresh: []*Request{r}, jobs: []Job{{Kind: JobResolve, Application: app.Slug, ID: r.ID}}}
	e.note(u, r, "authn_password_reset_requested", from(in.Client))
	if err := e.Store.Commit(ctx, u.commit()); err != nil {
		return Accepted{}, busy(err)
	}
	return e.accepted(app, flow, r), nil
}

// fresh makes a row in its first state.
func (e *Engine) fresh(app *Application, p FlowPolicy, set FlowSettings, c Client) *Request {
	now := e.now()
	r := &Request{
		Application: app.Slug, ID: NewID(now), Flow: p.Name, Origin: p.Origin, State: StateRequested,
		KeyID: e.Keys.Current(), MaxAttempts: set.MaxAttempts,
		ClientIP: c.IP, UserAgent: cut(c.UserAgent, 256), Actor: c.Actor,
		// The end is a whole second, as it is told: a code is good until the time
		// that its owner was told, and not a moment longer.
		CreatedAt: now, ExpiresAt: now.Add(set.Lifetime.D()).Truncate(time.Second),
	}
	if p.DefaultAttempts == 0 {
		r.MaxAttempts = 0
	}
	return r
}

func (e *Engine) accepted(app *Application, flow Flow, r *Request) Accepted {
	return Accepted{Flow: r.Flow, RequestCode: flow.Handle(e.Keys, *r), ExpiresAt: r.ExpiresAt, ResendAfter: app.ResendAfter.D(), RequestID: r.ID}
}

// Resend asks for one more code of a request that has a requestCode. The new
// code replaces the old one, the attempts stay. Whether it answers depends on
// the row's attempts and time alone, never on its state.
//
// Errors: invalid_request_code, cooldown_active, rate_limited, overloaded.
func (e *Engine) Resend(ctx context.Context, app *Application, requestCode string, c Client) (Accepted, error) {
	r, flow, err := e.byHandle(ctx, app, requestCode)
	if err != nil {
		return Accepted{}, err
	}
	if r.Expired(e.now()) || r.AttemptsRemaining() == 0 {
		return Accepted{}, Violate("requestCode", VioInvalidRequestCode)
	}
	if err := e.take(ctx, app, c, asking(app, r.Email, c)...); err != nil {
		return Accepted{}, err
	}
	u := &unit{jobs: []Job{{Kind: JobResend, Application: app.Slug, ID: r.ID, Send: r.Sends + 1}}}
	e.note(u, &r, "authn_password_reset_requested", from(c).because("resend"))
	if err := e.Store.Commit(ctx, u.commit()); err != nil {
		return Accepted{}, busy(err)
	}
	return e.accepted(app, flow, &r), nil
}

// byHandle loads the request a requestCode names.
func (e *Engine) byHandle(ctx context.Context, app *Application, requestCode string) (Request, Flow, error) {
	invalid := Violate("requestCode", VioInvalidRequestCode)
	reader, ok := e.proofs[ProofVerificationCode]
	if !ok {
		return Request{}, nil, invalid
	}
	at, ok := reader.Locate(e.Keys, Proof{RequestCode: requestCode})
	if !ok {
		return Request{}, nil, invalid
	}
	r, _, err := e.Store.Request(ctx, app.Slug, at)
	if errors.Is(err, ErrNotFound) {
		return Request{}, nil, invalid
	}
	if err != nil {
		return Request{}, nil, busy(err)
	}
	flow, ok := e.flows[r.Flow]
	if !ok || !handles(e.Keys, flow, r, requestCode) {
		return Request{}, nil, invalid
	}
	return r, flow, nil
}

// handles reports in constant time whether code is r's public name.
func handles(k Keys, flow Flow, r Request, code string) bool {
	want := flow.Handle(k, r)
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1
}

// cut shortens s to at most n bytes at a character's border.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
