package bench

import (
	"context"
	"testing"
	"time"

	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func policies() []workflow.FlowPolicy {
	var out []workflow.FlowPolicy
	for _, f := range flows.Builtin() {
		out = append(out, f.Policy())
	}
	return out
}

// acme has limits that no load reaches; they are counted all the same.
const acme = `{"application":"acme","name":"Acme","resendAfter":"1s",
"flows":{"email_link":{"enabled":true},"email_otp":{"enabled":true}},
"limits":{"perAddress":"10000/h","perIp":"1000000/h","perPeer":"1000000/h","perApplication":"100000000/h","mailsPerAccount":"10000/h"}}`

// cheap hashes as fast as the configuration allows.
func cheap() *password.Pool {
	return password.NewPool(password.Options{Argon2Time: 1, Argon2Memory: 64})
}

func keyring(tb testing.TB) *secret.Keyring {
	tb.Helper()
	k, err := secret.NewKeyring([]byte("a key for measuring, worth nothing to anybody"))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// seed makes the schema, the application and its accounts.
func seed(tb testing.TB, url string, accounts int) {
	tb.Helper()
	ctx := context.Background()
	db, err := database.Open(ctx, url, database.Options{Synchronous: "OFF"})
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	if _, err := db.MigrateUp(ctx); err != nil {
		tb.Fatal(err)
	}
	store := storage.New(db, nil, systemClock{})
	app, err := settings.Decode([]byte(acme), policies())
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.Create(ctx, app, "bench"); err != nil {
		tb.Fatal(err)
	}
	pool := cheap()
	hash, err := pool.Hash(ctx, newPassword)
	if err != nil {
		tb.Fatal(err)
	}
	users := builtin.New(db, keyring(tb), pool, store, systemClock{}, builtin.Options{})
	const batch = 500
	for begin := 0; begin < accounts; begin += batch {
		err := db.Atomically(ctx, func(ctx context.Context) error {
			for i := begin; i < min(begin+batch, accounts); i++ {
				if _, err := users.CreateUser(ctx, "acme", workflow.NewUser{Email: account(i), Name: "Ada", Hash: hash}, "bench"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	// What an import leaves to autovacuum. Empty tables stay as a new installation has them.
	if db.Dialect() == database.Postgres {
		_, err = db.Pool().Exec(ctx, "ANALYZE accounts")
	} else {
		_, err = db.Writer().ExecContext(ctx, "ANALYZE accounts")
	}
	if err != nil {
		tb.Fatal(err)
	}
}
