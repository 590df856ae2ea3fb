package api

import (
	"net/http"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

type keyBody struct {
	name, kind           text
	permissions, origins strictjson.Optional[[]string]
}

func keyFields(in *keyBody) []strictjson.Field {
	return []strictjson.Field{
		strictjson.String("name", &in.name),
		strictjson.String("type", &in.kind),
		strictjson.Strings("permissions", &in.permissions),
		strictjson.Strings("allowedOrigins", &in.origins),
	}
}

// apiKey is a key as it is shown afterwards; Key is filled once, at creation.
type apiKey struct {
	ID             string   `json:"id"`
	Key            string   `json:"key,omitempty"`
	Name           string   `json:"name"`
	Type           string   `json:"type"`
	Permissions    []string `json:"permissions"`
	AllowedOrigins []string `json:"allowedOrigins"`
	Prefix         string   `json:"prefix"`
	LastFour       string   `json:"lastFour"`
	CreatedAt      string   `json:"createdAt"`
	RevokedAt      string   `json:"revokedAt,omitempty"`
}

func showKeyRow(k workflow.APIKey) apiKey {
	if k.AllowedOrigins == nil {
		k.AllowedOrigins = []string{}
	}
	return apiKey{k.ID, "", k.Name, string(k.Type), k.Permissions, k.AllowedOrigins, k.Prefix, k.LastFour, stamp(k.CreatedAt), stamp(k.RevokedAt)}
}

// createKey never grants what the caller does not hold, or a key could make
// itself a stronger one.
func createKey(c *call, in *keyBody) error {
	v := workflow.Violations{}
	for name, given := range map[string]bool{"name": in.name.Given, "type": in.kind.Given, "permissions": in.permissions.Given} {
		if !given {
			v.Add(name, workflow.VioRequired)
		}
	}
	if err := v.Err(); err != nil {
		return err
	}
	key, row, err := NewKey(c.app.Slug, in.name.Value, workflow.KeyType(in.kind.Value), in.permissions.Value, in.origins.Value, c.s.Clock.Now())
	if err != nil {
		return err
	}
	for _, p := range row.Permissions {
		if !c.who.holds(Permission(p)) {
			return workflow.Fail(workflow.CodeForbidden, nil)
		}
	}
	if err := c.s.Keys.CreateKey(c.ctx, row, c.who.actor()); err != nil {
		return err
	}
	out := showKeyRow(row)
	out.Key = key
	return c.send(http.StatusCreated, out)
}

func listKeys(c *call) error {
	v := workflow.Violations{}
	cursor, limit := c.page(v)
	if err := v.Err(); err != nil {
		return err
	}
	rows, next, err := c.s.Keys.Keys(c.ctx, c.app.Slug, cursor, limit)
	return sendList(c, rows, next, err, showKeyRow)
}

func revokeKey(c *call) error {
	id, err := c.nameID()
	if err != nil {
		return err
	}
	if err := c.s.Keys.RevokeKey(c.ctx, c.app.Slug, id, c.who.actor()); err != nil {
		return err
	}
	return c.done()
}
