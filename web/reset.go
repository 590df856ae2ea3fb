package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

// resetData is the form for the new password.
type resetData struct {
	Account string
	Rules   []templates.Rule
	Min     int
	Typed   bool   // no cookie: the code is typed into this form
	Code    string // as typed there
}

// reset leads from a code to a new password.
func (s *server) reset(v *visit) error {
	reads, err := v.reading()
	if err != nil {
		return err
	}
	if !reads {
		return s.setPassword(v)
	}
	q := v.QueryParams()
	if q.Has("email_auth_code") || q.Has("password_reset_code") {
		return v.takeFromAddress(q)
	}
	p, ok := v.state.proof()
	switch {
	case v.state.Dead:
		return v.gone(false, false)
	case ok && p.Kind() == workflow.ProofVerificationCode: // it was right a moment ago; asking again would count
		return v.show(statusOK, "reset", v.resetView(v.app.Policy, nil))
	case ok:
		return v.showReset(p)
	case v.state.Request != "":
		return v.forward("/reset-password/code")
	case !v.kept:
		return v.noCookie(statusOK, nil, "")
	}
	return v.forward("/reset-password/code")
}

// takeFromAddress moves the code of a link into the cookie. Judging it here as
// well gives the cookie its right end; it consumes nothing.
func (v *visit) takeFromAddress(q url.Values) error {
	p := workflow.Proof{EmailAuthCode: q.Get("email_auth_code"), PasswordResetCode: q.Get("password_reset_code")}
	v.state.drop()
	if p.PasswordResetCode != "" {
		v.state.Flow = string(flowSupport)
	}
	once := len(q["email_auth_code"])+len(q["password_reset_code"]) == 1
	if !once || len(p.EmailAuthCode)+len(p.PasswordResetCode) > 256 || p == (workflow.Proof{}) {
		v.state.Dead = true
		return v.forward("/reset-password")
	}
	in, err := v.s.Engine.Introspect(v.Request().Context(), v.app, p, v.client())
	switch {
	case err == nil:
		v.keep(p, in)
	case workflow.AsError(err).Code == workflow.CodeViolations:
		v.state.Dead = true
	default: // busy: the page behind asks again
		v.keep(p, workflow.Introspection{ExpiresAt: v.now().Add(v.longest(p))})
	}
	return v.forward("/reset-password")
}

// longest is the longest lifetime that a code of p's kind can have.
func (v *visit) longest(p workflow.Proof) time.Duration {
	names := []workflow.FlowName{flowSupport}
	if p.EmailAuthCode != "" {
		names = []workflow.FlowName{flowLink, flowOTP}
	}
	rest := time.Minute
	for _, n := range names {
		set, _ := v.app.Flow(n)
		rest = max(rest, set.Lifetime.D())
	}
	return rest
}

func (v *visit) showReset(p workflow.Proof) error {
	in, err := v.s.Engine.Introspect(v.Request().Context(), v.app, p, v.client())
	if err != nil {
		if e := workflow.AsError(err); e.Code == workflow.CodeViolations {
			return v.gone(false, p.PasswordResetCode != "")
		}
		return err
	}
	v.keep(p, in)
	return v.show(statusOK, "reset", v.resetView(in.Policy, nil))
}

// setPassword redeems the code.
func (s *server) setPassword(v *visit) error {
	f, err := v.codeForm()
	if err != nil {
		return err
	}
	p, ok := v.state.proof()
	typed := f.Get("code")
	if typed != "" {
		if p, ok = readCode(typed, v.state.Request); !ok {
			return v.noCookie(http.StatusBadRequest, []mistake{{"code", v.texts.Errors.CodeShape}}, typed)
		}
	}
	if !ok {
		return v.gone(false, false)
	}
	if wrong := v.checkFields(f); len(wrong) > 0 {
		return v.resetAgain(http.StatusBadRequest, wrong, typed)
	}
	done, err := s.Engine.Reset(v.Request().Context(), v.app, workflow.ResetInput{
		Proof: p, NewPassword: f.Get("newPassword"), Client: v.client(),
	})
	if err != nil {
		return v.refused(p, err, typed)
	}
	v.forget()
	return v.render(statusOK, "done", v.view(v.doneTitle(done), "/forgot-password", done))
}

func (v *visit) doneTitle(r workflow.Receipt) string {
	if r.Result == workflow.ResultApplying {
		return v.texts.Applying.Title
	}
	return v.texts.Done.Title
}

// checkFields looks at what needs no engine: that there is a password, and
// that the second one, which only pages without scripts have, is the same.
func (v *visit) checkFields(f url.Values) []mistake {
	switch {
	case f.Get("newPassword") == "":
		return []mistake{{"newPassword", v.texts.Errors.PasswordRequired}}
	case f.Has("confirmPassword") && f.Get("confirmPassword") != f.Get("newPassword"):
		return []mistake{{"confirmPassword", v.texts.Errors.ConfirmDiffers}}
	}
	return nil
}

// refused shows why a password was not taken. The code stays usable where only
// the password was at fault.
func (v *visit) refused(p workflow.Proof, err error, typed string) error {
	e := workflow.AsError(err)
	if busy(e) {
		if typed != "" {
			w := v.typedView(nil, typed)
			return v.again(e, "cookie", w)
		}
		return v.again(e, "reset", v.resetView(v.app.Policy, nil))
	}
	if e.Code != workflow.CodeViolations {
		return err
	}
	if wrong := v.mistakes(e, map[string]string{"newPassword": "newPassword"}); len(wrong) > 0 {
		return v.resetAgain(http.StatusBadRequest, wrong, typed)
	}
	if typed != "" {
		return v.noCookie(http.StatusBadRequest, []mistake{{"code", v.texts.Errors.SupportCodeWrong}}, typed)
	}
	if len(e.Violations["verificationCode"]) > 0 { // right before, dead now: nothing to compare again
		v.state.Digits = ""
	}
	return v.gone(p.Kind() == workflow.ProofVerificationCode, p.PasswordResetCode != "")
}

func (v *visit) resetAgain(status int, wrong []mistake, typed string) error {
	if typed != "" {
		return v.noCookie(status, wrong, typed)
	}
	return v.show(status, "reset", v.resetView(v.app.Policy, wrong))
}

func (v *visit) resetView(policy workflow.PasswordPolicy, wrong []mistake) view {
	w := v.view(v.texts.Reset.Title, "/reset-password", resetData{
		Account: v.state.Account, Rules: v.texts.Rules(policy), Min: policy.MinLength,
	})
	w.Wrong = wrong
	return w
}

// noCookie says that the browser kept no cookie, and takes a typed code.
func (v *visit) noCookie(status int, wrong []mistake, typed string) error {
	return v.show(status, "cookie", v.typedView(wrong, typed))
}

func (v *visit) typedView(wrong []mistake, typed string) view {
	w := v.view(v.texts.Cookies.Title, "/reset-password", resetData{
		Rules: v.texts.Rules(v.app.Policy), Min: v.app.Policy.MinLength, Typed: true, Code: typed,
	})
	w.Wrong = wrong
	return w
}
