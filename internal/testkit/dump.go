package testkit

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
)

// Tables lists the tables of a database, the migrations' own left out.
func Tables(t testing.TB, db *database.DB) []string {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if db.Dialect() == database.Postgres {
		query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
	}
	var all, out []string
	if err := db.Read(context.Background()).Raw(query).Scan(&all).Error; err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if !strings.Contains(name, "goose") && !strings.Contains(name, "migration") {
			out = append(out, name)
		}
	}
	return out
}

// Truncate empties every table, so that one database serves many tests.
func Truncate(t testing.TB, db *database.DB) {
	t.Helper()
	for _, name := range Tables(t, db) {
		if err := db.Write(context.Background()).Exec("DELETE FROM " + name).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// Dump returns every value of every table as text, bytes also in hexadecimal,
// to look for what must not be there.
func Dump(t testing.TB, db *database.DB) string {
	t.Helper()
	var b strings.Builder
	for _, name := range Tables(t, db) {
		rows, err := db.Read(context.Background()).Raw("SELECT * FROM " + name).Rows()
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if raw, ok := v.([]byte); ok {
					fmt.Fprintf(&b, "%s.%s=%s %s\n", name, columns[i], raw, hex.EncodeToString(raw))
					continue
				}
				fmt.Fprintf(&b, "%s.%s=%v\n", name, columns[i], v)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
	return b.String()
}
