package api

import (
	"encoding/hex"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// auditEvent is an audit entry as administrators see it. Entries hold no code,
// password, token or key to begin with.
type auditEvent struct {
	ID        string `json:"id"`
	At        string `json:"at"`
	Event     string `json:"event"`
	RequestID string `json:"requestId,omitempty"`
	UserID    string `json:"userId,omitempty"`
	Actor     string `json:"actor"`
	ClientIP  string `json:"clientIp,omitempty"`
	Move      string `json:"move,omitempty"`
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	Cause     string `json:"cause,omitempty"`
	Seq       int64  `json:"seq,omitempty"`
	Hash      string `json:"hash,omitempty"`
	KeyID     string `json:"keyId,omitempty"`
}

// exactly is how finely an audit event's time is shown: to the microsecond, as it is sealed.
const exactly = "2006-01-02T15:04:05.000000Z"

func showAuditEvent(e workflow.SealedEntry) auditEvent {
	out := auditEvent{ID: e.ID.String(), At: e.At.UTC().Format(exactly), Event: e.Event, UserID: e.AccountID, Actor: e.Actor, ClientIP: e.ClientIP,
		Move: string(e.Move), From: string(e.From), To: string(e.To), Cause: e.Cause, Seq: e.Seq, Hash: hex.EncodeToString(e.Hash), KeyID: e.KeyID}
	if !e.RequestID.IsZero() {
		out.RequestID = e.RequestID.String()
	}
	return out
}

func listAuditEvents(c *call) error {
	v := workflow.Violations{}
	cursor, limit := c.page(v)
	q := workflow.AuditQuery{Event: c.query(v, "event"), Account: c.query(v, "account"), Cursor: cursor, Limit: limit}
	if raw := c.query(v, "request"); raw != "" {
		id, ok := workflow.ParseID(raw)
		if !ok {
			v.Add("request", workflow.VioInvalidValue)
		}
		q.Request = id
	}
	if raw := c.query(v, "since"); raw != "" {
		since, err := time.Parse(time.RFC3339, raw)
		if err != nil || since.Year() < 1970 {
			v.Add("since", workflow.VioInvalidValue)
		}
		q.Since = since
	}
	if err := v.Err(); err != nil {
		return err
	}
	rows, next, err := c.s.Trail.AuditEvents(c.ctx, c.app.Slug, q)
	return sendList(c, rows, next, err, showAuditEvent)
}
