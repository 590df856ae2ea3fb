package storage

import (
	"database/sql"

	"gorm.io/gorm"

	"github.com/resetflow/resetflow/internal/database"
)

// nowSQL is the database's clock in microseconds since the epoch, read when the
// expression is evaluated; SQLite's ticks in milliseconds.
func (s *Store) nowSQL() string {
	if s.postgres() {
		return "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	}
	return "CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER) * 1000"
}

// nullable are numbers of one row, some of them missing.
type nullable []sql.NullInt64

func (n nullable) plain() []int64 {
	list := make([]int64, len(n))
	for i, v := range n {
		list[i] = v.Int64
	}
	return list
}

// numbers reads the one row of n numbers that query gives.
func numbers(query *gorm.DB, n int) (nullable, error) {
	rows, err := query.Rows()
	if err != nil {
		return nil, database.Unavailable(err) // gorm translates the errors of the other calls
	}
	defer func() { _ = rows.Close() }()
	values := make(nullable, n)
	into := make([]any, n)
	for i := range values {
		into[i] = &values[i]
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, err
		}
		return nil, sql.ErrNoRows
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	rows.Next() // reads to the end: only then is the statement done and its error known
	return values, rows.Err()
}
