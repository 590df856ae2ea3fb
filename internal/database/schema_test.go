package database_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
)

// Both schemas are written by hand: a column of one that the other lacks shows here.
func TestBothDialectsHaveTheSameTables(t *testing.T) {
	lite := columns(t, testkit.Open(t, database.SQLite, database.Options{}), `
		SELECT m.name || '.' || c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'`)
	post := columns(t, testkit.Open(t, database.Postgres, database.Options{}), `
		SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'`)
	for name := range lite {
		if !post[name] {
			t.Errorf("%s is missing on PostgreSQL", name)
		}
	}
	for name := range post {
		if !lite[name] {
			t.Errorf("%s is missing on SQLite", name)
		}
	}
	if len(lite) < 80 || !lite["requests.sealed_hash"] {
		t.Fatalf("the look at the schema found too little: %v", slices.Sorted(maps.Keys(lite)))
	}
}

// columns lists table.column of our own tables.
func columns(t *testing.T, db *database.DB, query string) map[string]bool {
	t.Helper()
	var names []string
	if err := db.Read(t.Context()).Raw(query).Scan(&names).Error; err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, n := range names {
		if len(n) > 6 && (n[:6] == "river_" || n[:6] == "goose_") {
			continue
		}
		own[n] = true
	}
	return own
}
