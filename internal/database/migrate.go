package database

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/resetflow/resetflow/storage/migrations"
)

// queueVersion is the number of the migration that makes the job queue's own
// tables, on both dialects.
const queueVersion = 2

const queueMigration = "0002_queue"

// migrationPatience bounds a whole migration where the context does not.
const migrationPatience = 15 * time.Minute

// MigrateUp applies what is missing and returns the names of what it applied,
// oldest first. Several nodes may call it at once: one works, the others wait.
func (d *DB) MigrateUp(ctx context.Context) (applied []string, err error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, migrationPatience)
		defer cancel()
	}
	if pending, err := d.Pending(ctx); err != nil || len(pending) == 0 {
		return nil, err
	}
	p, err := d.provider()
	if err != nil {
		return nil, err
	}
	defer letGo()
	results, err := p.Up(ctx)
	for _, r := range results {
		if r.Error == nil {
			applied = append(applied, migrationName(r.Source.Version, r.Source.Path))
		}
	}
	if err != nil {
		return applied, fmt.Errorf("database: migrating stopped, nothing of the failed step was kept: %w", err)
	}
	return applied, nil
}

// letGo drops what migrating took: buffers of 4 MB for each file, kept in a pool
// that two collections empty. Until then they make the next collection wait for
// a heap twice as large.
func letGo() {
	runtime.GC()
	debug.FreeOSMemory() // collects as well
}

// Pending lists the names of the migrations that are still to be applied,
// oldest first. It writes nothing. A database that a newer version of the
// program migrated is an error.
func (d *DB) Pending(ctx context.Context) ([]string, error) {
	ctx, cancel := patient(ctx)
	defer cancel()
	done, err := d.applied(ctx)
	if err != nil {
		return nil, fmt.Errorf("database: cannot read which migrations are applied: %w", err)
	}
	p, err := d.provider()
	if err != nil {
		return nil, err
	}
	var pending []string
	var newest int64
	for _, s := range p.ListSources() {
		newest = max(newest, s.Version)
		if !slices.Contains(done, s.Version) {
			pending = append(pending, migrationName(s.Version, s.Path))
		}
	}
	if len(done) > 0 && slices.Max(done) > newest {
		return nil, fmt.Errorf("database: it was migrated to step %d, this program knows steps up to %d; run the newer program", slices.Max(done), newest)
	}
	return pending, nil
}

// applied asks without goose, which would create its table and take its lock.
func (d *DB) applied(ctx context.Context) ([]int64, error) {
	there := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'"
	if d.dialect == Postgres {
		there = "SELECT count(to_regclass('goose_db_version'))"
	}
	var n int
	if err := d.read.QueryRowContext(ctx, there).Scan(&n); err != nil || n == 0 {
		return nil, err
	}
	rows, err := d.read.QueryContext(ctx, "SELECT version_id FROM goose_db_version WHERE is_applied")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var done []int64
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		done = append(done, v)
	}
	return done, rows.Err()
}

func (d *DB) provider() (*goose.Provider, error) {
	dialect, queue := goose.DialectSQLite3, goose.GoFunc{RunTx: migrateQueueSQLite}
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	if d.dialect == Postgres {
		dialect, queue = goose.DialectPostgres, goose.GoFunc{RunDB: d.migrateQueuePostgres}
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600)) // asks every second for ten minutes
		if err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations.Files, string(d.dialect))
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	options = append(options, goose.WithGoMigrations(goose.NewGoMigration(queueVersion, &queue, nil)))
	p, err := goose.NewProvider(dialect, d.write, files, options...)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return p, nil
}

// migrateQueueSQLite runs in goose's transaction: there is no second connection.
func migrateQueueSQLite(ctx context.Context, tx *sql.Tx) error {
	m, err := rivermigrate.New(riversqlite.New(nil), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = m.MigrateTx(ctx, tx, rivermigrate.DirectionUp, nil)
	return err
}

// migrateQueuePostgres runs on the pool, since River needs pgx itself there. It
// may run again after a crash: River counts its own steps.
func (d *DB) migrateQueuePostgres(ctx context.Context, _ *sql.DB) error {
	m, err := rivermigrate.New(riverpgxv5.New(d.pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	// Indexes for looking jobs up by their content, which nothing here does:
	// they make 44 % of what a job writes to the write-ahead log.
	_, err = d.pool.Exec(ctx, "DROP INDEX IF EXISTS river_job_args_index, river_job_metadata_index")
	return err
}

func migrationName(version int64, file string) string {
	if version == queueVersion {
		return queueMigration
	}
	return path.Base(file)
}
