package workflow

import "time"

// FlowName is the name of a way to prove control of an account.
type FlowName string

// FlowPolicy is a flow's rules as data; the engine and the settings check read it.
type FlowPolicy struct {
	Name            FlowName
	Origin          Origin        // who may start it
	Proof           ProofKind     // the proof its own code is
	Mail            MessageKind   // the mail that carries its code; "" where none is sent
	DefaultEnabled  bool          // only for the documented defaults; a flow not named is off
	DefaultLifetime time.Duration // where the application says nothing
	MaxLifetime     time.Duration
	Settings        []string // which keys besides enabled and lifetime it takes, as in the YAML
	DefaultDigits   int
	DefaultAttempts int
	Handle          bool // the caller gets a requestCode
}

// ProofKind is one of the mutually exclusive ways of contract §5.
type ProofKind string

// The proof kinds, named by the field that carries them.
const (
	ProofEmailAuthCode     ProofKind = "emailAuthCode"
	ProofVerificationCode  ProofKind = "verificationCode"
	ProofPasswordResetCode ProofKind = "passwordResetCode"
)

// Proof is what somebody presents. Exactly one way is filled.
type Proof struct {
	EmailAuthCode     string
	RequestCode       string
	VerificationCode  string
	PasswordResetCode string
}

// Kind tells which way p is.
func (p Proof) Kind() ProofKind {
	switch {
	case p.EmailAuthCode != "":
		return ProofEmailAuthCode
	case p.PasswordResetCode != "":
		return ProofPasswordResetCode
	default:
		return ProofVerificationCode
	}
}

// Keys gives a flow what it derives codes from. No flow does I/O.
type Keys interface {
	// Current names the key that makes new secrets.
	Current() string
	// IDs lists all key ids, newest first.
	IDs() []string
	// Derive returns 32 bytes for a purpose and its parts under the key keyID:
	// HMAC-SHA-256 (RFC 2104) over the length-prefixed parts. ok is false where
	// no such key is configured any more; then nothing made with it verifies.
	Derive(keyID, purpose string, parts ...[]byte) (secret []byte, ok bool)
	// Seal encrypts and binds plain to context under the current key (AES-256-GCM).
	Seal(context string, plain []byte) ([]byte, error)
	// Open reverses Seal; it fails when sealed or context were changed.
	Open(context string, sealed []byte) ([]byte, error)
}

// Locator says which row a proof speaks of.
type Locator struct {
	ID     ID       // zero where the row is found by hash
	Hashes [][]byte // keyed hashes of an operator code, one for each configured key
}

// Challenge is what a flow wants sent or shown.
type Challenge struct {
	Code     string // digits, link code or operator code, in clear
	Link     string // code for the link where the mail carries one, in clear
	CodeHash []byte // what the row keeps, for random codes
}

// Flow is a way to prove control: a name, a policy as data, and pure functions.
// The engine owns every shared step, so that a flow cannot forget one.
type Flow interface {
	Policy() FlowPolicy
	// Challenge makes the code of r's send number r.Sends (and, for operator
	// flows, the hash to keep). withLink asks for a link besides digits.
	Challenge(k Keys, r Request, set FlowSettings, withLink bool) (Challenge, error)
	// Locate reads which row a proof of this flow's kind speaks of; ok is false
	// when the proof cannot be one of this flow's codes.
	Locate(k Keys, p Proof) (at Locator, ok bool)
	// Verify reports in constant time whether p proves r. It judges the code
	// alone: state, time, account and limits are the engine's.
	Verify(k Keys, r Request, set FlowSettings, p Proof) bool
	// Handle is the public name of r for re-sends ("" where the flow has none).
	Handle(k Keys, r Request) string
}
