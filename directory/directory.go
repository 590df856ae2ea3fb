// Package directory picks where an application's accounts live.
//
// Each kind of directory is a package below this one; all of them pass the
// suite in directorytest. Only the builtin one keeps sessions of its own.
package directory

import (
	"fmt"

	"github.com/resetflow/resetflow/directory/builtin"
	"github.com/resetflow/resetflow/workflow"
)

// Set holds the installation's directories by kind. It implements
// workflow.Directories and is safe for concurrent use.
type Set struct{ kinds map[string]workflow.Directory }

// NewSet makes a set with the builtin directory.
func NewSet(b *builtin.Directory) *Set {
	return &Set{kinds: map[string]workflow.Directory{"builtin": b}}
}

// For returns the directory of an application. An application whose kind is
// not there cannot reset anything: the error says so and never falls back.
func (s *Set) For(app *workflow.Application) (workflow.Directory, error) {
	d, ok := s.kinds[app.Directory.Kind]
	if !ok {
		return nil, fmt.Errorf("directory: application %q wants the kind %q, which this installation does not have; set directory.kind to builtin", app.Slug, app.Directory.Kind)
	}
	return d, nil
}
