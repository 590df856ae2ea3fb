package web

import (
	"net/http"
	"strings"

	"github.com/resetflow/resetflow/workflow"
)

// The flows a page can start, and the one it can end besides.
const (
	flowLink    workflow.FlowName = "email_link"
	flowOTP     workflow.FlowName = "email_otp"
	flowSupport workflow.FlowName = "direct_code"
)

// forgotData is the page where a reset begins.
type forgotData struct {
	Email   string
	First   workflow.FlowName // the primary button's flow, "" where none is on
	Second  workflow.FlowName // the other one, "" where it is off
	Support bool              // codes from support exist here
	Waiting bool              // a message was sent a moment ago: offer the way back to it
}

// forgot asks one question: the address.
func (s *server) forgot(v *visit) error {
	reads, err := v.reading()
	if err != nil {
		return err
	}
	if reads {
		v.returnTo(v.QueryParams())
		return v.show(statusOK, "forgot", v.forgotView(v.state.Typed, nil))
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	flow, typed := workflow.FlowName(f.Get("flow")), strings.TrimSpace(f.Get("email"))
	email, ok := s.Canonical(typed)
	switch {
	case typed == "":
		return v.forgotAgain(typed, workflow.Violate("email", workflow.VioRequired))
	case !ok:
		return v.forgotAgain(typed, workflow.Violate("email", workflow.VioInvalidEmail))
	}
	if flow == "" {
		flow, _ = mailFlows(v.app)
	}
	if flow != flowLink && flow != flowOTP {
		return v.forgotAgain(typed, workflow.Violate("flow", workflow.VioNotEnabled))
	}
	if err := v.ask(typed, email, flow); err != nil {
		return v.forgotAgain(typed, err)
	}
	return v.forward(v.waitingRoom())
}

// ask starts a request and notes in the cookie what its next pages need.
func (v *visit) ask(typed, email string, flow workflow.FlowName) error {
	accepted, err := v.s.Engine.Request(v.Request().Context(), v.app, workflow.RequestInput{
		Email: email, Flow: flow, Locale: v.locale, RedirectURL: v.state.Return, Client: v.client(),
	})
	if err != nil {
		return err
	}
	v.state.drop()
	v.state.Typed = typed
	v.note(accepted)
	return nil
}

// note keeps what the engine accepted.
func (v *visit) note(a workflow.Accepted) {
	v.state.Flow, v.state.Request, v.state.Digits = string(a.Flow), a.RequestCode, ""
	v.state.Expires = a.ExpiresAt.Unix()
	v.state.Again = v.now().Add(a.ResendAfter).UnixMilli()
}

// waitingRoom is the page that says to look into the mail.
func (v *visit) waitingRoom() string {
	if v.state.Flow == string(flowOTP) {
		return "/reset-password/code"
	}
	return "/forgot-password/sent"
}

func (v *visit) forgotView(typed string, wrong []mistake) view {
	d := forgotData{Email: typed}
	d.First, d.Second = mailFlows(v.app)
	_, d.Support = v.app.Flow(flowSupport)
	w := v.view(v.texts.Forgot.Title, "/forgot-password", d)
	w.Wrong = wrong
	return w
}

// forgotAgain shows the form once more, with what was typed.
func (v *visit) forgotAgain(typed string, err error) error {
	e := workflow.AsError(err)
	if busy(e) {
		w := v.forgotView(typed, nil)
		if d, ok := w.D.(forgotData); ok && e.Code == workflow.CodeCooldown && v.state.Flow != "" {
			d.Waiting = true
			w.D = d
		}
		return v.again(e, "forgot", w)
	}
	wrong := v.mistakes(e, map[string]string{"email": "email", "flow": "email"})
	if len(wrong) == 0 {
		return err
	}
	return v.show(http.StatusBadRequest, "forgot", v.forgotView(typed, wrong))
}

// mailFlows returns the flows that a mail starts: the default one first, and
// the other where it is on as well.
func mailFlows(app *workflow.Application) (first, second workflow.FlowName) {
	order := [2]workflow.FlowName{flowLink, flowOTP}
	if app.DefaultFlow == flowOTP {
		order = [2]workflow.FlowName{flowOTP, flowLink}
	}
	for _, name := range order {
		if _, on := app.Flow(name); !on {
			continue
		}
		if first == "" {
			first = name
		} else {
			second = name
		}
	}
	return first, second
}

// WaitingRoom is where a message that was sent a moment ago is waited for.
func (d forgotData) WaitingRoom() string {
	if d.First == flowOTP {
		return "/reset-password/code"
	}
	return "/forgot-password/sent"
}
