package storage

import (
	"context"

	"github.com/resetflow/resetflow/workflow"
)

// Message loads a message and its request in one statement. A message without
// a request, or whose request is pruned, comes with the zero Request.
func (s *Store) Message(ctx context.Context, application string, id workflow.ID) (workflow.Message, workflow.Request, error) {
	if !clean(application) {
		return workflow.Message{}, workflow.Request{}, workflow.ErrNotFound
	}
	var rows []struct {
		M messageRow `gorm:"embedded;embeddedPrefix:m_"`
		R requestRow `gorm:"embedded;embeddedPrefix:r_"`
	}
	err := s.db.Read(ctx).Raw(`SELECT `+aliased(messageColumns, "m")+`, `+aliased(requestColumns, "r")+`
FROM messages m LEFT JOIN requests r ON r.application = m.application AND r.id = m.request_id
WHERE m.application = ? AND m.id = ?`, application, id.String()).Find(&rows).Error
	if err != nil {
		return workflow.Message{}, workflow.Request{}, err
	}
	if len(rows) == 0 {
		return workflow.Message{}, workflow.Request{}, workflow.ErrNotFound
	}
	m, err := rows[0].M.message()
	if err != nil || rows[0].R.ID == "" {
		return m, workflow.Request{}, err
	}
	r, err := rows[0].R.request()
	return m, r, err
}

// OfRequest loads the newest message of a request for a send number.
func (s *Store) OfRequest(ctx context.Context, application string, request workflow.ID, send int) (workflow.Message, error) {
	if request.IsZero() || !clean(application) {
		return workflow.Message{}, workflow.ErrNotFound
	}
	var rows []messageRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(messageColumns, "")+` FROM messages
WHERE application = ? AND request_id = ? AND send = ? ORDER BY id DESC LIMIT 1`, application, request.String(), send).Find(&rows).Error
	if err != nil {
		return workflow.Message{}, err
	}
	if len(rows) == 0 {
		return workflow.Message{}, workflow.ErrNotFound
	}
	return rows[0].message()
}

// Record writes the outcome of a try. What is sent stays sent: a second worker
// that was handed the same message counts its try and changes nothing else.
func (s *Store) Record(ctx context.Context, application string, id workflow.ID, o workflow.Outcome) error {
	if !clean(application, string(o.State)) {
		return workflow.ErrNotFound
	}
	sent := int64(0)
	if o.State == workflow.MessageSent {
		sent = micros(o.At)
	}
	return one(s.db.Write(ctx).Exec(`UPDATE messages SET attempts = attempts + 1,
sent_at = CASE WHEN state = 'sent' THEN sent_at ELSE ? END,
last_reply = CASE WHEN state = 'sent' THEN last_reply ELSE ? END,
next_try = CASE WHEN state = 'sent' THEN next_try ELSE ? END,
state = CASE WHEN state = 'sent' THEN state ELSE ? END
WHERE application = ? AND id = ?`,
		sent, scrub(o.Reply), micros(o.NextTry), string(o.State), application, id.String()))
}

// aliased writes columns of table as prefix_name.
func aliased(columns []column, prefix string) string {
	list := ""
	for i, c := range columns {
		if i > 0 {
			list += ", "
		}
		list += prefix + "." + c.name + " AS " + prefix + "_" + c.name
	}
	return list
}
