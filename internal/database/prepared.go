package database

import (
	"container/list"
	"context"
	"database/sql/driver"
	"strings"
)

const (
	// preparedStatements is how many idle statements a connection keeps. The
	// service sends about 60 different ones.
	preparedStatements = 128
	// preparedLength keeps out statements that are written for one number of
	// rows, of which there are many, each of them large.
	preparedLength = 8 << 10
)

// cachingConnector makes connections to SQLite that keep prepared statements.
// The driver beneath prepares each statement anew, which was a third of all the
// service's work.
type cachingConnector struct {
	driver.Connector
	limit int // idle statements of each connection
}

func (c cachingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &cachedConn{conn.(sqliteConn), preparedCache{limit: c.limit, idle: map[string]*list.Element{}}}, nil
}

// sqliteConn is what database/sql uses of the driver's connection. Embedding it
// whole keeps every optional part visible.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteStmt is a statement as the driver prepares it.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// sqliteRows is what database/sql and gorm use of the driver's rows.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// cachedConn needs no lock: database/sql calls a connection and the rows that
// came from it one at a time.
//
// A statement is either in the cache or in use, never both, so that rows which
// are still open keep theirs and the same text gets another. After an error a
// statement is closed, since an error may leave it half bound. A change of the
// schema needs nothing: SQLite compiles a kept statement again when it runs
// (sqlite3_prepare_v2 of its C interface).
type cachedConn struct {
	sqliteConn
	cache preparedCache
}

// take returns a statement for query that nobody else uses, or nil where it is
// not to be kept. With an error nothing ran.
func (c *cachedConn) take(ctx context.Context, query string) (sqliteStmt, error) {
	if s := c.cache.take(query); s != nil {
		return s, nil
	}
	if !keepable(query) {
		return nil, nil
	}
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(sqliteStmt), nil
}

func (c *cachedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	res, err := s.ExecContext(ctx, args)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	c.cache.put(query, s)
	return res, nil
}

func (c *cachedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return &cachedRows{sqliteRows: rows.(sqliteRows), stmt: s, query: query, cache: &c.cache}, nil
}

// Close closes the idle statements and the connection. Rows that are open keep
// database/sql from calling it.
func (c *cachedConn) Close() error {
	c.cache.close()
	return c.sqliteConn.Close()
}

// cachedRows gives its statement back when it is closed.
type cachedRows struct {
	sqliteRows
	stmt  sqliteStmt // nil once closed
	query string
	cache *preparedCache
}

func (r *cachedRows) Close() error {
	if r.stmt == nil {
		return nil
	}
	s := r.stmt
	r.stmt = nil
	if err := r.sqliteRows.Close(); err != nil {
		_ = s.Close()
		return err
	}
	r.cache.put(r.query, s)
	return nil
}

// preparedCache holds the idle statements of one connection.
type preparedCache struct {
	limit  int
	idle   map[string]*list.Element
	recent list.List // of idleStmt, the last used first
}

type idleStmt struct {
	query string
	stmt  sqliteStmt
}

func (c *preparedCache) take(query string) sqliteStmt {
	e, ok := c.idle[query]
	if !ok {
		return nil
	}
	delete(c.idle, query)
	return c.recent.Remove(e).(idleStmt).stmt
}

func (c *preparedCache) put(query string, s sqliteStmt) {
	if _, twin := c.idle[query]; twin {
		_ = s.Close()
		return
	}
	c.idle[query] = c.recent.PushFront(idleStmt{query, s})
	if c.recent.Len() > c.limit {
		oldest := c.recent.Remove(c.recent.Back()).(idleStmt)
		delete(c.idle, oldest.query)
		_ = oldest.stmt.Close()
	}
}

func (c *preparedCache) close() {
	for _, e := range c.idle {
		_ = e.Value.(idleStmt).stmt.Close()
	}
	clear(c.idle)
	c.recent.Init()
}

// keepable reports whether query is one statement that reads or changes rows.
// PRAGMAs may take effect when they are compiled, and a text of several
// statements cannot be prepared as one; a semicolon in a quoted text is taken
// for the latter.
func keepable(query string) bool {
	if len(query) > preparedLength || strings.Contains(query, ";") {
		return false
	}
	rest := strings.TrimSpace(query)
	for strings.HasPrefix(rest, "--") { // the queue names its statements so
		_, after, _ := strings.Cut(rest, "\n")
		rest = strings.TrimSpace(after)
	}
	verb := rest
	if end := strings.IndexAny(rest, " \t\r\n(*"); end >= 0 {
		verb = rest[:end]
	}
	switch strings.ToUpper(verb) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return true
	}
	return false
}
