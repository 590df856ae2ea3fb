package flows_test

import (
	"testing"

	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestFlows(t *testing.T) {
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		for _, w := range flowtest.Ways() {
			t.Run(string(w.Flow), func(t *testing.T) { flowtest.Run(t, w, db) })
		}
	})
}
