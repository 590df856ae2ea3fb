package api

import (
	"net/http"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

type linkBody struct{ userID, email, reason, redirectURL text }

func linkFields(in *linkBody) []strictjson.Field {
	return []strictjson.Field{
		strictjson.String("userId", &in.userID),
		strictjson.String("email", &in.email),
		strictjson.String("reason", &in.reason),
		strictjson.String("redirectUrl", &in.redirectURL),
	}
}

type link struct {
	PasswordResetCode string `json:"passwordResetCode"`
	PasswordResetLink string `json:"passwordResetLink"`
	ExpiresAt         string `json:"expiresAt"`
	RequestID         string `json:"requestId"`
}

// maxReason is how long an operator's reason may be, in code points.
const maxReason = 500

func createLink(c *call, in *linkBody) error {
	v := workflow.Violations{}
	op := workflow.OperatorInput{UserID: in.userID.Value, Reason: in.reason.Value, RedirectURL: in.redirectURL.Value, Client: c.client}
	switch {
	case in.userID.Given && in.email.Given:
		v.Add("userId", workflow.VioMustBeNull)
		v.Add("email", workflow.VioMustBeNull)
	case !in.userID.Given && !in.email.Given:
		v.Add("userId", workflow.VioRequired)
		v.Add("email", workflow.VioRequired)
	case in.email.Given:
		op.Email = checkEmail(v, "email", in.email)
	case in.userID.Value == "":
		v.Add("userId", workflow.VioTooShort, "minLength", "1")
	}
	if in.reason.Given {
		checkText(v, "reason", in.reason.Value, 0, maxReason)
	}
	checkRedirect(v, in.redirectURL)
	if err := v.Err(); err != nil {
		return err
	}
	if in.userID.Given && !(len(op.UserID) <= 255 && printable(op.UserID)) {
		return workflow.Fail(workflow.CodeUserNotFound, nil)
	}
	code, err := c.s.Engine.CreateLink(c.ctx, c.app, op)
	if err != nil {
		return err
	}
	return c.send(http.StatusCreated, link{code.Code, code.Link, stamp(code.ExpiresAt), code.RequestID.String()})
}
