package e2e

import (
	"net/http"
	"sync"
	"testing"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// A database that is away is told as 503 with Retry-After, not as a fault of ours.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	cluster := testkit.NewCluster(t)
	s := product.Start(t, product.Options{Database: cluster.URL()})
	s.Application("acme", wide)
	key := s.Key("acme", "secret", all...)
	cluster.Crash()
	for _, c := range [][3]string{
		{"POST", "/api/v1/password-reset/request-password-reset", `{"email":"ada@example.com"}`},
		{"POST", "/api/v1/password-reset/reset-password", `{"emailAuthCode":"x","newPassword":"` + NewPassword + `"}`},
		{"POST", "/api/v1/auth/login", `{"email":"ada@example.com","password":"x"}`},
		{"GET", "/apps/acme/forgot-password", ""},
	} {
		if got := s.Call(c[0], c[1], key, c[2], nil); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s answers %d, Retry-After %q: %s", c[1], got.Status, got.Header.Get("Retry-After"), s.Log)
		}
	}
}

// Operator codes asked for at once for one account are all made; the newest counts.
func TestOperatorCodesAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, kind)
			s.Application("acme", wide)
			key := s.Key("acme", "secret", all...)
			s.User("acme", "ada@example.com")
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 10 {
						if got, err := s.Try("POST", "/api/v1/password-reset/create-password-reset-link", key, `{"email":"ada@example.com"}`, nil); err != nil || got.Status >= http.StatusInternalServerError {
							t.Errorf("%v %d %s", err, got.Status, got.Body)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
