package web

import (
	"net/url"

	"github.com/resetflow/resetflow/workflow"
)

// notMe lets the person who did not ask stop the request. Following the link
// does nothing; a button does it.
func (s *server) notMe(v *visit) error {
	reads, err := v.reading()
	if err != nil {
		return err
	}
	if reads {
		if code := notMeCode(v.QueryParams()); code != "" {
			v.state.NotMe = code
			return v.forward("/not-me")
		}
		if v.state.NotMe == "" && !v.kept {
			return v.notMePage("cookie")
		}
		if v.state.NotMe == "" {
			return v.notMePage("gone")
		}
		return v.notMePage("ask")
	}
	if _, err := v.form(); err != nil {
		return err
	}
	code := v.state.NotMe
	if code == "" {
		return v.notMePage("gone")
	}
	stopped, err := s.Engine.CancelByCode(v.Request().Context(), v.app, code, v.client())
	if err != nil {
		e := workflow.AsError(err)
		if class := e.Row().Class; class != workflow.ClassInvalid && class != workflow.ClassNotFound && class != workflow.ClassConflict {
			return err
		}
		v.state.NotMe = ""
		return v.notMePage("gone")
	}
	v.state.NotMe = ""
	if !stopped {
		return v.notMePage("gone")
	}
	v.state.drop() // what this browser knew of the request is over with it
	return v.notMePage("done")
}

// notMeCode reads the code of a link; duplicates and giants count as none.
func notMeCode(q url.Values) string {
	if c := q["request"]; len(c) == 1 && len(c[0]) <= 256 {
		return c[0]
	}
	return ""
}

func (v *visit) notMePage(step string) error {
	title := map[string]string{"ask": v.texts.NotMe.Title, "done": v.texts.NotMe.DoneTitle, "gone": v.texts.NotMe.GoneTitle, "cookie": v.texts.Cookies.Title}[step]
	return v.show(statusOK, "notme", v.view(title, "/not-me", step))
}
