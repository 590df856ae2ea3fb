package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// Two nodes on one PostgreSQL, as behind a balancer without stickiness.
func TestTwoNodes(t *testing.T) {
	a := start(t, "postgres")
	b := a.Beside()
	nodes := []*product.Server{a, b}
	each := func(t *testing.T) (x, y *product.Server) { return a.For(t), b.For(t) }

	t.Run("one mail for each request", func(t *testing.T) {
		a, _ := each(t)
		a.Application("mails", wide)
		key := a.Key("mails", "secret", all...)
		everybody := people(a, "mails", 60)
		for i, email := range everybody {
			if got, err := wants(nodes[i%2], key, email, "email_link"); err != nil || got.Status != http.StatusAccepted {
				t.Fatalf("%v %d %s", err, got.Status, got.Body)
			}
		}
		arrived(t, a.SMTP, settled, "reset_link", everybody)
		idle(t, a, "mails", settled)
		for _, email := range everybody {
			if n := len(mails(a.SMTP, email, "reset_link")); n != 1 {
				t.Errorf("%s has %d mails", email, n)
			}
		}
	})

	t.Run("a code asked here is redeemed there, once", func(t *testing.T) {
		a, b := each(t)
		a.Application("codes", wide)
		key := a.Key("codes", "secret", all...)
		everybody := people(a, "codes", 5)
		for i, email := range everybody[:4] {
			from := nodes[i%2]
			got, err := wants(from, key, email, "email_otp")
			if err != nil || got.Status != http.StatusAccepted {
				t.Fatalf("%v %d %s", err, got.Status, got.Body)
			}
			digits := product.Digits(a.SMTP.Wait(t, email, "reset_code").Text)
			body := `{"requestCode":"` + field(got, "requestCode") + `","verificationCode":"` + digits + `"`
			if got := nodes[(i+1)%2].For(t).Call("POST", "/api/v1/password-reset/introspect", key, body+`}`, nil); got.Status != http.StatusOK {
				t.Errorf("the other node does not know the code: %d %s", got.Status, got.Body)
			}
			if i < 2 {
				if got := nodes[(i+1)%2].For(t).Call("POST", "/api/v1/password-reset/reset-password", key, body+`,"newPassword":"`+NewPassword+`"}`, nil); got.Status != http.StatusOK {
					t.Errorf("%d %s", got.Status, got.Body)
				}
			} else if won := race(t, 10, nodes, http.StatusOK, http.StatusBadRequest, func(n, i int) (product.Answer, error) {
				return nodes[n].Try("POST", "/api/v1/password-reset/reset-password", key, fmt.Sprintf(`%s,"newPassword":"%s-%d-%d"}`, body, NewPassword, n, i), nil)
			}); won != 1 {
				t.Errorf("%d of 20 at once redeemed one code", won)
			}
			eventually(t, settled, "the confirmation", func() bool { return len(mails(a.SMTP, email, "password_updated")) > 0 })
		}
		idle(t, b, "codes", settled)
		for _, email := range everybody[:4] {
			if n := len(mails(a.SMTP, email, "password_updated")); n != 1 {
				t.Errorf("%s has %d confirmations", email, n)
			}
		}
		got, err := wants(b, key, everybody[4], "email_link")
		if err != nil || got.Status != http.StatusAccepted {
			t.Fatalf("%v %d %s", err, got.Status, got.Body)
		}
		code := product.LinkCode(a.SMTP.Wait(t, everybody[4], "reset_link").Text, "email_auth_code")
		if won := race(t, 10, nodes, http.StatusOK, http.StatusBadRequest, func(n, i int) (product.Answer, error) {
			return byLink(nodes[n], key, code, fmt.Sprintf("Link-%s-%d-%d", NewPassword, n, i))
		}); won != 1 {
			t.Errorf("%d of 20 at once redeemed one link", won)
		}
	})

	t.Run("the cool-down is one over both", func(t *testing.T) {
		a, _ := each(t)
		a.Application("cool", map[string]any{"resendAfter": "10m"})
		key := a.Key("cool", "secret", all...)
		for i := range 3 {
			email := fmt.Sprintf("p%d@cool.example.com", i)
			if won := race(t, 10, nodes, http.StatusAccepted, http.StatusTooManyRequests, func(n, _ int) (product.Answer, error) {
				return wants(nodes[n], key, email, "email_link")
			}); won != 1 {
				t.Errorf("%d of 20 at once were accepted within the cool-down", won)
			}
		}
	})

	t.Run("a change here counts there", func(t *testing.T) {
		a, b := each(t)
		a.Application("change", wide)
		key, lost := a.Key("change", "secret", all...), a.Must(http.StatusCreated, "POST", "/admin/v1/applications/change/keys",
			map[string]any{"name": "lost", "type": "secret", "permissions": all})
		both := func(key string) product.Answer {
			t.Helper()
			got, err := wants(b, key, "x@change.example.com", "email_otp")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, key := range []string{key, lost["key"].(string)} { // b has seen both
			if got := both(key); got.Status != http.StatusAccepted && got.Status != http.StatusTooManyRequests {
				t.Fatalf("%d %s", got.Status, got.Body)
			}
		}
		a.Must(http.StatusOK, "PATCH", "/admin/v1/applications/change", map[string]any{"flows": map[string]any{"email_otp": map[string]any{"enabled": false}}})
		eventually(t, 3*time.Second, "the other node has switched the flow off", func() bool {
			got := both(key)
			return got.Status == http.StatusBadRequest && strings.Contains(string(got.Body), "not_enabled")
		})
		a.Must(http.StatusNoContent, "DELETE", "/admin/v1/applications/change/keys/"+lost["id"].(string), nil)
		eventually(t, 3*time.Second, "the other node has revoked the key", func() bool { return both(lost["key"].(string)).Status == http.StatusUnauthorized })
		if got := both(key); got.Status != http.StatusBadRequest {
			t.Errorf("the other key answers %d", got.Status)
		}
	})

	t.Run("a node leaves under load", func(t *testing.T) {
		a, _ := each(t)
		a.Application("leave", wide)
		key := a.Key("leave", "secret", all...)
		load := stream(t, nodes, key, people(a, "leave", 160))
		load.await(t, 40)
		if code := b.Terminate(); code != 0 {
			t.Errorf("exit %d", code)
		}
		load.await(t, 20)
		accepted := load.end()
		arrived(t, a.SMTP, settled, "reset_link", accepted)
		idle(t, a, "leave", settled)
		for _, email := range accepted {
			if n := len(mails(a.SMTP, email, "reset_link")); n != 1 {
				t.Errorf("%s has %d mails", email, n)
			}
		}
	})
}

// race does a call many times at once on every node and counts the winners.
// Whoever does not win must lose with the other status.
func race(t *testing.T, times int, nodes []*product.Server, win, lose int, call func(node, i int) (product.Answer, error)) int {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	begin := make(chan struct{})
	for n := range nodes {
		for i := range times {
			wg.Go(func() {
				<-begin
				got, err := call(n, i)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case got.Status == win:
					won++
				case got.Status != lose:
					t.Errorf("%d %s", got.Status, got.Body)
				}
			})
		}
	}
	close(begin)
	wg.Wait()
	return won
}

// load is a stream of requests over several nodes, one for each account.
type load struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	accepted []string
	statuses map[int]int // of every answer
	cut      int         // calls without an answer
}

// stream asks from four callers at once until the accounts are used up or end.
func stream(t *testing.T, nodes []*product.Server, key string, addresses []string) *load {
	t.Helper()
	l := &load{stop: make(chan struct{}), statuses: map[int]int{}}
	next := make(chan string, len(addresses))
	for _, a := range addresses {
		next <- a
	}
	close(next)
	for range 4 {
		l.wg.Go(func() {
			n := 0
			for email := range next {
				select {
				case <-l.stop:
					return
				case <-time.After(10 * time.Millisecond): // for the nodes' other work
				}
				got, err := wants(nodes[n%len(nodes)], key, email, "email_link")
				n++
				l.mu.Lock()
				switch {
				case err != nil: // it may have been accepted all the same
					l.cut++
				case got.Status == http.StatusAccepted:
					l.accepted = append(l.accepted, email)
					fallthrough
				default:
					l.statuses[got.Status]++
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

// count is the number of accepted requests so far.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// await waits for more accepted requests.
func (l *load) await(t *testing.T, more int) {
	t.Helper()
	from := l.count()
	eventually(t, settled, fmt.Sprintf("%d more requests are accepted", more), func() bool { return l.count() >= from+more })
}

// end stops the stream and returns whose requests were accepted.
func (l *load) end() []string {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	l.wg.Wait()
	return l.accepted
}
