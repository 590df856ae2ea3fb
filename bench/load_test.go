package bench

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const clients = 16

// times are durations of one kind, sorted by sorted.
type times []time.Duration

func (t times) sorted() times { slices.Sort(t); return t }

// at returns the quantile q of sorted times.
func (t times) at(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(int(q*float64(len(t))), len(t)-1)]
}

// crowd runs step on n connections until the time is over or one fails.
func crowd(tb testing.TB, t *target, n int, d time.Duration, step func(c *caller) error) (times, time.Duration) {
	tb.Helper()
	var mu sync.Mutex
	var all times
	var failed error
	var wg sync.WaitGroup
	begin := time.Now()
	for range n {
		wg.Go(func() {
			c, err := t.dial()
			if err == nil {
				defer c.close()
			}
			var own times
			for err == nil && time.Since(begin) < d {
				from := time.Now()
				if err = step(c); err == nil {
					own = append(own, time.Since(from))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			if err != nil && failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	if failed != nil {
		tb.Fatal(failed)
	}
	return all.sorted(), time.Since(begin)
}

// resets is a load of full resets. Its end is the arrival of the last
// confirmation, so that no mail is left out of the rate.
type resets struct {
	count  int
	took   time.Duration
	single times // from the request step to the answer of the reset
	use    use   // what was used, the confirmations included
}

func (r resets) rate() float64 { return float64(r.count) / r.took.Seconds() }

func (r resets) each(v float64) float64 { return v / float64(max(r.count, 1)) }

func fullResets(tb testing.TB, t *target, m meter, flow string, d time.Duration) resets {
	tb.Helper()
	before, confirmed := m.read(), t.sink.confirms.Load()
	begin := time.Now()
	single, _ := crowd(tb, t, clients, d, func(c *caller) error { return c.reset(flow) })
	for end := time.Now().Add(patience); t.sink.confirms.Load()-confirmed < int64(len(single)); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("only %d of %d confirmations came", t.sink.confirms.Load()-confirmed, len(single))
		}
	}
	took := time.Since(begin)
	return resets{len(single), took, single, m.read().minus(before)}
}

// asks is a load of request steps, known and unknown in turns.
func asks(tb testing.TB, t *target, d time.Duration) (times, time.Duration) {
	tb.Helper()
	return crowd(tb, t, clients, d, func() func(c *caller) error {
		var mu sync.Mutex
		n := 0
		return func(c *caller) error {
			mu.Lock()
			n++
			odd := n%2 == 0
			mu.Unlock()
			email := t.unknown()
			if odd {
				email = t.known()
			}
			_, err := c.ask("email_link", email)
			return err
		}
	}())
}

// deliveries times single requests of an idle service, from the answer to the
// mail being handed to the mail server.
func deliveries(tb testing.TB, t *target, flow string, n int) times {
	tb.Helper()
	c, err := t.dial()
	if err != nil {
		tb.Fatal(err)
	}
	defer c.close()
	var out times
	for range n {
		email := t.known()
		inbox := t.sink.expect(email)
		if _, err := c.ask(flow, email); err != nil {
			tb.Fatal(err)
		}
		accepted := time.Now()
		select {
		case m := <-inbox:
			out = append(out, m.at.Sub(accepted))
		case <-time.After(patience):
			tb.Fatalf("no mail came to %s within %s", email, patience)
		}
		t.sink.forget(email)
		time.Sleep(20 * time.Millisecond)
	}
	return out.sorted()
}
