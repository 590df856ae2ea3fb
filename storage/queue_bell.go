package storage

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
)

// What River's own notification of new jobs looks like.
const (
	insertTopic   = "river_insert"
	insertPayload = `{"queue":"` + river.QueueDefault + `"}`
)

// forwardEvery bounds how often other nodes are told of new jobs.
const forwardEvery = 25 * time.Millisecond

// bell wakes this node's workers after a commit. River would send NOTIFY, or
// write a row, in the transaction itself: a statement more in each, a lock of
// the whole server at each commit, and a wake-up before the last of several
// transactions of the same moment has committed.
type bell struct {
	here  chan struct{} // to our own workers
	there chan struct{} // to whoever tells other nodes
}

func newBell() *bell { return &bell{make(chan struct{}, 1), make(chan struct{}, 1)} }

// ring never blocks; rings that nobody has heard yet are one.
func (b *bell) ring() {
	for _, c := range []chan struct{}{b.here, b.there} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// tell passes rings on to other nodes while this one cannot take the job itself.
func (q *Queue) tell(ctx context.Context) {
	defer close(q.told)
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.bell.there:
		}
		if q.forward == nil || !q.worker.full() {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		err := q.forward(bounded)
		cancel()
		if err != nil && ctx.Err() == nil {
			q.worker.logger.Warn("other nodes could not be told of new jobs; they look for themselves every second", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(forwardEvery):
		}
	}
}

// bellDriver is River's driver but for how new jobs are announced.
type bellDriver[T any] struct {
	riverdriver.Driver[T]
	bell  *bell
	nodes bool
}

// SupportsListenNotify keeps River from announcing in the transaction.
func (d *bellDriver[T]) SupportsListenNotify() bool { return false }

// GetListener returns a listener that hears the bell and, with other nodes
// about, the database as well.
func (d *bellDriver[T]) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	if !d.nodes {
		return &bellListener{bell: d.bell}
	}
	return &bellListener{bell: d.bell, Listener: d.Driver.GetListener(p)}
}

// bellListener joins the bell and a listener; without one it is its own.
type bellListener struct {
	riverdriver.Listener
	bell *bell

	mu   sync.Mutex
	held *riverdriver.Notification // heard while the bell rang
}

func (l *bellListener) Close(ctx context.Context) error {
	if l.Listener == nil {
		return nil
	}
	return l.Listener.Close(ctx)
}

func (l *bellListener) Connect(ctx context.Context) error {
	if l.Listener == nil {
		return nil
	}
	return l.Listener.Connect(ctx)
}

func (l *bellListener) Listen(ctx context.Context, topic string) error {
	if l.Listener == nil {
		return nil
	}
	return l.Listener.Listen(ctx, topic)
}

func (l *bellListener) Ping(ctx context.Context) error {
	if l.Listener == nil {
		return nil
	}
	return l.Listener.Ping(ctx)
}

func (l *bellListener) Schema() string {
	if l.Listener == nil {
		return ""
	}
	return l.Listener.Schema()
}

func (l *bellListener) SetAfterConnectExec(sql string) {
	if l.Listener != nil {
		l.Listener.SetAfterConnectExec(sql)
	}
}

func (l *bellListener) Unlisten(ctx context.Context, topic string) error {
	if l.Listener == nil {
		return nil
	}
	return l.Listener.Unlisten(ctx, topic)
}

// WaitForNotification waits for the bell or the database.
func (l *bellListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.held; n != nil {
		l.held = nil
		return n, nil
	}
	rang := &riverdriver.Notification{Topic: insertTopic, Payload: insertPayload}
	if l.Listener == nil {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.bell.here:
			return rang, nil
		}
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	var heard *riverdriver.Notification
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		heard, err = l.Listener.WaitForNotification(waiting)
	}()
	select {
	case <-done:
		return heard, err
	case <-l.bell.here:
	}
	cancel()
	<-done // the connection is ours again
	if err != nil && waiting.Err() == nil {
		return nil, err
	}
	l.held = heard
	return rang, nil
}
