package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/workflow"
)

const (
	// jobTimeout ends a job's context; deadlines of mail verbs lie below it.
	jobTimeout = 30 * time.Second
	// rescueAfter takes a job from a node that died. With the rescuer's round of
	// 30 s and the scheduler's of 5 s, a job runs again within 80 s of a crash.
	rescueAfter = 40 * time.Second
	// fetchCooldown bounds how often a node asks for jobs; jobs of one
	// cool-down are fetched by one statement.
	fetchCooldown = 5 * time.Millisecond
	// retention keeps finished jobs for a look, and the table small.
	retention = 5 * time.Minute
	// retentionSQLite is shorter: they lie in the one file and its small cache,
	// between rows that are still needed.
	retentionSQLite = time.Minute
	// maxAttempts is the largest number the queue's column holds: a job ends
	// when Work returns nil, not before.
	maxAttempts = 32767
	// cancelGrace is how long jobs may take to notice that their context ended.
	cancelGrace = 2 * time.Second
)

// QueueOptions say what a queue does.
type QueueOptions struct {
	// Work does one job. Nil ends the job; an error runs it again, after
	// RetryAfter where the error (or one it wraps) has a method
	// RetryAfter() time.Duration, else after [workflow.RetryDelay]. The same job
	// may run twice, after a crash even at the same time: Work must look at the
	// rows it names and do nothing where all is done. Its error is logged.
	Work func(ctx context.Context, job workflow.Job) error
	// Workers bounds the jobs that run at once; 0 means 128 on PostgreSQL and 32
	// on SQLite, negative means that this node only enqueues.
	Workers int
	// Logger takes what goes wrong; nil means slog.Default().
	Logger *slog.Logger
}

// Queue keeps jobs in the database and runs them, on one or many nodes. It is
// River beneath, with three turns of our own:
//
//   - A commit wakes this node's workers without the database. Other nodes are
//     told only while this one cannot take the job; else they find it by asking
//     once a second. So enqueueing is one statement.
//   - On SQLite, where there is one node, jobs that a crash left running start
//     again at once.
//   - An error is logged here and never kept in the job's row.
type Queue struct {
	db      *database.DB
	bell    *bell
	client  runner
	insert  func(ctx context.Context, jobs []river.InsertManyParams) error
	forward func(ctx context.Context) error // tells other nodes; nil where there are none
	worker  *worker
	idle    bool // only enqueues
	stop    context.CancelFunc
	told    chan struct{} // closed when nobody is told any more
}

// runner is what is left of a River client once its transactions are hidden.
type runner interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// NewQueue makes a queue on an opened and migrated database. Nothing runs
// before Start.
func NewQueue(db *database.DB, o QueueOptions) (*Queue, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Workers == 0 {
		o.Workers = 128
		if db.Dialect() == database.SQLite {
			o.Workers = 32
		}
	}
	if o.Work == nil && o.Workers > 0 {
		return nil, errors.New("storage: a queue with workers needs QueueOptions.Work")
	}
	q := &Queue{db: db, bell: newBell(), idle: o.Workers < 0}
	q.worker = &worker{work: o.Work, logger: o.Logger, slots: int64(max(o.Workers, 0))}
	c := &river.Config{
		CancelledJobRetentionPeriod: retention,
		CompletedJobRetentionPeriod: retention,
		DiscardedJobRetentionPeriod: 24 * time.Hour,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           time.Second,
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		MaxAttempts:                 maxAttempts,
		Logger:                      slog.New(atLeastWarn{o.Logger.Handler()}),
	}
	if !q.idle {
		c.Workers = river.NewWorkers()
		if err := river.AddWorkerSafely(c.Workers, q.worker); err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
		c.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: o.Workers}}
	}
	var err error
	if db.Dialect() == database.SQLite {
		// There is nobody to hear from but ourselves; only retries wait for the poll.
		c.FetchPollInterval = 200 * time.Millisecond
		c.CancelledJobRetentionPeriod, c.CompletedJobRetentionPeriod = retentionSQLite, retentionSQLite
		err = connect(q, riversqlite.New(db.Writer()), false, c, db.SQLTx)
	} else {
		// The migration takes these two away; asked to rebuild them, River would complain every night.
		c.ReindexerIndexNames = slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
			return name == "river_job_args_index" || name == "river_job_metadata_index"
		})
		err = connect(q, riverpgxv5.New(db.Pool()), true, c, db.PgxTx)
	}
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return q, nil
}

// connect makes the client of one kind of transaction and hides that kind.
func connect[T any](q *Queue, driver riverdriver.Driver[T], nodes bool, c *river.Config, transaction func(context.Context) (T, bool)) error {
	client, err := river.NewClient(&bellDriver[T]{Driver: driver, bell: q.bell, nodes: nodes}, c)
	if err != nil {
		return err
	}
	q.client = client
	q.insert = func(ctx context.Context, jobs []river.InsertManyParams) error {
		tx, ok := transaction(ctx)
		if !ok {
			return errors.New("jobs are enqueued inside Atomically only, so that they stand or fall with what decided them")
		}
		_, err := client.InsertManyTx(ctx, tx, jobs)
		return err
	}
	if nodes {
		q.forward = func(ctx context.Context) error {
			return driver.GetExecutor().NotifyMany(ctx, &riverdriver.NotifyManyParams{Payload: []string{insertPayload}, Topic: insertTopic})
		}
	}
	return nil
}

// Enqueue adds jobs in the context's transaction, all by one statement. Without
// a transaction it is an error.
func (q *Queue) Enqueue(ctx context.Context, jobs ...workflow.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	rows := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		rows[i].Args = jobArgs{j.Kind, j.Application, j.ID.String(), j.Send}
	}
	if err := q.insert(ctx, rows); err != nil {
		return fmt.Errorf("storage: enqueueing: %w", err)
	}
	q.db.AfterCommit(ctx, q.bell.ring)
	return nil
}

// Start starts the workers; ctx bounds the start alone, [Queue.Stop] ends them.
func (q *Queue) Start(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	q.stop, q.told = stop, make(chan struct{})
	go q.tell(run)
	if q.idle {
		return nil
	}
	if q.db.Dialect() == database.SQLite {
		if err := q.recover(ctx); err != nil {
			stop()
			return err
		}
	}
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		stop()
		return fmt.Errorf("storage: starting the queue: %w", err)
	}
	return nil
}

// recover takes back what a crash left running and the lease of the dead leader.
func (q *Queue) recover(ctx context.Context) error {
	return q.db.Atomically(ctx, func(ctx context.Context) error {
		for _, sql := range []string{
			"UPDATE river_job SET state = 'available' WHERE state = 'running'",
			"DELETE FROM river_leader",
		} {
			if err := q.db.Write(ctx).Exec(sql).Error; err != nil {
				return fmt.Errorf("storage: taking back the jobs of the last run: %w", err)
			}
		}
		return nil
	})
}

// Stop takes no new jobs and waits for those that run. When ctx ends first,
// their contexts are cancelled and the error of ctx is returned; what did not
// finish runs again later.
func (q *Queue) Stop(ctx context.Context) error {
	if q.stop == nil {
		return nil
	}
	q.stop()
	<-q.told
	if q.idle {
		return nil
	}
	err := q.client.Stop(ctx)
	if err == nil {
		return nil
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	return errors.Join(fmt.Errorf("storage: jobs were still running at the end of the time to stop: %w", err), q.client.StopAndCancel(late))
}
