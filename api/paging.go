package api

import (
	"encoding/base64"
	"net/http"
	"strconv"

	"github.com/resetflow/resetflow/internal/address"
	"github.com/resetflow/resetflow/workflow"
)

// The bounds of ?limit= (contract §7).
const (
	defaultLimit = 50
	maxLimit     = 200
)

// list is a page of anything.
type list[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor,omitempty"`
}

// page reads ?limit= and ?cursor=. A cursor is the store's, wrapped so that
// nobody builds on what it holds; what does not unwrap is refused here.
func (c *call) page(v workflow.Violations) (cursor string, limit int) {
	limit = defaultLimit
	if raw := c.QueryParams()["limit"]; len(raw) > 0 {
		n, err := strconv.Atoi(raw[0])
		if len(raw) > 1 || err != nil || n < 1 || n > maxLimit || strconv.Itoa(n) != raw[0] {
			v.Add("limit", workflow.VioInvalidValue, "minimum", "1", "maximum", strconv.Itoa(maxLimit))
			n = defaultLimit
		}
		limit = n
	}
	if raw := c.query(v, "cursor"); raw != "" {
		b, err := base64.RawURLEncoding.Strict().DecodeString(raw)
		if err != nil || len(b) == 0 || !printable(string(b)) {
			v.Add("cursor", workflow.VioInvalidValue)
		}
		cursor = string(b)
	}
	return cursor, limit
}

// query returns a parameter that may stand once.
func (c *call) query(v workflow.Violations, name string) string {
	switch raw := c.QueryParams()[name]; {
	case len(raw) == 0:
		return ""
	case len(raw) > 1 || len(raw[0]) > maxCode:
		v.Add(name, workflow.VioInvalidValue)
		return ""
	default:
		return raw[0]
	}
}

// queryEmail returns ?email= in canonical form.
func (c *call) queryEmail(v workflow.Violations) string {
	raw := c.query(v, "email")
	if raw == "" {
		return ""
	}
	canonical, ok := address.Parse(raw)
	if !ok {
		v.Add("email", workflow.VioInvalidEmail)
	}
	return canonical
}

// sendList writes rows as a page, each through show.
func sendList[R, T any](c *call, rows []R, next string, err error, show func(R) T) error {
	if err != nil {
		return err
	}
	out := list[T]{Items: make([]T, 0, len(rows))}
	for _, r := range rows {
		out.Items = append(out.Items, show(r))
	}
	if next != "" {
		out.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(next))
	}
	return c.send(http.StatusOK, out)
}

// rowID reads the path's :id where rows are named by UUIDs.
func (c *call) rowID() (workflow.ID, error) {
	id, ok := workflow.ParseID(c.Param("id"))
	if !ok {
		return workflow.ID{}, notFound()
	}
	return id, nil
}

// nameID reads the path's :id where a directory chooses the form.
func (c *call) nameID() (string, error) {
	id := c.Param("id")
	if !idForm.MatchString(id) {
		return "", notFound()
	}
	return id, nil
}
