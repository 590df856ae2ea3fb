package workflow

import (
	"context"
	"errors"
	"time"
)

// deliverWaiting delivers the newest message of a request where it still waits:
// the case of a job that died between its commit and the mail server.
func (e *Engine) deliverWaiting(ctx context.Context, app *Application, r Request) error {
	if r.Sends == 0 {
		return nil
	}
	m, err := e.Ledger.OfRequest(ctx, app.Slug, r.ID, r.Sends)
	if err != nil {
		return err
	}
	return e.deliver(ctx, app, m, r, false)
}

func (e *Engine) deliverByID(ctx context.Context, app *Application, id ID) error {
	m, r, err := e.Ledger.Message(ctx, app.Slug, id)
	if err != nil {
		return err
	}
	return e.deliver(ctx, app, m, r, false)
}

// carriesCode reports whether a message is worth nothing once its code is dead.
func (m Message) carriesCode() bool {
	return !m.NoCode && (m.Kind == KindResetLink || m.Kind == KindResetCode)
}

// deliver sends one message and records what became of it. fresh means that
// the account was read a moment ago, by the commit that made the message.
func (e *Engine) deliver(ctx context.Context, app *Application, m Message, r Request, fresh bool) error {
	if m.State != MessageQueued {
		return nil // sent before: a job may run twice, a mail may not
	}
	now := e.now()
	if !now.Before(m.ExpiresAt) {
		return e.tooLate(ctx, app, m, r)
	}
	if m.carriesCode() && !fresh {
		alive, err := e.stillGood(ctx, app, m, r)
		if err != nil {
			return err
		}
		if !alive {
			return e.Ledger.Record(ctx, app.Slug, m.ID, Outcome{State: MessageVoid, Reply: m.LastReply, At: now})
		}
	}
	mail, err := e.compose(app, m, r)
	if err != nil {
		e.Logger.ErrorContext(ctx, "a message cannot be written and was given up", "message", m.ID.String(), "error", err)
		return e.Ledger.Record(ctx, app.Slug, m.ID, Outcome{State: MessageFailed, Reply: "the message could not be written", At: now})
	}
	err = e.Deliverer.Deliver(ctx, mail)
	return e.record(ctx, app, m, err)
}

// record writes the outcome, also when the job's own context has just ended.
func (e *Engine) record(ctx context.Context, app *Application, m Message, err error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	now := e.now()
	if err == nil {
		return e.Ledger.Record(ctx, app.Slug, m.ID, Outcome{State: MessageSent, Reply: "accepted", At: now})
	}
	var refused *DeliveryError
	if !errors.As(err, &refused) {
		refused = &DeliveryError{Reply: "the mail server could not be reached", Cause: err}
	}
	if refused.Permanent {
		return e.Ledger.Record(ctx, app.Slug, m.ID, Outcome{State: MessageFailed, Reply: refused.Reply, At: now})
	}
	wait := RetryDelay(m.Attempts+1, now.Sub(m.CreatedAt))
	o := Outcome{State: MessageQueued, Reply: refused.Reply, NextTry: now.Add(wait), At: now}
	if rerr := e.Ledger.Record(ctx, app.Slug, m.ID, o); rerr != nil {
		return errors.Join(rerr, err)
	}
	return &RetryError{After: wait, Cause: err}
}

// stillGood reports whether the code in a message that waited still counts, so
// that no dead code is mailed, and none to an address that changed meanwhile.
func (e *Engine) stillGood(ctx context.Context, app *Application, m Message, r Request) (bool, error) {
	if !r.Live() || r.Sends != m.Send {
		return false, nil
	}
	dir, err := e.Directories.For(app)
	if err != nil {
		return false, err
	}
	account, err := dir.Lookup(ctx, app, r.AccountID)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !account.Disabled && account.Email == m.To && string(account.Generation) == string(r.Generation), nil
}

// tooLate records a message that would arrive with a dead code, and follows it
// once by a mail that leads to a new request (contract §9).
func (e *Engine) tooLate(ctx context.Context, app *Application, m Message, r Request) error {
	now := e.now()
	state := MessageExpired
	if !m.carriesCode() {
		state = MessageFailed
	}
	_, err := e.Ledger.OfRequest(ctx, app.Slug, r.ID, followUpSend)
	told := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return e.Store.Atomically(ctx, func(ctx context.Context) error {
		if err := e.Ledger.Record(ctx, app.Slug, m.ID, Outcome{State: state, Reply: m.LastReply, At: now}); err != nil {
			return err
		}
		dead := r.State == StateCompleted || r.State == StateCancelled || r.State == StateSuperseded
		if !m.carriesCode() || told || dead {
			return nil
		}
		next := m
		next.ID, next.Kind, next.NoCode, next.WithLink, next.Send = NewID(now), KindResetLink, true, false, followUpSend
		next.Attempts, next.LastReply, next.CreatedAt, next.NextTry, next.ExpiresAt = 0, "", now, now, now.Add(GiveUpAfter)
		return e.Store.Commit(ctx, Commit{Messages: []Message{next}, Jobs: []Job{{Kind: JobMessage, Application: app.Slug, ID: next.ID}}})
	})
}

// compose gathers the facts of a mail. The code is derived here, and stands
// nowhere but in the mail.
func (e *Engine) compose(app *Application, m Message, r Request) (Mail, error) {
	base := e.base(app)
	mail := Mail{
		Message: m, Application: app, ForgotLink: base + "/forgot-password",
		RequestedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, CodeLifetime: r.ExpiresAt.Sub(r.CreatedAt), SessionsEnded: m.Ended, MessageIDDomain: e.MessageIDDomain,
	}
	if m.Kind == KindPasswordUpdated {
		mail.RequestedAt = r.CompletedAt
	}
	if c := e.notMeCode(r); c != "" && !r.ID.IsZero() {
		mail.NotMeLink = base + "/not-me?request=" + c
		if m.Kind == KindPasswordUpdated {
			mail.NotMeLink = base + "/not-me?changed=" + c
		}
	}
	if !m.carriesCode() {
		return mail, nil
	}
	flow, ok := e.flows[r.Flow]
	if !ok {
		return Mail{}, errors.New("the flow " + string(r.Flow) + " is not part of this release")
	}
	set, _ := app.Flow(r.Flow)
	ch, err := flow.Challenge(e.Keys, r, set, m.WithLink)
	if err != nil {
		return Mail{}, err
	}
	if m.Kind == KindResetCode {
		mail.Code = ch.Code
	}
	if m.WithLink {
		mail.Link = e.link(app, set, "email_auth_code", ch.Link)
	}
	return mail, nil
}
