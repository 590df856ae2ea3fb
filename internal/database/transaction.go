package database

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// tries is how often a transaction runs when PostgreSQL gives it up for another one.
const tries = 3

// grace is what a commit or rollback gets after the deadline of its work.
const grace = 5 * time.Second

type transactionKey struct{ db *DB }

// transaction is what the context carries. It belongs to one goroutine.
type transaction struct {
	tx    *sql.Tx
	conn  *pgx.Conn // the connection beneath tx; nil on SQLite
	after []func()
}

func (d *DB) transaction(ctx context.Context) *transaction {
	t, _ := ctx.Value(transactionKey{d}).(*transaction)
	return t
}

// Atomically runs fn in one write transaction carried by its context. A nested
// call joins the transaction it finds; its error does not undo what it wrote
// unless the outer function returns it too. An error or panic of fn rolls back
// and is handed on as it is. On PostgreSQL fn runs again, up to three times
// altogether, after a deadlock or serialization failure: it must have no effect
// outside the database but through [DB.AfterCommit].
func (d *DB) Atomically(ctx context.Context, fn func(ctx context.Context) error) error {
	if d.transaction(ctx) != nil {
		return fn(ctx)
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	for try := 1; ; try++ {
		err := d.once(ctx, fn)
		if err == nil || try == tries || !again(err) {
			return Unavailable(err)
		}
		select {
		case <-ctx.Done():
			return Unavailable(err)
		case <-time.After(time.Duration(try) * time.Duration(2+rand.IntN(8)) * time.Millisecond):
		}
	}
}

// again reports whether running the transaction once more may help: the server
// chose it as a victim, or it never began, as after a restart of the server.
func again(err error) bool {
	var begin *beginError
	if errors.As(err, &begin) {
		return true
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// beginError marks failures from before fn ran.
type beginError struct{ error }

func (e *beginError) Unwrap() error { return e.error }

func (d *DB) once(ctx context.Context, fn func(ctx context.Context) error) (err error) {
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return &beginError{err}
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	t := &transaction{}
	if d.dialect == Postgres {
		err = conn.Raw(func(c any) error {
			t.conn = c.(*stdlib.Conn).Conn()
			return nil
		})
		if err != nil {
			return &beginError{err}
		}
	}
	// database/sql would roll back by itself, from another goroutine, the moment
	// ctx ends, while fn may still be on the connection. Statements see ctx; the
	// transaction outlives it just long enough to be ended here.
	outer, cancel := outlive(ctx)
	defer cancel()
	if t.tx, err = conn.BeginTx(outer, nil); err != nil {
		if d.pool != nil {
			d.pool.Reset() // where one connection is dead, those beside it are too
		}
		return &beginError{err}
	}
	done := false
	defer func() {
		if !done { // an error or a panic of fn
			_ = t.tx.Rollback()
		}
	}()
	if err = fn(context.WithValue(ctx, transactionKey{d}, t)); err != nil {
		return err
	}
	done = true // a failed commit has ended it too
	if err = t.tx.Commit(); err != nil {
		return err
	}
	for _, f := range t.after {
		f()
	}
	return nil
}

func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	end, _ := ctx.Deadline() // patient gave it one
	return context.WithDeadline(context.WithoutCancel(ctx), end.Add(grace))
}

// AfterCommit runs f once the context's transaction is committed, on the
// goroutine that commits; f must be quick. Without a commit it never runs.
// It reports whether the context carries a transaction.
func (d *DB) AfterCommit(ctx context.Context, f func()) bool {
	t := d.transaction(ctx)
	if t == nil {
		return false
	}
	t.after = append(t.after, f)
	return true
}

// SQLTx returns the context's transaction. It must not be ended.
func (d *DB) SQLTx(ctx context.Context) (*sql.Tx, bool) {
	t := d.transaction(ctx)
	if t == nil {
		return nil, false
	}
	return t.tx, true
}

// PgxTx returns the context's transaction as pgx sees it, on the very same
// connection; false on SQLite and outside a transaction. Its Commit and
// Rollback refuse: Atomically ends it.
func (d *DB) PgxTx(ctx context.Context) (pgx.Tx, bool) {
	t := d.transaction(ctx)
	if t == nil || t.conn == nil {
		return nil, false
	}
	return &pgxTx{conn: t.conn}, true
}
