package database

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var errOuter = errors.New("database: only Atomically ends this transaction; return from its function instead")

// pgxTx shows the connection of a running transaction as a pgx.Tx. The value
// that [DB.PgxTx] hands out has no savepoint and cannot be ended; Begin makes
// one that is a savepoint and can.
type pgxTx struct {
	conn      *pgx.Conn
	savepoint string
	closed    bool
}

// savepoints numbers savepoints over the whole process, so that two faces of
// one transaction never use the same name.
var savepoints atomic.Int64

func (t *pgxTx) Begin(ctx context.Context) (pgx.Tx, error) {
	name := "sp_" + strconv.FormatInt(savepoints.Add(1), 10)
	if _, err := t.conn.Exec(ctx, "savepoint "+name); err != nil {
		return nil, err
	}
	return &pgxTx{conn: t.conn, savepoint: name}, nil
}

func (t *pgxTx) Commit(ctx context.Context) error {
	return t.end(ctx, "release savepoint ")
}

func (t *pgxTx) Rollback(ctx context.Context) error {
	return t.end(ctx, "rollback to savepoint ")
}

func (t *pgxTx) end(ctx context.Context, how string) error {
	if t.savepoint == "" {
		return errOuter
	}
	if t.closed {
		return pgx.ErrTxClosed
	}
	t.closed = true
	_, err := t.conn.Exec(ctx, how+t.savepoint)
	return err
}

func (t *pgxTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return t.conn.Exec(ctx, sql, args...)
}

func (t *pgxTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return t.conn.Query(ctx, sql, args...)
}

func (t *pgxTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return t.conn.QueryRow(ctx, sql, args...)
}

func (t *pgxTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return t.conn.SendBatch(ctx, b)
}

func (t *pgxTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource) (int64, error) {
	return t.conn.CopyFrom(ctx, table, columns, rows)
}

func (t *pgxTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	return t.conn.Prepare(ctx, name, sql)
}

// LargeObjects is part of pgx.Tx; nothing here stores any, and the empty value fails on use.
func (t *pgxTx) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

func (t *pgxTx) Conn() *pgx.Conn { return t.conn }
