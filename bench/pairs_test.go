package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const (
	// lanes is how many pairs are under way at once; the service stays near idle.
	lanes = 3
	// spread is how far apart the two calls of a pair begin, at most.
	spread = 30 * time.Millisecond
	// planted is added to the known side of the control's pairs.
	planted = time.Millisecond
	// controlEvery is how many pairs there are for one of the control.
	controlEvery = 8
)

// share counts in how many pairs the known address was the slower one.
type share struct{ pairs, slower, ties int }

func (s *share) add(known, unknown time.Duration) {
	s.pairs++
	switch {
	case known > unknown:
		s.slower++
	case known == unknown:
		s.ties++
	}
}

// value is the share; ties count half.
func (s share) value() float64 {
	return (float64(s.slower) + float64(s.ties)/2) / float64(max(s.pairs, 1))
}

// margin is half the width of the 99.9 % interval around one half.
func (s share) margin() float64 { return 3.29 * math.Sqrt(0.25/float64(max(s.pairs, 1))) }

// detected reports whether the share lies outside the interval.
func (s share) detected() bool { return math.Abs(s.value()-0.5) > s.margin() }

func (s share) String() string {
	return fmt.Sprintf("%.2f %% of %d (%.2f to %.2f %%)", 100*s.value(), s.pairs, 100*(0.5-s.margin()), 100*(0.5+s.margin()))
}

// comparison is what pairs of a known and an unknown address told.
type comparison struct {
	real, control  share
	known, unknown times
}

// compare times the request step for a known and an unknown address in pairs:
// on two kept connections, in random order, 0 to 30 ms apart at random. One pair
// in nine belongs to the control: its known call is held up for a millisecond.
func compare(tb testing.TB, t *target, flow string, pairs int) comparison {
	tb.Helper()
	var out comparison
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			own, err := compareLane(t, flow, (pairs+lane)/lanes)
			mu.Lock()
			defer mu.Unlock()
			out.join(own)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	if failed != nil {
		tb.Fatal(failed)
	}
	out.known.sorted()
	out.unknown.sorted()
	return out
}

func (c *comparison) join(o comparison) {
	for _, s := range []struct {
		to   *share
		from share
	}{{&c.real, o.real}, {&c.control, o.control}} {
		s.to.pairs += s.from.pairs
		s.to.slower += s.from.slower
		s.to.ties += s.from.ties
	}
	c.known = append(c.known, o.known...)
	c.unknown = append(c.unknown, o.unknown...)
}

func compareLane(t *target, flow string, pairs int) (out comparison, err error) {
	var two [2]*caller
	for i := range two {
		if two[i], err = t.dial(); err != nil {
			return out, err
		}
		defer two[i].close()
	}
	for out.real.pairs < pairs {
		// Which connection takes the known address is random as well.
		if rand.N(2) == 0 {
			two[0], two[1] = two[1], two[0]
		}
		control := rand.N(controlEvery+1) == 0
		hold := time.Duration(0)
		if control {
			hold = planted
		}
		knownFirst, gap := rand.N(2) == 0, rand.N(spread)
		two[0].prepare(flow, t.known())
		two[1].prepare(flow, t.unknown())
		var took [2]time.Duration
		var errs [2]error
		var wg sync.WaitGroup
		for i := range two {
			wg.Go(func() {
				if (i == 0) != knownFirst {
					time.Sleep(gap)
				}
				begin := time.Now()
				if i == 0 && hold > 0 {
					time.Sleep(hold)
				}
				status, body, err := two[i].send()
				took[i] = time.Since(begin)
				if err == nil && status != 202 {
					err = fmt.Errorf("the request step answered %d: %s", status, body)
				}
				errs[i] = err
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return out, err
			}
		}
		if control {
			out.control.add(took[0], took[1])
		} else {
			out.real.add(took[0], took[1])
			out.known, out.unknown = append(out.known, took[0]), append(out.unknown, took[1])
		}
		time.Sleep(rand.N(spread))
	}
	return out, nil
}
