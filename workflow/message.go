package workflow

import "time"

// MessageKind is the kind of a mail (contract §9).
type MessageKind string

// The kinds of mail.
const (
	KindResetLink       MessageKind = "reset_link"
	KindResetCode       MessageKind = "reset_code"
	KindPasswordUpdated MessageKind = "password_updated"
	KindNoAccount       MessageKind = "no_account"
	KindRequestLocked   MessageKind = "request_locked"
)

// MessageKinds lists every kind.
func MessageKinds() []MessageKind {
	return []MessageKind{KindResetLink, KindResetCode, KindPasswordUpdated, KindNoAccount, KindRequestLocked}
}

// MessageState is where a message stands in the delivery ledger.
type MessageState string

// The states of a message.
const (
	MessageQueued  MessageState = "queued"
	MessageSent    MessageState = "sent"
	MessageFailed  MessageState = "failed"  // refused for good, or given up
	MessageExpired MessageState = "expired" // would have arrived after its code's end
	MessageVoid    MessageState = "void"    // its code died before it left (superseded, account changed)
)

// Message is one mail that must leave. It never holds a code: the code is
// derived from the request when the mail is written.
type Message struct {
	Application string
	ID          ID
	RequestID   ID // zero where none
	AccountID   string
	Kind        MessageKind
	State       MessageState
	Send        int    // which send of the request; its code is that send's code
	WithLink    bool   // a link beside, or in place of, the digits
	NoCode      bool   // the follow-up of an expired message: leads to a new request
	To          string // the stored address of the account
	Name        string // the account's name, "" where unknown
	Locale      string // chosen: request → user → application → en
	Ended       int    // sessions the reset ended, for the confirmation
	Device      string // rough user agent family, "" where unknown
	Place       string // rough address prefix, "" where unknown
	Attempts    int
	LastReply   string // the server's last answer, without our words
	NextTry     time.Time
	CreatedAt   time.Time
	SentAt      time.Time
	ExpiresAt   time.Time // when the code in it ends; for notices when it is given up
}

// Mail is what the writer of a mail needs to know: facts, no markup.
type Mail struct {
	Message         Message
	Application     *Application
	Code            string // digits, "" where none
	Link            string // full URL, "" where none
	NotMeLink       string // full URL of the "this was not me" page
	ForgotLink      string // full URL that starts a new request
	RequestedAt     time.Time
	ExpiresAt       time.Time
	CodeLifetime    time.Duration
	SessionsEnded   int
	MessageIDDomain string // right side of the Message-ID
}

// Outcome is what became of one try to deliver.
type Outcome struct {
	State   MessageState // queued means: try again at NextTry
	Reply   string       // cut to 200 bytes by the sender
	NextTry time.Time
	At      time.Time
}

// Job is one unit of background work. It names rows and carries no secret.
type Job struct {
	Kind        JobKind
	Application string
	ID          ID  // request or message
	Send        int // for resend: the send number it makes
}

// JobKind is the kind of a job.
type JobKind string

// The kinds of job.
const (
	JobResolve JobKind = "resolve" // find the account of a request and send its first code
	JobResend  JobKind = "resend"  // send one more code
	JobMessage JobKind = "message" // deliver a message
	JobLocked  JobKind = "locked"  // tell the owner that the digits are used up
)

// retryAfter are the waits of contract §9: 2, 5, 10, 20, then 30 s for the
// first 15 minutes; afterwards they double up to an hour.
var retryAfter = [...]time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second}

// GiveUpAfter is how long a notice without a code is tried.
const GiveUpAfter = 72 * time.Hour

// RetryDelay returns the wait before the next try of a message first queued
// age ago, after tries failed tries (at least 1).
func RetryDelay(tries int, age time.Duration) time.Duration {
	if tries < 1 {
		tries = 1
	}
	if tries <= len(retryAfter) {
		return retryAfter[tries-1]
	}
	if age < 15*time.Minute {
		return 30 * time.Second
	}
	return min(max(age/8, time.Minute), time.Hour)
}
