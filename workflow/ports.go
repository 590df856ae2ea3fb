package workflow

import (
	"context"
	"time"
)

// Clock tells the time. Everything that compares times asks one clock.
type Clock interface{ Now() time.Time }

// Commit is a set of writes that stand or fall together. Only the engine fills
// one, and only [Engine.move] puts a request into Saved with another state.
type Commit struct {
	New      []Request    // rows to insert
	Saved    []Request    // rows to save; Version is the version that was read
	Messages []Message    // rows to insert
	Jobs     []Job        // jobs to enqueue
	Audit    []AuditEntry // rows to insert
}

// Store keeps requests. Times are stored to the microsecond.
type Store interface {
	// Atomically runs fn in one write transaction that the context carries:
	// calls of Store, Limiter and joining directories inside it take part.
	// An error from fn rolls everything back and is returned as it is.
	Atomically(ctx context.Context, fn func(ctx context.Context) error) error
	// Commit applies c in the context's transaction or in one of its own.
	// ErrStale: a saved row had another version. ErrLive: a second challenged
	// or locked request of one account and origin.
	Commit(ctx context.Context, c Commit) error
	// Request loads a row by id or by hash, and in the same statement the other
	// live (challenged or locked) requests of its account. ErrNotFound.
	Request(ctx context.Context, application string, at Locator) (Request, []Request, error)
	// Live loads an account's live requests of an origin.
	Live(ctx context.Context, application, accountID string, origin Origin) ([]Request, error)
	// ReserveAttempt adds an attempt where attempts are left and the lifetime
	// runs at now, whatever the state, and takes a unit of budget where one is
	// left; committed at once, in one conditional update. The returned row holds
	// the new count. ok is false when nothing was reserved (used up, expired,
	// unknown).
	ReserveAttempt(ctx context.Context, application string, id ID, now time.Time, budget Quota) (r Reservation, ok bool, err error)
	// ReturnAttempt gives a reserved attempt and its unit of budget back, in the
	// context's transaction if there is one. ErrNotFound where none is reserved.
	ReturnAttempt(ctx context.Context, application string, id ID, budget Quota) error
	// RedeemAuthSession marks the login promised by a completed request as
	// used, once, while the request completed after since. ErrNotFound.
	RedeemAuthSession(ctx context.Context, application string, id ID, since, now time.Time) error
}

// Reservation is a request with an attempt reserved.
type Reservation struct {
	Request
	Spent bool // the budget had no unit left
}

// Ledger keeps messages.
type Ledger interface {
	// Message loads a message and, where it has one, its request. ErrNotFound.
	Message(ctx context.Context, application string, id ID) (Message, Request, error)
	// OfRequest loads the newest message of a request for a send number. ErrNotFound.
	OfRequest(ctx context.Context, application string, request ID, send int) (Message, error)
	// Record writes the outcome of a try, attempts + 1.
	Record(ctx context.Context, application string, id ID, o Outcome) error
}

// Sweeping finds what time left behind.
type Sweeping interface {
	// Overdue lists unfinished requests whose lifetime ended before now.
	Overdue(ctx context.Context, now time.Time, limit int) ([]Request, error)
	// Unsettled lists requests in applying since before.
	Unsettled(ctx context.Context, before time.Time, limit int) ([]Request, error)
	// Prune deletes what ended before the times of keep, at most limit of each
	// kind; it returns how many requests went.
	Prune(ctx context.Context, keep Retention, limit int) (int, error)
}

// Retention says what is old: rows that ended before these times go.
type Retention struct{ Requests, Messages, Audit time.Time }

// Quota is one limit on one key.
type Quota struct {
	Name    string // "cooldown", "per_address", …; names the policy in RateLimit headers
	Key     string // what is counted; the limiter scopes it by application and name
	Rate    Rate
	Durable bool // must survive a crash and a fail-over
}

// Refusal says which quota refused and for how long.
type Refusal struct {
	Quota Quota
	After time.Duration // at least 1 s
}

// Limiter counts by GCRA in one statement; exact over all nodes.
type Limiter interface {
	// Take takes one unit of every quota, or of none: the first (in the given
	// order) that has none left is returned. It runs in the context's
	// transaction if there is one.
	Take(ctx context.Context, application string, quotas ...Quota) (*Refusal, error)
	// Return gives one unit of a quota back.
	Return(ctx context.Context, application string, q Quota) error
	// Spent reports whether a quota has no unit left, taking none.
	Spent(ctx context.Context, application string, q Quota) (bool, error)
}

// Account is what a directory tells about a person.
type Account struct {
	ID         string
	Email      string // the stored address: the only one that is written to
	Name       string
	Locale     string
	Generation []byte // opaque; moves with every reset, password or e-mail change, disabling
	Disabled   bool
	Resettable bool // false for accounts without a password of their own (SSO, service accounts)
}

// PasswordChange is one new password for one account.
type PasswordChange struct {
	RequestID  ID // idempotency key
	AccountID  string
	Generation []byte // the write is conditional on it
	Hash       string // PHC string format
	At         time.Time
}

// Directory is where an application's accounts live.
type Directory interface {
	// Find returns the account of a canonical address. ErrNotFound.
	Find(ctx context.Context, app *Application, email string) (Account, error)
	// Lookup returns the account of an id. ErrNotFound.
	Lookup(ctx context.Context, app *Application, accountID string) (Account, error)
	// SetPassword writes the hash, moves the generation and ends every session
	// and refresh token. It is idempotent by RequestID. ErrGeneration when the
	// generation moved or the account is gone; ErrRefused when it will never
	// take it; any other error may be tried again.
	SetPassword(ctx context.Context, app *Application, c PasswordChange) (Revoked, error)
	// Secure puts an account on hold: its generation moves, every session ends,
	// and no password logs in before the next SetPassword. ErrNotFound.
	Secure(ctx context.Context, app *Application, accountID string, at time.Time) (Revoked, error)
	// Joins reports whether SetPassword and Secure take part in the store's
	// transaction, so that one commit holds everything.
	Joins() bool
}

// Directories picks an application's directory.
type Directories interface {
	For(app *Application) (Directory, error)
}

// Hasher turns passwords into hashes in a bounded pool. ErrBusy when the pool
// and its queue are full.
type Hasher interface {
	// Hash returns the PHC string of password's normal form.
	Hash(ctx context.Context, password string) (string, error)
}

// Policies judges new passwords.
type Policies interface {
	// Check returns the violations of password (codes and attributes only);
	// words are identifiers it must not hold: address, name, application.
	Check(p PasswordPolicy, password string, words []string) []Violation
}

// Applications finds applications; a change is seen on every node within 2 s.
type Applications interface {
	// Application returns the settings of a slug. ErrNotFound. The result is shared: never write to it.
	Application(ctx context.Context, slug string) (*Application, error)
}

// Deliverer hands a mail to the outside. A nil error means accepted for good.
type Deliverer interface {
	Deliver(ctx context.Context, m Mail) error
}

// DeliveryError is a refusal by the other side.
type DeliveryError struct {
	Permanent bool
	Reply     string // the server's words, cut, without ours
	Cause     error
}

func (e *DeliveryError) Error() string { return "delivery: " + e.Reply }
func (e *DeliveryError) Unwrap() error { return e.Cause }
