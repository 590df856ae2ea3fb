package storage

import (
	"fmt"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// column is a column and its PostgreSQL type. Values in a VALUES list carry no
// type of their own there, so each is cast.
type column struct{ name, kind string }

var requestColumns = []column{
	{"application", "text"}, {"id", "text"}, {"flow", "text"}, {"origin", "text"}, {"state", "text"}, {"version", "bigint"},
	{"email", "text"}, {"account_id", "text"}, {"generation", "bytea"}, {"key_id", "text"}, {"code_hash", "bytea"},
	{"sends", "bigint"}, {"link_sent", "boolean"}, {"attempts", "bigint"}, {"max_attempts", "bigint"},
	{"locale", "text"}, {"redirect_url", "text"}, {"client_ip", "text"}, {"user_agent", "text"}, {"actor", "text"}, {"reason", "text"},
	{"created_at", "bigint"}, {"expires_at", "bigint"}, {"completed_at", "bigint"}, {"moved_at", "bigint"}, {"ended_at", "bigint"},
	{"skip_confirmation", "boolean"}, {"sealed_hash", "bytea"}, {"auth_session", "boolean"}, {"auth_session_used", "bigint"}, {"disowned_at", "bigint"},
}

// requestRow is a row of requests; its fields stand in the order of requestColumns.
type requestRow struct {
	Application      string
	ID               string
	Flow             string
	Origin           string
	State            string
	Version          int64
	Email            string
	AccountID        string
	Generation       []byte
	KeyID            string
	CodeHash         []byte
	Sends            int
	LinkSent         bool
	Attempts         int
	MaxAttempts      int
	Locale           string
	RedirectURL      string
	ClientIP         string
	UserAgent        string
	Actor            string
	Reason           string
	CreatedAt        int64
	ExpiresAt        int64
	CompletedAt      int64
	MovedAt          int64
	EndedAt          int64
	SkipConfirmation bool
	SealedHash       []byte
	AuthSession      bool
	AuthSessionUsed  int64
	DisownedAt       int64
}

// TableName names the table for gorm.
func (requestRow) TableName() string { return "requests" }

func (r requestRow) values() []any {
	return []any{r.Application, r.ID, r.Flow, r.Origin, r.State, r.Version, r.Email, r.AccountID, blob(r.Generation), r.KeyID, blob(r.CodeHash),
		r.Sends, r.LinkSent, r.Attempts, r.MaxAttempts, r.Locale, r.RedirectURL, r.ClientIP, r.UserAgent, r.Actor, r.Reason,
		r.CreatedAt, r.ExpiresAt, r.CompletedAt, r.MovedAt, r.EndedAt,
		r.SkipConfirmation, blob(r.SealedHash), r.AuthSession, r.AuthSessionUsed, r.DisownedAt}
}

// requestRowOf maps a request; now is when it is saved.
func requestRowOf(r workflow.Request, now time.Time) (requestRow, error) {
	if r.ID.IsZero() || r.Application == "" {
		return requestRow{}, fmt.Errorf("storage: a request without id or application cannot be kept")
	}
	if !clean(r.Application, string(r.Flow), string(r.Origin), string(r.State), r.Email, r.AccountID, r.KeyID, r.Locale, r.RedirectURL, r.ClientIP) {
		return requestRow{}, ErrText
	}
	row := requestRow{
		Application: r.Application, ID: r.ID.String(), Flow: string(r.Flow), Origin: string(r.Origin), State: string(r.State), Version: r.Version,
		Email: r.Email, AccountID: r.AccountID, Generation: r.Generation, KeyID: r.KeyID, CodeHash: r.CodeHash,
		Sends: r.Sends, LinkSent: r.LinkSent, Attempts: r.Attempts, MaxAttempts: r.MaxAttempts,
		Locale: r.Locale, RedirectURL: r.RedirectURL, ClientIP: r.ClientIP, UserAgent: scrub(r.UserAgent), Actor: scrub(r.Actor), Reason: scrub(r.Reason),
		CreatedAt: micros(r.CreatedAt), ExpiresAt: micros(r.ExpiresAt), CompletedAt: micros(r.CompletedAt), MovedAt: micros(now),
		SkipConfirmation: r.SkipConfirmation, SealedHash: r.SealedHash, AuthSession: r.AuthSession, AuthSessionUsed: micros(r.AuthSessionUsed),
		DisownedAt: micros(r.DisownedAt),
	}
	if r.State.Final() {
		row.EndedAt = micros(now)
	}
	return row, nil
}

func (r requestRow) request() (workflow.Request, error) {
	id, ok := workflow.ParseID(r.ID)
	if !ok {
		return workflow.Request{}, fmt.Errorf("storage: requests holds an id that is none; restore the row from a backup")
	}
	return workflow.Request{
		Application: r.Application, ID: id, Flow: workflow.FlowName(r.Flow), Origin: workflow.Origin(r.Origin), State: workflow.State(r.State), Version: r.Version,
		Email: r.Email, AccountID: r.AccountID, Generation: r.Generation, KeyID: r.KeyID, CodeHash: r.CodeHash,
		Sends: r.Sends, LinkSent: r.LinkSent, Attempts: r.Attempts, MaxAttempts: r.MaxAttempts,
		Locale: r.Locale, RedirectURL: r.RedirectURL, ClientIP: r.ClientIP, UserAgent: r.UserAgent, Actor: r.Actor, Reason: r.Reason,
		CreatedAt: moment(r.CreatedAt), ExpiresAt: moment(r.ExpiresAt), CompletedAt: moment(r.CompletedAt),
		SkipConfirmation: r.SkipConfirmation, SealedHash: r.SealedHash, AuthSession: r.AuthSession, AuthSessionUsed: moment(r.AuthSessionUsed),
		DisownedAt: moment(r.DisownedAt),
	}, nil
}

func toRequests(rows []requestRow) ([]workflow.Request, error) {
	list := make([]workflow.Request, 0, len(rows))
	for _, row := range rows {
		r, err := row.request()
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}
