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
		if code, changed := notMeCode(v.QueryParams()); code != "" {
			v.state.NotMe, v.state.Changed = code, changed
			return v.forward("/not-me")
		}
		if v.state.NotMe == "" && !v.kept {
			return v.notMePage("cookie")
		}
		if v.state.NotMe == "" {
			return v.notMePage("gone")
		}
		if v.state.Changed {
			return v.notMePage("changed")
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
	done, err := s.Engine.NotMe(v.Request().Context(), v.app, code, v.client())
	if err != nil {
		e := workflow.AsError(err)
		if class := e.Row().Class; class != workflow.ClassInvalid && class != workflow.ClassNotFound && class != workflow.ClassConflict {
			return err
		}
		v.state.NotMe = ""
		return v.notMePage("gone")
	}
	v.state.NotMe = ""
	if done == workflow.DisownedNothing {
		return v.notMePage("gone")
	}
	v.state.drop() // what this browser knew of the request is over with it
	if done == workflow.DisownedSecured {
		return v.notMePage("secured")
	}
	return v.notMePage("done")
}

// notMeCode reads the code of a link, and whether a change was disowned;
// duplicates and giants count as none.
func notMeCode(q url.Values) (code string, changed bool) {
	for _, name := range []string{"request", "changed"} {
		if c := q[name]; len(c) == 1 && len(c[0]) <= 256 {
			return c[0], name == "changed"
		}
	}
	return "", false
}

func (v *visit) notMePage(step string) error {
	title := map[string]string{"ask": v.texts.NotMe.Title, "done": v.texts.NotMe.DoneTitle, "changed": v.texts.NotMe.AfterTitle, "secured": v.texts.NotMe.SecuredTitle, "gone": v.texts.NotMe.GoneTitle, "cookie": v.texts.Cookies.Title}[step]
	return v.show(statusOK, "notme", v.view(title, "/not-me", step))
}
