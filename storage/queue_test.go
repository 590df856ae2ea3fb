package storage_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// desk is where jobs arrive in these tests.
type desk struct {
	mu   sync.Mutex
	seen []workflow.Job
	came chan struct{}
}

func newDesk() *desk { return &desk{came: make(chan struct{}, 10_000)} }

func (d *desk) work(_ context.Context, j workflow.Job) error {
	d.mu.Lock()
	d.seen = append(d.seen, j)
	d.mu.Unlock()
	d.came <- struct{}{}
	return nil
}

func (d *desk) await(t *testing.T, n int) []workflow.Job {
	t.Helper()
	end := time.After(patience)
	for range n {
		select {
		case <-d.came:
		case <-end:
			t.Fatalf("of %d jobs only %d came", n, len(d.jobs()))
		}
	}
	return d.jobs()
}

func (d *desk) jobs() []workflow.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.seen)
}

func started(t *testing.T, db *database.DB, o storage.QueueOptions) *storage.Queue {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	q, err := storage.NewQueue(db, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return q
}

func job(kind workflow.JobKind) workflow.Job {
	return workflow.Job{Kind: kind, Application: "acme", ID: workflow.NewID(time.Now())}
}

func enqueue(t *testing.T, db *database.DB, q *storage.Queue, jobs ...workflow.Job) {
	t.Helper()
	err := db.Atomically(t.Context(), func(ctx context.Context) error { return q.Enqueue(ctx, jobs...) })
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, db *database.DB, where string) int64 {
	t.Helper()
	var n int64
	if err := db.Read(t.Context()).Table("river_job").Where(where).Count(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestQueueStandsOrFallsWithTheTransaction(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		d := newDesk()
		q := started(t, db, storage.QueueOptions{Work: d.work})
		lost, kept := job(workflow.JobMessage), job(workflow.JobResend)
		kept.Send = 2
		no := errors.New("no")
		err := db.Atomically(t.Context(), func(ctx context.Context) error {
			if err := q.Enqueue(ctx, lost); err != nil {
				return err
			}
			return no
		})
		if err != no {
			t.Fatal(err)
		}
		enqueue(t, db, q, kept)
		if got := d.await(t, 1); !slices.Equal(got, []workflow.Job{kept}) {
			t.Fatalf("worked on %v, want %v", got, kept)
		}
		if n := count(t, db, "1 = 1"); n != 1 {
			t.Fatalf("%d rows, want the one that was committed", n)
		}
		if err := q.Enqueue(t.Context(), kept); err == nil {
			t.Fatal("enqueued outside a transaction")
		}
	})
}

func TestQueueKeepsJobsFromBeforeItsStart(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		only, err := storage.NewQueue(db, storage.QueueOptions{Workers: -1})
		if err != nil {
			t.Fatal(err)
		}
		want := []workflow.Job{job(workflow.JobResolve), job(workflow.JobMessage)}
		enqueue(t, db, only, want...)
		d := newDesk()
		started(t, db, storage.QueueOptions{Work: d.work})
		got := d.await(t, 2)
		for _, j := range want {
			if !slices.Contains(got, j) {
				t.Errorf("%v is missing in %v", j, got)
			}
		}
	})
}

type later struct{ after time.Duration }

func (l later) Error() string             { return "later, says ada@acme.test" }
func (l later) RetryAfter() time.Duration { return l.after }

func TestQueueTriesAgainWhenAsked(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		const after = 700 * time.Millisecond
		var tries []time.Time
		done := make(chan struct{})
		var log bytes.Buffer
		q := started(t, db, storage.QueueOptions{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Work: func(context.Context, workflow.Job) error {
				tries = append(tries, time.Now())
				switch len(tries) {
				case 1:
					panic("a value with a secret")
				case 2:
					return later{after}
				}
				close(done)
				return nil
			},
		})
		enqueue(t, db, q, job(workflow.JobMessage))
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("not tried three times")
		}
		if err := q.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A panic is tried again by the domain's schedule.
		if waited := tries[1].Sub(tries[0]); waited < workflow.RetryDelay(1, 0) {
			t.Errorf("after the panic: waited %v", waited)
		}
		if waited := tries[2].Sub(tries[1]); waited < after {
			t.Errorf("asked for %v, waited %v", after, waited)
		}
		t.Logf("after the panic waited %v; asked for %v, waited %v", tries[1].Sub(tries[0]), after, tries[2].Sub(tries[1]))
		var errs string
		if err := db.Read(t.Context()).Raw("SELECT CAST(errors AS text) FROM river_job").Find(&errs).Error; err != nil {
			t.Fatal(err)
		}
		if strings.Contains(errs, "ada@acme.test") || strings.Contains(errs, "secret") {
			t.Errorf("the queue keeps what an error said: %s", errs)
		}
		if strings.Contains(log.String(), "a value with a secret") || !strings.Contains(log.String(), "ada@acme.test") {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestQueueStopWaitsForARunningJob(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		running, finish := make(chan struct{}), make(chan struct{})
		ended := false
		q := started(t, db, storage.QueueOptions{Work: func(ctx context.Context, _ workflow.Job) error {
			close(running)
			<-finish
			ended = ctx.Err() == nil
			return nil
		}})
		enqueue(t, db, q, job(workflow.JobMessage))
		<-running
		stopped := make(chan error, 1)
		go func() { stopped <- q.Stop(context.Background()) }()
		select {
		case err := <-stopped:
			t.Fatalf("stopped under a running job: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		close(finish)
		if err := <-stopped; err != nil || !ended {
			t.Fatalf("stop said %v, the job ended in peace: %v", err, ended)
		}
		if n := count(t, db, "state = 'completed'"); n != 1 {
			t.Fatal("the job's end was not recorded")
		}
	})
}

func TestQueueStopHasADeadline(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		running := make(chan struct{})
		q := started(t, db, storage.QueueOptions{Work: func(ctx context.Context, _ workflow.Job) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		}})
		enqueue(t, db, q, job(workflow.JobMessage))
		<-running
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := q.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if n := count(t, db, "state = 'available'"); n != 1 {
			t.Fatal("the job that was cut off does not wait for the next node")
		}
	})
}

func TestEnqueueIsOneStatement(t *testing.T) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			var mu sync.Mutex
			var seen []string
			db := testkit.Open(t, dialect, database.Options{Statements: func(sql string) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, sql)
			}})
			q, err := storage.NewQueue(db, storage.QueueOptions{Workers: -1})
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			seen = nil
			mu.Unlock()
			enqueue(t, db, q, job(workflow.JobResolve), job(workflow.JobMessage), job(workflow.JobMessage))
			mu.Lock()
			defer mu.Unlock()
			if len(seen) != 3 { // begin, insert, commit
				t.Fatalf("%d statements: %q", len(seen), seen)
			}
		})
	}
}

// The wake-up is printed, not judged: other programs run on this machine.
func TestQueueWakesAtOnce(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		at := make(chan time.Time, 1)
		q := started(t, db, storage.QueueOptions{Work: func(context.Context, workflow.Job) error {
			at <- time.Now()
			return nil
		}})
		var waits []time.Duration
		for range 40 {
			enqueue(t, db, q, job(workflow.JobMessage))
			committed := time.Now()
			select {
			case came := <-at:
				waits = append(waits, came.Sub(committed))
			case <-time.After(patience):
				t.Fatal("not woken")
			}
			time.Sleep(20 * time.Millisecond)
		}
		slices.Sort(waits)
		t.Logf("from commit to work: median %v, 95 %% %v, worst %v", waits[20], waits[38], waits[39])
	})
}
