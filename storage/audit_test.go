package storage_test

import (
	"bytes"
	"testing"

	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/storage/storagetest"
)

// auditKeys makes a keyring of keys filled with the given bytes, newest first.
func auditKeys(t testing.TB, fill ...byte) *secret.Keyring {
	t.Helper()
	var keys [][]byte
	for _, b := range fill {
		keys = append(keys, bytes.Repeat([]byte{b}, 32))
	}
	r, err := secret.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAuditChain(t *testing.T) {
	for _, dialect := range []database.Dialect{database.SQLite, database.Postgres} {
		t.Run(string(dialect), func(t *testing.T) {
			storagetest.RunAudit(t, func(t *testing.T) storagetest.AuditBackend {
				db := testkit.Open(t, dialect, database.Options{})
				return storagetest.AuditBackend{
					DB: db, Store: storage.New(db, nil, &clock{}),
					Keys: func(fill ...byte) *secret.Keyring { return auditKeys(t, fill...) },
				}
			})
		})
	}
}
