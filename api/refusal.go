package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// Trail reads audit events and records what the API itself refuses; the store
// has it. Events that an engine or a directory decides they record themselves.
type Trail interface {
	workflow.AuditTrail
	Audit(ctx context.Context, entries ...workflow.AuditEntry) error
}

// maxRefusals bounds the rows that refusals of this node write in a minute, and
// with them the memory of what was written.
const maxRefusals = 1000

// refusals remembers what was recorded within the minute, so that a flood of
// wrong keys costs no statement.
type refusals struct {
	mu   sync.Mutex
	till time.Time
	seen map[string]bool
}

func (r *refusals) first(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || now.After(r.till) {
		r.seen, r.till = map[string]bool{}, now.Add(time.Minute)
	}
	if r.seen[key] || len(r.seen) >= maxRefusals {
		return false
	}
	r.seen[key] = true
	return true
}

// audited hands err on and records it where a credential was refused.
func (c *call) audited(rt *route, err error) error {
	if err != nil {
		c.refused(rt, err)
	}
	return err
}

// refused records that a credential was refused on its way to a route: one row
// a minute for each credential, client and reason, over all nodes. The refusal
// stands whether or not the row could be written.
func (c *call) refused(rt *route, err error) {
	if c.s.Trail == nil {
		return
	}
	raw, _, missing := presented(c.Request())
	if missing != nil {
		return // nobody claimed to be anybody
	}
	code := public(err).Code
	who := c.who.key
	entry := workflow.AuditEntry{Application: who.Application, Event: "authz_fail", Actor: c.who.actor()}
	switch {
	case code == workflow.CodeUnauthenticated:
		kind, shaped := parseKey(raw)
		entry.Actor, entry.Event, entry.Cause = "unknown", "authn_login_fail", "credential"
		if shaped {
			entry.Cause = "api_key:" + prefixes[kind]
		}
		if who.ID != "" { // its application is gone
			entry.Actor = c.who.actor()
		}
	case code == workflow.CodeForbidden:
		entry.Cause = string(rt.permission)
	case code == workflow.CodeOriginNotAllowed:
		entry.Cause = "origin"
	case code == workflow.CodeNotFound && c.app == nil && rt.boundary == named && who.Application != "" && who.Application != c.Param("slug"):
		entry.Cause = "application"
	default:
		return
	}
	c.record(entry)
}

// limited records a refusal by a limit of the API's own.
func (c *call) limited(name string) {
	if c.s.Trail != nil {
		c.record(workflow.AuditEntry{Application: c.app.Slug, Event: "excess_rate_limit_exceeded", Actor: c.client.Actor, Cause: name})
	}
}

func (c *call) record(entry workflow.AuditEntry) {
	entry.ClientIP = c.client.IP
	if entry.ClientIP == "" {
		if ip, _, _ := c.s.Clients.Resolve(c.Request()); ip.IsValid() {
			entry.ClientIP = ip.String()
		}
	}
	now := c.s.Clock.Now()
	key := strings.Join([]string{entry.Application, entry.Event, entry.Actor, entry.Cause, workflow.Network(entry.ClientIP)}, "\x00")
	if !c.s.told.first(key, now) {
		return
	}
	sum := sha256.Sum256([]byte(key))
	once := workflow.Quota{Name: "audit", Key: base64.RawURLEncoding.EncodeToString(sum[:18]), Rate: workflow.Rate{N: 1, Per: time.Minute}}
	again, err := c.s.Limiter.Take(c.ctx, entry.Application, once)
	if err == nil && again == nil {
		entry.ID, entry.At = workflow.NewID(now), now
		err = c.s.Trail.Audit(c.ctx, entry)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.s.Log.Error("a refusal could not be recorded in the audit trail", "event", entry.Event, "cause", entry.Cause, "error", err)
	}
}
