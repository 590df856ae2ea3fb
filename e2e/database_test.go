package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// PostgreSQL crashes under load and comes back: the service answers again within
// ten seconds, and no accepted request is lost.
func TestDatabaseRestarts(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t)
	s := product.Start(t, product.Options{Database: cluster.URL()})
	s.Application("acme", wide)
	key := s.Key("acme", "secret", all...)
	everybody := people(s, "acme", 500)
	cycle := func(addresses []string) []string {
		t.Helper()
		load := stream(t, []*product.Server{s}, key, addresses)
		load.await(t, 20)
		cluster.Crash()
		eventually(t, settled, "readyz says that the database is away", func() bool {
			got := s.Call("GET", "/readyz", "", "", nil)
			return got.Status == http.StatusServiceUnavailable
		})
		if got := s.Call("GET", "/healthz", "", "", nil); got.Status != http.StatusOK {
			t.Errorf("healthz answers %d without a database", got.Status)
		}
		if got, err := byLink(s, key, "not-a-code", NewPassword); err != nil || got.Status == http.StatusOK {
			t.Errorf("without a database a reset answers %v %d", err, got.Status)
		}
		cluster.Start()
		back := time.Now()
		eventually(t, 10*time.Second, "the service answers after the database is back", func() bool {
			return s.Call("GET", "/readyz", "", "", nil).Status == http.StatusOK
		})
		load.await(t, 5)
		t.Logf("accepting again %s after the database came back", time.Since(back).Round(time.Millisecond))
		accepted := load.end()
		t.Logf("answers by status %v, %d cut", load.statuses, load.cut)
		return accepted
	}
	accepted := append(cycle(everybody[:250]), cycle(everybody[250:])...)
	arrived(t, s.SMTP, crashed, "reset_link", accepted)
	for _, email := range accepted {
		if n := distinct(s.SMTP, email, "reset_link"); n != 1 {
			t.Errorf("%s has %d different mails", email, n)
		}
	}
	code := product.LinkCode(mails(s.SMTP, accepted[0], "reset_link")[0].Text, "email_auth_code")
	if got, err := byLink(s, key, code, NewPassword); err != nil || got.Status != http.StatusOK {
		t.Errorf("a reset after it: %v %d %s", err, got.Status, got.Body)
	}
}
