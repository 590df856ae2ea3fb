package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/resetflow/resetflow/api"
	"github.com/resetflow/resetflow/config"
	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// openDatabase opens the configured database. Its errors hold no password.
func openDatabase(ctx context.Context, c config.Config) (*database.DB, error) {
	db, err := database.Open(ctx, c.Database.URL, database.Options{MaxConnections: c.Database.MaxConnections})
	if err != nil {
		return nil, named("database.url", err)
	}
	return db, nil
}

// named puts the key in front of an error that does not name it, and makes it
// one line: database drivers like several.
func named(key string, err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if strings.HasPrefix(text, key) {
		return errors.New(text)
	}
	return fmt.Errorf("%s: %s", key, text)
}

// migrated brings the schema up to date where the configuration allows it, and
// is an error that names the command otherwise.
func migrated(ctx context.Context, db *database.DB, c config.Config) error {
	pending, err := db.Pending(ctx)
	if err != nil {
		return named("database.url", err)
	}
	if len(pending) == 0 {
		return nil
	}
	if !c.Database.AutoMigrate {
		return missing(len(pending))
	}
	if _, err := db.MigrateUp(ctx); err != nil {
		return named("database.url", err)
	}
	return nil
}

// local is the installation behind the configured database.
type local struct {
	db    *database.DB
	store *storage.Store
	users workflow.Users
	actor string
}

// noQueue refuses jobs: administration makes none.
type noQueue struct{}

func (noQueue) Enqueue(context.Context, ...workflow.Job) error {
	return errors.New("resetflow: this command runs no jobs")
}

func openLocal(ctx context.Context, c config.Config) (installation, error) {
	db, err := openDatabase(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := migrated(ctx, db, c); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	store := storage.New(db, noQueue{}, systemClock{})
	users, err := userAdministration(db, store, newPool(c.KDF))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &local{db, store, users, actor()}, nil
}

// userAdministration opens the builtin directory for administration, which
// makes no tokens and no hashes: the key is good for this process alone. The
// pool knows how much memory a login may take for an imported hash.
func userAdministration(db *database.DB, store *storage.Store, pool *password.Pool) (workflow.Users, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	keyring, err := secret.NewKeyring(key)
	if err != nil {
		return nil, err
	}
	return builtin.New(db, keyring, pool, store, systemClock{}, builtin.Options{}), nil
}

func (l *local) close() { _ = l.db.Close() }

func (l *local) application(ctx context.Context, slug string) (workflow.Application, error) {
	app, err := l.store.Application(ctx, slug)
	if err != nil {
		return workflow.Application{}, err
	}
	return *app, nil
}

func (l *local) create(ctx context.Context, app workflow.Application) error {
	return l.store.Create(ctx, app, l.actor)
}

func (l *local) update(ctx context.Context, old, app workflow.Application) error {
	app.Version = old.Version
	return l.store.Update(ctx, app, l.actor)
}

func (l *local) createKey(ctx context.Context, k newKey) (key, id string, err error) {
	if k.application != "" {
		if _, err := l.application(ctx, k.application); err != nil {
			return "", "", err
		}
	}
	key, row, err := api.NewKey(k.application, k.name, k.kind, k.permissions, k.origins, systemClock{}.Now())
	if err != nil {
		return "", "", err
	}
	return key, row.ID, l.store.CreateKey(ctx, row, l.actor)
}

func (l *local) keys(ctx context.Context, application string) ([]workflow.APIKey, error) {
	if application != "" {
		if _, err := l.application(ctx, application); err != nil {
			return nil, err
		}
	}
	var all []workflow.APIKey
	for cursor := ""; ; {
		page, next, err := l.store.Keys(ctx, application, cursor, 200)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); next == "" {
			return all, nil
		}
		cursor = next
	}
}

func (l *local) revokeKey(ctx context.Context, application, id string) error {
	return l.store.RevokeKey(ctx, application, id, l.actor)
}

func (l *local) createUser(ctx context.Context, application string, u workflow.NewUser) error {
	_, err := l.users.CreateUser(ctx, application, u, l.actor)
	return err
}

func (l *local) userExists(ctx context.Context, application, email string) (bool, error) {
	rows, _, err := l.users.ListUsers(ctx, application, email, "", 1)
	return len(rows) > 0, err
}

// isLoopback reports whether host is this machine.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
