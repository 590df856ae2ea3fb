package directory

import (
	"strings"
	"testing"

	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/workflow"
)

var _ workflow.Directories = (*Set)(nil)

func TestFor(t *testing.T) {
	b := &builtin.Directory{}
	s := NewSet(b)
	app := workflow.DefaultApplication("acme")
	if d, err := s.For(&app); err != nil || d != workflow.Directory(b) {
		t.Errorf("builtin: %v, %v", d, err)
	}
	for _, kind := range []string{"", "ldap", "Builtin"} {
		app.Directory.Kind = kind
		if d, err := s.For(&app); err == nil || d != nil || !strings.Contains(err.Error(), "directory.kind") {
			t.Errorf("%q: %v, %v", kind, d, err)
		}
	}
}
