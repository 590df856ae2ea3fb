package database_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

type hostRow struct {
	Host        string `gorm:"primaryKey"`
	Application string
}

func (hostRow) TableName() string { return "application_hosts" }

func add(ctx context.Context, db *database.DB, host string) error {
	return db.Write(ctx).Create(&hostRow{Host: host, Application: "acme"}).Error
}

func hosts(t *testing.T, db *database.DB) []string {
	t.Helper()
	var names []string
	if err := db.Read(t.Context()).Model(&hostRow{}).Order("host").Pluck("host", &names).Error; err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAtomicallyCommitsOrRollsBack(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		wrong := errors.New("wrong")
		err := db.Atomically(t.Context(), func(ctx context.Context) error {
			if err := add(ctx, db, "lost"); err != nil {
				return err
			}
			return wrong
		})
		if err != wrong {
			t.Fatalf("got %v, want the very error of fn", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = db.Atomically(t.Context(), func(ctx context.Context) error {
				if err := add(ctx, db, "panicked"); err != nil {
					t.Error(err)
				}
				panic("no")
			})
		}()
		var after []string
		err = db.Atomically(t.Context(), func(ctx context.Context) error {
			if err := add(ctx, db, "outer"); err != nil {
				return err
			}
			var n int64
			if err := db.Read(ctx).Model(&hostRow{}).Count(&n).Error; err != nil || n != 1 {
				t.Errorf("inside the transaction: %d rows, %v", n, err)
			}
			return db.Atomically(ctx, func(ctx context.Context) error {
				db.AfterCommit(ctx, func() { after = hosts(t, db) })
				return add(ctx, db, "inner")
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"inner", "outer"}
		if got := hosts(t, db); !slices.Equal(got, want) {
			t.Fatalf("hosts %v, want %v", got, want)
		}
		if !slices.Equal(after, want) {
			t.Fatalf("AfterCommit saw %v, want %v", after, want)
		}
	})
}

func TestNestedErrorUndoesTheWhole(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		ran := false
		err := db.Atomically(t.Context(), func(ctx context.Context) error {
			if err := add(ctx, db, "outer"); err != nil {
				return err
			}
			return db.Atomically(ctx, func(ctx context.Context) error {
				db.AfterCommit(ctx, func() { ran = true })
				return errors.New("no")
			})
		})
		if err == nil || ran || len(hosts(t, db)) != 0 {
			t.Fatalf("err %v, AfterCommit ran %v, hosts %v", err, ran, hosts(t, db))
		}
		if db.AfterCommit(t.Context(), func() {}) {
			t.Fatal("AfterCommit found a transaction outside one")
		}
	})
}

func TestErrorsAreTranslated(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		if err := add(t.Context(), db, "twice"); err != nil {
			t.Fatal(err)
		}
		if err := add(t.Context(), db, "twice"); !errors.Is(err, gorm.ErrDuplicatedKey) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestClausesOfGorm(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		for _, h := range []string{"a", "b", "c"} {
			if err := add(t.Context(), db, h); err != nil {
				t.Fatal(err)
			}
		}
		var names []string
		if err := db.Read(t.Context()).Model(&hostRow{}).Order("host").Offset(1).Pluck("host", &names).Error; err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(names, []string{"b", "c"}) {
			t.Fatalf("offset alone: %v", names)
		}
		var row hostRow
		if err := db.Read(t.Context()).Where("host = ?", "b").Limit(1).Take(&row).Error; err != nil || row.Application != "acme" {
			t.Fatalf("%+v %v", row, err)
		}
		if err := db.Read(t.Context()).Where("host = ?", "none").Take(&row).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
			t.Fatalf("got %v", err)
		}
		res := db.Write(t.Context()).Model(&hostRow{}).Where("host > ?", "a").Updates(map[string]any{"application": "other"})
		if res.Error != nil || res.RowsAffected != 2 {
			t.Fatalf("updated %d, %v", res.RowsAffected, res.Error)
		}
		// gorm's own nested transaction is a savepoint of ours.
		err := db.Atomically(t.Context(), func(ctx context.Context) error {
			_ = db.Write(ctx).Transaction(func(tx *gorm.DB) error {
				_ = tx.Create(&hostRow{Host: "d"}).Error
				return errors.New("undo this")
			})
			return add(ctx, db, "e")
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := hosts(t, db); !slices.Equal(got, []string{"a", "b", "c", "e"}) {
			t.Fatalf("after a savepoint: %v", got)
		}
	})
}

func TestReadersOfSQLiteRefuseToWrite(t *testing.T) {
	db := testkit.Open(t, database.SQLite, database.Options{})
	if err := db.Read(t.Context()).Create(&hostRow{Host: "x"}).Error; err == nil {
		t.Fatal("a reader wrote")
	}
}

func TestReadThenWriteNeverFailsUnderContention(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		if err := db.Write(t.Context()).Exec("INSERT INTO applications VALUES ('acme', 0, '{}', 0, 0)").Error; err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					err := db.Atomically(t.Context(), func(ctx context.Context) error {
						var n int64
						lock := ""
						if db.Dialect() == database.Postgres {
							lock = " FOR UPDATE"
						}
						if err := db.Write(ctx).Raw("SELECT version FROM applications WHERE slug = 'acme'" + lock).Scan(&n).Error; err != nil {
							return err
						}
						return db.Write(ctx).Exec("UPDATE applications SET version = ? WHERE slug = 'acme'", n+1).Error
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int64
		if err := db.Read(t.Context()).Raw("SELECT version FROM applications").Scan(&n).Error; err != nil || n != 160 {
			t.Fatalf("counted %d of 160, %v", n, err)
		}
	})
}

func TestDeadlocksAreTriedAgain(t *testing.T) {
	db := testkit.Open(t, database.Postgres, database.Options{})
	for _, h := range []string{"a", "b"} {
		if err := add(t.Context(), db, h); err != nil {
			t.Fatal(err)
		}
	}
	var met, wg sync.WaitGroup
	met.Add(2)
	var runs [2]int
	for i, order := range [2][2]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			err := db.Atomically(t.Context(), func(ctx context.Context) error {
				runs[i]++
				for n, host := range order {
					err := db.Write(ctx).Exec("UPDATE application_hosts SET application = 'x' WHERE host = ?", host).Error
					if err != nil {
						return err
					}
					if n == 0 && runs[i] == 1 {
						met.Done()
						met.Wait() // both hold their first row
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if runs[0]+runs[1] != 3 {
		t.Fatalf("runs %v: exactly one should have run twice", runs)
	}
}

func TestPgxTxIsTheSameTransaction(t *testing.T) {
	db := testkit.Open(t, database.Postgres, database.Options{})
	err := db.Atomically(t.Context(), func(ctx context.Context) error {
		if err := add(ctx, db, "by gorm"); err != nil {
			return err
		}
		tx, ok := db.PgxTx(ctx)
		if !ok {
			t.Fatal("no pgx transaction")
		}
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM application_hosts").Scan(&n); err != nil || n != 1 {
			t.Fatalf("pgx sees %d rows, %v", n, err)
		}
		inner, err := tx.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := inner.Exec(ctx, "INSERT INTO application_hosts VALUES ('undone', '')"); err != nil {
			return err
		}
		if err := inner.Rollback(ctx); err != nil {
			return err
		}
		if err := inner.Commit(ctx); !errors.Is(err, pgx.ErrTxClosed) {
			t.Errorf("a closed savepoint said %v", err)
		}
		if inner, err = tx.Begin(ctx); err != nil {
			return err
		}
		if _, err := inner.CopyFrom(ctx, pgx.Identifier{"application_hosts"}, []string{"host", "application"},
			pgx.CopyFromRows([][]any{{"by copy", ""}})); err != nil {
			return err
		}
		if err := inner.Commit(ctx); err != nil {
			return err
		}
		if tx.Commit(ctx) == nil || tx.Rollback(ctx) == nil {
			t.Error("the outer transaction let itself be ended")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := hosts(t, db); !slices.Equal(got, []string{"by copy", "by gorm"}) {
		t.Fatalf("hosts %v", got)
	}
	if _, ok := db.PgxTx(t.Context()); ok {
		t.Fatal("a transaction outside Atomically")
	}
}

func TestACancelledCallerLeavesNothingBehind(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		for range 40 { // more often than there are connections
			ctx, cancel := context.WithCancel(t.Context())
			err := db.Atomically(ctx, func(ctx context.Context) error {
				if err := add(ctx, db, "half"); err != nil {
					return err
				}
				cancel()
				return add(ctx, db, "other half")
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
		if got := hosts(t, db); len(got) != 0 {
			t.Fatalf("hosts %v", got)
		}
		if err := add(t.Context(), db, "still works"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEveryCallHasADeadline(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		for name, s := range map[string]*gorm.DB{"write": db.Write(context.Background()), "read": db.Read(context.Background())} {
			if _, ok := s.Statement.Context.Deadline(); !ok {
				t.Errorf("%s has no deadline", name)
			}
		}
		_ = db.Atomically(context.Background(), func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("a transaction has no deadline")
			}
			return nil
		})
		// A statement beside the transaction must end, not hang, on SQLite.
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		outside := ctx
		err := db.Atomically(ctx, func(context.Context) error { return add(outside, db, "beside") })
		if db.Dialect() == database.SQLite && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStatementsAreSeen(t *testing.T) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			var mu sync.Mutex
			var seen []string
			db := testkit.Open(t, dialect, database.Options{Statements: func(sql string) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, strings.ToLower(sql))
			}})
			mu.Lock()
			seen = nil
			mu.Unlock()
			err := db.Atomically(t.Context(), func(ctx context.Context) error { return add(ctx, db, "secret-value") })
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all := strings.Join(seen, ";")
			if len(seen) != 3 || seen[0] != "begin" || !strings.HasPrefix(seen[1], "insert") || seen[2] != "commit" || strings.Contains(all, "secret-value") {
				t.Fatalf("saw %q", seen)
			}
		})
	}
}

func TestOpenExplainsItself(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plain.txt")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"mysql://root:hunter2@db/x":          "use one of the two forms",
		"resetflow.db":                       "use one of the two forms",
		"sqlite:":                            "needs the path of a file",
		"sqlite::memory:":                    "needs the path of a file",
		"sqlite:" + dir + "/a/b/c.db":        "create it or name another path",
		"sqlite:" + file:                     "is not an SQLite database",
		"sqlite:" + file + "/x.db":           "name another path",
		"sqlite:" + dir:                      "cannot be written",
		"postgres://u:hunter2@[::1":          "cannot be read",
		"postgres://u:hunter2@127.0.0.1:1/x": "check that it runs",
	} {
		_, err := database.Open(t.Context(), url, database.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password stands in the error", url)
		}
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "a?b#c %41.db")
	db, err := database.Open(t.Context(), "sqlite:"+path, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.MigrateUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info, err, want)
		}
	}
	var mode, sync string
	_ = db.Write(t.Context()).Raw("PRAGMA journal_mode").Scan(&mode)
	_ = db.Write(t.Context()).Raw("PRAGMA synchronous").Scan(&sync)
	if mode != "wal" || sync != "2" {
		t.Errorf("journal_mode %s, synchronous %s; want wal and 2 (FULL)", mode, sync)
	}
}
