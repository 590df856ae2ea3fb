package storage_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

func TestQueueOnTwoNodesRunsEachJobOnce(t *testing.T) {
	first := testkit.Open(t, database.Postgres, database.Options{})
	second, err := database.Open(t.Context(), first.Pool().Config().ConnString(), database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	d := newDesk()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	queues := []*storage.Queue{
		started(t, first, storage.QueueOptions{Work: d.work, Logger: logger}),
		started(t, second, storage.QueueOptions{Work: d.work, Logger: logger}),
	}
	const jobs = 100
	var wg sync.WaitGroup
	for i, db := range []*database.DB{first, second} {
		wg.Go(func() {
			for range jobs / 2 {
				enqueue(t, db, queues[i], job(workflow.JobMessage))
			}
		})
	}
	wg.Wait()
	d.await(t, jobs)
	for _, q := range queues {
		if err := q.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ran := map[workflow.ID]int{}
	for _, j := range d.jobs() {
		ran[j.ID]++
	}
	if len(ran) != jobs || len(d.jobs()) != jobs {
		t.Fatalf("%d jobs ran %d times", len(ran), len(d.jobs()))
	}
	if log.Len() > 0 {
		t.Fatalf("the queue complained: %s", log.String())
	}
}

func TestQueueTellsOtherNodesWhenItCannotWork(t *testing.T) {
	front := testkit.Open(t, database.Postgres, database.Options{})
	back, err := database.Open(t.Context(), front.Pool().Config().ConnString(), database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = back.Close() })
	d := newDesk()
	started(t, back, storage.QueueOptions{Work: d.work})
	told := make(chan struct{}, 1)
	listen(t, front.Pool().Config().ConnString(), told)
	q := started(t, front, storage.QueueOptions{Workers: -1})
	enqueue(t, front, q, job(workflow.JobMessage))
	d.await(t, 1)
	select {
	case <-told:
	case <-time.After(patience):
		t.Fatal("no other node was told")
	}
}

func TestQueueTakesBackJobsOfADeadNode(t *testing.T) {
	for dialect, long := range map[database.Dialect]string{
		database.SQLite:   "strftime('%Y-%m-%d %H:%M:%f', 'now')", // just now: there is no other node
		database.Postgres: "now() - interval '41 seconds'",
	} {
		t.Run(string(dialect), func(t *testing.T) {
			db := testkit.Open(t, dialect, database.Options{})
			only, err := storage.NewQueue(db, storage.QueueOptions{Workers: -1})
			if err != nil {
				t.Fatal(err)
			}
			want := job(workflow.JobMessage)
			enqueue(t, db, only, want)
			err = db.Write(t.Context()).Exec("UPDATE river_job SET state = 'running', attempt = 1, attempted_at = " + long).Error
			if err != nil {
				t.Fatal(err)
			}
			d := newDesk()
			begin := time.Now()
			started(t, db, storage.QueueOptions{Work: d.work})
			if got := d.await(t, 1); got[0] != want {
				t.Fatalf("got %v", got)
			}
			t.Logf("taken back %v after the start", time.Since(begin))
		})
	}
}

func TestQueueHealsWhenTheServerDropsUs(t *testing.T) {
	db := testkit.Open(t, database.Postgres, database.Options{})
	d := newDesk()
	q := started(t, db, storage.QueueOptions{Work: d.work})
	var wg sync.WaitGroup
	for range 8 { // several connections, all just used
		wg.Go(func() { enqueue(t, db, q, job(workflow.JobMessage)) })
	}
	wg.Wait()
	d.await(t, 8)
	admin, err := pgx.Connect(t.Context(), db.Pool().Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(t.Context()) }()
	_, err = admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	enqueue(t, db, q, job(workflow.JobMessage))
	d.await(t, 1)
	t.Logf("worked again after %v", time.Since(begin))
}

// listen reports on told when a node tells others of new jobs.
func listen(t *testing.T, url string, told chan<- struct{}) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `LISTEN "public.river_insert"`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.WaitForNotification(ctx); err == nil {
			told <- struct{}{}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}
