package leaks

import (
	"context"
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// service is a range service on loopback that knows "leaked".
type service struct {
	*httptest.Server
	asked  atomic.Int32
	paths  chan string
	answer atomic.Pointer[http.HandlerFunc] // nil is the honest one
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{paths: make(chan string, 1000)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.paths <- r.Method + " " + r.URL.String() + " " + r.Header.Get("Add-Padding")
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		digest := fmt.Sprintf("%X", sha1.Sum([]byte("leaked")))
		padded := fmt.Sprintf("%X", sha1.Sum([]byte("padding")))
		_, _ = fmt.Fprintf(w, "%s:0\r\n%s:37\r\n", padded[5:], digest[5:])
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) client(now func() time.Time) *Online {
	return NewOnline(OnlineOptions{URL: s.URL + "/range/", Transport: s.Client().Transport, Now: now})
}

func TestFiveDigitsAndNothingElseLeave(t *testing.T) {
	s := newService(t)
	o := s.client(nil)
	yes, err := o.Has(t.Context(), "leaked")
	if err != nil || !yes {
		t.Fatalf("%v, %v", yes, err)
	}
	want := "GET /range/" + fmt.Sprintf("%X", sha1.Sum([]byte("leaked")))[:5] + " true"
	if got := <-s.paths; got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
	for _, fresh := range []string{"fresh", "padding"} { // padding has a count of 0
		if yes, err := o.Has(t.Context(), fresh); err != nil || yes {
			t.Errorf("%s: %v, %v", fresh, yes, err)
		}
	}
	before := s.asked.Load()
	if yes, err := o.Has(t.Context(), "leaked"); err != nil || !yes || s.asked.Load() != before {
		t.Errorf("from memory: %v, %v, %d questions", yes, err, s.asked.Load()-before)
	}
}

func TestWhatIsRememberedIsForgotten(t *testing.T) {
	s := newService(t)
	now := time.Unix(1e9, 0)
	o := s.client(func() time.Time { return now })
	for range 2 {
		if yes, err := o.Has(t.Context(), "leaked"); err != nil || !yes {
			t.Fatal(yes, err)
		}
		now = now.Add(cacheFor)
	}
	if s.asked.Load() != 2 {
		t.Errorf("asked %d times", s.asked.Load())
	}
	for i := range 3 * cacheSize {
		_, _ = o.Has(t.Context(), fmt.Sprint(i))
	}
	if len(o.cached) > cacheSize {
		t.Errorf("%d answers are kept", len(o.cached))
	}
}

func TestFailuresAreErrorsAndGiveAPause(t *testing.T) {
	elsewhere := newService(t)
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"refusal":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"another form": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>") },
		"too long":     func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, strings.Repeat("0", maxAnswer+1)) },
		"hanging":      func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = fmt.Fprint(w, "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			broken := http.HandlerFunc(answer)
			s.answer.Store(&broken)
			now := time.Unix(1e9, 0)
			o := s.client(func() time.Time { return now })
			_, err := o.Has(t.Context(), "leaked")
			if err == nil || strings.Contains(err.Error(), fmt.Sprintf("%X", sha1.Sum([]byte("leaked")))[:5]) {
				t.Errorf("%v", err)
			}
			if _, err := o.Has(t.Context(), "leaked"); err != ErrPaused || s.asked.Load() != 1 { //nolint:errorlint // it is returned as it is
				t.Errorf("%v; asked %d times", err, s.asked.Load())
			}
			s.answer.Store(nil)
			now = now.Add(pause)
			if yes, err := o.Has(t.Context(), "leaked"); err != nil || !yes {
				t.Errorf("after the pause: %v, %v", yes, err)
			}
		})
	}
	if elsewhere.asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestWhoGivesUpDoesNotPauseTheOthers(t *testing.T) {
	s := newService(t)
	o := s.client(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Has(ctx, "leaked"); err == nil {
		t.Error("a dead context is answered")
	}
	if yes, err := o.Has(t.Context(), "leaked"); err != nil || !yes {
		t.Errorf("%v, %v", yes, err)
	}
}

func TestPrivateAddressesAreNotAsked(t *testing.T) {
	s := newService(t)
	o := NewOnline(OnlineOptions{URL: s.URL + "/"})
	if _, err := o.Has(t.Context(), "leaked"); err == nil || !strings.Contains(err.Error(), "breached.allow_private") || s.asked.Load() != 0 {
		t.Errorf("%v; asked %d times", err, s.asked.Load())
	}
	o = NewOnline(OnlineOptions{URL: s.URL + "/", AllowPrivate: true})
	if yes, err := o.Has(t.Context(), "leaked"); err != nil || !yes {
		t.Errorf("allowed: %v, %v", yes, err)
	}
	for a, want := range map[string]bool{"93.184.216.34": true, "2606:4700::1": true, "10.1.2.3": false, "192.168.0.1": false, "172.16.9.9": false, "127.0.0.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "::1": false, "fd00::1": false, "fe80::1": false, "::ffff:10.0.0.1": false, "224.0.0.1": false,
		"64:ff9b::a00:1": false, "255.255.255.255": false} {
		if public(netip.MustParseAddr(a)) != want {
			t.Errorf("%s: public is %v", a, !want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for url, want := range map[string]bool{DefaultURL: true, "http://127.0.0.1:9000/range/": true, "http://localhost/": true, "https://mirror.acme.test/": true,
		"": false, "http://mirror.acme.test/": false, "https://mirror.acme.test": false, "https://mirror.acme.test/range": false, "https://u:p@mirror.acme.test/": false,
		"https://mirror.acme.test/?q=": false, "ftp://mirror.acme.test/": false, "https:///": false, "https://mirror.acme.test/#": false} {
		if err := CheckURL(url); (err == nil) != want {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add([]byte("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n"))
	f.Add([]byte("x:y"))
	f.Fuzz(func(t *testing.T, body []byte) {
		rests, err := parseRange(body)
		for rest := range rests {
			if err != nil || len(rest) != 35 {
				t.Fatalf("%q, %v", rest, err)
			}
		}
	})
}
