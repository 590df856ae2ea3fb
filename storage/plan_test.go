package storage_test

import (
	"strings"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

// Loading a request must not read the live rows of other accounts, also without
// statistics: a look-up that scans an index costs more with every request.
func TestRequestIsLoadedByIndex(t *testing.T) {
	var seen []string
	db := testkit.Open(t, database.SQLite, database.Options{Statements: func(sql string) { seen = append(seen, sql) }})
	s := storage.New(db, nil, &clock{})
	_, _, _ = s.Request(t.Context(), "acme", workflow.Locator{ID: workflow.ID{1}})
	query := ""
	for _, sql := range seen {
		if strings.Contains(sql, "AS rank") {
			query = sql
		}
	}
	if query == "" {
		t.Fatal("the look-up was not seen")
	}
	var plan []struct{ Detail string }
	if err := db.Read(t.Context()).Raw("EXPLAIN QUERY PLAN "+query, "acme", "x").Scan(&plan).Error; err != nil {
		t.Fatal(err)
	}
	for _, step := range plan {
		if strings.Contains(step.Detail, "SCAN o") || strings.Contains(step.Detail, "SCAN requests") {
			t.Errorf("the look-up reads a whole table or index: %s", step.Detail)
		}
	}
}
