package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RetryError asks the queue to run a job again after a time.
type RetryError struct {
	After time.Duration
	Cause error
}

func (e *RetryError) Error() string { return fmt.Sprintf("try again in %s: %v", e.After, e.Cause) }
func (e *RetryError) Unwrap() error { return e.Cause }

// RetryAfter is the wait the queue reads.
func (e *RetryError) RetryAfter() time.Duration { return e.After }

// Work runs one job. Every job may run twice, or die at any statement: the rows
// are the truth, and a job whose work is done does nothing.
func (e *Engine) Work(ctx context.Context, j Job) error {
	app, err := e.Applications.Application(ctx, j.Application)
	if errors.Is(err, ErrNotFound) {
		return nil // the application was deleted, and its rows with it
	}
	if err != nil {
		return err
	}
	switch j.Kind {
	case JobResolve:
		err = e.resolve(ctx, app, j.ID)
	case JobResend:
		err = e.resend(ctx, app, j.ID, j.Send)
	case JobLocked:
		err = e.tellLocked(ctx, app, j.ID)
	case JobMessage:
		err = e.deliverByID(ctx, app, j.ID)
	default:
		e.Logger.ErrorContext(ctx, "a job of an unknown kind was dropped", "kind", string(j.Kind))
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// resolve finds the account of a request and sends its first code, or makes it
// a decoy. Hit and miss read and write alike.
func (e *Engine) resolve(ctx context.Context, app *Application, id ID) error {
	var send *Message
	var older []Request
	var r Request
	var account Account
	err := retryStale(ctx, func(ctx context.Context) error {
		send = nil
		var err error
		if r, _, err = e.Store.Request(ctx, app.Slug, Locator{ID: id}); err != nil {
			return err
		}
		if r.State != StateRequested {
			return nil // done before; the message may still wait
		}
		u := &unit{}
		if r.Expired(e.now()) {
			if err := e.move(u, &r, EventExpire, system); err != nil {
				return err
			}
			return e.Store.Commit(ctx, u.commit())
		}
		dir, err := e.Directories.For(app)
		if err != nil {
			return err
		}
		account, err = dir.Find(ctx, app, r.Email)
		unknown := errors.Is(err, ErrNotFound)
		if err != nil && !unknown {
			return err
		}
		flow := e.flows[r.Flow]
		set, on := app.Flow(r.Flow)
		hit := !unknown && !account.Disabled && account.Resettable && flow != nil && on
		if !hit {
			account = Account{}
		}
		linkOnly, err := e.budgetSpent(ctx, app, flow, account.ID, r.Email)
		if err != nil {
			return err
		}
		err = e.Store.Atomically(ctx, func(ctx context.Context) error {
			r, older := r, append([]Request(nil), older...)
			over, err := e.Limiter.Take(ctx, app.Slug, mails(app, account.ID, r.Email))
			if err != nil {
				return err
			}
			u := &unit{}
			switch {
			case !hit:
				err = e.move(u, &r, EventMiss, system)
				if err == nil && unknown && app.NotifyUnknown && over == nil {
					m := e.unknownMessage(app, &r)
					u.messages = append(u.messages, m)
					u.jobs = append(u.jobs, Job{Kind: JobMessage, Application: app.Slug, ID: m.ID})
				}
			case over != nil:
				err = e.move(u, &r, EventSuppress, system.because("mails_per_account"))
			default:
				for i := range older {
					if err := e.move(u, &older[i], EventSupersede, system); err != nil {
						return err
					}
				}
				r.AccountID, r.Generation = account.ID, account.Generation
				m := e.codeMessage(app, &r, flow, set, linkOnly, account)
				send = &m
				u.messages = append(u.messages, m)
				err = e.move(u, &r, EventIssue, system)
			}
			if err != nil {
				return err
			}
			return e.Store.Commit(ctx, u.commit())
		})
		if errors.Is(err, ErrLive) || errors.Is(err, ErrStale) {
			var lerr error
			if older, lerr = e.Store.Live(ctx, app.Slug, account.ID, OriginUser); lerr != nil {
				return lerr
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if send == nil {
		return e.deliverWaiting(ctx, app, r)
	}
	r.AccountID, r.Generation, r.Sends = send.AccountID, account.Generation, send.Send
	return e.deliver(ctx, app, *send, r, true)
}

// budgetSpent reports whether wrong codes used up the account's budget, for
// flows that count attempts: then a link goes out in place of digits.
func (e *Engine) budgetSpent(ctx context.Context, app *Application, flow Flow, account, email string) (bool, error) {
	if flow == nil || flow.Policy().DefaultAttempts == 0 {
		return false, nil
	}
	return e.Limiter.Spent(ctx, app.Slug, failures(app, account, email))
}

// codeMessage counts one more send on r and makes its message.
func (e *Engine) codeMessage(app *Application, r *Request, flow Flow, set FlowSettings, linkOnly bool, account Account) Message {
	p := flow.Policy()
	r.Sends++
	kind, withLink := p.Mail, p.Proof == ProofEmailAuthCode || set.IncludeLink
	if linkOnly {
		kind, withLink = KindResetLink, true
	}
	r.LinkSent = r.LinkSent || withLink
	m := e.message(app, r, kind, account)
	m.WithLink = withLink
	return m
}

// message makes a queued message to an account.
func (e *Engine) message(app *Application, r *Request, kind MessageKind, account Account) Message {
	now := e.now()
	return Message{
		Application: app.Slug, ID: NewID(now), RequestID: r.ID, AccountID: account.ID, Kind: kind, State: MessageQueued, Send: r.Sends,
		To: account.Email, Name: account.Name, Locale: e.locale(app, r.Locale, account.Locale),
		Device: roughDevice(r.UserAgent), Place: roughPlace(r.ClientIP),
		CreatedAt: now, NextTry: now, ExpiresAt: r.ExpiresAt,
	}
}

// unknownMessage tells an address that it has no account here; only where the
// application asks for it. It is the one mail to an address that was typed.
func (e *Engine) unknownMessage(app *Application, r *Request) Message {
	m := e.message(app, r, KindNoAccount, Account{Email: r.Email})
	m.Send = unknownSend
	return m
}

func (e *Engine) locale(app *Application, wanted ...string) string {
	var wishes []string
	for _, w := range append(wanted, app.Locale) {
		if w != "" {
			wishes = append(wishes, w)
		}
	}
	return e.MatchLocale(wishes...)
}

// resend sends the code number send of a request, once.
func (e *Engine) resend(ctx context.Context, app *Application, id ID, send int) error {
	var m *Message
	var r Request
	err := retryStale(ctx, func(ctx context.Context) error {
		m = nil
		var err error
		if r, _, err = e.Store.Request(ctx, app.Slug, Locator{ID: id}); err != nil {
			return err
		}
		if r.Sends >= send || !r.State.Can(EventResend) || r.Expired(e.now()) {
			return nil // done before, or nothing to send any more
		}
		if r.State == StateRequested {
			return &RetryError{After: time.Second, Cause: errors.New("the request is not resolved yet")}
		}
		return e.sendAgain(ctx, app, &r, &m)
	})
	if err != nil {
		return err
	}
	if m == nil {
		return e.deliverWaiting(ctx, app, r)
	}
	return e.deliver(ctx, app, *m, r, true)
}

func (e *Engine) sendAgain(ctx context.Context, app *Application, r *Request, m **Message) error {
	flow := e.flows[r.Flow]
	set, on := app.Flow(r.Flow)
	if flow == nil || !on {
		return nil
	}
	var account Account
	if r.State == StateChallenged {
		dir, err := e.Directories.For(app)
		if err != nil {
			return err
		}
		account, err = dir.Lookup(ctx, app, r.AccountID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err != nil || account.Disabled || string(account.Generation) != string(r.Generation) {
			u := &unit{}
			if err := e.move(u, r, EventOutdate, system); err != nil {
				return err
			}
			return e.Store.Commit(ctx, u.commit())
		}
	}
	linkOnly, err := e.budgetSpent(ctx, app, flow, r.AccountID, r.Email)
	if err != nil {
		return err
	}
	return e.Store.Atomically(ctx, func(ctx context.Context) error {
		over, err := e.Limiter.Take(ctx, app.Slug, mails(app, r.AccountID, r.Email))
		if err != nil || over != nil {
			return err // over the cap: the code that is out stays valid
		}
		u := &unit{}
		if r.State == StateChallenged {
			msg := e.codeMessage(app, r, flow, set, linkOnly, account)
			u.messages, *m = append(u.messages, msg), &msg
		} else {
			r.Sends++
		}
		if err := e.move(u, r, EventResend, system); err != nil {
			return err
		}
		if err := e.Store.Commit(ctx, u.commit()); err != nil {
			*m = nil
			return err
		}
		return nil
	})
}

// tellLocked mails the owner of a locked request; decoys and finished rows run
// the same job to no effect.
func (e *Engine) tellLocked(ctx context.Context, app *Application, id ID) error {
	r, _, err := e.Store.Request(ctx, app.Slug, Locator{ID: id})
	if err != nil || r.State != StateLocked || r.AccountID == "" {
		return err
	}
	if _, err := e.Ledger.OfRequest(ctx, app.Slug, id, lockedSend); !errors.Is(err, ErrNotFound) {
		return err // told before
	}
	dir, err := e.Directories.For(app)
	if err != nil {
		return err
	}
	account, err := dir.Lookup(ctx, app, r.AccountID)
	if err != nil || account.Disabled {
		return err
	}
	return e.Store.Atomically(ctx, func(ctx context.Context) error {
		if over, err := e.Limiter.Take(ctx, app.Slug, mails(app, r.AccountID, r.Email)); err != nil || over != nil {
			return err
		}
		m := e.message(app, &r, KindRequestLocked, account)
		m.Send, m.ExpiresAt = lockedSend, m.CreatedAt.Add(GiveUpAfter)
		return e.Store.Commit(ctx, Commit{Messages: []Message{m}, Jobs: []Job{{Kind: JobMessage, Application: app.Slug, ID: m.ID}}})
	})
}

// Notices of a request have send numbers of their own, so that each is made once.
const (
	lockedSend       = -1
	followUpSend     = -2
	confirmationSend = -3
	unknownSend      = -4
)
