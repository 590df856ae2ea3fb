package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var auditColumns = []column{
	{"application", "text"}, {"id", "text"}, {"at", "bigint"}, {"event", "text"}, {"request_id", "text"}, {"account_id", "text"},
	{"actor", "text"}, {"client_ip", "text"}, {"move", "text"}, {"from_state", "text"}, {"to_state", "text"}, {"cause", "text"},
}

// auditRow is a row of audit; its fields stand in the order of auditColumns.
type auditRow struct {
	Application string
	ID          string
	At          int64
	Event       string
	RequestID   string
	AccountID   string
	Actor       string
	ClientIP    string
	Move        string
	FromState   string
	ToState     string
	Cause       string
}

// TableName names the table for gorm.
func (auditRow) TableName() string { return "audit" }

func (a auditRow) values() []any {
	return []any{a.Application, a.ID, a.At, a.Event, a.RequestID, a.AccountID, a.Actor, a.ClientIP, a.Move, a.FromState, a.ToState, a.Cause}
}

// auditRowOf maps an entry. What is missing of id and time is filled in, and
// texts are scrubbed rather than refused: an event must not go unrecorded
// because somebody sent odd bytes.
func auditRowOf(a workflow.AuditEntry, now time.Time) auditRow {
	if a.At.IsZero() {
		a.At = now
	}
	if a.ID.IsZero() {
		a.ID = workflow.NewID(a.At)
	}
	return auditRow{
		Application: scrub(a.Application), ID: a.ID.String(), At: micros(a.At), Event: scrub(a.Event), RequestID: idText(a.RequestID),
		AccountID: scrub(a.AccountID), Actor: scrub(a.Actor), ClientIP: scrub(a.ClientIP),
		Move: string(a.Move), FromState: string(a.From), ToState: string(a.To), Cause: scrub(a.Cause),
	}
}

func (a auditRow) entry() (workflow.AuditEntry, error) {
	id, ok := workflow.ParseID(a.ID)
	request, known := idOf(a.RequestID)
	if !ok || !known {
		return workflow.AuditEntry{}, fmt.Errorf("storage: audit holds an id that is none; restore the row from a backup")
	}
	return workflow.AuditEntry{
		Application: a.Application, ID: id, At: moment(a.At), Event: a.Event, RequestID: request, AccountID: a.AccountID, Actor: a.Actor,
		ClientIP: a.ClientIP, Move: workflow.Event(a.Move), From: workflow.State(a.FromState), To: workflow.State(a.ToState), Cause: a.Cause,
	}, nil
}

// Audit records entries in the context's transaction or at once. An entry of
// the whole installation has no application.
func (s *Store) Audit(ctx context.Context, entries ...workflow.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	st := s.statement()
	st.insert("audit", auditColumns, s.auditValues(entries), "")
	return s.db.Write(ctx).Exec(st.String(), st.args...).Error
}

func (s *Store) auditValues(entries []workflow.AuditEntry) [][]any {
	now := s.clock.Now()
	rows := make([][]any, 0, len(entries))
	for _, a := range entries {
		rows = append(rows, auditRowOf(a, now).values())
	}
	return rows
}
