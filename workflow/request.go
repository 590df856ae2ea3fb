package workflow

import "time"

// Origin says who asked for a request.
type Origin string

// The two origins. Requests of end users supersede requests of end users;
// operator codes are superseded by operator codes only (contract §5).
const (
	OriginUser     Origin = "user"
	OriginOperator Origin = "operator"
)

// Request is one run of one flow for one account: one row.
//
// It holds no code. KeyID names the key of `secret_keys` from which its codes
// are derived; only that key verifies them.
type Request struct {
	Application string
	ID          ID
	Flow        FlowName
	Origin      Origin
	State       State
	Version     int64 // counts saves; a save names the version it read

	Email      string // canonical address as asked for
	AccountID  string // empty until the account is found, and always for a decoy
	Generation []byte // the account's generation when the code was made
	KeyID      string // the key its secret is derived from
	CodeHash   []byte // keyed hash of an operator code; nil otherwise

	Sends       int  // codes sent so far; only the newest is valid
	LinkSent    bool // a mail of this request carried a link
	Attempts    int  // verification codes tried; kept over re-sends
	MaxAttempts int  // 0 where the flow counts none

	Locale      string // as asked for; "" where nothing was said
	RedirectURL string
	ClientIP    string // textual, "" where unknown
	UserAgent   string // as sent, cut to 256 bytes
	Actor       string // who called: "key:<id>", "page", "admin"
	Reason      string // an operator's reason

	CreatedAt   time.Time
	ExpiresAt   time.Time
	CompletedAt time.Time // zero until completed

	SkipConfirmation bool
	SealedHash       []byte    // the new hash while a foreign directory is being told; wiped on settle
	AuthSession      bool      // a login after reset was promised
	AuthSessionUsed  time.Time // zero until redeemed
	DisownedAt       time.Time // when the owner said of a completed reset "this was not me"; once
}

// Live reports whether a code of the request could still redeem it, by state.
func (r Request) Live() bool { return r.State == StateChallenged || r.State == StateLocked }

// Expired reports whether r's lifetime is over at now. The lifetime is
// half-open: valid while now < ExpiresAt.
func (r Request) Expired(now time.Time) bool { return !now.Before(r.ExpiresAt) }

// AttemptsRemaining counts the verification codes that may still be tried.
func (r Request) AttemptsRemaining() int { return max(r.MaxAttempts-r.Attempts, 0) }

// Revoked says what a completed reset ended.
type Revoked struct {
	Sessions      int `json:"sessions"`
	RefreshTokens int `json:"refreshTokens"`
	PendingResets int `json:"pendingResets"`
}

// Client is who calls on behalf of the end user.
type Client struct {
	Actor     string // "key:<id>", "page", "admin"
	KeyID     string // the API key's id, "" for pages
	Trusted   bool   // a secret key or a JWT, not a browser
	IP        string // the end user's address, "" where unknown
	Peer      bool   // IP is an untrusted private peer that forwards for others: counted per_peer
	UserAgent string
}

// AuditEntry is one security event. Events use the OWASP logging vocabulary.
type AuditEntry struct {
	Application string
	ID          ID
	At          time.Time
	Event       string // e.g. "authn_password_change"
	RequestID   ID     // zero where none
	AccountID   string
	Actor       string
	ClientIP    string
	Move        Event // the move it records, "" where none
	From, To    State
	Cause       string // short machine-readable cause, "" where none; never a secret
}
