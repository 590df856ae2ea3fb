package workflow

import "time"

// RequestInput starts a reset.
type RequestInput struct {
	Email       string   // canonical
	Flow        FlowName // "" for the application's default
	Locale      string   // a well-formed tag or ""
	RedirectURL string
	Client      Client
}

// Accepted answers a request or a re-send; it is alike for known and unknown.
type Accepted struct {
	Flow        FlowName
	RequestCode string // "" where the flow has none
	ExpiresAt   time.Time
	ResendAfter time.Duration
	RequestID   ID // for the page's own use; never in an API answer
}

// OperatorInput makes a direct code. Exactly one of UserID and Email is set.
type OperatorInput struct {
	UserID, Email, Reason, RedirectURL string
	Client                             Client
}

// OperatorCode is a direct code, shown once.
type OperatorCode struct {
	Code, Link string
	ExpiresAt  time.Time
	RequestID  ID
}

// Introspection tells the holder of a right code what it is good for.
type Introspection struct {
	Flow              FlowName
	ExpiresAt         time.Time
	AttemptsRemaining int
	CountsAttempts    bool
	MaskedEmail       string
	Email             string // for the page's username field only; never in an API answer
	Locale            string
	Policy            PasswordPolicy
}

// ResetInput redeems a code.
type ResetInput struct {
	Proof            Proof
	NewPassword      string
	SkipConfirmation bool
	Client           Client
}

// Result says what a reset led to.
type Result string

// The results.
const (
	ResultLoginRequired Result = "LOGIN_REQUIRED"
	ResultAuthSession   Result = "CREATE_AUTH_SESSION"
	ResultApplying      Result = "APPLYING"
)

// Receipt answers a reset.
type Receipt struct {
	Result          Result
	RedirectURL     string
	AuthSessionCode string
	Revoked         Revoked
	Confirmation    string // "queued" or "skipped"
	StatusCode      string // with ResultApplying
}
