package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
	"github.com/resetflow/resetflow/notify"
)

// crashed is how long contract §9 lets a mail take after a crash.
const crashed = 90 * time.Second

// settled is far more than anything takes that no crash has touched.
const settled = 30 * time.Second

// kinds are the databases of the tests that run on both.
var kinds = []string{"sqlite", "postgres"}

// wide lets a test ask and log in as often as it likes.
var wide = map[string]any{"limits": map[string]any{
	"perAddress": "10000/h", "perIp": "1000000/h", "perPeer": "1000000/h", "perApplication": "1000000/h", "mailsPerAccount": "10000/h",
	"failedCodes": "10000/h", "failedLogins": "10000/h",
}}

// all permissions that an application's own key may hold for its users.
var all = []string{"password-reset-workflow:execute", "password-reset-link:create", "sessions:execute"}

// eventually waits until done is true and fails the test where it stays false.
func eventually(t *testing.T, within time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !done(); time.Sleep(25 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", within, what)
		}
	}
}

// mails returns what the mail server took for an address, of a kind.
func mails(smtp *testkit.SMTP, to, kind string) []notify.ReceivedMail {
	var out []notify.ReceivedMail
	for _, m := range smtp.Mails() {
		if m.Kind == kind && len(m.EnvelopeTo) == 1 && m.EnvelopeTo[0] == to {
			out = append(out, m)
		}
	}
	return out
}

// distinct counts the different Message-IDs of an address and kind.
func distinct(smtp *testkit.SMTP, to, kind string) int {
	ids := map[string]bool{}
	for _, m := range mails(smtp, to, kind) {
		ids[m.MessageID] = true
	}
	return len(ids)
}

// arrived waits until every address has a mail of a kind.
func arrived(t *testing.T, smtp *testkit.SMTP, within time.Duration, kind string, addresses []string) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		got := map[string]bool{}
		for _, m := range smtp.Mails() {
			if m.Kind == kind {
				got[m.EnvelopeTo[0]] = true
			}
		}
		var missing []string
		for _, a := range addresses {
			if !got[a] {
				missing = append(missing, a)
			}
		}
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d accepted requests had no %s within %s: %s", len(missing), len(addresses), kind, within, strings.Join(missing, " "))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// wants asks for a reset.
func wants(s *product.Server, key, email, flow string) (product.Answer, error) {
	return s.Try("POST", "/api/v1/password-reset/request-password-reset", key, `{"email":"`+email+`","flow":"`+flow+`"}`, nil)
}

// byLink redeems a link's code.
func byLink(s *product.Server, key, code, password string) (product.Answer, error) {
	return s.Try("POST", "/api/v1/password-reset/reset-password", key, `{"emailAuthCode":"`+code+`","newPassword":"`+password+`"}`, nil)
}

// field reads a text of an answer.
func field(a product.Answer, name string) string {
	m, _ := a.JSON.(map[string]any)
	text, _ := m[name].(string)
	return text
}

// people makes accounts and returns their addresses.
func people(s *product.Server, slug string, n int) []string {
	out := make([]string, n)
	var wg sync.WaitGroup
	for i := range out {
		out[i] = fmt.Sprintf("p%03d@%s.example.com", i, slug)
	}
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < n; i += 4 {
				s.User(slug, out[i])
			}
		})
	}
	wg.Wait()
	return out
}

// messages lists an application's ledger, newest first.
func messages(t *testing.T, s *product.Server, slug string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, item := range s.Must(http.StatusOK, "GET", "/admin/v1/applications/"+slug+"/messages?limit=200", nil)["items"].([]any) {
		out = append(out, item.(map[string]any))
	}
	return out
}

// idle waits until no request and no message of an application waits.
func idle(t *testing.T, s *product.Server, slug string, within time.Duration) {
	t.Helper()
	eventually(t, within, "jobs or messages of "+slug+" still wait", func() bool {
		waiting := len(s.Must(http.StatusOK, "GET", "/admin/v1/applications/"+slug+"/reset-requests?state=requested", nil)["items"].([]any))
		return waiting+len(s.Must(http.StatusOK, "GET", "/admin/v1/applications/"+slug+"/messages?state=queued", nil)["items"].([]any)) == 0
	})
}
