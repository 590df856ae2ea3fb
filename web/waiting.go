package web

import (
	"net/http"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// waitData is the page after asking; it is the same for every address.
type waitData struct {
	Email    string
	Digits   int           // how many digits the code has; 0 for a link
	Lifetime time.Duration // of the link or the code
	Again    int           // seconds until one may ask again, 0 for now
	Code     string        // as typed, where it was wrong
	Support  bool          // a code from support is asked for
}

// sent says that a link is on its way, if there is an account.
func (s *server) sent(v *visit) error {
	if err := v.onlyReads(); err != nil {
		return err
	}
	if v.state.Typed == "" || v.state.Flow != string(flowLink) {
		return v.forward("/forgot-password")
	}
	return v.show(statusOK, "wait", v.waitView("/forgot-password/sent"))
}

// waitView describes the wait for the message of the state's flow.
func (v *visit) waitView(self string) view {
	flow := workflow.FlowName(v.state.Flow)
	set, _ := v.app.Flow(flow)
	d := waitData{Email: v.state.Typed, Lifetime: set.Lifetime.D()}
	if flow == flowOTP {
		d.Digits = max(set.Digits, 6)
	}
	if rest := time.UnixMilli(v.state.Again).Sub(v.now()); rest > 0 {
		d.Again = wholeSeconds(rest)
	}
	w := v.view(v.texts.Check.Title, self, d)
	if v.state.Resent {
		v.state.Resent = false
		w.Good = v.texts.Check.SentAgain
	}
	return w
}

// resend sends the message once more: the same request's where it has a name,
// else a new request for the address that was typed in this browser.
func (s *server) resend(v *visit) error {
	if reads, err := v.reading(); err != nil {
		return err
	} else if reads {
		v.Response().Header().Set("Allow", "POST")
		return errMethod
	}
	if _, err := v.form(); err != nil {
		return err
	}
	err := v.sendAgain()
	if err == nil {
		v.state.Resent = true
		return v.forward(v.waitingRoom())
	}
	e := workflow.AsError(err)
	if !busy(e) {
		return err
	}
	if e.Code == workflow.CodeCooldown {
		v.state.Again = v.now().Add(e.RetryAfter).UnixMilli()
	}
	return v.again(e, "wait", v.waitView(v.waitingRoom()))
}

func (v *visit) sendAgain() error {
	if v.state.Request != "" {
		a, err := v.s.Engine.Resend(v.Request().Context(), v.app, v.state.Request, v.client())
		if err == nil {
			v.note(a)
			return nil
		}
		if workflow.AsError(err).Code != workflow.CodeViolations {
			return err // the request itself still stands
		}
	}
	email, ok := v.s.Canonical(v.state.Typed)
	if !ok {
		return errStartOver
	}
	flow := workflow.FlowName(v.state.Flow)
	if _, on := v.app.Flow(flow); !on || (flow != flowLink && flow != flowOTP) {
		flow, _ = mailFlows(v.app)
	}
	return v.ask(v.state.Typed, email, flow)
}

// errStartOver says that this browser does not know the address any more.
var errStartOver = workflow.Fail(workflow.CodeForbidden, nil)

// gone says that a link or a code is over, and offers a new one by one click.
func (v *visit) gone(code, support bool) error {
	v.state.drop()
	v.state.Dead = !code // a reload says the same
	if _, ok := v.s.Canonical(v.state.Typed); !ok {
		v.state.Typed = ""
	}
	w := v.view(v.texts.Gone.Title, "/forgot-password", goneData{Email: v.state.Typed, Support: support || v.state.Flow == string(flowSupport), Code: code})
	if code {
		w.Title = v.texts.Gone.CodeTitle
	}
	return v.show(http.StatusGone, "gone", w)
}

type goneData struct {
	Email         string // typed in this browser, "" where it is not known
	Support, Code bool
}
