package workflow

import (
	"context"
	"time"
)

// AuditQuery filters audit events; empty fields do not filter.
type AuditQuery struct {
	Event   string // the exact name, as in "authn_login_fail"
	Request ID
	Account string
	Since   time.Time // events of this time and later
	Cursor  string
	Limit   int
}

// SealedEntry is an audit entry with its place in the hash chain of its
// application.
type SealedEntry struct {
	AuditEntry
	Seq   int64  // counts from 1 in the order of sealing; 0 while not yet sealed
	Hash  []byte // the keyed hash over the entry and the hash before it; nil while not yet sealed
	KeyID string // the key of `secret_keys` the hash was made with
}

// AuditTrail reads audit entries.
type AuditTrail interface {
	// AuditEvents lists newest first; next is "" at the end. A page that took
	// long to find may hold fewer than Limit entries, or none, and still have a next.
	AuditEvents(ctx context.Context, application string, q AuditQuery) (rows []SealedEntry, next string, err error)
}
