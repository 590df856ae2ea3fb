package storage

import (
	"context"

	"github.com/resetflow/resetflow/workflow"
)

// maxPage bounds a page, whatever was asked for (contract §7).
const maxPage = 200

func pageSize(limit int) int { return min(max(limit, 1), maxPage) }

// filter collects conditions; each is an equality or a bound on the id.
type filter struct {
	where string
	args  []any
	dirty bool // a text that no row can hold: the answer is empty
}

func (f *filter) equal(column, value string) {
	if value == "" {
		return
	}
	f.dirty = f.dirty || !clean(value)
	f.where += " AND " + column + " = ?"
	f.args = append(f.args, value)
}

// after reads a cursor: the id of the last row seen, of which older ones follow.
func (f *filter) after(cursor string) error {
	if cursor == "" {
		return nil
	}
	id, ok := workflow.ParseID(cursor)
	if !ok {
		return workflow.Violate("cursor", workflow.VioInvalidValue)
	}
	f.where += " AND id < ?"
	f.args = append(f.args, id.String())
	return nil
}

func newFilter(application string) *filter {
	return &filter{where: "application = ?", args: []any{application}, dirty: !clean(application)}
}

// Requests lists newest first. A page holds at most 200 rows; a cursor that is
// none is a violation on cursor.
func (s *Store) Requests(ctx context.Context, application string, q workflow.RequestQuery) ([]workflow.Request, string, error) {
	f := newFilter(application)
	f.equal("email", q.Email)
	f.equal("state", string(q.State))
	f.equal("flow", string(q.Flow))
	if err := f.after(q.Cursor); err != nil || f.dirty {
		return nil, "", err
	}
	size := pageSize(q.Limit)
	var rows []requestRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(requestColumns, "")+` FROM requests WHERE `+f.where+` ORDER BY id DESC LIMIT ?`,
		append(f.args, size+1)...).Find(&rows).Error
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].ID
	}
	list, err := toRequests(rows)
	return list, next, err
}

// Timeline lists a request's audit entries, oldest first.
func (s *Store) Timeline(ctx context.Context, application string, request workflow.ID) ([]workflow.AuditEntry, error) {
	if request.IsZero() || !clean(application) {
		return nil, nil
	}
	var rows []auditRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(auditColumns, "")+` FROM audit
WHERE application = ? AND request_id = ? AND request_id <> '' ORDER BY at, id`, application, request.String()).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	list := make([]workflow.AuditEntry, 0, len(rows))
	for _, row := range rows {
		a, err := row.entry()
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// Messages lists newest first, in pages as [Store.Requests] does.
func (s *Store) Messages(ctx context.Context, application string, q workflow.MessageQuery) ([]workflow.Message, string, error) {
	f := newFilter(application)
	f.equal("state", string(q.State))
	if err := f.after(q.Cursor); err != nil || f.dirty {
		return nil, "", err
	}
	size := pageSize(q.Limit)
	var rows []messageRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(messageColumns, "")+` FROM messages WHERE `+f.where+` ORDER BY id DESC LIMIT ?`,
		append(f.args, size+1)...).Find(&rows).Error
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = rows[size-1].ID
	}
	list, err := toMessages(rows)
	return list, next, err
}
