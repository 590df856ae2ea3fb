package database

import (
	"context"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
)

// pgxObserver hands on the text of every statement on the pool, whoever sends it.
type pgxObserver struct{ see func(sql string) }

func (o pgxObserver) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	o.see(q.SQL)
	return ctx
}

func (pgxObserver) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (pgxObserver) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (o pgxObserver) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	o.see(q.SQL)
}

func (pgxObserver) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (o pgxObserver) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, c pgx.TraceCopyFromStartData) context.Context {
	o.see("copy " + c.TableName.Sanitize())
	return ctx
}

func (pgxObserver) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

// observingConnector wraps SQLite's connections, so that the queue's statements
// are seen as well as gorm's.
type observingConnector struct {
	driver.Connector
	see func(sql string)
}

func (c observingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &observedConn{conn, c.see}, nil
}

type observedConn struct {
	driver.Conn
	see func(sql string)
}

func (c *observedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.see(query)
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
}

func (c *observedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.see(query)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *observedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.see(query)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *observedConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.see("begin")
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return observedTx{tx, c.see}, nil
}

func (c *observedConn) Ping(ctx context.Context) error {
	return c.Conn.(driver.Pinger).Ping(ctx)
}

func (c *observedConn) ResetSession(ctx context.Context) error {
	return c.Conn.(driver.SessionResetter).ResetSession(ctx)
}

func (c *observedConn) IsValid() bool { return c.Conn.(driver.Validator).IsValid() }

type observedTx struct {
	driver.Tx
	see func(sql string)
}

func (t observedTx) Commit() error {
	t.see("commit")
	return t.Tx.Commit()
}

func (t observedTx) Rollback() error {
	t.see("rollback")
	return t.Tx.Rollback()
}
