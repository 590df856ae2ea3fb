package database

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/migrator"
	"gorm.io/gorm/schema"
	"modernc.org/sqlite"
)

// sqliteDialector teaches gorm the SQLite that is written in Go. gorm's own
// dialector would compile a second SQLite, in C, whenever cgo is on.
type sqliteDialector struct{ db *sql.DB }

func (sqliteDialector) Name() string { return string(SQLite) }

func (d sqliteDialector) Initialize(db *gorm.DB) error {
	db.ConnPool = d.db
	callbacks.RegisterDefaultCallbacks(db, &callbacks.Config{
		CreateClauses:        []string{"INSERT", "VALUES", "ON CONFLICT", "RETURNING"},
		UpdateClauses:        []string{"UPDATE", "SET", "FROM", "WHERE", "RETURNING"},
		DeleteClauses:        []string{"DELETE", "FROM", "WHERE", "RETURNING"},
		LastInsertIDReversed: true,
	})
	db.ClauseBuilders["LIMIT"] = buildLimit
	// There are no row locks: the one writer holds the whole database.
	db.ClauseBuilders["FOR"] = func(c clause.Clause, b clause.Builder) {
		if _, ok := c.Expression.(clause.Locking); !ok {
			c.Build(b)
		}
	}
	return nil
}

// buildLimit writes a LIMIT in front of every OFFSET: SQLite has none without.
func buildLimit(c clause.Clause, b clause.Builder) {
	l, ok := c.Expression.(clause.Limit)
	if !ok {
		return
	}
	limit := -1
	if l.Limit != nil && *l.Limit >= 0 {
		limit = *l.Limit
	}
	if limit < 0 && l.Offset <= 0 {
		return
	}
	_, _ = b.WriteString("LIMIT " + strconv.Itoa(limit))
	if l.Offset > 0 {
		_, _ = b.WriteString(" OFFSET " + strconv.Itoa(l.Offset))
	}
}

func (d sqliteDialector) Migrator(db *gorm.DB) gorm.Migrator {
	return migrator.Migrator{Config: migrator.Config{DB: db, Dialector: d}}
}

func (sqliteDialector) DataTypeOf(f *schema.Field) string {
	switch f.DataType {
	case schema.Bool, schema.Int, schema.Uint:
		return "integer"
	case schema.Float:
		return "real"
	case schema.Bytes:
		return "blob"
	case schema.String:
		return "text"
	default:
		return string(f.DataType)
	}
}

func (sqliteDialector) DefaultValueOf(*schema.Field) clause.Expression {
	return clause.Expr{SQL: "NULL"}
}

func (sqliteDialector) BindVarTo(w clause.Writer, _ *gorm.Statement, _ any) { _ = w.WriteByte('?') }

// QuoteTo quotes an identifier, each part of a dotted one by itself.
func (sqliteDialector) QuoteTo(w clause.Writer, name string) {
	for i, part := range strings.Split(name, ".") {
		if i > 0 {
			_ = w.WriteByte('.')
		}
		if n := len(part); n > 1 && part[0] == '"' && part[n-1] == '"' {
			_, _ = w.WriteString(part)
			continue
		}
		_, _ = w.WriteString(`"` + strings.ReplaceAll(part, `"`, `""`) + `"`)
	}
}

func (sqliteDialector) Explain(sql string, vars ...any) string {
	return logger.ExplainSQL(sql, nil, `'`, vars...)
}

func (sqliteDialector) SavePoint(tx *gorm.DB, name string) error {
	return tx.Exec("SAVEPOINT " + name).Error
}

func (sqliteDialector) RollbackTo(tx *gorm.DB, name string) error {
	return tx.Exec("ROLLBACK TO SAVEPOINT " + name).Error
}

// translations maps SQLite's extended result codes to gorm's errors.
var translations = map[int]error{
	1555: gorm.ErrDuplicatedKey,           // SQLITE_CONSTRAINT_PRIMARYKEY
	2067: gorm.ErrDuplicatedKey,           // SQLITE_CONSTRAINT_UNIQUE
	787:  gorm.ErrForeignKeyViolated,      // SQLITE_CONSTRAINT_FOREIGNKEY
	275:  gorm.ErrCheckConstraintViolated, // SQLITE_CONSTRAINT_CHECK
}

// Translate adds gorm's error where there is one; the original stays in the chain.
func (sqliteDialector) Translate(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		if known, ok := translations[e.Code()]; ok {
			return fmt.Errorf("%w: %w", known, err)
		}
	}
	return err
}
