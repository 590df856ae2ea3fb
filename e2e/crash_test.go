package e2e

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// kill -9 at any moment loses no accepted request and leaves no half reset. The
// process is killed right after an answer, right after the mail server took a
// mail, and at random moments while people ask and reset.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, kind)
			s.Application("acme", wide)
			key := s.Key("acme", "secret", all...)
			everybody := people(s, "acme", 406)
			accepted := append(killedAfterAnswer(t, s, kind, key, everybody[:3]), killedAfterMail(t, s, key, everybody[3:6])...)
			cases := killedAtRandom(t, s, key, everybody[6:])
			for _, c := range cases {
				if c.accepted {
					accepted = append(accepted, c.email)
				}
			}
			t.Logf("%d requests were accepted", len(accepted))
			if len(accepted) < 20 {
				t.Fatalf("only %d requests were accepted: the test has shown nothing", len(accepted))
			}
			arrived(t, s.SMTP, crashed, "reset_link", accepted)
			judge(t, s, key, cases)
			idle(t, s, "acme", crashed)
			for _, email := range everybody {
				for _, kind := range []string{"reset_link", "password_updated"} {
					if n := distinct(s.SMTP, email, kind); n > 1 {
						t.Errorf("%s has %d different mails of kind %s", email, n, kind)
					}
				}
			}
		})
	}
}

// killedAfterAnswer kills the process as soon as a request is answered. On
// SQLite the mail comes at once after the restart.
func killedAfterAnswer(t *testing.T, s *product.Server, kind, key string, addresses []string) []string {
	t.Helper()
	for _, email := range addresses {
		got, err := wants(s, key, email, "email_link")
		s.Kill()
		if err != nil || got.Status != http.StatusAccepted {
			t.Fatalf("%v %d %s", err, got.Status, got.Body)
		}
		s.Run()
		if kind == "sqlite" {
			arrived(t, s.SMTP, settled, "reset_link", []string{email})
		}
	}
	return addresses
}

// killedAfterMail kills the process when the mail server has taken a mail and
// the ledger may not know it yet.
func killedAfterMail(t *testing.T, s *product.Server, key string, addresses []string) []string {
	t.Helper()
	for _, email := range addresses {
		if got, err := wants(s, key, email, "email_link"); err != nil || got.Status != http.StatusAccepted {
			t.Fatalf("%v %d %s", err, got.Status, got.Body)
		}
		for end := time.Now().Add(settled); len(mails(s.SMTP, email, "reset_link")) == 0; {
			if time.Now().After(end) {
				t.Fatalf("no mail came to %s", email)
			}
			time.Sleep(time.Millisecond)
		}
		s.Kill()
		s.Run()
	}
	return addresses
}

// person is one run of the stream: what was sent, and what was answered.
type person struct {
	email, access, refresh string
	accepted               bool   // the request was answered by 202
	code                   string // from the mail
	tried, done            bool   // a reset was sent; it was answered by 200
}

// killedAtRandom kills the process eight times under a stream of requests and resets.
func killedAtRandom(t *testing.T, s *product.Server, key string, addresses []string) []*person {
	t.Helper()
	next := make(chan string, len(addresses))
	for _, a := range addresses {
		next <- a
	}
	close(next)
	stop := make(chan struct{})
	var mu sync.Mutex
	var out []*person
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for email := range next {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond): // so that the accounts last until the last kill
				}
				p := &person{email: email}
				p.live(t, s, key)
				mu.Lock()
				out = append(out, p)
				mu.Unlock()
			}
		})
	}
	for kill := range 8 {
		eventually(t, settled, "the stream flows", func() bool { mu.Lock(); defer mu.Unlock(); return len(out) >= 4*(kill+1) })
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		s.Kill()
		s.Run()
	}
	close(stop)
	wg.Wait()
	if len(out) == len(addresses) {
		t.Error("the stream ended before the last kill: give it more accounts")
	}
	return out
}

// live logs in, asks, waits a little for the mail, and resets. Whatever a kill
// cuts off is tried again, but not what may have changed something.
func (p *person) live(t *testing.T, s *product.Server, key string) {
	for p.access == "" {
		got, err := s.Try("POST", "/api/v1/auth/login", key, `{"email":"`+p.email+`","password":"`+OldPassword+`"}`, nil)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if got.Status != http.StatusOK {
			t.Errorf("login of %s: %d %s", p.email, got.Status, got.Body)
			return
		}
		p.access, p.refresh = field(got, "accessToken"), field(got, "refreshToken")
	}
	got, err := wants(s, key, p.email, "email_link")
	if err != nil {
		return
	}
	if p.accepted = got.Status == http.StatusAccepted; !p.accepted {
		t.Errorf("request of %s: %d %s", p.email, got.Status, got.Body)
	}
	for end := time.Now().Add(300 * time.Millisecond); p.code == ""; time.Sleep(5 * time.Millisecond) {
		if m := mails(s.SMTP, p.email, "reset_link"); len(m) > 0 {
			p.code = product.LinkCode(m[0].Text, "email_auth_code")
		} else if time.Now().After(end) {
			return // its mail waits for the crash to be mended
		}
	}
	p.tried = true
	if got, err := byLink(s, key, p.code, NewPassword); err == nil {
		if p.done = got.Status == http.StatusOK; !p.done {
			t.Errorf("reset of %s: %d %s", p.email, got.Status, got.Body)
		}
	}
}

// judge looks at everybody after the last crash: a reset happened as a whole or
// not at all.
func judge(t *testing.T, s *product.Server, key string, cases []*person) {
	t.Helper()
	var done, unknown []string
	half := 0
	for _, p := range cases {
		if p.access == "" {
			continue
		}
		isOld, isNew := opens(t, s, key, p.email, OldPassword), opens(t, s, key, p.email, NewPassword)
		switch {
		case isOld == isNew:
			t.Errorf("%s: the old password opens: %v, the new one: %v", p.email, isOld, isNew)
		case isNew && !p.tried:
			t.Errorf("%s: the password changed and nobody changed it", p.email)
		case isOld && p.done:
			t.Errorf("%s: a reset was answered by 200 and is lost", p.email)
		}
		if !p.tried {
			continue
		}
		if isNew {
			done = append(done, p.email)
			p.dead(t, s, key)
		}
		if !p.done {
			unknown = append(unknown, p.email)
		}
		if isOld {
			half++
			if got, err := byLink(s, key, p.code, NewPassword); err != nil || got.Status != http.StatusOK {
				t.Errorf("%s: the reset did not happen, and its code is used up: %v %d %s", p.email, err, got.Status, got.Body)
			}
		}
	}
	t.Logf("%d resets happened; %d were cut off, %d of them before the commit", len(done), len(unknown), half)
	arrived(t, s.SMTP, crashed, "password_updated", done)
}

// dead checks that everything older than the reset has ended.
func (p *person) dead(t *testing.T, s *product.Server, key string) {
	t.Helper()
	if got := s.Call("GET", "/api/v1/auth/session", p.access, "", nil); got.Status != http.StatusUnauthorized {
		t.Errorf("%s: an older access token lives: %d", p.email, got.Status)
	}
	if got := s.Call("POST", "/api/v1/auth/refresh", key, `{"refreshToken":"`+p.refresh+`"}`, nil); got.Status != http.StatusUnauthorized {
		t.Errorf("%s: an older refresh token lives: %d", p.email, got.Status)
	}
	if got, err := byLink(s, key, p.code, "Another-horse-battery-88"); err != nil || got.Status != http.StatusBadRequest {
		t.Errorf("%s: a used code answers %v %d %s", p.email, err, got.Status, got.Body)
	}
}

// opens reports whether a password logs in.
func opens(t *testing.T, s *product.Server, key, email, password string) bool {
	t.Helper()
	got := s.Call("POST", "/api/v1/auth/login", key, `{"email":"`+email+`","password":"`+password+`"}`, nil)
	if got.Status != http.StatusOK && got.Status != http.StatusUnauthorized {
		t.Errorf("login of %s: %d %s", email, got.Status, got.Body)
	}
	return got.Status == http.StatusOK
}
