// Package database opens the one database of an installation, SQLite or
// PostgreSQL, and carries its write transactions in the context.
//
// Nothing else opens a database. Three rules hold behind it:
//
//   - SQLite has one writer connection. Inside [DB.Atomically] every statement
//     must use the context that was handed in, or it waits for that connection
//     until the context's deadline.
//   - No call needs two connections at once, so a full pool never locks itself.
//   - No call waits for ever: a context without a deadline gets [Patience].
package database

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Dialect names the kind of database.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Patience is the deadline of a call whose context has none.
const Patience = 15 * time.Second

// DefaultConnections is the size of a PostgreSQL pool where Options says nothing.
const DefaultConnections = 16

// Options tune an opened database.
type Options struct {
	// MaxConnections bounds the PostgreSQL pool, the queue's share included;
	// 0 means [DefaultConnections], fewer than 4 means 4. SQLite ignores it.
	MaxConnections int
	// Synchronous is SQLite's setting of that name: FULL (default), NORMAL,
	// EXTRA or OFF. Less than FULL may forget after a power cut that a code was used.
	Synchronous string
	// Statements sees the text of every statement, BEGIN and COMMIT included,
	// never its parameters. It is called from many goroutines. On PostgreSQL it
	// sees the queue's statements too and a COPY as "copy <table>"; on SQLite a
	// statement prepared by hand is seen once, when it is prepared, and the
	// PRAGMAs of a new connection are not seen.
	Statements func(sql string)
}

// DB is an opened database; use it from any number of goroutines.
type DB struct {
	dialect Dialect
	writer  *gorm.DB
	reader  *gorm.DB
	write   *sql.DB // writers; on PostgreSQL the same handle as read
	read    *sql.DB
	pool    *pgxpool.Pool
}

// Open opens "sqlite:PATH" or "postgres://…" and makes one connection, so that
// a wrong setting shows here. It changes no schema: see [DB.MigrateUp].
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	ctx, cancel := patient(ctx)
	defer cancel()
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, rest, o)
	case "postgres", "postgresql":
		return openPostgres(ctx, url, o)
	default:
		// The text may hold a password in a form that is not understood here: never repeat it.
		return nil, fmt.Errorf("database.url: this is neither \"sqlite:PATH\" nor \"postgres://user@host/name\"; use one of the two forms")
	}
}

// Dialect tells which kind of database d is.
func (d *DB) Dialect() Dialect { return d.dialect }

// Pool returns the PostgreSQL pool, nil on SQLite.
func (d *DB) Pool() *pgxpool.Pool { return d.pool }

// Writer returns SQLite's handle with its single connection, nil on PostgreSQL.
func (d *DB) Writer() *sql.DB {
	if d.dialect != SQLite {
		return nil
	}
	return d.write
}

// Ping asks the database for a sign of life over a reader's connection.
func (d *DB) Ping(ctx context.Context) error {
	ctx, cancel := patient(ctx)
	defer cancel()
	return d.read.PingContext(ctx)
}

// Close closes every connection and waits for those in use.
func (d *DB) Close() error {
	if d.pool != nil {
		err := d.write.Close()
		d.pool.Close()
		return err
	}
	// The writer goes last: it folds the write-ahead log into the file.
	err := d.read.Close()
	if e := d.write.Close(); err == nil {
		err = e
	}
	return err
}

// Write returns a session for writing: the context's transaction if there is
// one, else the writer.
func (d *DB) Write(ctx context.Context) *gorm.DB { return d.session(ctx, d.writer) }

// Read returns a session for reading: the context's transaction if there is
// one, else the readers. On SQLite a reader refuses to write.
func (d *DB) Read(ctx context.Context) *gorm.DB { return d.session(ctx, d.reader) }

func (d *DB) session(ctx context.Context, base *gorm.DB) *gorm.DB {
	if _, ok := ctx.Deadline(); !ok {
		bounded, cancel := context.WithTimeout(ctx, Patience)
		context.AfterFunc(bounded, cancel) // rows may be read after we return, so only the deadline ends it
		ctx = bounded
	}
	s := base.Session(&gorm.Session{NewDB: true, Context: ctx})
	if t := d.transaction(ctx); t != nil {
		s.Statement.ConnPool = t.tx
	}
	return s
}

func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, Patience)
}

func openGorm(d gorm.Dialector) (*gorm.DB, error) {
	return gorm.Open(d, &gorm.Config{
		// A single statement is atomic by itself; what needs more says Atomically.
		SkipDefaultTransaction: true,
		TranslateError:         true,
		// gorm's logger would print parameters: addresses and hashes.
		Logger:               logger.Discard,
		NowFunc:              func() time.Time { return time.Now().UTC() },
		DisableAutomaticPing: true, // it knows no context
	})
}
