package attacks

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// Own is x on a service and a database of the row's own, for rows that stop,
// misconfigure or break one; env are more of its variables.
func (x *World) Own(env ...string) *World {
	x.T.Helper()
	y := *x
	if y.Database = "sqlite:" + filepath.Join(x.T.TempDir(), "reset.db"); x.Kind == "postgres" {
		y.Database = testkit.Postgres(x.T)
	}
	y.Server = product.Start(x.T, product.Options{Database: y.Database, Env: env})
	db, err := database.Open(context.Background(), y.Database, database.Options{MaxConnections: 4})
	if err != nil {
		x.T.Fatal(err)
	}
	x.T.Cleanup(func() { _ = db.Close() })
	y.DB, y.group = db, nil
	y.Application(y.Slug, settings())
	y.Key = y.Server.Key(y.Slug, "secret", permissions...)
	return &y
}

// Admin is an administrator's call on the row's application.
func (x *World) Admin(method, path, body string) product.Answer {
	x.T.Helper()
	return x.Call(method, "/admin/v1/applications/"+x.Slug+path, x.Server.Admin, body, nil)
}

// Patch changes the row's application.
func (x *World) Patch(change map[string]any) {
	x.T.Helper()
	x.Must(http.StatusOK, "PATCH", "/admin/v1/applications/"+x.Slug, change)
}

// UserID is the id of an account.
func (x *World) UserID(email string) string {
	x.T.Helper()
	items := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/users?email="+strings.ReplaceAll(email, "+", "%2B"), nil)["items"].([]any)
	if len(items) != 1 {
		x.T.Fatalf("%s has %d accounts", email, len(items))
	}
	return items[0].(map[string]any)["id"].(string)
}

// PatchUser changes an account.
func (x *World) PatchUser(email string, change map[string]any) {
	x.T.Helper()
	x.Must(http.StatusOK, "PATCH", "/admin/v1/applications/"+x.Slug+"/users/"+x.UserID(email), change)
}

// From is a workflow call for an end user at an address.
func (x *World) From(ip, step, body string) product.Answer {
	x.T.Helper()
	return x.Call("POST", "/api/v1/password-reset/"+step, x.Key, body, map[string]string{"X-Resetflow-Client-IP": ip})
}

// Publishable is a key that everybody can read.
func (x *World) Publishable() string {
	x.T.Helper()
	return x.Server.Key(x.Slug, "publishable", "password-reset-workflow:execute", "sessions:execute")
}

// Guess judges digits for a request.
func (x *World) Guess(p Proof, digits string) product.Answer {
	x.T.Helper()
	return x.Workflow("introspect", object("requestCode", p["requestCode"], "verificationCode", digits))
}

// Remaining is what a wrong code says of the attempts left, "" where it says nothing.
func Remaining(got product.Answer) string {
	var body struct {
		Violations map[string][]struct {
			ConstraintAttributes map[string]string `json:"constraintAttributes"`
		} `json:"violations"`
		AttemptsRemaining *int `json:"attemptsRemaining"`
	}
	_ = json.Unmarshal(got.Body, &body)
	if body.AttemptsRemaining != nil {
		return fmt.Sprint(*body.AttemptsRemaining)
	}
	for _, v := range body.Violations["verificationCode"] {
		return v.ConstraintAttributes["attemptsRemaining"]
	}
	return ""
}

// Limited is the answer L.
func Limited(t *testing.T, got product.Answer) {
	t.Helper()
	if got.Status != http.StatusTooManyRequests || got.Header.Get("Retry-After") == "" || got.Header.Get("RateLimit") == "" || got.Header.Get("RateLimit-Policy") == "" {
		t.Errorf("%d %v %.200s, want 429 with Retry-After and RateLimit", got.Status, got.Header, got.Body)
	}
}

// Together runs n calls at once and counts their statuses.
func Together(n int, call func(i int) product.Answer) (all []product.Answer, statuses map[int]int) {
	all, statuses = make([]product.Answer, n), map[int]int{}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { <-start; all[i] = call(i) })
	}
	close(start)
	wg.Wait()
	for _, a := range all {
		statuses[a.Status]++
	}
	return all, statuses
}

// Has fails the test unless an answer has one of the statuses.
func Has(t *testing.T, what string, got product.Answer, statuses ...int) {
	t.Helper()
	if !slices.Contains(statuses, got.Status) {
		t.Errorf("%s: %d %.300s, want %v", what, got.Status, got.Body, statuses)
	}
}

// Dial opens a connection to the service.
func (x *World) Dial() net.Conn {
	x.T.Helper()
	conn, err := net.DialTimeout("tcp", x.Host(), 5*time.Second)
	if err != nil {
		x.T.Fatal(err)
	}
	return conn
}

func jsonOf(v any) string {
	raw, _ := json.Marshal(v)
	return string(raw)
}

// form makes a form of pairs.
func form(pairs ...string) url.Values {
	f := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

// crashless is more than anything takes that no crash has touched.
const crashless = 20 * time.Second
