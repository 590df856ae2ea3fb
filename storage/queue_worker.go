package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	"github.com/resetflow/resetflow/workflow"
)

// jobArgs is a job as the queue's table keeps it: names of rows, no secret.
type jobArgs struct {
	What        workflow.JobKind `json:"kind"`
	Application string           `json:"application"`
	ID          string           `json:"id"`
	Send        int              `json:"send,omitempty"`
}

// Kind names the one kind that the queue itself knows.
func (jobArgs) Kind() string { return "reset" }

func (a jobArgs) job() (workflow.Job, bool) {
	id, ok := workflow.ParseID(a.ID)
	return workflow.Job{Kind: a.What, Application: a.Application, ID: id, Send: a.Send}, ok
}

// errAgain is what the queue keeps of every failure. The true error goes to the
// log: it may name an address, and the queue's rows are nobody's audit trail.
var errAgain = errors.New("to be tried again")

type worker struct {
	river.WorkerDefaults[jobArgs]
	work    func(ctx context.Context, job workflow.Job) error
	logger  *slog.Logger
	slots   int64
	running atomic.Int64
	waits   sync.Map // job id → when to try again, from Work to NextRetry
}

// full reports whether a new job would have to wait for a running one.
func (w *worker) full() bool { return w.running.Load() >= w.slots }

// Work runs one job.
func (w *worker) Work(ctx context.Context, j *river.Job[jobArgs]) error {
	w.running.Add(1)
	defer w.running.Add(-1)
	job, ok := j.Args.job()
	if !ok {
		w.logger.Error("a job names no row and is dropped", "kind", j.Args.What, "application", j.Args.Application)
		return nil
	}
	if job.Kind == workflow.JobResolve {
		if err := settle(ctx); err != nil {
			return err
		}
	}
	err := w.safely(ctx, job)
	if err == nil {
		return nil
	}
	if ctx.Err() == context.Canceled { // stopped in the middle, not failed: another node may take it now
		return context.Canceled
	}
	wait := workflow.RetryDelay(j.Attempt, time.Since(j.CreatedAt))
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		wait = asked.RetryAfter()
	}
	w.logger.WarnContext(ctx, "a job failed and will be tried again", "kind", job.Kind, "application", job.Application,
		"id", job.ID.String(), "attempt", j.Attempt, "after", wait, "error", err)
	w.waits.Store(j.ID, time.Now().Add(wait))
	return errAgain
}

// settle waits a random 5 to 25 ms, holding nothing: a lookup that starts at
// once competes with the caller's next request, and that was measurable for
// known addresses.
func settle(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(5*time.Millisecond + rand.N(20*time.Millisecond)):
		return nil
	}
}

// safely turns a panic into an error; its value stays unsaid, for it may hold anything.
func (w *worker) safely(ctx context.Context, job workflow.Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a panic of type %T at %s", p, debug.Stack())
		}
	}()
	return w.work(ctx, job)
}

// NextRetry tells the queue what Work decided. Without a decision the job was
// cut off, by a crash or a stop, and is due now.
func (w *worker) NextRetry(j *river.Job[jobArgs]) time.Time {
	soon := time.Now().Add(10 * time.Millisecond) // the queue takes no time that has passed
	if at, ok := w.waits.LoadAndDelete(j.ID); ok {
		if at := at.(time.Time); at.After(soon) {
			return at
		}
	}
	return soon
}

// atLeastWarn hands on warnings and errors only.
type atLeastWarn struct{ slog.Handler }

func (h atLeastWarn) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h atLeastWarn) WithAttrs(a []slog.Attr) slog.Handler {
	return atLeastWarn{h.Handler.WithAttrs(a)}
}

func (h atLeastWarn) WithGroup(name string) slog.Handler {
	return atLeastWarn{h.Handler.WithGroup(name)}
}
