package storage

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/resetflow/resetflow/workflow"
)

var keyColumns = []column{
	{"application", "text"}, {"id", "text"}, {"name", "text"}, {"type", "text"}, {"permissions", "text"}, {"allowed_origins", "text"},
	{"prefix", "text"}, {"last_four", "text"}, {"hash", "bytea"}, {"created_at", "bigint"}, {"revoked_at", "bigint"},
}

// keyRow is a row of api_keys. Permissions and AllowedOrigins are JSON arrays.
type keyRow struct {
	Application    string
	ID             string
	Name           string
	Type           string
	Permissions    string
	AllowedOrigins string
	Prefix         string
	LastFour       string
	Hash           []byte
	CreatedAt      int64
	RevokedAt      int64
}

// TableName names the table for gorm.
func (keyRow) TableName() string { return "api_keys" }

func (r keyRow) key() (workflow.APIKey, error) {
	k := workflow.APIKey{
		ID: r.ID, Application: r.Application, Name: r.Name, Type: workflow.KeyType(r.Type), Prefix: r.Prefix, LastFour: r.LastFour,
		Hash: r.Hash, CreatedAt: moment(r.CreatedAt), RevokedAt: moment(r.RevokedAt),
	}
	for _, list := range []struct {
		text string
		into *[]string
	}{{r.Permissions, &k.Permissions}, {r.AllowedOrigins, &k.AllowedOrigins}} {
		if err := json.Unmarshal([]byte(list.text), list.into); err != nil {
			return workflow.APIKey{}, fmt.Errorf("storage: API key %s cannot be read; revoke it and make another: %w", r.ID, err)
		}
	}
	return k, nil
}

// array writes a JSON array; none is the empty one.
func array(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(list) // texts always marshal
	return string(b)
}

// CreateKey inserts a key. ErrNotUnique with a taken id or hash, ErrNotFound
// where its application does not exist.
func (s *Store) CreateKey(ctx context.Context, k workflow.APIKey, actor string) error {
	if len(k.Hash) == 0 || k.ID == "" {
		return fmt.Errorf("storage: an API key without id or hash cannot be kept")
	}
	texts := append([]string{k.ID, k.Application, k.Name, string(k.Type), k.Prefix, k.LastFour}, k.Permissions...)
	if !clean(append(texts, k.AllowedOrigins...)...) {
		return ErrText
	}
	created := k.CreatedAt
	if created.IsZero() {
		created = s.clock.Now()
	}
	return s.change(ctx, func(ctx context.Context) error {
		if k.Application != "" {
			if _, err := s.readApplication(ctx, `SELECT slug, version, '{}' AS doc FROM applications WHERE slug = ?`, k.Application); err != nil {
				return err
			}
		}
		st := s.statement()
		st.insert("api_keys", keyColumns, [][]any{{k.Application, k.ID, k.Name, string(k.Type), array(k.Permissions), array(k.AllowedOrigins),
			k.Prefix, k.LastFour, k.Hash, micros(created), micros(k.RevokedAt)}}, "")
		if err := s.db.Write(ctx).Exec(st.String(), st.args...).Error; err != nil {
			return unique(err)
		}
		return s.Audit(ctx, workflow.AuditEntry{Application: k.Application, Event: "privilege_permissions_changed", Actor: actor, Cause: "key_created:" + k.ID})
	})
}

// Key finds an active key by hash, from memory where it is young enough. The
// result's lists are shared: never write to them.
func (s *Store) Key(ctx context.Context, hash []byte) (workflow.APIKey, error) {
	if len(hash) == 0 {
		return workflow.APIKey{}, workflow.ErrNotFound
	}
	in := func(c *cache) map[string]item[workflow.APIKey] { return c.keys }
	return cached(ctx, s, in, string(hash), func() (workflow.APIKey, error) {
		var rows []keyRow
		err := s.db.Read(ctx).Raw(`SELECT `+columnList(keyColumns, "")+` FROM api_keys WHERE hash = ? AND revoked_at = 0`, hash).Find(&rows).Error
		if err != nil {
			return workflow.APIKey{}, err
		}
		if len(rows) == 0 {
			return workflow.APIKey{}, workflow.ErrNotFound
		}
		return rows[0].key()
	})
}

// Keys lists the keys of an application ("" for the installation's own), the
// revoked ones too, after cursor by id, at most 200.
func (s *Store) Keys(ctx context.Context, application, cursor string, limit int) ([]workflow.APIKey, string, error) {
	if !clean(cursor) {
		return nil, "", workflow.Violate("cursor", workflow.VioInvalidValue)
	}
	if !clean(application) {
		return nil, "", nil
	}
	size := pageSize(limit)
	var rows []keyRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(keyColumns, "")+` FROM api_keys WHERE application = ? AND id > ? ORDER BY id LIMIT ?`,
		application, cursor, size+1).Find(&rows).Error
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].ID
	}
	list := make([]workflow.APIKey, 0, len(rows))
	for _, r := range rows {
		k, err := r.key()
		if err != nil {
			return nil, "", err
		}
		list = append(list, k)
	}
	return list, next, nil
}

// RevokeKey ends an active key.
func (s *Store) RevokeKey(ctx context.Context, application, id, actor string) error {
	if !clean(application, id) {
		return workflow.ErrNotFound
	}
	return s.change(ctx, func(ctx context.Context) error {
		err := one(s.db.Write(ctx).Exec(`UPDATE api_keys SET revoked_at = ? WHERE application = ? AND id = ? AND revoked_at = 0`,
			micros(s.clock.Now()), application, id))
		if err != nil {
			return err
		}
		return s.Audit(ctx, workflow.AuditEntry{Application: application, Event: "privilege_permissions_changed", Actor: actor, Cause: "key_revoked:" + id})
	})
}

// OriginKnown reports whether an origin stands on any active publishable key.
func (s *Store) OriginKnown(ctx context.Context, origin string) (bool, error) {
	in := func(c *cache) map[string]item[map[string]bool] { return c.origins }
	known, err := cached(ctx, s, in, "", func() (map[string]bool, error) {
		var lists []string
		err := s.db.Read(ctx).Raw(`SELECT allowed_origins FROM api_keys WHERE type = 'publishable' AND revoked_at = 0`).Find(&lists).Error
		if err != nil {
			return nil, err
		}
		set := map[string]bool{}
		for _, text := range lists {
			var origins []string
			if err := json.Unmarshal([]byte(text), &origins); err != nil {
				return nil, fmt.Errorf("storage: the origins of an API key cannot be read: %w", err)
			}
			for _, o := range origins {
				set[o] = true
			}
		}
		return set, nil
	})
	return known[origin], err
}
