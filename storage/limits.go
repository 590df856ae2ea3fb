package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// The limiter is the generic cell rate algorithm (ITU-T I.371) on one number a
// key: the theoretical arrival time of the next unit. A unit costs Rate.Interval
// and is there while that time is no more than N-1 intervals ahead of now; so N
// pass at once, and N in each window afterwards. The clock is the database's:
// all nodes share it.

// unit is one quota of a call as the statement sees it.
type unit struct {
	quota     workflow.Quota
	place     int // in the caller's order
	table     string
	cost      int64 // units taken at once: more than one for a lease
	interval  int64 // µs
	tolerance int64 // µs the arrival time may be ahead of now before cost units are taken
}

func (s *Store) unitOf(q workflow.Quota, place int, cost int64) unit {
	n := int64(max(q.Rate.N, 1))
	interval := max(q.Rate.Interval().Microseconds(), 1)
	table := "limits"
	if !q.Durable && s.postgres() {
		table = "limits_fast" // SQLite has no table that is cheaper to write
	}
	return unit{quota: q, place: place, table: table, cost: cost, interval: interval, tolerance: (n - cost) * interval}
}

// single is u for one unit.
func (u unit) single() unit {
	u.tolerance += (u.cost - 1) * u.interval
	u.cost = 1
	return u
}

// wait is how long until one unit is free, given the arrival time and now in
// µs; 0 where one is. It is rounded up to whole seconds.
func (u unit) wait(tat, now int64) time.Duration {
	ahead := tat - now - u.single().tolerance
	if ahead <= 0 {
		return 0
	}
	return (time.Duration(ahead)*time.Microsecond + time.Second - 1).Truncate(time.Second)
}

// Take takes one unit of every quota, or of none. A quota that stands twice is
// taken once; Durable belongs to a name and must not differ between calls with
// the same one. On PostgreSQL it is one statement, which reads all quotas first:
// a refusal by what it reads writes nothing and locks nothing, so that a flood
// of refused calls costs reads only. Then the units are taken in the order of
// their keys, each under its row's lock; should one be gone by then, the ones
// taken before it are given back. The quota "per_application" is leased: see
// [leases].
func (s *Store) Take(ctx context.Context, application string, quotas ...workflow.Quota) (*workflow.Refusal, error) {
	units, held, err := s.units(ctx, application, quotas)
	if err != nil || len(units) == 0 {
		return nil, err
	}
	refusal, err := s.take(ctx, application, units)
	if leased := leasedUnit(units); refusal != nil && leased >= 0 && err == nil && refusal.Quota == units[leased].quota {
		units[leased] = units[leased].single() // the rest is smaller than a lease: go on by single units
		refusal, err = s.take(ctx, application, units)
	}
	if err != nil || refusal != nil {
		for _, l := range held {
			l.put(1)
		}
		return refusal, err
	}
	for _, u := range units {
		if u.cost > 1 {
			s.leases.of(application, u.quota).put(u.cost - 1)
		}
	}
	return nil, nil
}

// units orders quotas by their keys, so that two calls can never wait for each
// other, and takes leased units out: those are held, not asked for.
func (s *Store) units(ctx context.Context, application string, quotas []workflow.Quota) ([]unit, []*lease, error) {
	if !clean(application) {
		return nil, nil, ErrText
	}
	units := make([]unit, 0, len(quotas))
	for i, q := range quotas {
		if !clean(q.Name, q.Key) {
			return nil, nil, ErrText
		}
		if q.Rate.N < 1 || q.Rate.Per <= 0 {
			return nil, nil, fmt.Errorf("storage: the rate of limit %q is not set; give it at least one unit", q.Name)
		}
		units = append(units, s.unitOf(q, i, 1))
	}
	slices.SortStableFunc(units, func(a, b unit) int {
		return cmp.Or(cmp.Compare(a.quota.Name, b.quota.Name), cmp.Compare(a.quota.Key, b.quota.Key), cmp.Compare(a.table, b.table))
	})
	units = slices.CompactFunc(units, func(a, b unit) bool {
		return a.quota.Name == b.quota.Name && a.quota.Key == b.quota.Key && a.table == b.table
	})
	var held []*lease
	if s.inside(ctx) {
		return units, nil, nil // what is leased in a transaction could be rolled back under the lease
	}
	rest := units[:0]
	for _, u := range units {
		if u.quota.Name == leasedQuota && !u.quota.Durable {
			l := s.leases.of(application, u.quota)
			ok, size := l.get(time.Now())
			if ok {
				held = append(held, l)
				continue
			}
			u = s.unitOf(u.quota, u.place, size)
		}
		rest = append(rest, u)
	}
	return rest, held, nil
}

func (s *Store) take(ctx context.Context, application string, units []unit) (*workflow.Refusal, error) {
	if s.postgres() {
		return s.takeInChain(ctx, application, units)
	}
	return s.takeAlone(ctx, application, units)
}

// tats reads the clock and the arrival times of units, 0 where there is no row.
func (s *Store) tats(ctx context.Context, application string, units []unit) (now int64, tats []int64, err error) {
	st := s.statement()
	st.write("SELECT ", s.nowSQL(), " AS now")
	for _, u := range units {
		st.write(", COALESCE((SELECT tat FROM ", u.table, " WHERE application = ? AND name = ? AND key = ?), 0)")
		st.args = append(st.args, application, u.quota.Name, u.quota.Key)
	}
	values, err := numbers(s.db.Write(ctx).Raw(st.String(), st.args...), 1+len(units))
	if err != nil {
		return 0, nil, err
	}
	return values[0].Int64, values[1:].plain(), nil
}

// takeAlone is one statement for SQLite, where nobody else writes meanwhile.
func (s *Store) takeAlone(ctx context.Context, application string, units []unit) (*workflow.Refusal, error) {
	st := s.statement()
	st.write("WITH q (name, key, cost, tolerance) AS (VALUES ")
	for i, u := range units {
		if i > 0 {
			st.write(", ")
		}
		st.write("(?, ?, ?, ?)")
		st.args = append(st.args, u.quota.Name, u.quota.Key, u.cost*u.interval, u.tolerance)
	}
	st.write("), s AS (SELECT q.*, COALESCE(l.tat, 0) AS tat, ", s.nowSQL(), " AS now FROM q LEFT JOIN limits l ON l.application = ? AND l.name = q.name AND l.key = q.key) ",
		"INSERT INTO limits (application, name, key, tat) SELECT ?, name, key, max(tat, now) + cost FROM s ",
		"WHERE NOT EXISTS (SELECT 1 FROM s WHERE tat - now > tolerance) ",
		"ON CONFLICT (application, name, key) DO UPDATE SET tat = excluded.tat")
	st.args = append(st.args, application, application)
	tx := s.db.Write(ctx).Exec(st.String(), st.args...)
	if tx.Error != nil || tx.RowsAffected == int64(len(units)) {
		return nil, tx.Error
	}
	return s.refusal(ctx, application, units, units[0])
}

// takeInChain is one statement for PostgreSQL. The chain of inserts runs in
// order, since each draws its one row from the one before it; where a unit is
// gone by then, the chain ends.
func (s *Store) takeInChain(ctx context.Context, application string, units []unit) (*workflow.Refusal, error) {
	st := s.statement()
	st.write("WITH p AS MATERIALIZED (SELECT ", s.nowSQL(), " AS now")
	for i, u := range units {
		st.write(fmt.Sprintf(", COALESCE((SELECT tat FROM %s WHERE application = ? AND name = ? AND key = ?), 0) AS t%d", u.table, i))
		st.args = append(st.args, application, u.quota.Name, u.quota.Key)
	}
	st.write(")")
	for i, u := range units {
		from := "p"
		if i > 0 {
			from = fmt.Sprintf("q%d, p", i-1)
		}
		// The clock is read again under the row's lock: with an older one, a call
		// that waited for the lock would find itself too early for its own unit.
		st.write(fmt.Sprintf(`, q%d AS (INSERT INTO %s AS l (application, name, key, tat) SELECT ?::text, ?::text, ?::text, p.now + ?::bigint FROM %s`, i, u.table, from))
		st.args = append(st.args, application, u.quota.Name, u.quota.Key, u.cost*u.interval)
		if i == 0 {
			for j, w := range units {
				st.write(map[bool]string{true: " WHERE ", false: " AND "}[j == 0], fmt.Sprintf("t%d - p.now <= ?::bigint", j))
				st.args = append(st.args, w.tolerance)
			}
		}
		st.write(" ON CONFLICT (application, name, key) DO UPDATE SET tat = GREATEST(l.tat, ", s.nowSQL(), ") + ?::bigint WHERE l.tat - ", s.nowSQL(), " <= ?::bigint RETURNING tat)")
		st.args = append(st.args, u.cost*u.interval, u.tolerance)
	}
	st.write(" SELECT now")
	for i := range units {
		st.write(fmt.Sprintf(", t%d, (SELECT tat FROM q%d)", i, i))
	}
	st.write(" FROM p")
	values, err := numbers(s.db.Write(ctx).Raw(st.String(), st.args...), 1+2*len(units))
	if err != nil {
		return nil, err
	}
	now, tats, taken := values[0].Int64, make([]int64, len(units)), 0
	for i := range units {
		tats[i] = values[1+2*i].Int64
		if values[2+2*i].Valid {
			taken++
		}
	}
	if taken == len(units) {
		return nil, nil
	}
	if r := refusedBy(units, tats, now); r != nil && taken == 0 {
		return r, nil
	}
	return s.undo(ctx, application, units, taken)
}

// undo gives the first taken of units back, since another call took the last
// unit of the next one between the reading and the taking, and says who refused.
func (s *Store) undo(ctx context.Context, application string, units []unit, taken int) (*workflow.Refusal, error) {
	for _, u := range units[:taken] {
		if err := s.giveBack(ctx, application, u); err != nil {
			return nil, err
		}
	}
	return s.refusal(ctx, application, units, units[taken])
}

// refusal tells which quota refuses now. Should all be free again, the call was
// refused all the same, by the unit last.
func (s *Store) refusal(ctx context.Context, application string, units []unit, last unit) (*workflow.Refusal, error) {
	now, tats, err := s.tats(ctx, application, units)
	if err != nil {
		return nil, err
	}
	if r := refusedBy(units, tats, now); r != nil {
		return r, nil
	}
	return &workflow.Refusal{Quota: last.quota, After: time.Second}, nil
}

// refusedBy returns the refusal of the first quota, in the caller's order, that
// cannot give what is asked of it.
func refusedBy(units []unit, tats []int64, now int64) *workflow.Refusal {
	first := -1
	for i, u := range units {
		if tats[i]-now > u.tolerance && (first < 0 || u.place < units[first].place) {
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	u := units[first]
	return &workflow.Refusal{Quota: u.quota, After: max(u.wait(tats[first], now), time.Second)}
}

// Return gives one unit back. Where nothing was taken it changes nothing that
// counts: a key cannot hold more than its full burst.
func (s *Store) Return(ctx context.Context, application string, q workflow.Quota) error {
	if !clean(application, q.Name, q.Key) {
		return ErrText
	}
	return s.giveBack(ctx, application, s.unitOf(q, 0, 1))
}

func (s *Store) giveBack(ctx context.Context, application string, u unit) error {
	return s.db.Write(ctx).Exec(`UPDATE `+u.table+` SET tat = tat - ? WHERE application = ? AND name = ? AND key = ?`,
		u.cost*u.interval, application, u.quota.Name, u.quota.Key).Error
}

// Spent reports whether a quota has no unit left, taking none.
func (s *Store) Spent(ctx context.Context, application string, q workflow.Quota) (bool, error) {
	if !clean(application, q.Name, q.Key) {
		return false, ErrText
	}
	u := s.unitOf(q, 0, 1)
	values, err := numbers(s.db.Read(ctx).Raw(`SELECT COALESCE((SELECT tat FROM `+u.table+` WHERE application = ? AND name = ? AND key = ?), 0) - `+s.nowSQL(),
		application, q.Name, q.Key), 1)
	if err != nil {
		return false, err
	}
	return values[0].Int64 > u.tolerance, nil
}
