package storage

import (
	"context"
	"errors"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// errInside says that an attempt was to be reserved where it could be rolled back.
var errInside = errors.New("storage: an attempt is reserved before a transaction, never inside one; move the call out")

// reservedRow is a request row as the reservation returns it.
type reservedRow struct {
	Row   requestRow `gorm:"embedded"`
	Taken bool
}

// ReserveAttempt adds one attempt and takes a unit of budget in a conditional
// update of its own. A caller whose transaction rolls back later has used both
// all the same. A budget without units does not keep the attempt from counting.
func (s *Store) ReserveAttempt(ctx context.Context, application string, id workflow.ID, now time.Time, budget workflow.Quota) (workflow.Reservation, bool, error) {
	var none workflow.Reservation
	if s.inside(ctx) {
		return none, false, errInside
	}
	if !clean(application) {
		return none, false, nil
	}
	if !clean(budget.Name, budget.Key) {
		return none, false, ErrText
	}
	var rows []reservedRow
	var err error
	if s.postgres() {
		rows, err = s.reserveAtOnce(ctx, application, id, now, s.unitOf(budget, 0, 1))
	} else {
		err = s.db.Atomically(ctx, func(ctx context.Context) error {
			var err error
			rows, err = s.reserveInSteps(ctx, application, id, now, budget)
			return err
		})
	}
	if err != nil || len(rows) == 0 {
		return none, false, err
	}
	r, err := rows[0].Row.request()
	return workflow.Reservation{Request: r, Spent: !rows[0].Taken}, err == nil, err
}

const reserveSQL = `UPDATE requests SET attempts = attempts + 1
WHERE application = ? AND id = ? AND attempts < max_attempts AND expires_at > ? RETURNING `

func (s *Store) reserveAtOnce(ctx context.Context, application string, id workflow.ID, now time.Time, u unit) ([]reservedRow, error) {
	clock := s.nowSQL()
	var rows []reservedRow
	err := s.db.Write(ctx).Raw(`WITH reserved AS (`+reserveSQL+columnList(requestColumns, "")+`), taken AS (
INSERT INTO `+u.table+` AS l (application, name, key, tat) SELECT ?::text, ?::text, ?::text, `+clock+` + ?::bigint FROM reserved
ON CONFLICT (application, name, key) DO UPDATE SET tat = GREATEST(l.tat, `+clock+`) + ?::bigint WHERE l.tat - `+clock+` <= ?::bigint RETURNING 1)
SELECT `+columnList(requestColumns, "")+`, EXISTS (SELECT 1 FROM taken) AS taken FROM reserved`,
		application, id.String(), micros(now), application, u.quota.Name, u.quota.Key, u.interval, u.interval, u.tolerance).Find(&rows).Error
	return rows, err
}

func (s *Store) reserveInSteps(ctx context.Context, application string, id workflow.ID, now time.Time, budget workflow.Quota) ([]reservedRow, error) {
	var rows []requestRow
	err := s.db.Write(ctx).Raw(reserveSQL+columnList(requestColumns, ""), application, id.String(), micros(now)).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	refused, err := s.Take(ctx, application, budget)
	return []reservedRow{{rows[0], refused == nil}}, err
}

// ReturnAttempt gives one reserved attempt and its unit of budget back.
// ErrNotFound where no attempt is reserved.
func (s *Store) ReturnAttempt(ctx context.Context, application string, id workflow.ID, budget workflow.Quota) error {
	if !clean(application) {
		return workflow.ErrNotFound
	}
	if !clean(budget.Name, budget.Key) {
		return ErrText
	}
	const back = `UPDATE requests SET attempts = attempts - 1 WHERE application = ? AND id = ? AND attempts > 0`
	u := s.unitOf(budget, 0, 1)
	if s.postgres() {
		var met int
		err := s.db.Write(ctx).Raw(`WITH back AS (`+back+` RETURNING 1), unit AS (
UPDATE `+u.table+` SET tat = tat - ?::bigint WHERE application = ? AND name = ? AND key = ? AND EXISTS (SELECT 1 FROM back))
SELECT count(*) FROM back`, application, id.String(), u.interval, application, u.quota.Name, u.quota.Key).Find(&met).Error
		if err == nil && met == 0 {
			err = workflow.ErrNotFound
		}
		return err
	}
	return s.db.Atomically(ctx, func(ctx context.Context) error {
		if err := one(s.db.Write(ctx).Exec(back, application, id.String())); err != nil {
			return err
		}
		return s.giveBack(ctx, application, u)
	})
}
