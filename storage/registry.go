package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/resetflow/resetflow/workflow"
)

// applicationRow is a row of applications. Doc is the JSON of workflow.Application.
type applicationRow struct {
	Slug    string
	Version int64
	Doc     string
}

// TableName names the table for gorm.
func (applicationRow) TableName() string { return "applications" }

func (r applicationRow) application() (*workflow.Application, error) {
	app := workflow.DefaultApplication(r.Slug) // settings that came with a later version have their defaults
	if err := json.Unmarshal([]byte(r.Doc), &app); err != nil {
		return nil, fmt.Errorf("storage: the settings of application %q cannot be read; apply them again: %w", r.Slug, err)
	}
	app.Slug, app.Version = r.Slug, r.Version
	return &app, nil
}

// document writes app as it is stored, and makes sure it can be read again.
func document(app workflow.Application) (string, error) {
	if !clean(app.Slug) || app.Slug == "" {
		return "", ErrText
	}
	doc, err := json.Marshal(app)
	if err != nil {
		return "", fmt.Errorf("storage: the settings of application %q cannot be written: %w", app.Slug, err)
	}
	if strings.Contains(string(doc), `\u0000`) {
		return "", ErrText
	}
	_, err = applicationRow{Slug: app.Slug, Doc: string(doc)}.application()
	return string(doc), err
}

// Application returns the settings of a slug, from memory where they are young
// enough. The result is shared: never write to it.
func (s *Store) Application(ctx context.Context, slug string) (*workflow.Application, error) {
	if slug == "" || !clean(slug) {
		return nil, workflow.ErrNotFound
	}
	in := func(c *cache) map[string]item[*workflow.Application] { return c.applications }
	return cached(ctx, s, in, slug, func() (*workflow.Application, error) {
		return s.readApplication(ctx, `SELECT slug, version, doc FROM applications WHERE slug = ?`, slug)
	})
}

// ByHost finds the application a host is mapped to; the host's case does not count.
func (s *Store) ByHost(ctx context.Context, host string) (*workflow.Application, error) {
	host = strings.ToLower(host)
	if host == "" || !clean(host) {
		return nil, workflow.ErrNotFound
	}
	in := func(c *cache) map[string]item[*workflow.Application] { return c.hosts }
	return cached(ctx, s, in, host, func() (*workflow.Application, error) {
		return s.readApplication(ctx, `SELECT a.slug, a.version, a.doc FROM application_hosts h JOIN applications a ON a.slug = h.application WHERE h.host = ?`, host)
	})
}

func (s *Store) readApplication(ctx context.Context, query string, arg string) (*workflow.Application, error) {
	var rows []applicationRow
	if err := s.db.Read(ctx).Raw(query, arg).Find(&rows).Error; err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, workflow.ErrNotFound
	}
	return rows[0].application()
}

// List returns applications after cursor by slug, at most 200, from the database.
func (s *Store) List(ctx context.Context, cursor string, limit int) ([]workflow.Application, string, error) {
	if !clean(cursor) {
		return nil, "", workflow.Violate("cursor", workflow.VioInvalidValue)
	}
	size := pageSize(limit)
	var rows []applicationRow
	err := s.db.Read(ctx).Raw(`SELECT slug, version, doc FROM applications WHERE slug > ? ORDER BY slug LIMIT ?`, cursor, size+1).Find(&rows).Error
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].Slug
	}
	list := make([]workflow.Application, 0, len(rows))
	for _, r := range rows {
		app, err := r.application()
		if err != nil {
			return nil, "", err
		}
		list = append(list, *app)
	}
	return list, next, nil
}

// Create inserts an application as version 1. ErrNotUnique with a taken slug or host.
func (s *Store) Create(ctx context.Context, app workflow.Application, actor string) error {
	doc, err := document(app)
	if err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context) error {
		now := micros(s.clock.Now())
		err := s.db.Write(ctx).Exec(`INSERT INTO applications (slug, version, doc, created_at, updated_at) VALUES (?, 1, ?, ?, ?)`, app.Slug, doc, now, now).Error
		if err != nil {
			return unique(err)
		}
		if err := s.mapHosts(ctx, app); err != nil {
			return err
		}
		return s.Audit(ctx, workflow.AuditEntry{Application: app.Slug, Event: "authz_admin", Actor: actor, Cause: "application_created"})
	})
}

// Update saves where the stored version is app.Version.
func (s *Store) Update(ctx context.Context, app workflow.Application, actor string) error {
	doc, err := document(app)
	if err != nil {
		return err
	}
	return s.change(ctx, func(ctx context.Context) error {
		db := s.db.Write(ctx)
		tx := db.Exec(`UPDATE applications SET doc = ?, version = version + 1, updated_at = ? WHERE slug = ? AND version = ?`,
			doc, micros(s.clock.Now()), app.Slug, app.Version)
		if tx.Error != nil {
			return tx.Error
		}
		if tx.RowsAffected == 0 {
			if _, err := s.readApplication(ctx, `SELECT slug, version, doc FROM applications WHERE slug = ?`, app.Slug); err != nil {
				return err
			}
			return workflow.ErrStale
		}
		if err := db.Exec(`DELETE FROM application_hosts WHERE application = ?`, app.Slug).Error; err != nil {
			return err
		}
		if err := s.mapHosts(ctx, app); err != nil {
			return err
		}
		return s.Audit(ctx, workflow.AuditEntry{Application: app.Slug, Event: "authz_admin", Actor: actor, Cause: "application_updated"})
	})
}

func (s *Store) mapHosts(ctx context.Context, app workflow.Application) error {
	for _, host := range app.Hosts {
		err := s.db.Write(ctx).Exec(`INSERT INTO application_hosts (host, application) VALUES (?, ?)`, strings.ToLower(host), app.Slug).Error
		if err != nil {
			return unique(err)
		}
	}
	return nil
}

// Everything of an application: the tables whose rows have an id are emptied in
// batches first, so that the last transaction is short.
var (
	batched = []string{"sessions", "messages", "requests", "audit", "password_history", "accounts"}
	whole   = []string{"limits", "limits_fast", "api_keys", "application_hosts", "audit_chains"}
)

const deleteBatch = 5000

// Delete removes an application with everything of it. If it is interrupted,
// the application is still there, with less in it, and can be deleted again.
// Its beginning and its end are audited for the installation.
func (s *Store) Delete(ctx context.Context, slug, actor string) error {
	if slug == "" || !clean(slug) {
		return workflow.ErrNotFound
	}
	if _, err := s.readApplication(ctx, `SELECT slug, version, '{}' AS doc FROM applications WHERE slug = ?`, slug); err != nil {
		return err
	}
	// What is deleted in batches cannot be one commit with its audit row, so the
	// intention is recorded first: without a row nothing goes.
	if err := s.Audit(ctx, workflow.AuditEntry{Event: "authz_admin", Actor: actor, Cause: "application_deleting:" + slug}); err != nil {
		return err
	}
	for _, table := range batched {
		for {
			tx := s.db.Write(ctx).Exec(`DELETE FROM `+table+` WHERE application = ? AND id IN (SELECT id FROM `+table+` WHERE application = ? LIMIT ?)`,
				slug, slug, deleteBatch)
			if tx.Error != nil {
				return tx.Error
			}
			if tx.RowsAffected < deleteBatch {
				break
			}
		}
	}
	return s.change(ctx, func(ctx context.Context) error {
		db := s.db.Write(ctx)
		if err := one(db.Exec(`DELETE FROM applications WHERE slug = ?`, slug)); err != nil {
			return err
		}
		for _, tables := range [][]string{batched, whole} {
			for _, table := range tables {
				if err := db.Exec(`DELETE FROM `+table+` WHERE application = ?`, slug).Error; err != nil {
					return err
				}
			}
		}
		return s.Audit(ctx, workflow.AuditEntry{Event: "authz_admin", Actor: actor, Cause: "application_deleted:" + slug})
	})
}

// change runs fn in a transaction after whose commit this node reads anew.
func (s *Store) change(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.db.Atomically(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			return err
		}
		s.db.AfterCommit(ctx, s.cache.drop)
		return nil
	})
}

// unique turns a violated unique index into ErrNotUnique.
func unique(err error) error {
	if _, ok := duplicate(err); ok {
		return fmt.Errorf("%w: %w", workflow.ErrNotUnique, err)
	}
	return err
}
