package web

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/resetflow/resetflow/workflow"
)

// code takes the digits of a mail where this browser asked for them, and codes
// from support everywhere.
func (s *server) code(v *visit) error {
	reads, err := v.reading()
	if err != nil {
		return err
	}
	if reads {
		return v.show(statusOK, "wait", v.codeView("", nil))
	}
	f, err := v.form()
	if err != nil {
		return err
	}
	typed := strings.TrimSpace(f.Get("code"))
	if typed == "" {
		return v.show(http.StatusBadRequest, "wait", v.codeView("", []mistake{{"code", v.texts.Errors.CodeRequired}}))
	}
	proof, ok := readCode(typed, v.state.Request)
	if !ok {
		return v.show(http.StatusBadRequest, "wait", v.codeView(typed, []mistake{{"code", v.texts.Errors.CodeShape}}))
	}
	in, err := s.Engine.Introspect(v.Request().Context(), v.app, proof, v.client())
	if err != nil {
		return v.codeAgain(typed, proof, err)
	}
	v.keep(proof, in)
	return v.forward("/reset-password")
}

// keep puts a right proof into the cookie for the rest of its lifetime.
func (v *visit) keep(p workflow.Proof, in workflow.Introspection) {
	v.state.Link, v.state.Support, v.state.Digits, v.state.Dead = p.EmailAuthCode, p.PasswordResetCode, p.VerificationCode, false
	if p.VerificationCode == "" {
		v.state.Request = ""
	}
	v.state.Account, v.state.Expires = in.Email, in.ExpiresAt.Unix()
}

// codeAgain shows why a code was not taken.
func (v *visit) codeAgain(typed string, p workflow.Proof, err error) error {
	e := workflow.AsError(err)
	switch {
	case busy(e):
		return v.again(e, "wait", v.codeView(typed, nil))
	case e.Code != workflow.CodeViolations:
		return err
	case p.EmailAuthCode != "", len(e.Violations["requestCode"]) > 0:
		return v.gone(p.EmailAuthCode == "", false)
	}
	wrong := v.mistakes(e, map[string]string{"verificationCode": "code", "passwordResetCode": "code"})
	if len(wrong) == 0 {
		return err
	}
	return v.show(http.StatusBadRequest, "wait", v.codeView(typed, wrong))
}

func (v *visit) codeView(typed string, wrong []mistake) view {
	const self = "/reset-password/code"
	w := v.waitView(self)
	d, _ := w.D.(waitData)
	if v.state.Request == "" {
		d = waitData{Support: true}
		w.Title = v.texts.Code.SupportTitle
	}
	d.Code = typed
	w.D, w.Wrong = d, wrong
	return w
}

// readCode tells what was typed or pasted: the digits of a mail (only where
// this browser asked for them), a code from support, or a whole link. Blanks,
// hyphens and wide digits do not matter; they are gone before anything counts.
func readCode(typed, request string) (workflow.Proof, bool) {
	if len(typed) > 2048 {
		return workflow.Proof{}, false
	}
	if strings.Contains(typed, "_code=") {
		return readLink(typed)
	}
	plain := plainCode(typed)
	switch {
	case request != "" && len(plain) >= 6 && len(plain) <= 8 && onlyDigits(plain):
		return workflow.Proof{RequestCode: request, VerificationCode: plain}, true
	case len(plain) == 20:
		return workflow.Proof{PasswordResetCode: plain}, true
	}
	return workflow.Proof{}, false
}

// readLink takes the code out of a pasted link; where the link leads does not matter.
func readLink(typed string) (workflow.Proof, bool) {
	u, err := url.Parse(typed)
	if err != nil {
		return workflow.Proof{}, false
	}
	q := u.Query()
	link, support := q.Get("email_auth_code"), q.Get("password_reset_code")
	if (link == "") == (support == "") {
		return workflow.Proof{}, false
	}
	return workflow.Proof{EmailAuthCode: link, PasswordResetCode: support}, true
}

// plainCode is the one normal form of typed codes.
func plainCode(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, norm.NFKC.String(s))
}

func onlyDigits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
