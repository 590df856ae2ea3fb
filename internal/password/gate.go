package password

import (
	"context"
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// gate lets work through within bounds of number and memory, first come, first
// served. Who would have to wait longer than the queue allows is turned away
// at once: an answer now is worth more to everybody than a time-out later.
type gate struct {
	slots  int
	memory int64
	queue  time.Duration

	mu      sync.Mutex
	running int
	used    int64
	waiting []*waiter
	average time.Duration // of one piece of work, moving
}

type waiter struct {
	weight int64
	ready  chan struct{} // closed when the waiter holds its place
}

func newGate(slots int, memory int64, queue, first time.Duration) *gate {
	return &gate{slots: max(slots, 1), memory: memory, queue: queue, average: first}
}

// run waits for a place, runs work and frees the place. [workflow.ErrBusy]
// when the queue is full, ctx's error when it ends while waiting; work that
// has begun is not interrupted.
func (g *gate) run(ctx context.Context, weight int64, work func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Work heavier than the whole bound runs alone (weights are bounded elsewhere).
	weight = min(weight, g.memory)
	if err := g.enter(ctx, weight); err != nil {
		return err
	}
	begun := time.Now()
	defer func() { g.leave(weight, time.Since(begun)) }()
	return work()
}

func (g *gate) enter(ctx context.Context, weight int64) error {
	g.mu.Lock()
	if len(g.waiting) == 0 && g.fits(weight) {
		g.take(weight)
		g.mu.Unlock()
		return nil
	}
	at := min(int64(g.slots), max(g.memory/weight, 1)) // how many run at once
	if time.Duration(len(g.waiting)+1)*g.average/time.Duration(at) > g.queue {
		g.mu.Unlock()
		return workflow.ErrBusy
	}
	w := &waiter{weight: weight, ready: make(chan struct{})}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()

	// The average can be wrong by a slow machine; nobody waits much longer all the same.
	patience := time.NewTimer(2 * g.queue)
	defer patience.Stop()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		return g.forsake(w, ctx.Err())
	case <-patience.C:
		return g.forsake(w, workflow.ErrBusy)
	}
}

// forsake takes w out of the queue, or frees the place that was given to it in
// the same moment, and returns err.
func (g *gate) forsake(w *waiter, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, other := range g.waiting {
		if other == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.admit() // a lighter one may fit now
			return err
		}
	}
	g.running--
	g.used -= w.weight
	g.admit()
	return err
}

func (g *gate) leave(weight int64, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.used -= weight
	g.average += (took - g.average) / 8
	g.admit()
}

// admit gives free places to the first in the queue, in order: a heavy one at
// the head is not overtaken for ever by light ones.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.fits(g.waiting[0].weight) {
		w := g.waiting[0]
		g.waiting = g.waiting[1:]
		g.take(w.weight)
		close(w.ready)
	}
}

func (g *gate) fits(weight int64) bool { return g.running < g.slots && g.used+weight <= g.memory }

func (g *gate) take(weight int64) {
	g.running++
	g.used += weight
}
