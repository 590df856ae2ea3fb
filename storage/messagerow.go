package storage

import (
	"fmt"

	"github.com/resetflow/resetflow/workflow"
)

var messageColumns = []column{
	{"application", "text"}, {"id", "text"}, {"request_id", "text"}, {"account_id", "text"}, {"kind", "text"}, {"state", "text"},
	{"send", "bigint"}, {"with_link", "boolean"}, {"no_code", "boolean"}, {"recipient", "text"}, {"name", "text"}, {"locale", "text"},
	{"ended", "bigint"}, {"device", "text"}, {"place", "text"}, {"attempts", "bigint"}, {"last_reply", "text"},
	{"next_try", "bigint"}, {"created_at", "bigint"}, {"sent_at", "bigint"}, {"expires_at", "bigint"},
}

// messageRow is a row of messages; its fields stand in the order of messageColumns.
type messageRow struct {
	Application string
	ID          string
	RequestID   string
	AccountID   string
	Kind        string
	State       string
	Send        int
	WithLink    bool
	NoCode      bool
	Recipient   string
	Name        string
	Locale      string
	Ended       int
	Device      string
	Place       string
	Attempts    int
	LastReply   string
	NextTry     int64
	CreatedAt   int64
	SentAt      int64
	ExpiresAt   int64
}

// TableName names the table for gorm.
func (messageRow) TableName() string { return "messages" }

func (m messageRow) values() []any {
	return []any{m.Application, m.ID, m.RequestID, m.AccountID, m.Kind, m.State, m.Send, m.WithLink, m.NoCode, m.Recipient, m.Name, m.Locale,
		m.Ended, m.Device, m.Place, m.Attempts, m.LastReply, m.NextTry, m.CreatedAt, m.SentAt, m.ExpiresAt}
}

func messageRowOf(m workflow.Message) (messageRow, error) {
	if m.ID.IsZero() || m.Application == "" {
		return messageRow{}, fmt.Errorf("storage: a message without id or application cannot be kept")
	}
	if !clean(m.Application, m.AccountID, string(m.Kind), string(m.State), m.To, m.Locale) {
		return messageRow{}, ErrText
	}
	return messageRow{
		Application: m.Application, ID: m.ID.String(), RequestID: idText(m.RequestID), AccountID: m.AccountID, Kind: string(m.Kind), State: string(m.State),
		Send: m.Send, WithLink: m.WithLink, NoCode: m.NoCode, Recipient: m.To, Name: scrub(m.Name), Locale: m.Locale,
		Ended: m.Ended, Device: scrub(m.Device), Place: scrub(m.Place), Attempts: m.Attempts, LastReply: scrub(m.LastReply),
		NextTry: micros(m.NextTry), CreatedAt: micros(m.CreatedAt), SentAt: micros(m.SentAt), ExpiresAt: micros(m.ExpiresAt),
	}, nil
}

func (m messageRow) message() (workflow.Message, error) {
	id, ok := workflow.ParseID(m.ID)
	request, known := idOf(m.RequestID)
	if !ok || !known {
		return workflow.Message{}, fmt.Errorf("storage: messages holds an id that is none; restore the row from a backup")
	}
	return workflow.Message{
		Application: m.Application, ID: id, RequestID: request, AccountID: m.AccountID, Kind: workflow.MessageKind(m.Kind), State: workflow.MessageState(m.State),
		Send: m.Send, WithLink: m.WithLink, NoCode: m.NoCode, To: m.Recipient, Name: m.Name, Locale: m.Locale,
		Ended: m.Ended, Device: m.Device, Place: m.Place, Attempts: m.Attempts, LastReply: m.LastReply,
		NextTry: moment(m.NextTry), CreatedAt: moment(m.CreatedAt), SentAt: moment(m.SentAt), ExpiresAt: moment(m.ExpiresAt),
	}, nil
}

func toMessages(rows []messageRow) ([]workflow.Message, error) {
	list := make([]workflow.Message, 0, len(rows))
	for _, row := range rows {
		m, err := row.message()
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}
