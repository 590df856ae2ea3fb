package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"modernc.org/sqlite"
)

const (
	sqliteReaders = 4

	sqliteBusy     = 5
	sqliteReadOnly = 8
	sqliteCantOpen = 14
	sqliteNotADB   = 26
)

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("database.url: sqlite: needs the path of a file, such as sqlite:resetflow.db; a database in memory cannot be shared by readers and writer")
	}
	o.Synchronous = strings.ToUpper(o.Synchronous)
	if o.Synchronous == "" {
		o.Synchronous = "FULL"
	}
	if !slices.Contains([]string{"FULL", "NORMAL", "EXTRA", "OFF"}, o.Synchronous) {
		return nil, fmt.Errorf("database: synchronous is FULL, NORMAL, EXTRA or OFF, not %q", o.Synchronous)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("database.url: %w", err)
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	// _txlock=immediate: a transaction that reads first and writes later would
	// otherwise fail with "database is locked" instead of waiting its turn.
	writer := sqliteDSN(path, url.Values{
		"_pragma":      {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + o.Synchronous + ")", "foreign_keys(1)"},
		"_txlock":      {"immediate"},
		"_time_format": {"sqlite"},
	})
	reader := sqliteDSN(path, url.Values{
		"_pragma":      {"busy_timeout(5000)", "query_only(1)"},
		"_time_format": {"sqlite"},
	})
	d := &DB{dialect: SQLite}
	if d.write, err = openHandle(ctx, writer, 1, o.Statements); err != nil {
		return nil, explainSQLite(path, err)
	}
	if d.read, err = openHandle(ctx, reader, sqliteReaders, o.Statements); err != nil {
		_ = d.write.Close()
		return nil, explainSQLite(path, err)
	}
	if d.writer, err = openGorm(sqliteDialector{d.write}); err == nil {
		d.reader, err = openGorm(sqliteDialector{d.read})
	}
	if err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	return d, nil
}

// prepareFile makes a missing file, and a missing last folder, for its owner
// alone; SQLite gives its -wal and -shm files the same mode.
func prepareFile(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(folder, 0o700); err != nil {
			return fmt.Errorf("database.url: the folder %s does not exist and cannot be made: %w; create it or name another path", folder, cause(err))
		}
	case err != nil:
		return fmt.Errorf("database.url: the folder %s cannot be looked into: %w", folder, cause(err))
	case !info.IsDir():
		return fmt.Errorf("database.url: %s is a file, not a folder; name another path", folder)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("database.url: %s cannot be written: %w; give this user the right to write the file and its folder, or name another path", path, cause(err))
	}
	return f.Close()
}

// cause strips the path, which the sentence around it names already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func sqliteDSN(path string, q url.Values) string {
	// A URI, so that ? and # in a path are not taken for parameters.
	u := url.URL{Path: filepath.ToSlash(path)}
	return "file:" + u.EscapedPath() + "?" + q.Encode()
}

func openHandle(ctx context.Context, dsn string, connections int, see func(string)) (*sql.DB, error) {
	plain, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	var connector driver.Connector = cachingConnector{plain, preparedStatements}
	if see != nil {
		connector = observingConnector{connector, see}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	// A ping alone reads nothing; this finds a file that is no database.
	var n int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

func explainSQLite(path string, err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqliteReadOnly, sqliteCantOpen:
			return fmt.Errorf("database.url: %s or its folder cannot be written: %w; give this user the right to write both, or name another path", path, err)
		case sqliteNotADB:
			return fmt.Errorf("database.url: %s is not an SQLite database: %w; name another path", path, err)
		case sqliteBusy:
			return fmt.Errorf("database.url: %s is locked by another program: %w; end that program, or name another path", path, err)
		}
	}
	return fmt.Errorf("database.url: %s cannot be opened: %w", path, err)
}
