package storagetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var errRefused = errors.New("refused")

func quota(name, key string, n int, per time.Duration, durable bool) workflow.Quota {
	return workflow.Quota{Name: name, Key: key, Rate: workflow.Rate{N: n, Per: per}, Durable: durable}
}

func take(b Port, quotas ...workflow.Quota) error {
	r, err := b.Take(ctx, app, quotas...)
	if err == nil && r != nil {
		return errRefused
	}
	return err
}

// left counts, by taking them, the units a quota still has, up to most.
func left(t *testing.T, b Port, q workflow.Quota, most int) int {
	t.Helper()
	for n := range most {
		if err := take(b, q); errors.Is(err, errRefused) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return most
}

func testLimitExact(t *testing.T, b Backend) {
	node := b.Node()
	for i, limit := range []int{1, 5, 7, 20} {
		for _, durable := range []bool{true, false} {
			q := quota("per_address", fmt.Sprintf("k%d%v", i, durable), limit, time.Hour, durable)
			errs := race(40, func(i int) error {
				if i%2 == 0 {
					return take(node, q)
				}
				return take(b, q)
			})
			if n := won(t, errs, errRefused); n != limit {
				t.Errorf("%d of 40 passed a limit of %d (durable %v)", n, limit, durable)
			}
			exactly := quota("per_address", fmt.Sprintf("just%d%v", i, durable), limit, time.Hour, durable)
			if n := won(t, race(limit, func(int) error { return take(b, exactly) }), errRefused); n != limit {
				t.Errorf("%d of %d at once passed a limit of as many (durable %v)", n, limit, durable)
			}
		}
	}
}

func testAllOrNone(t *testing.T, b Backend) {
	wide, fast, narrow := quota("per_address", "a", 5, time.Hour, true), quota("per_ip", "i", 5, time.Hour, false), quota("cooldown", "c", 1, time.Hour, true)
	must(t, take(b, narrow))
	for range 10 {
		r, err := b.Take(ctx, app, wide, fast, narrow)
		must(t, err)
		if r == nil || r.Quota != narrow {
			t.Fatalf("refusal %+v, want the cool-down's", r)
		}
	}
	if n := left(t, b, wide, 10); n != 5 {
		t.Errorf("%d units left of 5: refused calls took some", n)
	}
	if n := left(t, b, fast, 10); n != 5 {
		t.Errorf("%d fast units left of 5: refused calls took some", n)
	}
	must(t, take(b)) // nothing asked for, nothing refused
	twice := quota("per_address", "twice", 2, time.Hour, true)
	must(t, take(b, twice, twice))
	if n := left(t, b, twice, 5); n != 1 {
		t.Errorf("%d units left after taking one quota named twice, want 1", n)
	}
}

// testAllOrNoneRace lets calls with quotas in different orders race for a
// narrow one: exactly its units pass, and the wide ones lose exactly as many.
func testAllOrNoneRace(t *testing.T, b Backend) {
	for round := range 5 {
		key := fmt.Sprint(round)
		narrow, wide, fast := quota("per_address", key, 3, time.Hour, true), quota("failed_codes", key, 50, time.Hour, true), quota("per_ip", key, 60, time.Hour, false)
		errs := race(24, func(i int) error {
			orders := [][]workflow.Quota{{narrow, wide, fast}, {fast, narrow, wide}, {wide, fast, narrow}}
			return take(b, orders[i%3]...)
		})
		if n := won(t, errs, errRefused); n != 3 {
			t.Errorf("%d of 24 passed a limit of 3", n)
		}
		if n := left(t, b, wide, 60); n != 47 {
			t.Errorf("%d of 50 units left, want 47", n)
		}
		if n := left(t, b, fast, 70); n != 57 {
			t.Errorf("%d of 60 fast units left, want 57", n)
		}
	}
}

func testLimitRefill(t *testing.T, b Backend) {
	q := quota("failed_codes", "ann", 2, time.Hour, true)
	spent := func(want bool) {
		t.Helper()
		if got, err := b.Spent(ctx, app, q); err != nil || got != want {
			t.Fatalf("spent %v (%v), want %v", got, err, want)
		}
	}
	must(t, b.Return(ctx, app, q)) // of nothing
	spent(false)
	must(t, take(b, q))
	spent(false)
	must(t, take(b, q))
	spent(true)
	spent(true)
	mustBe(t, "a third", take(b, q), errRefused)
	must(t, b.Return(ctx, app, q))
	spent(false)
	must(t, take(b, q))
	mustBe(t, "after one return", take(b, q), errRefused)

	// The clock is the database's: ours stands still and the units come back.
	b.SetNow(start().Add(-24 * time.Hour))
	quick := quota("per_ip", "quick", 4, time.Second, false)
	if n := left(t, b, quick, 4); n != 4 {
		t.Fatalf("%d of 4", n)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := take(b, quick)
		if err == nil {
			break
		}
		mustBe(t, "an empty limit", err, errRefused)
		if time.Now().After(deadline) {
			t.Fatal("no unit came back")
		}
		time.Sleep(20 * time.Millisecond)
	}
	full := quota("per_ip", "full", 3, time.Hour, false)
	must(t, take(b, full))
	for range 5 {
		must(t, b.Return(ctx, app, full))
	}
	if n := left(t, b, full, 10); n > 3+4 {
		t.Errorf("%d units after returning too many", n)
	}
}

func testRefusal(t *testing.T, b Backend) {
	minute, hour := quota("cooldown", "x", 1, time.Minute, true), quota("per_address", "x", 1, time.Hour, true)
	must(t, take(b, hour, minute))
	first, err := b.Take(ctx, app, hour, minute)
	must(t, err)
	second, err := b.Take(ctx, app, minute, hour)
	must(t, err)
	if first == nil || first.Quota != hour || second == nil || second.Quota != minute {
		t.Fatalf("refused by %+v and %+v, want the first in the given order", first, second)
	}
	if first.After <= 59*time.Minute || first.After > time.Hour || first.After%time.Second != 0 {
		t.Errorf("hour: after %v", first.After)
	}
	if second.After <= 30*time.Second || second.After > time.Minute || second.After%time.Second != 0 {
		t.Errorf("minute: after %v", second.After)
	}
	quick := quota("per_ip", "x", 100, time.Second, false)
	for range 1000 {
		r, err := b.Take(ctx, app, quick)
		must(t, err)
		if r != nil {
			if r.After < time.Second {
				t.Errorf("after %v, want at least a second", r.After)
			}
			return
		}
	}
	t.Log("the database was too slow to use up 100 units a second")
}

func testLimitJoins(t *testing.T, b Backend) {
	q := quota("per_address", "joined", 2, time.Hour, true)
	shared := quota("per_application", "", 1000, 24*time.Hour, false)
	for range 40 {
		err := b.Atomically(ctx, func(ctx ctxType) error {
			r, err := b.Take(ctx, app, q, shared)
			must(t, err)
			if r != nil {
				t.Fatalf("refused: %+v", r)
			}
			return errLost
		})
		mustBe(t, "rolled back", err, errLost)
	}
	if n := left(t, b, q, 5); n != 2 {
		t.Errorf("%d of 2 units left after forty that were rolled back", n)
	}
	if n := left(t, b, shared, 1100); n > 1000 {
		t.Errorf("%d units of 1000: a node leased what was rolled back", n)
	}
}

// testLease uses a limit that nodes lease in blocks: it is never exceeded, and
// nearly reached.
func testLease(t *testing.T, b Backend) {
	node := b.Node()
	const limit = 1000
	q := quota("per_application", "", limit, 24*time.Hour, false)
	side := quota("cooldown", "side", 1, 24*time.Hour, true)
	must(t, take(b, side))
	errs := race(16, func(i int) error {
		p := Port(b)
		if i%2 == 0 {
			p = node
		}
		for n := range 100 {
			if n%10 == 0 {
				if err := take(p, side, q); !errors.Is(err, errRefused) {
					return fmt.Errorf("the spent one passed: %w", err)
				}
			}
			if err := take(p, q); err != nil && !errors.Is(err, errRefused) {
				return err
			} else if err == nil {
				passed.Add(1)
			}
		}
		return nil
	})
	for _, err := range errs {
		must(t, err)
	}
	n := passed.Swap(0)
	if n > limit || n < limit-50 {
		t.Errorf("%d passed a limit of %d", n, limit)
	}
	// A refused call gives back what it held of the lease.
	held := quota("per_application", "held", limit, 24*time.Hour, false)
	used := 0
	for range 40 {
		used += left(t, b, held, 17)
		for range 10 {
			mustBe(t, "beside a spent quota", take(b, side, held), errRefused)
		}
	}
	if used += left(t, b, held, limit); used > limit || used < limit-50 {
		t.Errorf("%d of %d units after 400 refused calls", used, limit)
	}
	small := quota("per_application", "small", 30, 24*time.Hour, false)
	if n := won(t, race(60, func(i int) error { return take(b, small) }), errRefused); n != 30 {
		t.Errorf("%d passed a limit of 30", n)
	}
}
