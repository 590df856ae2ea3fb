package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/resetflow/resetflow/workflow"
)

// writes is a Commit as rows. The saved rows stand in two groups: ended first,
// live after them, since a row may only become live once the one it replaces
// has left the unique index of live rows.
type writes struct {
	created  [][]any
	ended    []requestRow
	live     []requestRow
	messages [][]any
	audit    [][]any
}

func (w writes) saved() int { return len(w.ended) + len(w.live) }

// Commit applies c as a whole or not at all. A version counts one up with each
// save. [ErrText] where a text cannot be kept.
func (s *Store) Commit(ctx context.Context, c workflow.Commit) error {
	w, err := s.writesOf(c)
	if err != nil {
		return err
	}
	// On PostgreSQL everything but the jobs is one statement, whole by itself.
	if s.postgres() && len(c.Jobs) == 0 {
		err := s.apply(ctx, w)
		if s.inside(ctx) || !deadlocked(err) {
			return err
		}
	}
	return s.db.Atomically(ctx, func(ctx context.Context) error {
		if err := s.apply(ctx, w); err != nil {
			return err
		}
		if len(c.Jobs) == 0 {
			return nil
		}
		if s.enqueue == nil {
			return errors.New("storage: this store was made without a queue and cannot take jobs")
		}
		return s.enqueue.Enqueue(ctx, c.Jobs...)
	})
}

func (s *Store) writesOf(c workflow.Commit) (writes, error) {
	var w writes
	now := s.clock.Now()
	for _, r := range c.New {
		row, err := requestRowOf(r, now)
		if err != nil {
			return w, err
		}
		w.created = append(w.created, row.values())
	}
	for _, r := range c.Saved {
		row, err := requestRowOf(r, now)
		if err != nil {
			return w, err
		}
		if r.Live() {
			w.live = append(w.live, row)
		} else {
			w.ended = append(w.ended, row)
		}
	}
	for _, m := range c.Messages {
		row, err := messageRowOf(m)
		if err != nil {
			return w, err
		}
		w.messages = append(w.messages, row.values())
	}
	if len(c.Audit) > 0 {
		w.audit = s.auditValues(c.Audit)
	}
	return w, nil
}

func (s *Store) apply(ctx context.Context, w writes) error {
	if w.saved()+len(w.created)+len(w.messages)+len(w.audit) == 0 {
		return nil
	}
	var err error
	if s.postgres() {
		err = s.applyAtOnce(ctx, w)
	} else {
		err = s.applyInSteps(ctx, w)
	}
	return live(err)
}

// applyAtOnce is one statement of PostgreSQL. Each part waits for the count of
// the one before it: the order within one statement is undefined otherwise, and
// with a stale row among the saved ones nothing at all may be written.
func (s *Store) applyAtOnce(ctx context.Context, w writes) error {
	st := s.statement()
	var parts []string // the names of what saves
	when := ""         // what must hold for the next part
	next := "WITH "
	begin := func(name string) {
		st.write(next, name, " AS (")
		next = "), "
	}
	if w.saved() > 1 {
		// All rows are locked, in the order of their ids, before one is
		// written: then either each has the version that was read, or none is touched.
		begin("held")
		rows := slices.Concat(w.ended, w.live)
		st.write("SELECT 1 FROM requests WHERE ")
		for i, r := range rows {
			if i > 0 {
				st.write(" OR ")
			}
			st.write("(application = ? AND id = ? AND version = ?)")
			st.args = append(st.args, r.Application, r.ID, r.Version)
		}
		st.write(" ORDER BY application, id FOR UPDATE")
		when = fmt.Sprintf("(SELECT count(*) FROM held) = %d", len(rows))
	}
	for _, group := range []struct {
		name string
		rows []requestRow
	}{{"ended", w.ended}, {"live", w.live}} {
		if len(group.rows) == 0 {
			continue
		}
		begin(group.name)
		st.save(group.rows, when)
		st.write(" RETURNING 1")
		parts = append(parts, group.name)
		when = fmt.Sprintf("(SELECT count(*) FROM %s) = %d", group.name, len(group.rows))
	}
	for _, group := range []struct {
		table   string
		columns []column
		rows    [][]any
	}{{"requests", requestColumns, w.created}, {"messages", messageColumns, w.messages}, {"audit", auditColumns, w.audit}} {
		if len(group.rows) > 0 {
			begin("new_" + group.table)
			st.insert(group.table, group.columns, group.rows, when)
		}
	}
	st.write(") SELECT 0")
	for _, p := range parts {
		st.write(" + (SELECT count(*) FROM ", p, ")")
	}
	var saved int
	if err := s.db.Write(ctx).Raw(st.String(), st.args...).Find(&saved).Error; err != nil {
		return err
	}
	if saved != w.saved() {
		return workflow.ErrStale
	}
	return nil
}

// applyInSteps is a handful of statements in a transaction of SQLite, which
// cannot write within WITH.
func (s *Store) applyInSteps(ctx context.Context, w writes) error {
	db := s.db.Write(ctx)
	for _, rows := range [][]requestRow{w.ended, w.live} {
		if len(rows) == 0 {
			continue
		}
		st := s.statement()
		st.save(rows, "")
		tx := db.Exec(st.String(), st.args...)
		if tx.Error != nil {
			return tx.Error
		}
		if tx.RowsAffected != int64(len(rows)) {
			return workflow.ErrStale
		}
	}
	for _, group := range []struct {
		table   string
		columns []column
		rows    [][]any
	}{{"requests", requestColumns, w.created}, {"messages", messageColumns, w.messages}, {"audit", auditColumns, w.audit}} {
		if len(group.rows) == 0 {
			continue
		}
		st := s.statement()
		st.insert(group.table, group.columns, group.rows, "")
		if err := db.Exec(st.String(), st.args...).Error; err != nil {
			return err
		}
	}
	return nil
}

// fixed are the columns that never change after the insert; attempts change by
// ReserveAttempt and ReturnAttempt alone.
var fixed = map[string]bool{
	"application": true, "id": true, "flow": true, "origin": true, "email": true, "client_ip": true, "user_agent": true,
	"attempts": true, "created_at": true,
}

// ruled are the columns whose new value depends on the old one.
var ruled = map[string]bool{"version": true, "moved_at": true, "ended_at": true}

// save writes an UPDATE of rows by id and version, where the condition when holds.
func (st *statement) save(rows []requestRow, when string) {
	if len(rows) == 1 {
		st.saveOne(rows[0], when)
		return
	}
	values := make([][]any, len(rows))
	for i, r := range rows {
		values[i] = r.values()
	}
	set := func() {
		for _, c := range requestColumns {
			if !fixed[c.name] && !ruled[c.name] {
				st.write(c.name, " = v.", c.name, ", ")
			}
		}
		st.write("version = requests.version + 1, moved_at = CASE WHEN requests.state = v.state THEN requests.moved_at ELSE v.moved_at END, ",
			"ended_at = CASE WHEN requests.ended_at > 0 THEN requests.ended_at ELSE v.ended_at END")
	}
	if st.casts {
		st.write("UPDATE requests SET ")
		set()
		st.write(" FROM (")
		st.values(requestColumns, values)
		st.write(") AS v (", columnList(requestColumns, ""), ")")
	} else {
		st.write("WITH v (", columnList(requestColumns, ""), ") AS (")
		st.values(requestColumns, values)
		st.write(") UPDATE requests SET ")
		set()
		st.write(" FROM v")
	}
	st.write(" WHERE requests.application = v.application AND requests.id = v.id AND requests.version = v.version")
	if when != "" {
		st.write(" AND ", when)
	}
}

func (st *statement) saveOne(row requestRow, when string) {
	st.write("UPDATE requests SET ")
	values := row.values()
	for i, c := range requestColumns {
		if fixed[c.name] || ruled[c.name] {
			continue
		}
		st.write(c.name, " = ?, ")
		st.args = append(st.args, values[i])
	}
	st.write("version = version + 1, moved_at = CASE WHEN state = ? THEN moved_at ELSE ? END, ",
		"ended_at = CASE WHEN ended_at > 0 THEN ended_at ELSE ? END WHERE application = ? AND id = ? AND version = ?")
	st.args = append(st.args, row.State, row.MovedAt, row.EndedAt, row.Application, row.ID, row.Version)
	if when != "" {
		st.write(" AND ", when)
	}
}

// liveIndex is the unique index over the live rows of an account and origin.
const liveIndex = "requests_live"

// live tells a violation of the index of live rows from others.
func live(err error) error {
	if where, ok := duplicate(err); ok && (where == liveIndex || strings.Contains(where, "requests.account_id")) {
		return fmt.Errorf("%w: %w", workflow.ErrLive, err)
	}
	return err
}

// duplicate reports whether err is a violated unique index, and where:
// PostgreSQL names the index, SQLite its columns.
func duplicate(err error) (where string, ok bool) {
	var e *pgconn.PgError
	if errors.As(err, &e) { // gorm does not translate what shows while rows are read
		return e.ConstraintName, e.Code == "23505"
	}
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return err.Error(), true
	}
	return "", false
}

// deadlocked reports whether PostgreSQL asks to try the transaction again.
func deadlocked(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40P01" || e.Code == "40001")
}
