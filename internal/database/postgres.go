package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
)

func openPostgres(ctx context.Context, url string, o Options) (*DB, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx blots the password out of this error, but only where it finds it.
		return nil, errors.New("database.url: this postgres:// address cannot be read; it looks like postgres://user:password@host:5432/name, with special characters in the password percent-encoded")
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultConnections
	}
	// The queue's listener holds one, a migration needs two.
	cfg.MaxConns = int32(min(max(o.MaxConnections, 4), 10_000))
	cfg.MaxConnIdleTime = 5 * time.Minute
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "resetflow"
	}
	if o.Statements != nil {
		cfg.ConnConfig.Tracer = pgxObserver{o.Statements}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err == nil {
		err = pool.Ping(ctx)
	}
	if err != nil {
		if pool != nil {
			pool.Close()
		}
		return nil, fmt.Errorf("database.url: PostgreSQL at %s:%d does not let us in: %w; check that it runs and that the address, name, user and password are right",
			cfg.ConnConfig.Host, cfg.ConnConfig.Port, err)
	}
	// database/sql must keep no idle connections of its own: those would starve
	// the users of the pool beneath. OpenDBFromPool sets that limit to 0.
	handle := stdlib.OpenDBFromPool(pool)
	db, err := openGorm(pgDialector{&postgres.Dialector{Config: &postgres.Config{Conn: handle}}})
	if err != nil {
		_ = handle.Close()
		pool.Close()
		return nil, fmt.Errorf("database: %w", err)
	}
	return &DB{dialect: Postgres, writer: db, reader: db, write: handle, read: handle, pool: pool}, nil
}
