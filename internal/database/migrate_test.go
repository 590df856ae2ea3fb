package database_test

import (
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage/migrations"
)

func TestMigrateUpOnce(t *testing.T) {
	for dialect, url := range testkit.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			db, err := database.Open(t.Context(), url, database.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			pending, err := db.Pending(t.Context())
			if err != nil || len(pending) < 2 || pending[0] != "0001_init.sql" || pending[1] != "0002_queue" {
				t.Fatalf("pending %v, %v", pending, err)
			}
			applied, err := db.MigrateUp(t.Context())
			if err != nil || !slices.Equal(applied, pending) {
				t.Fatalf("applied %v of %v, %v", applied, pending, err)
			}
			if again, err := db.MigrateUp(t.Context()); err != nil || len(again) != 0 {
				t.Fatalf("applied again: %v, %v", again, err)
			}
			if left, err := db.Pending(t.Context()); err != nil || len(left) != 0 {
				t.Fatalf("left: %v, %v", left, err)
			}
			for _, table := range []string{"requests", "messages", "audit", "limits", "limits_fast", "accounts", "sessions",
				"applications", "application_hosts", "api_keys", "river_job"} {
				var n int64
				if err := db.Read(t.Context()).Table(table).Count(&n).Error; err != nil {
					t.Errorf("%s: %v", table, err)
				}
			}
			if err := db.Write(t.Context()).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, TRUE)").Error; err != nil {
				t.Fatal(err)
			}
			if _, err := db.Pending(t.Context()); err == nil || !strings.Contains(err.Error(), "newer program") {
				t.Fatalf("a newer schema: %v", err)
			}
		})
	}
}

func TestThreeNodesMigrateAtOnce(t *testing.T) {
	url := testkit.Postgres(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var applied []string
	for range 3 {
		wg.Go(func() {
			db, err := database.Open(t.Context(), url, database.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			names, err := db.MigrateUp(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, names...)
		})
	}
	wg.Wait()
	slices.Sort(applied)
	if len(applied) < 2 || len(slices.Compact(slices.Clone(applied))) != len(applied) {
		t.Fatalf("applied %v: every step exactly once", applied)
	}
}

func TestBothDialectsHaveTheSameSteps(t *testing.T) {
	names := map[string][]string{}
	for _, dialect := range []string{"sqlite", "postgres"} {
		files, err := fs.ReadDir(migrations.Files, dialect)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			names[dialect] = append(names[dialect], f.Name())
		}
	}
	if len(names["sqlite"]) == 0 || !slices.Equal(names["sqlite"], names["postgres"]) {
		t.Fatalf("steps differ: %v", names)
	}
}

func TestMigratingLeavesNoBuffersBehind(t *testing.T) {
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := db.MigrateUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3<<20 {
		t.Errorf("the heap is %d KiB larger after migrating", grown>>10)
	}
}
