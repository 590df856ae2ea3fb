package web

import (
	"errors"
	"net/http"

	"github.com/resetflow/resetflow/workflow"
)

// wellKnown leads password managers to the page (W3C: A Well-Known URL for
// Changing Passwords): the mapped host's application, or the only one.
func (s *server) wellKnown(v *visit) error {
	if err := v.onlyReads(); err != nil {
		return err
	}
	ctx := v.Request().Context()
	_, err := s.mapped(ctx, v.Request())
	if err == nil {
		return v.Redirect(http.StatusSeeOther, "/forgot-password")
	}
	if !errors.Is(err, workflow.ErrNotFound) {
		return err
	}
	apps, next, err := s.Applications.List(ctx, "", 2)
	if err != nil {
		return err
	}
	if len(apps) != 1 || next != "" {
		return errNotFound
	}
	return v.Redirect(http.StatusSeeOther, "/apps/"+apps[0].Slug+"/forgot-password")
}

// front is the root: the page of a mapped host, the demo's front page, else nothing.
func (s *server) front(v *visit) error {
	if err := v.onlyReads(); err != nil {
		return err
	}
	_, err := s.mapped(v.Request().Context(), v.Request())
	switch {
	case err == nil:
		return v.Redirect(http.StatusSeeOther, "/forgot-password")
	case !errors.Is(err, workflow.ErrNotFound):
		return err
	case s.Demo == nil:
		return errNotFound
	}
	w := v.view("resetflow demo", "", s.Demo)
	return v.render(statusOK, "demo", w)
}

// Demo is what the front page of `resetflow demo` leads to.
type Demo struct {
	Application string   // slug
	Accounts    []string // addresses to try
	Flows       []string // the flows that are switched on
	Lines       []string // more to paste, one command each
}
