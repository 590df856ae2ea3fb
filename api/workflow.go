package api

import (
	"net/http"

	"github.com/resetflow/resetflow/internal/address"
	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

type requestBody struct{ email, flow, locale, redirectURL, challenge text }

func requestFields(in *requestBody) []strictjson.Field {
	return []strictjson.Field{
		strictjson.String("email", &in.email),
		strictjson.String("flow", &in.flow),
		strictjson.String("locale", &in.locale),
		strictjson.String("redirectUrl", &in.redirectURL),
		strictjson.String("challenge", &in.challenge), // taken and, where no application asks for one, not read
	}
}

// accepted is alike for known and unknown addresses.
type accepted struct {
	Result      string `json:"result"`
	Flow        string `json:"flow"`
	RequestCode string `json:"requestCode,omitempty"`
	ExpiresAt   string `json:"expiresAt"`
	ResendAfter int64  `json:"resendAfter"`
}

func (c *call) accepted(a workflow.Accepted, err error) error {
	if err != nil {
		return err
	}
	return c.send(http.StatusAccepted, accepted{"ACCEPTED", string(a.Flow), a.RequestCode, stamp(a.ExpiresAt), seconds(a.ResendAfter)})
}

func requestReset(c *call, in *requestBody) error {
	v := workflow.Violations{}
	email := checkEmail(v, "email", in.email)
	if in.locale.Given {
		checkLocale(v, in.locale.Value)
	}
	// Empty means "not said" to the engine; here it was said.
	if in.flow.Given && (in.flow.Value == "" || len(in.flow.Value) > maxCode) {
		v.Add("flow", workflow.VioNotEnabled)
	}
	checkRedirect(v, in.redirectURL)
	if err := v.Err(); err != nil {
		return err
	}
	return c.accepted(c.s.Engine.Request(c.ctx, c.app, workflow.RequestInput{
		Email: email, Flow: workflow.FlowName(in.flow.Value), Locale: in.locale.Value,
		RedirectURL: in.redirectURL.Value, Client: c.client,
	}))
}

// checkEmail returns the canonical form of a required address.
func checkEmail(v workflow.Violations, field string, email text) string {
	if !email.Given {
		v.Add(field, workflow.VioRequired)
		return ""
	}
	canonical, ok := address.Parse(email.Value)
	if !ok {
		v.Add(field, workflow.VioInvalidEmail)
	}
	return canonical
}

// maxURL is longer than any redirect an application lists.
const maxURL = 2048

func checkRedirect(v workflow.Violations, url text) {
	if url.Given && (url.Value == "" || len(url.Value) > maxURL) {
		v.Add("redirectUrl", workflow.VioNotAllowed)
	}
}

type resendBody struct{ requestCode text }

func resendFields(in *resendBody) []strictjson.Field {
	return []strictjson.Field{strictjson.String("requestCode", &in.requestCode)}
}

func resend(c *call, in *resendBody) error {
	v := workflow.Violations{}
	checkCode(v, codeField{"requestCode", in.requestCode, workflow.VioInvalidRequestCode})
	if err := v.Err(); err != nil {
		return err
	}
	return c.accepted(c.s.Engine.Resend(c.ctx, c.app, in.requestCode.Value, c.client))
}

type introspection struct {
	Flow              string                  `json:"flow"`
	ExpiresAt         string                  `json:"expiresAt"`
	AttemptsRemaining *int                    `json:"attemptsRemaining,omitempty"`
	MaskedEmail       string                  `json:"maskedEmail"`
	Locale            string                  `json:"locale"`
	PasswordPolicy    workflow.PasswordPolicy `json:"passwordPolicy"`
}

func introspect(c *call, in *proofBody) error {
	v := workflow.Violations{}
	p, _ := in.proof(v)
	if err := v.Err(); err != nil {
		return err
	}
	i, err := c.s.Engine.Introspect(c.ctx, c.app, p, c.client)
	if err != nil {
		return err
	}
	out := introspection{string(i.Flow), stamp(i.ExpiresAt), nil, i.MaskedEmail, i.Locale, i.Policy}
	if i.CountsAttempts {
		out.AttemptsRemaining = &i.AttemptsRemaining
	}
	return c.send(http.StatusOK, out)
}

type resetBody struct {
	proofBody
	newPassword, secondFactorCode text
	skip                          strictjson.Optional[bool]
}

func resetFields(in *resetBody) []strictjson.Field {
	return append(proofFields(&in.proofBody),
		strictjson.String("newPassword", &in.newPassword),
		strictjson.Boolean("skipPasswordUpdatedEmail", &in.skip),
		strictjson.String("secondFactorCode", &in.secondFactorCode), // taken; no account has a second factor yet
	)
}

type receipt struct {
	Result          string           `json:"result"`
	RedirectURL     string           `json:"redirectUrl,omitempty"`
	AuthSessionCode string           `json:"authSessionCode,omitempty"`
	Revoked         workflow.Revoked `json:"revoked"`
	Confirmation    string           `json:"confirmation"`
}

type applying struct {
	Result     string `json:"result"`
	StatusCode string `json:"statusCode"`
}

func resetPassword(c *call, in *resetBody) error {
	v := workflow.Violations{}
	p, more := in.proof(v)
	if !more && !in.newPassword.Given {
		v.Add("newPassword", workflow.VioRequired)
	}
	if err := v.Err(); err != nil {
		return err
	}
	r, err := c.s.Engine.Reset(c.ctx, c.app, workflow.ResetInput{
		Proof: p, NewPassword: in.newPassword.Value, SkipConfirmation: in.skip.Value, Client: c.client,
	})
	if err != nil {
		return err
	}
	if r.Result == workflow.ResultApplying {
		return c.send(http.StatusAccepted, applying{string(r.Result), r.StatusCode})
	}
	return c.send(http.StatusOK, receipt{string(r.Result), r.RedirectURL, r.AuthSessionCode, r.Revoked, r.Confirmation})
}
