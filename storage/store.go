package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/workflow"
)

// Enqueuer puts jobs into the queue within the context's transaction.
type Enqueuer interface {
	Enqueue(ctx context.Context, jobs ...workflow.Job) error
}

// Store is the store on one database. It is safe for concurrent use.
type Store struct {
	db      *database.DB
	enqueue Enqueuer
	clock   workflow.Clock
	cache   *cache
	leases  leases
}

// What a Store is to the domain.
var (
	_ workflow.Store    = (*Store)(nil)
	_ workflow.Ledger   = (*Store)(nil)
	_ workflow.Sweeping = (*Store)(nil)
	_ workflow.Limiter  = (*Store)(nil)
	_ workflow.Registry = (*Store)(nil)
	_ workflow.APIKeys  = (*Store)(nil)
	_ workflow.History  = (*Store)(nil)
)

// New makes a store on db. Jobs of a commit go to enqueue, in the commit's
// transaction; clock stamps what is written. Without [Store.Run] the store
// works as well, but asks the database for settings every two seconds.
func New(db *database.DB, enqueue Enqueuer, clock workflow.Clock) *Store {
	return &Store{db: db, enqueue: enqueue, clock: clock, cache: newCache()}
}

// Atomically runs fn in one write transaction that its context carries.
func (s *Store) Atomically(ctx context.Context, fn func(ctx context.Context) error) error {
	return s.db.Atomically(ctx, fn)
}

// Request loads a request and the other live requests of its account in one
// statement: all of them saw the same moment.
func (s *Store) Request(ctx context.Context, application string, at workflow.Locator) (workflow.Request, []workflow.Request, error) {
	var none workflow.Request
	if !clean(application) {
		return none, nil, workflow.ErrNotFound
	}
	var which string
	args := []any{application}
	switch {
	case !at.ID.IsZero():
		which = "id = ?"
		args = append(args, at.ID.String())
	case len(at.Hashes) > 0:
		which = "code_hash IN ( " + marks(len(at.Hashes)) + ")" // gorm spreads bytes that stand right behind a parenthesis
		for _, h := range at.Hashes {
			if len(h) == 0 {
				return none, nil, workflow.ErrNotFound // an empty hash must never match the rows without one
			}
			args = append(args, h)
		}
	default:
		return none, nil, workflow.ErrNotFound
	}
	columns := columnList(requestColumns, "")
	var rows []requestRow
	// SQLite takes a CROSS JOIN in its written order (sqlite.org/optoverview, §7.3):
	// from the one row to the index. Without statistics it began with the index,
	// and read every live row of all accounts.
	err := s.db.Read(ctx).Raw(`WITH r AS (SELECT `+columns+` FROM requests WHERE application = ? AND `+which+` LIMIT 1)
SELECT `+columns+`, 0 AS rank FROM r
UNION ALL
SELECT `+columnList(requestColumns, "o.")+`, 1 AS rank FROM r CROSS JOIN requests o
WHERE o.application = r.application AND o.account_id = r.account_id AND o.state IN ('challenged', 'locked') AND o.account_id <> '' AND o.id <> r.id
ORDER BY rank, id`, args...).Find(&rows).Error
	if err != nil {
		return none, nil, err
	}
	if len(rows) == 0 {
		return none, nil, workflow.ErrNotFound
	}
	all, err := toRequests(rows)
	if err != nil {
		return none, nil, err
	}
	return all[0], all[1:], nil
}

// Live loads an account's live requests of an origin, oldest first.
func (s *Store) Live(ctx context.Context, application, accountID string, origin workflow.Origin) ([]workflow.Request, error) {
	if accountID == "" || !clean(application, accountID, string(origin)) {
		return nil, nil // decoys have no account and are nobody's live requests
	}
	var rows []requestRow
	err := s.db.Read(ctx).Raw(`SELECT `+columnList(requestColumns, "")+` FROM requests
WHERE application = ? AND account_id = ? AND origin = ? AND state IN ('challenged', 'locked') AND account_id <> '' ORDER BY id`,
		application, accountID, string(origin)).Find(&rows).Error
	if err != nil {
		return nil, err
	}
	return toRequests(rows)
}

// RedeemAuthSession marks the login of a completed request as used, once.
func (s *Store) RedeemAuthSession(ctx context.Context, application string, id workflow.ID, since, now time.Time) error {
	if !clean(application) {
		return workflow.ErrNotFound
	}
	return one(s.db.Write(ctx).Exec(`UPDATE requests SET auth_session_used = ?, version = version + 1
WHERE application = ? AND id = ? AND state = 'completed' AND auth_session = ? AND auth_session_used = 0 AND completed_at > ?`,
		micros(now), application, id.String(), true, micros(since)))
}

// inside reports whether ctx carries a transaction.
func (s *Store) inside(ctx context.Context) bool {
	_, ok := s.db.SQLTx(ctx)
	return ok
}

func (s *Store) postgres() bool { return s.db.Dialect() == database.Postgres }

// one turns the result of a conditional update into ErrNotFound where it met no row.
func one(tx *gorm.DB) error {
	if tx.Error != nil {
		return tx.Error
	}
	if tx.RowsAffected == 0 {
		return workflow.ErrNotFound
	}
	return nil
}
