package workflow

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"time"
)

// hashed names a key by its digest, so that limit rows hold no addresses.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// Network is what limits count for an address: IPv4 whole, IPv6 by /64.
func Network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}

// callerKey is the client as limits see it: its network, or the key where no
// address is known, or the page.
func callerKey(c Client) string {
	if n := Network(c.IP); n != "" {
		return "ip:" + n
	}
	if c.KeyID != "" {
		return "key:" + c.KeyID
	}
	return "actor:" + c.Actor
}

// asking are the quotas of a request or a re-send, the cool-down first.
func asking(app *Application, email string, c Client) []Quota {
	q := []Quota{
		{Name: "cooldown", Key: hashed(email, callerKey(c)), Rate: Rate{1, app.ResendAfter.D()}, Durable: true},
		{Name: "per_address", Key: hashed(email), Rate: app.Limits.PerAddress, Durable: true},
	}
	if n := Network(c.IP); n != "" {
		if c.Peer {
			q = append(q, Quota{Name: "per_peer", Key: n, Rate: app.Limits.PerPeer})
		} else {
			q = append(q, Quota{Name: "per_ip", Key: n, Rate: app.Limits.PerIP})
		}
	}
	return append(q, Quota{Name: "per_application", Key: "all", Rate: app.Limits.PerApplication})
}

// mails is the cap on mails of one account; unknown addresses count alike.
func mails(app *Application, account, email string) Quota {
	return Quota{Name: "mails_per_account", Key: who(account, email), Rate: app.Limits.MailsPerAccount, Durable: true}
}

// failures is the budget of wrong verification codes of one account over all
// its requests, re-sends and nodes (NIST SP 800-63B-4 §3.1.3.2: a new code does
// not reset it); decoys count by their address.
func failures(app *Application, account, email string) Quota {
	return Quota{Name: "failed_codes", Key: who(account, email), Rate: app.Limits.FailedCodes, Durable: true}
}

func who(account, email string) string {
	if account != "" {
		return "account:" + account
	}
	return "address:" + hashed(email)
}

// operatorTries are the wrong operator codes of one client: 20 an hour (contract §5).
func operatorTries(c Client) Quota {
	return Quota{Name: "operator_codes", Key: hashed(callerKey(c)), Rate: Rate{20, time.Hour}, Durable: true}
}

// take asks the limiter and turns a refusal into a 429. A refusal is audited
// once a minute and key, so that a flood cannot write a row a call.
func (e *Engine) take(ctx context.Context, app *Application, c Client, quotas ...Quota) error {
	refused, err := e.Limiter.Take(ctx, app.Slug, quotas...)
	if err != nil {
		return busy(err)
	}
	if refused == nil {
		return nil
	}
	q := refused.Quota
	once := Quota{Name: "audit", Key: hashed(q.Name, q.Key), Rate: Rate{1, time.Minute}}
	if again, err := e.Limiter.Take(ctx, app.Slug, once); err != nil {
		return busy(err)
	} else if again == nil {
		now := e.now()
		entry := AuditEntry{Application: app.Slug, ID: NewID(now), At: now, Event: "excess_rate_limit_exceeded", Actor: c.Actor, ClientIP: c.IP, Cause: q.Name}
		if err := e.Store.Commit(ctx, Commit{Audit: []AuditEntry{entry}}); err != nil {
			return busy(err)
		}
	}
	code := CodeRateLimited
	if q.Name == "cooldown" {
		code = CodeCooldown
	}
	return &Error{Code: code, RetryAfter: refused.After, Limit: &LimitState{Name: q.Name, Rate: q.Rate}}
}
