package storage

import (
	"context"
	"sync"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

const (
	// maxAge is how old a setting or key may be when it is served: a change on
	// another node counts after this time at the latest.
	maxAge = 2 * time.Second
	// pollEvery leaves a poll as long again before anything becomes too old.
	pollEvery = time.Second
	// maxItems bounds each map of the cache.
	maxItems = 10_000
)

// cache holds applications and API keys as this node read them. An item is as
// young as its own reading or the last poll that saw no change, whichever is
// later; when polling fails, items grow too old and the database is asked again.
type cache struct {
	mu     sync.Mutex
	drops  uint64    // counts the emptyings; what was being read meanwhile is not kept
	fresh  time.Time // the start of the last poll that saw no change
	marker marker
	polled bool

	applications map[string]item[*workflow.Application]
	hosts        map[string]item[*workflow.Application]
	keys         map[string]item[workflow.APIKey]
	origins      map[string]item[map[string]bool]
}

type item[V any] struct {
	value V
	read  time.Time // when its reading began
}

// marker is a sum over applications and keys that moves with every change. The
// remainders by a prime make it depend on each row's time, so that a deletion
// and a creation cannot cancel out.
type marker struct {
	Applications int64
	Versions     int64
	Updated      int64
	Keys         int64
	Created      int64
	Revoked      int64
}

func newCache() *cache {
	c := &cache{}
	c.drop()
	return c
}

// drop empties the cache.
func (c *cache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.empty()
}

func (c *cache) empty() {
	c.drops++
	c.applications = map[string]item[*workflow.Application]{}
	c.hosts = map[string]item[*workflow.Application]{}
	c.keys = map[string]item[workflow.APIKey]{}
	c.origins = map[string]item[map[string]bool]{}
}

// note takes the marker of a poll that began at start.
func (c *cache) note(m marker, start time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.polled || m != c.marker {
		c.empty() // before the first poll nothing is known of what changed since an item was read
	}
	c.marker, c.polled, c.fresh = m, true, start
}

// cached returns the item of key, or reads it. in picks the map; it is called
// under the lock, since emptying replaces the maps.
func cached[V any](ctx context.Context, s *Store, in func(*cache) map[string]item[V], key string, read func() (V, error)) (V, error) {
	if s.inside(ctx) {
		return read() // what a transaction sees may be rolled back
	}
	c, now := s.cache, time.Now()
	c.mu.Lock()
	it, ok := in(c)[key]
	fresh, drops := c.fresh, c.drops
	c.mu.Unlock()
	if ok && (now.Sub(it.read) < maxAge || now.Sub(fresh) < maxAge) {
		return it.value, nil
	}
	v, err := read()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops != drops {
		return v, err
	}
	if err != nil {
		delete(in(c), key)
		return v, err
	}
	if len(in(c)) >= maxItems {
		clear(in(c))
	}
	in(c)[key] = item[V]{v, now}
	return v, nil
}

// Run keeps the cache of settings and keys fresh until ctx ends. While it runs,
// they are served from memory; a change on another node counts within 2 s.
func (s *Store) Run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		s.poll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// poll reads the marker. A failed poll changes nothing: what is cached becomes
// too old by itself.
func (s *Store) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollEvery)
	defer cancel()
	start := time.Now()
	// A sum of integers is a numeric on PostgreSQL.
	values, err := numbers(s.db.Read(ctx).Raw(`SELECT a.*, k.* FROM
(SELECT count(*), CAST(COALESCE(sum(version), 0) AS BIGINT), CAST(COALESCE(sum(updated_at % 1000000007), 0) AS BIGINT) FROM applications) AS a,
(SELECT count(*), CAST(COALESCE(sum(created_at % 1000000007), 0) AS BIGINT), CAST(COALESCE(sum(revoked_at % 1000000007), 0) AS BIGINT) FROM api_keys) AS k`), 6)
	if err != nil {
		return
	}
	v := values.plain()
	s.cache.note(marker{v[0], v[1], v[2], v[3], v[4], v[5]}, start)
}
