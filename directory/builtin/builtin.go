// Package builtin is the directory that resetflow keeps itself: accounts with
// their password hashes, sessions, and the tokens of both.
//
// The rules:
//
//   - Every account has a generation. A reset, a password or e-mail change,
//     disabling and enabling move it; sessions and tokens carry the one they
//     were made in and are dead with it, without a sweep. An account that is
//     made anew starts at a random one, so that no token of its forerunner fits.
//   - One session is one row and one family of refresh tokens; of a family one
//     token is good. A token is derived from `secret_keys`, so the row holds
//     nothing that could be stolen.
//   - expires_at of a session is the earlier of its absolute end and of the end
//     of its idle time; each refresh moves it. So whether a session lives is
//     read from the row alone: ended_at = 0 and expires_at after now.
//   - An unknown address costs the same statements and the same hash as a known one.
package builtin

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/token"
	"github.com/resetflow/resetflow/workflow"
)

// Options of a [Directory].
type Options struct {
	// Issuer is the public URL, the "iss" of access tokens.
	Issuer string
}

// Directory keeps accounts and sessions in the service's own database. It
// implements workflow.Directory, workflow.Users and workflow.Sessions and is
// safe for concurrent use.
type Directory struct {
	db      *database.DB
	keys    workflow.Keys
	pool    *password.Pool
	limiter workflow.Limiter
	clock   workflow.Clock
	tokens  *token.Signer
}

// New makes the directory on a database whose schema is in place.
func New(db *database.DB, keys workflow.Keys, pool *password.Pool, limiter workflow.Limiter, clock workflow.Clock, o Options) *Directory {
	return &Directory{db: db, keys: keys, pool: pool, limiter: limiter, clock: clock, tokens: token.NewSigner(keys, o.Issuer)}
}

// now is the clock's time as the database keeps it.
func (d *Directory) now() time.Time { return d.clock.Now().UTC().Truncate(time.Microsecond) }

func (d *Directory) postgres() bool { return d.db.Dialect() == database.Postgres }

func micros(t time.Time) int64 { return t.UnixMicro() }

func moment(v int64) time.Time { return time.UnixMicro(v).UTC() }

// generationBytes is a generation as the port carries it: 8 bytes, big-endian.
func generationBytes(g int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(g)) }

func generationOf(b []byte) (int64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b)), true
}

// firstGeneration is a random start. 52 bits stay exact in every JSON reader.
func firstGeneration() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return int64(binary.BigEndian.Uint64(b[:])>>12)&(1<<51-1) + 1
}

// sayable reports whether both databases can hold a text: PostgreSQL refuses
// NUL and bad UTF-8, and a look-up must not fail over them.
func sayable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// busy turns what a full pool or a slow database reports into a public error.
func busy(err error) error {
	var public *workflow.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &public):
		return err
	case errors.Is(err, workflow.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		return &workflow.Error{Code: workflow.CodeOverloaded, RetryAfter: time.Second, Cause: err}
	default:
		return workflow.Fail(workflow.CodeInternal, err)
	}
}

// auditRow is one security event; names after the OWASP logging vocabulary.
type auditRow struct {
	Application string
	ID          string
	At          int64
	Event       string
	AccountID   string
	Actor       string
	ClientIP    string
	Cause       string
}

// TableName names the table for gorm.
func (auditRow) TableName() string { return "audit" }

// audit writes one event in the context's transaction or at once.
func (d *Directory) audit(ctx context.Context, a auditRow) error {
	now := d.now()
	a.ID, a.At = workflow.NewID(now).String(), micros(now)
	for _, text := range []*string{&a.AccountID, &a.Actor, &a.ClientIP, &a.Cause} {
		if !sayable(*text) {
			*text = "?"
		}
	}
	if err := d.db.Write(ctx).Create(&a).Error; err != nil {
		return fmt.Errorf("directory: audit: %w", err)
	}
	return nil
}
