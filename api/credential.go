package api

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// credential is who calls: the admin token, or an API key.
type credential struct {
	admin bool
	key   workflow.APIKey
}

// actor is what the audit trail names.
func (w credential) actor() string {
	if w.admin {
		return "admin"
	}
	return "key:" + w.key.ID
}

// holds reports whether the credential has p. A publishable key never has more
// than its kind may, whatever its row says.
func (w credential) holds(p Permission) bool {
	if w.admin {
		return true
	}
	return slices.Contains(w.key.Permissions, string(p)) &&
		(w.key.Type == workflow.KeySecret || p.publishable())
}

// presented reads the one credential a request carries. Nothing is looked up.
func presented(r *http.Request) (raw string, bearer bool, err error) {
	auth, header := r.Header.Values("Authorization"), r.Header.Values("X-Api-Key")
	switch len(auth) + len(header) {
	case 0:
		return "", false, workflow.Fail(workflow.CodeUnauthenticated, nil)
	case 1:
	default:
		return "", false, workflow.Fail(workflow.CodeMultipleCredentials, nil)
	}
	if len(header) == 1 {
		return header[0], false, nil
	}
	scheme, token, ok := strings.Cut(auth[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", false, workflow.Fail(workflow.CodeUnauthenticated, nil)
	}
	return token, true, nil
}

// lookUp finds the key of a well-formed credential.
func (c *call) lookUp(raw string) error {
	kind, ok := parseKey(raw)
	if !ok {
		return workflow.Fail(workflow.CodeUnauthenticated, nil)
	}
	sum := digest(raw)
	key, err := c.s.Keys.Key(c.ctx, sum[:])
	if errors.Is(err, workflow.ErrNotFound) || err == nil && (key.Type != kind || !key.RevokedAt.IsZero()) {
		return workflow.Fail(workflow.CodeUnauthenticated, nil)
	}
	if err != nil {
		return err
	}
	c.who = credential{key: key}
	c.Set(keyKey, key.ID)
	return nil
}

// maxAgent is how much of a user agent is kept.
const maxAgent = 256

// identify fills the client: for publishable keys the socket, for secret keys
// what the caller says about its user (contract §4).
func (c *call) identify() error {
	r := c.Request()
	c.client = workflow.Client{Actor: c.who.actor(), KeyID: c.who.key.ID}
	if c.who.key.Type != workflow.KeySecret {
		ip, peer, _ := c.s.Clients.Resolve(r)
		if ip.IsValid() {
			c.client.IP = ip.String()
		}
		c.client.Peer = peer
		c.client.UserAgent = agent(r.Header.Get("User-Agent"))
		return nil
	}
	c.client.Trusted = true
	c.client.UserAgent = agent(r.Header.Get("X-Resetflow-User-Agent"))
	said := r.Header.Values("X-Resetflow-Client-Ip")
	if len(said) == 0 {
		return nil
	}
	ip, err := netip.ParseAddr(said[0])
	if len(said) > 1 || err != nil || ip.Zone() != "" || ip.IsUnspecified() {
		return workflow.Fail(workflow.CodeInvalidClientIP, nil)
	}
	c.client.IP = ip.Unmap().String()
	return nil
}

// counted is what a limit of the API's own counts: the client's address or,
// where none is known, the key.
func (c *call) counted() string {
	if network := workflow.Network(c.client.IP); network != "" {
		return "ip:" + network
	}
	return "key:" + c.client.KeyID
}

func agent(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !printable(string(r)) {
			return -1
		}
		return r
	}, cut(s, 4*maxAgent))
	return cut(s, maxAgent)
}
