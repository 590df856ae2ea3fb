package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modernc.org/sqlite"
)

// prepares counts what the driver compiles and which statements are open.
type prepares struct {
	driver.Connector
	made, open atomic.Int64
}

func (p *prepares) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &countingConn{c.(sqliteConn), p}, nil
}

type countingConn struct {
	sqliteConn
	p *prepares
}

func (c *countingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.p.made.Add(1)
	c.p.open.Add(1)
	return &countingStmt{s.(sqliteStmt), c.p}, nil
}

type countingStmt struct {
	sqliteStmt
	p *prepares
}

func (s *countingStmt) Close() error {
	s.p.open.Add(-1)
	return s.sqliteStmt.Close()
}

// counted opens a new file with one connection that keeps limit statements.
func counted(t *testing.T, limit int) (*sql.DB, *prepares) {
	t.Helper()
	plain, err := sqlite.NewConnector(sqliteDSN(filepath.Join(t.TempDir(), "a.db"), nil))
	if err != nil {
		t.Fatal(err)
	}
	p := &prepares{Connector: plain}
	db := sql.OpenDB(cachingConnector{p, limit})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	run(t, db, "CREATE TABLE a (n INTEGER PRIMARY KEY, s TEXT); INSERT INTO a VALUES (1, 'one'), (2, 'two'), (3, 'three')")
	return db, p
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func run(t *testing.T, db execer, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func text(t *testing.T, db *sql.DB, query string, args ...any) (s string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&s); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return s
}

func TestStatementsArePreparedOnce(t *testing.T) {
	db, p := counted(t, 8)
	const question, change = "SELECT s FROM a WHERE n = ?", "-- name: Change\nUPDATE a SET s = ? WHERE n = ?"
	for i := range 20 {
		run(t, db, change, fmt.Sprint("now ", i), 2)
		if got := text(t, db, question, 2); got != fmt.Sprint("now ", i) {
			t.Fatalf("read %q after change %d", got, i)
		}
		if got := text(t, db, question, 1); got != "one" {
			t.Fatalf("an argument of the last call stayed: %q", got)
		}
	}
	if p.made.Load() != 2 {
		t.Errorf("prepared %d times, want once each", p.made.Load())
	}
	if err := db.Close(); err != nil || p.open.Load() != 0 {
		t.Errorf("closing says %v and leaves %d statements open", err, p.open.Load())
	}
}

func TestOldestIdleStatementGoesFirst(t *testing.T) {
	db, p := counted(t, 3)
	ask := func(n int) int64 {
		before := p.made.Load()
		if got := text(t, db, fmt.Sprintf("SELECT %d", n)); got != fmt.Sprint(n) {
			t.Fatalf("SELECT %d gave %s", n, got)
		}
		return p.made.Load() - before
	}
	for n := range 50 {
		ask(n)
		if p.open.Load() > 3 {
			t.Fatalf("%d statements are open", p.open.Load())
		}
	}
	if made := []int64{ask(47), ask(50), ask(47), ask(49), ask(48)}; !slices.Equal(made, []int64{0, 1, 0, 0, 1}) {
		t.Errorf("prepared %v", made)
	}
}

func TestOpenRowsKeepTheirStatement(t *testing.T) {
	db, p := counted(t, 8)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	const query = "SELECT n FROM a ORDER BY n"
	read := func(rows *sql.Rows) (n int) {
		t.Helper()
		if !rows.Next() {
			t.Fatalf("no row: %v", rows.Err())
		}
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first, err := tx.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	second, err := tx.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	got := []int{read(first), read(second), read(first), read(second), read(second), read(first)}
	if !slices.Equal(got, []int{1, 1, 2, 2, 3, 3}) {
		t.Errorf("two of the same read %v", got)
	}
	if err := errors.Join(first.Err(), second.Err()); err != nil {
		t.Error(err)
	}
	for _, r := range []*sql.Rows{first, second, first} {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if p.made.Load() != 2 || p.open.Load() != 1 {
		t.Errorf("prepared %d, kept %d; want 2 and 1", p.made.Load(), p.open.Load())
	}
	// Rows that were left in the middle start anew.
	left := func() {
		rows, err := tx.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		if n := read(rows); n != 1 || rows.Err() != nil {
			t.Errorf("began at %d: %v", n, rows.Err())
		}
	}
	left()
	left()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestKeptStatementsFollowTheSchema(t *testing.T) {
	db, p := counted(t, 8)
	other, err := sql.Open("sqlite", sqliteDSN(filepath.Clean(text(t, db, "SELECT file FROM pragma_database_list")), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	columns := func() []string {
		rows, err := db.Query("SELECT * FROM a WHERE n = 1")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	_, made := columns(), p.made.Load()
	run(t, db, "ALTER TABLE a ADD COLUMN here TEXT")
	if got := columns(); !slices.Equal(got, []string{"n", "s", "here"}) {
		t.Errorf("after a change of our own: %v", got)
	}
	run(t, other, "ALTER TABLE a ADD COLUMN there TEXT")
	if got := columns(); !slices.Equal(got, []string{"n", "s", "here", "there"}) {
		t.Errorf("after another's change: %v", got)
	}
	if p.made.Load() != made {
		t.Error("the statement was not kept")
	}
	run(t, db, "DROP TABLE a")
	if _, err := db.Query("SELECT * FROM a WHERE n = 1"); err == nil || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("got %v", err)
	}
}

func TestAStatementThatFailedIsNotKept(t *testing.T) {
	db, p := counted(t, 8)
	const insert = "INSERT INTO a VALUES (?, ?)"
	for range 3 {
		if _, err := db.Exec(insert, 1, "again"); err == nil {
			t.Fatal("a row twice")
		}
		if _, err := db.Query(insert+" RETURNING n", 1, "again"); err == nil {
			t.Fatal("a row twice")
		}
		if _, err := db.Exec(insert, 1); err == nil {
			t.Fatal("an argument is missing and nobody minds")
		}
		if n := p.open.Load(); n != 0 {
			t.Fatalf("%d were kept", n)
		}
	}
	run(t, db, insert, 4, "four")
	if got := text(t, db, "SELECT s FROM a WHERE n = 4"); got != "four" {
		t.Errorf("got %q", got)
	}
}

func TestACancelledStatementLeavesTheNextAlone(t *testing.T) {
	db, p := counted(t, 8)
	const long = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) SELECT count(*) FROM c"
	if got := text(t, db, long, 10); got != "10" {
		t.Fatal(got)
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		var n int64
		err := db.QueryRowContext(ctx, long, 1_000_000_000).Scan(&n)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %d, %v", n, err)
		}
		if got := text(t, db, long, 10); got != "10" {
			t.Fatal(got)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.ExecContext(gone, "UPDATE a SET s = 'gone'"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := db.Close(); err != nil || p.open.Load() != 0 {
		t.Errorf("closing says %v and leaves %d statements open", err, p.open.Load())
	}
}

func TestWhatIsKept(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT 1": true, "  -- name: A :one\n-- more\n\tupdate a SET b = 1": true, "WITH x AS (SELECT 1) SELECT * FROM x": true,
		"INSERT\nINTO a VALUES (1)": true, "DELETE FROM a": true, "SELECT(1)": true,
		"SELECT 1; SELECT 2": false, "SELECT 1;": false, "PRAGMA user_version": false, "CREATE TABLE a (b)": false,
		"BEGIN": false, "SAVEPOINT a": false, "VACUUM": false, "ATTACH 'a' AS b": false, "": false, "-- SELECT": false,
		"SELECT " + strings.Repeat(" ", preparedLength): false,
	} {
		if keepable(query) != want {
			t.Errorf("%.40q: %v", query, !want)
		}
	}
}

// Readers and writer of one file, statements of the same texts on every
// connection, an observer that misses none.
func TestKeptStatementsUnderLoad(t *testing.T) {
	var seen atomic.Int64
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), Options{Synchronous: "OFF", Statements: func(sql string) {
		if strings.HasPrefix(sql, "UPDATE") || strings.HasPrefix(sql, "SELECT version") {
			seen.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if applied, err := db.MigrateUp(t.Context()); err != nil || len(applied) < 2 {
		t.Fatal(applied, err)
	}
	const groups, rounds = 8, 50
	for g := range groups {
		run(t, db.Writer(), "INSERT INTO applications VALUES (?, 0, '{}', 0, 0)", fmt.Sprint("app-", g))
	}
	seen.Store(0)
	var wg sync.WaitGroup
	for g := range groups {
		wg.Go(func() {
			slug := fmt.Sprint("app-", g)
			for i := range rounds {
				err := db.Atomically(t.Context(), func(ctx context.Context) error {
					return db.Write(ctx).Exec("UPDATE applications SET version = version + 1 WHERE slug = ?", slug).Error
				})
				if err != nil {
					t.Error(err)
				}
				var n int
				if err := db.Read(t.Context()).Raw("SELECT version FROM applications WHERE slug = ?", slug).Scan(&n).Error; err != nil || n != i+1 {
					t.Errorf("%s: read %d, %v; want %d", slug, n, err, i+1)
				}
			}
		})
	}
	wg.Wait()
	if seen.Load() != 2*groups*rounds {
		t.Errorf("the observer saw %d statements of %d", seen.Load(), 2*groups*rounds)
	}
}
