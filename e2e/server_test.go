package e2e

import (
	"testing"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

func TestMain(m *testing.M) { product.Main(m) }

// OldPassword and NewPassword are what accounts start with and change to.
const (
	OldPassword = product.OldPassword
	NewPassword = product.NewPassword
)

// start runs the binary on a kind of database.
func start(t testing.TB, kind string) *product.Server {
	t.Helper()
	o := product.Options{}
	if kind == "postgres" {
		o.Database = testkit.Postgres(t)
	}
	return product.Start(t, o)
}
