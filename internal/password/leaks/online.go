package leaks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // #nosec G505 -- the service's protocol
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DefaultURL is the public range service of Have I Been Pwned.
const DefaultURL = "https://api.pwnedpasswords.com/range/"

// The manners of asking.
const (
	deadline   = time.Second      // of one question, waiting for a connection included
	pause      = 10 * time.Second // after a failure nobody is asked
	cacheFor   = 5 * time.Minute
	cacheSize  = 64
	maxAnswer  = 1 << 20
	prefixHex  = 5
	maxPerHost = 8
)

// OnlineOptions say whom to ask. The zero value asks [DefaultURL].
type OnlineOptions struct {
	URL          string            // the five digits are put behind it
	AllowPrivate bool              // also ask loopback and private addresses
	Transport    http.RoundTripper // instead of our own; for tests
	Now          func() time.Time  // nil is the system's clock
}

// ErrPaused says that the service failed a moment ago and is left alone.
var ErrPaused = errors.New("leaks: the range service failed a moment ago and is left alone for some seconds")

// errPrivate says that a name led to an address inside the own network.
var errPrivate = errors.New("the address is not a public one; set breached.allow_private to ask it all the same")

// Online asks a range service. It is safe for concurrent use.
//
// It follows no redirect, uses no proxy, connects to public addresses only
// (judged when connecting, so that a name cannot change its mind), and after a
// failure asks nobody for some seconds, so that a service that hangs does not
// make every reset wait.
type Online struct {
	base   string
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	paused time.Time
	cached map[string]answer
}

type answer struct {
	until time.Time
	rests map[string]struct{}
}

// CheckURL returns why a text cannot be the service's address, or nil.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("not an address such as %s", DefaultURL)
	case u.User != nil || u.Fragment != "" || u.RawQuery != "" || strings.ContainsAny(s, "?#"):
		return errors.New("must not hold a user, a query or a fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("must be https; http is for loopback only")
	case !strings.HasSuffix(u.Path, "/"):
		return errors.New("must end with a slash; the five digits are put behind it")
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

// NewOnline makes a client. It connects to nobody before it is asked.
func NewOnline(o OnlineOptions) *Online {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = transport(o.AllowPrivate)
	}
	return &Online{base: o.URL, now: o.Now, cached: map[string]answer{}, client: &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// transport connects to public addresses, or to any.
func transport(private bool) *http.Transport {
	d := &net.Dialer{Timeout: deadline}
	if !private {
		d.Control = func(_, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil || !public(a.Addr()) {
				return errPrivate
			}
			return nil
		}
	}
	return &http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: deadline, ResponseHeaderTimeout: deadline,
		MaxConnsPerHost: maxPerHost, MaxIdleConnsPerHost: maxPerHost, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10}
}

// notPublic are networks besides those that netip knows to be private.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Has reports whether the service knows a password (in its normal form). The
// error names neither the password nor any part of its hash.
func (o *Online) Has(ctx context.Context, password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) // #nosec G401 -- see above
	digest := strings.ToUpper(hex.EncodeToString(sum[:]))
	prefix, rest := digest[:prefixHex], digest[prefixHex:]
	rests, paused := o.recall(prefix)
	if rests == nil {
		if paused {
			return false, ErrPaused
		}
		var err error
		if rests, err = o.ask(ctx, prefix); err != nil {
			if ctx.Err() == nil { // it was the service's fault
				o.mu.Lock()
				o.paused = o.now().Add(pause)
				o.mu.Unlock()
			}
			return false, err
		}
		o.keep(prefix, rests)
	}
	_, known := rests[rest]
	return known, nil
}

func (o *Online) recall(prefix string) (rests map[string]struct{}, paused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a, ok := o.cached[prefix]; ok && o.now().Before(a.until) {
		return a.rests, false
	}
	return nil, o.now().Before(o.paused)
}

func (o *Online) keep(prefix string, rests map[string]struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for old, a := range o.cached {
		if len(o.cached) >= cacheSize || !o.now().Before(a.until) {
			delete(o.cached, old)
		}
	}
	o.cached[prefix] = answer{o.now().Add(cacheFor), rests}
}

// ask fetches what the service knows under a prefix. A count of 0 is padding.
func (o *Online) ask(ctx context.Context, prefix string) (map[string]struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.base+prefix, http.NoBody)
	if err != nil {
		return nil, errors.New("leaks: the range service's address cannot be asked")
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", "resetflow")
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("leaks: the range service cannot be asked: %w", cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("leaks: the range service answered %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("leaks: the range service's answer broke off: %w", cause(err))
	}
	if len(body) > maxAnswer {
		return nil, errors.New("leaks: the range service's answer is too long")
	}
	return parseRange(body)
}

// cause is an error of net/http without the address, which holds the prefix.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func parseRange(body []byte) (map[string]struct{}, error) {
	rests := map[string]struct{}{}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		rest, count, ok := strings.Cut(line, ":")
		if _, err := hex.DecodeString("0" + rest); !ok || err != nil || len(rest) != 40-prefixHex || strings.Trim(count, "0123456789") != "" || count == "" {
			return nil, errors.New("leaks: what the range service answers is not its form")
		}
		if strings.Trim(count, "0") != "" {
			rests[strings.ToUpper(rest)] = struct{}{}
		}
	}
	return rests, nil
}
