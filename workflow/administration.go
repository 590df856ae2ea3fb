package workflow

import (
	"context"
	"time"
)

// The ports of this file serve administrators and the builtin directory's
// sessions. They carry data; the rules of a reset stand in the engine.

// Registry keeps applications.
type Registry interface {
	Applications
	// List returns applications after cursor by slug; next is "" at the end.
	List(ctx context.Context, cursor string, limit int) (apps []Application, next string, err error)
	// Create inserts. ErrNotUnique with a taken slug or host.
	Create(ctx context.Context, app Application, actor string) error
	// Update saves where the stored version is app.Version. ErrStale, ErrNotFound, ErrNotUnique (host).
	Update(ctx context.Context, app Application, actor string) error
	// Delete removes an application with everything of it. ErrNotFound.
	Delete(ctx context.Context, slug, actor string) error
	// ByHost finds the application a host is mapped to. ErrNotFound.
	ByHost(ctx context.Context, host string) (*Application, error)
}

// KeyType says where an API key may be kept.
type KeyType string

// The key types: secret keys (rfsk_) for servers, publishable keys (rfpk_) for browsers and apps.
const (
	KeySecret      KeyType = "secret"
	KeyPublishable KeyType = "publishable"
)

// APIKey is a stored API key; the key itself is shown once and kept as a hash.
type APIKey struct {
	ID             string
	Application    string // "" for the whole installation
	Name           string
	Type           KeyType
	Permissions    []string
	AllowedOrigins []string
	Prefix         string // "rfsk" or "rfpk"
	LastFour       string
	Hash           []byte // SHA-256 of the key (256 random bits need no slow hash: ASVS 6.5.2)
	CreatedAt      time.Time
	RevokedAt      time.Time // zero while active
}

// APIKeys keeps API keys. A revocation is seen on every node within 2 s.
type APIKeys interface {
	CreateKey(ctx context.Context, k APIKey, actor string) error
	// Key finds an active key by hash. ErrNotFound.
	Key(ctx context.Context, hash []byte) (APIKey, error)
	Keys(ctx context.Context, application, cursor string, limit int) (keys []APIKey, next string, err error)
	// RevokeKey ends a key. ErrNotFound.
	RevokeKey(ctx context.Context, application, id, actor string) error
	// OriginKnown reports whether an origin stands on any active publishable key.
	OriginKnown(ctx context.Context, origin string) (bool, error)
}

// RequestQuery filters requests; empty fields do not filter.
type RequestQuery struct {
	Email, Cursor string
	State         State
	Flow          FlowName
	Limit         int
}

// MessageQuery filters messages; empty fields do not filter.
type MessageQuery struct {
	State  MessageState
	Cursor string
	Limit  int
}

// History reads what happened.
type History interface {
	// Requests lists newest first; next is "" at the end.
	Requests(ctx context.Context, application string, q RequestQuery) (rows []Request, next string, err error)
	// Timeline lists a request's audit entries, oldest first.
	Timeline(ctx context.Context, application string, request ID) ([]AuditEntry, error)
	// Messages lists newest first.
	Messages(ctx context.Context, application string, q MessageQuery) (rows []Message, next string, err error)
}

// User is an account of the builtin directory as administrators see it.
type User struct {
	ID          string
	Email       string
	Name        string
	Locale      string
	Orgs        []string
	Disabled    bool
	HasPassword bool
	MustReset   bool
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// NewUser is an account to create. Email is canonical; Hash is a PHC string or
// bcrypt, checked by the caller, "" for an account without a password.
type NewUser struct {
	Email, Name, Locale, Hash string
	Orgs                      []string
	Disabled                  bool
}

// UserPatch changes the fields that are not nil. A changed e-mail, password or
// Disabled moves the generation and ends every session.
type UserPatch struct {
	Email, Name, Locale, Hash *string
	Orgs                      *[]string
	Disabled                  *bool
	// Remember is how many passwords to remember after a new Hash, this one
	// included (the policy's history).
	Remember int
}

// Users administers the builtin directory. Every write is audited with its actor.
type Users interface {
	// CreateUser inserts. ErrNotUnique with a taken address.
	CreateUser(ctx context.Context, application string, u NewUser, actor string) (User, error)
	// User returns one. ErrNotFound.
	User(ctx context.Context, application, id string) (User, error)
	// ListUsers lists by id; email (canonical, "" for all) finds one.
	ListUsers(ctx context.Context, application, email, cursor string, limit int) (rows []User, next string, err error)
	// UpdateUser changes one. ErrNotFound, ErrNotUnique.
	UpdateUser(ctx context.Context, application, id string, p UserPatch, actor string) (User, error)
	// DeleteUser removes one with its sessions. ErrNotFound.
	DeleteUser(ctx context.Context, application, id, actor string) error
	// EndSessions ends all sessions of one, by row. ErrNotFound.
	EndSessions(ctx context.Context, application, id, actor string) (Revoked, error)
	// RequireReset makes the next right password answer password_reset_required. ErrNotFound.
	RequireReset(ctx context.Context, application, id, actor string) error
}

// Tokens are what a login answers (RFC 6749 §5.1, in camelCase).
type Tokens struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken"`
	TokenType    string `json:"tokenType"`
	ExpiresIn    int    `json:"expiresIn"` // seconds
}

// Session is what an access token stands for.
type Session struct {
	Application string
	UserID      string
	Email       string
	SessionID   string
	ExpiresAt   time.Time // of the access token
}

// Sessions are the builtin directory's sessions (contract §6).
type Sessions interface {
	// Login checks a password and opens a session. Errors are [Error]s:
	// invalid_credentials (also beyond failed_logins, silently), rate_limited,
	// password_reset_required, overloaded.
	Login(ctx context.Context, app *Application, email, password string, c Client) (Tokens, error)
	// Open opens a session without a password, after a reset that promised it.
	Open(ctx context.Context, app *Application, accountID string, c Client) (Tokens, error)
	// Refresh rotates; a replay ends the session. invalid_grant.
	Refresh(ctx context.Context, app *Application, refreshToken string) (Tokens, error)
	// Session reads an access token and checks that its session lives. invalid_grant.
	Session(ctx context.Context, accessToken string) (Session, error)
	// Logout ends the session of an access token. invalid_grant.
	Logout(ctx context.Context, accessToken string) error
	// JWKS returns the application's public keys as a JWK Set (RFC 7517).
	JWKS(app *Application) ([]byte, error)
}
