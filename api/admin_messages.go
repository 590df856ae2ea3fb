package api

import (
	"net/http"
	"slices"

	"github.com/resetflow/resetflow/workflow"
)

// message is a row of the delivery ledger. It never holds the code: neither
// does the row.
type message struct {
	ID        string `json:"id"`
	RequestID string `json:"requestId,omitempty"`
	UserID    string `json:"userId,omitempty"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	To        string `json:"to"`
	Locale    string `json:"locale"`
	Send      int    `json:"send,omitempty"` // which code of the request; none for notices
	Attempts  int    `json:"attempts"`
	LastReply string `json:"lastReply"`
	NextTry   string `json:"nextTry,omitempty"`
	CreatedAt string `json:"createdAt"`
	SentAt    string `json:"sentAt,omitempty"`
	ExpiresAt string `json:"expiresAt,omitempty"`
}

func showMessageRow(m workflow.Message) message {
	out := message{ID: m.ID.String(), UserID: m.AccountID, Kind: string(m.Kind), State: string(m.State), To: m.To,
		Locale: m.Locale, Send: max(m.Send, 0), Attempts: m.Attempts, LastReply: m.LastReply,
		CreatedAt: stamp(m.CreatedAt), SentAt: stamp(m.SentAt), ExpiresAt: stamp(m.ExpiresAt)}
	if !m.RequestID.IsZero() {
		out.RequestID = m.RequestID.String()
	}
	if m.State == workflow.MessageQueued {
		out.NextTry = stamp(m.NextTry)
	}
	return out
}

// messageStates are the filters a list takes.
var messageStates = []workflow.MessageState{workflow.MessageQueued, workflow.MessageSent, workflow.MessageFailed, workflow.MessageExpired, workflow.MessageVoid}

func listMessages(c *call) error {
	v := workflow.Violations{}
	cursor, limit := c.page(v)
	q := workflow.MessageQuery{State: workflow.MessageState(c.query(v, "state")), Cursor: cursor, Limit: limit}
	if q.State != "" && !slices.Contains(messageStates, q.State) {
		v.Add("state", workflow.VioInvalidValue)
	}
	if err := v.Err(); err != nil {
		return err
	}
	rows, next, err := c.s.History.Messages(c.ctx, c.app.Slug, q)
	return sendList(c, rows, next, err, showMessageRow)
}

func (c *call) sendMessage(status int, id workflow.ID) error {
	m, _, err := c.s.Messages.Message(c.ctx, c.app.Slug, id)
	if err != nil {
		return err
	}
	return c.send(status, showMessageRow(m))
}

func showMessage(c *call) error {
	id, err := c.rowID()
	if err != nil {
		return err
	}
	return c.sendMessage(http.StatusOK, id)
}

func retryMessage(c *call) error {
	id, err := c.rowID()
	if err != nil {
		return err
	}
	if err := c.s.Engine.RetryMessage(c.ctx, c.app, id, c.who.actor()); err != nil {
		return err
	}
	return c.sendMessage(http.StatusAccepted, id)
}
