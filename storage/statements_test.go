package storage_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// counter counts statements by their first word.
type counter struct {
	mu   sync.Mutex
	seen []string
}

func (c *counter) see(sql string) {
	c.mu.Lock()
	c.seen = append(c.seen, strings.ToLower(strings.Fields(sql)[0]))
	c.mu.Unlock()
}

// count runs call and returns the statements it sent, and how many
// transactions it began. BEGIN and COMMIT do not count as statements.
func (c *counter) count(call func()) (statements, transactions int) {
	c.mu.Lock()
	c.seen = nil
	c.mu.Unlock()
	call()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, word := range c.seen {
		switch word {
		case "begin":
			transactions++
		case "commit", "rollback":
		default:
			statements++
		}
	}
	return statements, transactions
}

func row(account string, state workflow.State) workflow.Request {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return workflow.Request{Application: "acme", ID: workflow.NewID(now), Flow: "email_otp", Origin: workflow.OriginUser, State: state, Version: 1,
		Email: account + "@example.test", AccountID: account, MaxAttempts: 5, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStatements holds the store to its share of the budget of design §5.
func TestStatements(t *testing.T) {
	limits := map[database.Dialect]map[string]int{
		database.Postgres: {"commit of one": 1, "commit of three": 1, "commit with jobs": 2, "request": 1, "take": 1, "refusal": 1, "take of leased": 1,
			"reserve": 1, "return": 1, "message": 1, "record": 1, "settings": 0, "key": 0, "full commit": 1},
		database.SQLite: {"commit of one": 3, "commit of three": 4, "commit with jobs": 2, "request": 1, "take": 1, "refusal": 2, "take of leased": 1,
			// An attempt and its unit of budget: two tables, so two statements of one transaction.
			"reserve": 2, "return": 2, "message": 1, "record": 1, "settings": 0, "key": 0, "full commit": 5},
	}
	for dialect, most := range limits {
		t.Run(string(dialect), func(t *testing.T) {
			c, ctx := &counter{}, context.Background()
			db := testkit.Open(t, dialect, database.Options{Statements: c.see})
			s := storage.New(db, newQueue(t, db), &clock{})
			var report []string
			check := func(name string, call func() error) {
				t.Helper()
				n, tx := c.count(func() { ok(t, call()) })
				report = append(report, fmt.Sprintf("%s: %d statements, %d explicit transactions", name, n, tx))
				limit, known := most[name]
				if !known || n > limit {
					t.Errorf("%s: %d statements, want at most %d", name, n, limit)
				}
				if dialect == database.Postgres && limit == 1 && tx != 0 {
					t.Errorf("%s: an explicit transaction around one statement", name)
				}
			}
			a, b, d := row("ann", workflow.StateChallenged), row("bob", workflow.StateChallenged), row("dan", workflow.StateChallenged)
			d.CodeHash = []byte{1}
			ok(t, s.Commit(ctx, workflow.Commit{New: []workflow.Request{a, b, d}}))
			message := func() workflow.Message {
				return workflow.Message{Application: "acme", ID: workflow.NewID(time.Now()), RequestID: a.ID, Kind: workflow.KindResetCode, State: workflow.MessageQueued, Send: 1, To: a.Email}
			}
			first := message()
			entry := workflow.AuditEntry{Application: "acme", Event: "e"}
			check("commit of one", func() error {
				return s.Commit(ctx, workflow.Commit{Saved: []workflow.Request{a}, Messages: []workflow.Message{first}, Audit: []workflow.AuditEntry{entry}})
			})
			a.Version++
			done, one, two := a, b, d
			done.State, one.State, two.Sends = workflow.StateCompleted, workflow.StateSuperseded, 2
			check("commit of three", func() error {
				return s.Commit(ctx, workflow.Commit{Saved: []workflow.Request{two, done, one}, Messages: []workflow.Message{message()}, Audit: []workflow.AuditEntry{entry}})
			})
			check("commit with jobs", func() error {
				return s.Commit(ctx, workflow.Commit{New: []workflow.Request{row("new", workflow.StateRequested)}, Jobs: []workflow.Job{{Kind: workflow.JobResolve, Application: "acme", ID: a.ID}}})
			})
			old, next := row("eve", workflow.StateChallenged), row("eve", workflow.StateChallenged)
			ok(t, s.Commit(ctx, workflow.Commit{New: []workflow.Request{old}}))
			old.State = workflow.StateSuperseded
			check("full commit", func() error {
				two.Version++
				return s.Commit(ctx, workflow.Commit{New: []workflow.Request{next}, Saved: []workflow.Request{two, old}, Messages: []workflow.Message{message()}, Audit: []workflow.AuditEntry{entry, entry}})
			})
			check("request", func() error { _, _, err := s.Request(ctx, "acme", workflow.Locator{ID: a.ID}); return err })
			check("request", func() error {
				_, _, err := s.Request(ctx, "acme", workflow.Locator{Hashes: [][]byte{{1}, {2}}})
				return err
			})
			guesses := workflow.Quota{Name: "failed_codes", Key: "a", Rate: workflow.Rate{N: 100, Per: time.Hour}, Durable: true}
			check("reserve", func() error { _, _, err := s.ReserveAttempt(ctx, "acme", a.ID, time.Now(), guesses); return err })
			check("return", func() error { return s.ReturnAttempt(ctx, "acme", a.ID, guesses) })
			check("message", func() error { _, _, err := s.Message(ctx, "acme", first.ID); return err })
			check("record", func() error {
				return s.Record(ctx, "acme", first.ID, workflow.Outcome{State: workflow.MessageSent, At: time.Now()})
			})
			hour := workflow.Rate{N: 5, Per: time.Hour}
			quotas := []workflow.Quota{{Name: "cooldown", Key: "k", Rate: workflow.Rate{N: 1, Per: time.Minute}, Durable: true}, {Name: "per_address", Key: "k", Rate: hour, Durable: true}, {Name: "per_ip", Key: "i", Rate: hour}}
			check("take", func() error { _, err := s.Take(ctx, "acme", quotas...); return err })
			check("refusal", func() error { _, err := s.Take(ctx, "acme", quotas...); return err })
			leased := workflow.Quota{Name: "per_application", Rate: workflow.Rate{N: 10000, Per: time.Hour}}
			total, _ := c.count(func() {
				for range 500 {
					refused, err := s.Take(ctx, "acme", leased)
					if err != nil || refused != nil {
						t.Fatal(refused, err)
					}
				}
			})
			report = append(report, fmt.Sprintf("500 takes of a leased limit: %d statements", total))
			if total > 100 {
				t.Errorf("%d statements for 500 leased units", total)
			}
			check("take of leased", func() error { _, err := s.Take(ctx, "acme", leased); return err })
			ok(t, s.Create(ctx, workflow.DefaultApplication("acme"), "admin"))
			ok(t, s.CreateKey(ctx, workflow.APIKey{ID: "k", Application: "acme", Type: workflow.KeySecret, Hash: []byte{1}}, "admin"))
			lookup := func() error { _, err := s.Application(ctx, "acme"); return err }
			key := func() error { _, err := s.Key(ctx, []byte{1}); return err }
			ok(t, lookup())
			ok(t, key())
			check("settings", lookup)
			check("key", key)
			t.Log("\n" + strings.Join(report, "\n"))
		})
	}
}
