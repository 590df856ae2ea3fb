package main

import (
	"context"
	"fmt"

	"github.com/resetflow/resetflow/internal/database"
)

type migrateCommand struct {
	Up     migrateUpCommand     `cmd:"" help:"Apply the missing migrations."`
	Status migrateStatusCommand `cmd:"" help:"List the missing migrations; exit 1 if there are any."`
}

type migrateUpCommand struct{ configFlag }

// Run applies what is missing. Several nodes may do it at once.
func (c migrateUpCommand) Run(ctx context.Context, w *world) error {
	db, err := c.database(ctx, w)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	applied, err := db.MigrateUp(ctx)
	for _, name := range applied {
		fmt.Fprintln(w.stdout, "applied "+name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w.stdout, "the schema is up to date")
	return err
}

type migrateStatusCommand struct{ configFlag }

// Run lists what is missing, for scripts by the exit code.
func (c migrateStatusCommand) Run(ctx context.Context, w *world) error {
	db, err := c.database(ctx, w)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	pending, err := db.Pending(ctx)
	if err != nil {
		return err
	}
	for _, name := range pending {
		fmt.Fprintln(w.stdout, "missing "+name)
	}
	if len(pending) > 0 {
		return missing(len(pending))
	}
	_, err = fmt.Fprintln(w.stdout, "the schema is up to date")
	return err
}

func (f configFlag) database(ctx context.Context, w *world) (*database.DB, error) {
	l, err := f.load(w)
	if err != nil {
		return nil, err
	}
	return openDatabase(ctx, l.Config)
}

func missing(n int) error {
	if n == 1 {
		return fmt.Errorf("database.url: one migration is missing; run resetflow migrate up")
	}
	return fmt.Errorf("database.url: %d migrations are missing; run resetflow migrate up", n)
}
