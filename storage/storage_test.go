package storage_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata" // the zones of TestZones, wherever it runs

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/storage/storagetest"
	"github.com/resetflow/resetflow/workflow"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// clock tells the real time until it is set.
type clock struct {
	mu  sync.Mutex
	set time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set.IsZero() {
		return time.Now()
	}
	return c.set
}

func (c *clock) setNow(now time.Time) {
	c.mu.Lock()
	c.set = now
	c.mu.Unlock()
}

// queue keeps jobs in a table of the same database, so that a rollback takes them.
type queue struct {
	db   *database.DB
	fail atomic.Pointer[error]
}

func newQueue(t testing.TB, db *database.DB) *queue {
	if err := db.Write(context.Background()).Exec(`CREATE TABLE test_jobs (id TEXT NOT NULL)`).Error; err != nil {
		t.Fatal(err)
	}
	return &queue{db: db}
}

func (q *queue) Enqueue(ctx context.Context, jobs ...workflow.Job) error {
	for _, j := range jobs {
		if err := q.db.Write(ctx).Exec(`INSERT INTO test_jobs (id) VALUES (?)`, j.ID.String()).Error; err != nil {
			return err
		}
	}
	if err := q.fail.Load(); err != nil {
		return *err
	}
	return nil
}

func open(t *testing.T, db *database.DB) storagetest.Backend {
	q, c := newQueue(t, db), &clock{}
	return storagetest.Backend{
		Port: storage.New(db, q, c),
		Node: func() storagetest.Port {
			node := storage.New(db, q, c)
			ctx, cancel := context.WithCancel(context.Background())
			var done sync.WaitGroup
			done.Go(func() { node.Run(ctx) })
			t.Cleanup(func() { cancel(); done.Wait() })
			return node
		},
		Jobs: func() int {
			var n int
			if err := db.Read(context.Background()).Raw(`SELECT count(*) FROM test_jobs`).Find(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		},
		FailJobs: func(err error) {
			if err == nil {
				q.fail.Store(nil)
			} else {
				q.fail.Store(&err)
			}
		},
		SetNow: c.setNow,
	}
}

func TestStore(t *testing.T) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storagetest.Backend { return open(t, testkit.Open(t, dialect, database.Options{})) })
		})
	}
}

// TestZones runs what has to do with time in processes whose zone is far from UTC.
func TestZones(t *testing.T) {
	for _, zone := range []string{"Asia/Tokyo", "America/Los_Angeles"} {
		t.Run(zone, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestStore$/^(sqlite|postgres)$/^(round_trip|times|lifetime_is_half-open|overdue_and_unsettled|pruning|login_after_reset|limit_order_and_waits|history)$", "-test.v")
			cmd.Env = append(os.Environ(), "TZ="+zone)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if n := countPasses(string(out)); n != 2*8+3 {
				t.Errorf("%d tests passed, want 8 on each database:\n%s", n, out)
			}
		})
	}
}

func countPasses(out string) int { return strings.Count(out, "--- PASS: ") }
