package clientip

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	r := New([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:192.0.2.0/120")})
	for name, tc := range map[string]struct {
		remote     string
		headers    http.Header
		want       string
		peer, warn bool
	}{
		"socket":                        {"198.51.100.7:1234", nil, "198.51.100.7", false, false},
		"public peer is not believed":   {"198.51.100.7:1", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "198.51.100.7", false, false},
		"trusted proxy":                 {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false, false},
		"rightmost untrusted":           {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"1.1.1.1, 203.0.113.9, 10.9.9.9"}}, "203.0.113.9", false, false},
		"several headers, last first":   {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"1.1.1.1", "203.0.113.9"}}, "203.0.113.9", false, false},
		"private client behind a proxy": {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"1.1.1.1, 192.168.0.9"}}, "192.168.0.9", false, false},
		"with port":                     {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"203.0.113.9:443"}}, "203.0.113.9", false, false},
		"IPv6 with port":                {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"[2001:4860::1]:443"}}, "2001:4860::1", false, false},
		"mapped IPv4":                   {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"::ffff:203.0.113.9"}}, "203.0.113.9", false, false},
		"rubbish ends the walk":         {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"203.0.113.9, unknown, 10.9.9.9"}}, "10.9.9.9", false, false},
		"only proxies":                  {"10.1.2.3:1", http.Header{"X-Forwarded-For": {"10.0.0.1, 10.0.0.2"}}, "10.0.0.1", false, false},
		"empty header":                  {"10.1.2.3:1", http.Header{"X-Forwarded-For": {""}}, "10.1.2.3", false, false},
		"trusted, other header":         {"10.1.2.3:1", http.Header{"X-Real-Ip": {"203.0.113.9"}}, "10.1.2.3", false, false},
		"trusted IPv6 proxy":            {"[2001:db8::5]:1", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false, false},
		"mapped prefix":                 {"192.0.2.8:1", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false, false},
		"mapped socket":                 {"[::ffff:10.1.2.3]:1", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "203.0.113.9", false, false},
		"unlisted private proxy":        {"192.168.1.1:1", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, "192.168.1.1", true, true},
		"unlisted loopback proxy":       {"127.0.0.1:1", http.Header{"Forwarded": {"for=203.0.113.9"}}, "127.0.0.1", true, true},
		"unlisted, X-Real-IP":           {"[fd00::1]:1", http.Header{"X-Real-Ip": {"203.0.113.9"}}, "fd00::1", true, true},
		"unlisted, empty header":        {"127.0.0.1:1", http.Header{"X-Forwarded-For": {""}}, "127.0.0.1", true, true},
		"private without a header":      {"192.168.1.1:1", nil, "192.168.1.1", false, false},
		"zone":                          {"[fe80::1%eth0]:1", nil, "fe80::1", false, false},
		"no address":                    {"@", nil, "invalid IP", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			ip, peer, warn := r.Resolve(&http.Request{RemoteAddr: tc.remote, Header: tc.headers})
			if ip.String() != tc.want || peer != tc.peer || warn != tc.warn {
				t.Errorf("got %v, %v, %v; want %v, %v, %v", ip, peer, warn, tc.want, tc.peer, tc.warn)
			}
		})
	}
}

func TestWarning(t *testing.T) {
	r := New(nil)
	if r.Untrusted(time.Minute) {
		t.Error("nothing was met yet")
	}
	r.Resolve(&http.Request{RemoteAddr: "127.0.0.1:1", Header: http.Header{"X-Forwarded-For": {"1.1.1.1"}}})
	if !r.Untrusted(time.Minute) {
		t.Error("an unlisted proxy must be remembered")
	}
	if !r.Tell() || r.Tell() {
		t.Error("a warning is due once a minute")
	}
}

// FuzzHeader checks that no header makes a stranger's claim count: from an
// untrusted socket the address is the socket's.
func FuzzHeader(f *testing.F) {
	f.Add("1.1.1.1, 10.0.0.1")
	f.Add("[::1]:x,,,")
	r := New([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, v string) {
		h := http.Header{"X-Forwarded-For": {v}}
		if ip, _, _ := r.Resolve(&http.Request{RemoteAddr: "198.51.100.7:1", Header: h}); ip.String() != "198.51.100.7" {
			t.Fatalf("believed %q", v)
		}
		if ip, _, _ := r.Resolve(&http.Request{RemoteAddr: "10.0.0.1:1", Header: h}); !ip.IsValid() {
			t.Fatalf("no address from %q", v)
		}
	})
}
