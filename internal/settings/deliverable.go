package settings

import "github.com/resetflow/resetflow/internal/address"

// deliverable reports whether s is an address by the grammar of contract §5.
func deliverable(s string) bool {
	_, ok := address.Parse(s)
	return ok
}
