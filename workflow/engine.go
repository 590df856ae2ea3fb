package workflow

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options are what an engine is built from.
type Options struct {
	Store        Store
	Ledger       Ledger
	Sweeping     Sweeping
	Limiter      Limiter
	Directories  Directories
	Applications Applications
	Hasher       Hasher
	Policies     Policies
	Keys         Keys
	Deliverer    Deliverer
	Clock        Clock
	Flows        []Flow

	// PublicURL is where the hosted pages are, without a trailing slash; the
	// last source of hosts in links (contract §9).
	PublicURL string
	// MessageIDDomain is the right side of Message-ID.
	MessageIDDomain string
	// MatchLocale picks the best available locale from wishes in order.
	MatchLocale func(wanted ...string) string
	// Logger takes what an operator should see; nil discards.
	Logger *slog.Logger
}

// Engine runs resets. It is safe for concurrent use and keeps no state of its own.
type Engine struct {
	Options
	flows  map[FlowName]Flow
	proofs map[ProofKind]Flow
}

// New checks o and builds an engine.
func New(o Options) (*Engine, error) {
	if o.Store == nil || o.Ledger == nil || o.Sweeping == nil || o.Limiter == nil || o.Directories == nil || o.Applications == nil ||
		o.Hasher == nil || o.Policies == nil || o.Keys == nil || o.Deliverer == nil || o.Clock == nil {
		return nil, errors.New("workflow: an engine needs every port of Options")
	}
	if o.PublicURL == "" {
		return nil, errors.New("workflow: an engine needs PublicURL; links are never built from a request")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MatchLocale == nil {
		o.MatchLocale = func(wanted ...string) string { return "en" }
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	e := &Engine{Options: o, flows: map[FlowName]Flow{}, proofs: map[ProofKind]Flow{}}
	for _, f := range o.Flows {
		p := f.Policy()
		if _, twice := e.flows[p.Name]; twice {
			return nil, fmt.Errorf("workflow: the flow %q stands twice", p.Name)
		}
		e.flows[p.Name] = f
		if _, taken := e.proofs[p.Proof]; !taken {
			e.proofs[p.Proof] = f
		}
	}
	return e, nil
}

// now is the one clock, cut to what both databases keep.
func (e *Engine) now() time.Time { return e.Clock.Now().UTC().Truncate(time.Microsecond) }

// unit gathers what one commit will write.
type unit struct {
	fresh, saved []*Request
	messages     []Message
	jobs         []Job
	audit        []AuditEntry
}

func (u *unit) commit() Commit {
	c := Commit{Messages: u.messages, Jobs: u.jobs, Audit: u.audit}
	for _, r := range u.fresh {
		c.New = append(c.New, *r)
	}
	for _, r := range u.saved {
		c.Saved = append(c.Saved, *r)
	}
	return c
}

func (u *unit) save(r *Request) {
	if !slices.Contains(u.fresh, r) && !slices.Contains(u.saved, r) {
		u.saved = append(u.saved, r)
	}
}

// by is who and why, for the audit trail.
type by struct {
	actor, ip, cause string
}

func from(c Client) by { return by{actor: c.Actor, ip: c.IP} }

func (b by) because(cause string) by { b.cause = cause; return b }

var system = by{actor: "system"}

// move is the only place that sets a state. It looks the move up in the table,
// marks r to be saved by the version it was read with, and writes one audit
// entry. An illegal move changes nothing.
func (e *Engine) move(u *unit, r *Request, on Event, who by) error {
	row, ok := table[edge{r.State, on}]
	if !ok {
		return &IllegalMoveError{r.State, on}
	}
	now := e.now()
	before := r.State
	r.State = row.To
	if on != EventReject { // a rejection is counted by its reservation; the row itself does not change
		u.save(r)
	}
	u.audit = append(u.audit, AuditEntry{
		Application: r.Application, ID: NewID(now), At: now, Event: vocabulary(on), RequestID: r.ID, AccountID: r.AccountID,
		Actor: who.actor, ClientIP: who.ip, Move: on, From: before, To: row.To, Cause: who.cause,
	})
	return nil
}

// note writes an audit entry that moves nothing.
func (e *Engine) note(u *unit, r *Request, event string, who by) {
	now := e.now()
	u.audit = append(u.audit, AuditEntry{
		Application: r.Application, ID: NewID(now), At: now, Event: event, RequestID: r.ID, AccountID: r.AccountID,
		Actor: who.actor, ClientIP: who.ip, From: r.State, To: r.State, Cause: who.cause,
	})
}

// vocabulary maps a move to the OWASP logging vocabulary.
func vocabulary(on Event) string {
	switch on {
	case EventIssue, EventResend:
		return "authn_token_created"
	case EventSettle:
		return "authn_password_change"
	case EventReject, EventLock, EventGiveUp, EventRelease:
		return "authn_password_change_fail"
	case EventClaim:
		return "authn_token_used"
	case EventMiss, EventSuppress:
		return "authn_token_withheld"
	default:
		return "authn_token_revoked"
	}
}

// maxTries bounds how often a commit that lost a race is tried again: in a crowd
// of n one wins a round, so a few dozen tries outlast any crowd that is real; the
// deadline of the call ends them too.
const maxTries = 60

// retryStale runs fn again while it loses against a concurrent save.
func retryStale(ctx context.Context, fn func(ctx context.Context) error) error {
	var err error
	for try := range maxTries {
		if err = fn(ctx); !errors.Is(err, ErrStale) && !errors.Is(err, ErrLive) {
			return err
		}
		select { // a crowd that starts again at once meets again
		case <-ctx.Done():
			return err
		case <-time.After(jitter(min(2*try, 20))):
		}
	}
	return err
}

// jitter is a random wait below ms milliseconds.
func jitter(ms int) time.Duration {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, since Go 1.24)
	return time.Duration(ms) * time.Millisecond * time.Duration(binary.BigEndian.Uint16(b[:])) / (1 << 16)
}

// busy turns what a port reports into a public refusal.
func busy(err error) error {
	var public *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &public):
		return err
	case errors.Is(err, ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeOverloaded, RetryAfter: time.Second, Cause: err}
	default:
		return Fail(CodeInternal, err)
	}
}

// base is where an application's pages are.
func (e *Engine) base(app *Application) string {
	if len(app.Hosts) > 0 {
		if strings.HasPrefix(e.PublicURL, "http://") && loopback(app.Hosts[0]) {
			return "http://" + app.Hosts[0] // a trial on this machine
		}
		return "https://" + app.Hosts[0]
	}
	return e.PublicURL + "/apps/" + app.Slug
}

// loopback reports whether host, with or without a port, is this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// link builds the address that carries a code.
func (e *Engine) link(app *Application, set FlowSettings, param, code string) string {
	if set.LinkURL != "" {
		return strings.Replace(set.LinkURL, "{code}", url.QueryEscape(code), 1)
	}
	return e.base(app) + "/reset-password?" + param + "=" + url.QueryEscape(code)
}
