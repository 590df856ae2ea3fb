package storage

import (
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// leasedQuota is the quota that every call of an application shares. Counted
// one by one its row would be the busiest of the database; so a node takes
// several units at once and hands them out from memory.
const leasedQuota = "per_application"

const (
	maxLease      = 100              // units taken at once, and never above 1 % of the limit
	leaseLifetime = 10 * time.Second // afterwards what is left of a lease is forgotten
	busy          = time.Second      // a lease used up within this time is doubled next
)

// leases are the leased units of a node. A limit below 200 is counted one by
// one and exactly. Above it, a node starts with one unit and doubles while it
// uses its units up within a second; what it has not used after ten seconds is
// lost to the window. The limit is therefore never exceeded, and reached within
// 1 % (at most 100 units) a node.
type leases struct {
	mu    sync.Mutex
	byKey map[leaseKey]*lease
}

type leaseKey struct {
	application, key string
	rate             workflow.Rate
}

type lease struct {
	mu    sync.Mutex
	most  int64
	left  int64
	size  int64 // of the newest lease
	since time.Time
}

// tooMany bounds the leases in memory; beyond it they are forgotten, which only loses units.
const tooMany = 10_000

func (l *leases) of(application string, q workflow.Quota) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := leaseKey{application, q.Key, q.Rate}
	if one, ok := l.byKey[k]; ok {
		return one
	}
	if l.byKey == nil || len(l.byKey) >= tooMany {
		l.byKey = map[leaseKey]*lease{}
	}
	one := &lease{most: int64(min(max(q.Rate.N/100, 1), maxLease))}
	l.byKey[k] = one
	return one
}

// get takes a unit from the lease; where there is none it says how many to take next.
func (l *lease) get(now time.Time) (ok bool, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 && now.Sub(l.since) < leaseLifetime {
		l.left--
		return true, 0
	}
	l.left = 0
	if now.Sub(l.since) < busy {
		l.size = min(2*l.size, l.most)
	} else {
		l.size = 1
	}
	l.size = max(l.size, 1)
	l.since = now
	return false, l.size
}

// put lays units into the lease.
func (l *lease) put(n int64) {
	l.mu.Lock()
	l.left += n
	l.mu.Unlock()
}

// leasedUnit is the index of the unit that asks for a lease, -1 for none.
func leasedUnit(units []unit) int {
	for i, u := range units {
		if u.cost > 1 {
			return i
		}
	}
	return -1
}
