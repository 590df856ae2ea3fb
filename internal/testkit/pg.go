// Package testkit holds what tests of several packages need: databases that
// are thrown away, a mail server, a clock. Nothing but tests imports it.
package testkit

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/resetflow/resetflow/internal/database"
)

// EnvPostgres names the URL of a superuser's database on a running server to
// use instead of a cluster of our own.
const EnvPostgres = "RESETFLOW_TEST_POSTGRES"

// startTimeout bounds starting a cluster and every administrative statement.
const startTimeout = 60 * time.Second

var (
	startServer = sync.OnceValues(start)
	databases   atomic.Int64
)

// Main runs a package's tests, then the given functions, and stops the cluster they used:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// Without it the cluster still ends by itself, a moment after the process.
func Main(m *testing.M, after ...func()) {
	code := m.Run()
	for _, fn := range after {
		fn()
	}
	stop()
	os.Exit(code)
}

// Postgres returns the URL of a fresh, empty database, dropped when t ends. The
// server is started once in each test process. It fails t where there is none.
func Postgres(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "template0")
}

// Databases returns the URLs of two fresh, empty databases by their dialect.
func Databases(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{
		string(database.SQLite):   "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		string(database.Postgres): Postgres(t),
	}
}

// EachDatabase runs fn as one subtest for each kind of database, on a fresh
// database with the whole schema, closed when the subtest ends.
func EachDatabase(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) { fn(t, Open(t, dialect, database.Options{})) })
	}
}

// Open opens a fresh database with the whole schema, closed when t ends.
func Open(t testing.TB, dialect database.Dialect, o database.Options) *database.DB {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	if dialect == database.Postgres {
		template, err := migrated()
		if err != nil {
			t.Fatal(err)
		}
		url = newDatabase(t, template)
	}
	db, err := database.Open(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.MigrateUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

// migrated makes one database with the whole schema to copy from: copying takes
// a fifth of the time of migrating.
var migrated = sync.OnceValues(func() (string, error) {
	server, err := startServer()
	if err != nil {
		return "", err
	}
	name := databaseName("template")
	if err := administer(server, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		return "", err
	}
	db, err := database.Open(context.Background(), at(server, name), database.Options{})
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	_, err = db.MigrateUp(context.Background())
	return name, err
})

func newDatabase(t testing.TB, template string) string {
	t.Helper()
	server, err := startServer()
	if err != nil {
		t.Fatal(err)
	}
	name := databaseName("test")
	if err := administer(server, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := administer(server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return at(server, name)
}

func databaseName(what string) string {
	return fmt.Sprintf("resetflow_%s_%d_%d", what, os.Getpid(), databases.Add(1))
}

// administering keeps one CREATE DATABASE at a time: two copies of one template
// at once are an error.
var administering sync.Mutex

func administer(server, sql string) error {
	administering.Lock()
	defer administering.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("testkit: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("testkit: %s: %w", sql, err)
	}
	return nil
}

// at returns the URL of another database on the same server.
func at(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic("testkit: " + EnvPostgres + " is not a URL") // start has parsed it before
	}
	u.Path = "/" + name
	return u.String()
}
