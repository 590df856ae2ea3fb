// Package clientip tells from which address a request comes.
//
// A forwarding header is a claim of whoever sent it. It counts only where the
// socket's other end is a proxy the operator named (contract §3,
// trusted_proxies), and then only its rightmost hop that is no such proxy:
// everything left of it was written by somebody we do not know.
package clientip

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// forwarding are the headers by which proxies name their client. One of them
// from a private address outside the list is a proxy nobody configured.
var forwarding = [...]string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip"}

// maxHops bounds how many entries of X-Forwarded-For are read.
const maxHops = 64

// Resolver finds client addresses. It is safe for concurrent use.
type Resolver struct {
	trusted []netip.Prefix
	seen    atomic.Int64 // when an unlisted proxy was last met, unix nanoseconds
	told    atomic.Int64 // when that was last logged
}

// New makes a resolver that believes the proxies in trusted.
func New(trusted []netip.Prefix) *Resolver {
	r := &Resolver{}
	for _, p := range trusted {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		r.trusted = append(r.trusted, p.Masked())
	}
	return r
}

// Resolve returns the client's address (invalid where the socket has none).
// peer says that ip is a private or loopback neighbour outside the list that
// forwards for others, to be counted under per_peer; warn says that this should
// be reported as untrusted_proxy.
func (r *Resolver) Resolve(req *http.Request) (ip netip.Addr, peer bool, warn bool) {
	ip = socket(req.RemoteAddr)
	if !ip.IsValid() {
		return ip, false, false
	}
	if r.trusts(ip) {
		return r.behind(ip, req.Header.Values("X-Forwarded-For")), false, false
	}
	if (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()) && forwards(req.Header) {
		r.seen.Store(time.Now().UnixNano())
		return ip, true, true
	}
	return ip, false, false
}

// behind walks the hops from the right; the first that is no trusted proxy is
// the client. A hop that is no address ends the walk at the last one known.
func (r *Resolver) behind(last netip.Addr, headers []string) netip.Addr {
	hops := 0
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for rest != "" {
			var hop string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				rest, hop = "", rest
			}
			if hops++; hops > maxHops {
				return last
			}
			ip, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return last
			}
			if last = ip; !r.trusts(ip) {
				return ip
			}
		}
	}
	return last
}

// parseHop reads an entry as proxies write it: an address, or one with a port.
func parseHop(s string) (netip.Addr, bool) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().WithZone(""), true
	}
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func (r *Resolver) trusts(ip netip.Addr) bool {
	for _, p := range r.trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

func socket(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

func forwards(h http.Header) bool {
	for _, name := range forwarding {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// Untrusted reports whether an unlisted proxy was met within the last d, for
// readiness and doctor.
func (r *Resolver) Untrusted(d time.Duration) bool {
	at := r.seen.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < d
}

// Tell reports whether a warning is due: true at most once a minute.
func (r *Resolver) Tell() bool {
	now, last := time.Now().UnixNano(), r.told.Load()
	return now-last >= int64(time.Minute) && r.told.CompareAndSwap(last, now)
}
