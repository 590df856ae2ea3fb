package api

import (
	"errors"
	"net/http"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

type authSessionBody struct{ code text }

func authSessionFields(in *authSessionBody) []strictjson.Field {
	return []strictjson.Field{strictjson.String("authSessionCode", &in.code)}
}

func createAuthSession(c *call, in *authSessionBody) error {
	v := workflow.Violations{}
	checkCode(v, codeField{"authSessionCode", in.code, workflow.VioInvalidAuthSessionCode})
	if err := v.Err(); err != nil {
		return err
	}
	account, err := c.s.Engine.RedeemAuthSession(c.ctx, c.app, in.code.Value)
	if err != nil {
		return err
	}
	return c.tokens(c.s.Sessions.Open(c.ctx, c.app, account, c.client))
}

func (c *call) tokens(t workflow.Tokens, err error) error {
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, t)
}

type loginBody struct{ email, password text }

func loginFields(in *loginBody) []strictjson.Field {
	return []strictjson.Field{strictjson.String("email", &in.email), strictjson.String("password", &in.password)}
}

func login(c *call, in *loginBody) error {
	v := workflow.Violations{}
	email := checkEmail(v, "email", in.email)
	switch {
	case !in.password.Given:
		v.Add("password", workflow.VioRequired)
	case in.password.Value == "":
		v.Add("password", workflow.VioTooShort, "minLength", "1")
	}
	if err := v.Err(); err != nil {
		return err
	}
	return c.tokens(c.s.Sessions.Login(c.ctx, c.app, email, in.password.Value, c.client))
}

type refreshBody struct{ token text }

func refreshFields(in *refreshBody) []strictjson.Field {
	return []strictjson.Field{strictjson.String("refreshToken", &in.token)}
}

func refresh(c *call, in *refreshBody) error {
	switch {
	case !in.token.Given:
		return workflow.Violate("refreshToken", workflow.VioRequired)
	case in.token.Value == "":
		return workflow.Violate("refreshToken", workflow.VioTooShort, "minLength", "1")
	case len(in.token.Value) > maxCode || !printable(in.token.Value):
		return workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	return c.tokens(c.s.Sessions.Refresh(c.ctx, c.app, in.token.Value))
}

type sessionAnswer struct {
	UserID    string `json:"userId"`
	Email     string `json:"email"`
	SessionID string `json:"sessionId"`
	ExpiresAt string `json:"expiresAt"`
}

func showSession(c *call) error {
	s, err := c.s.Sessions.Session(c.ctx, c.token)
	if err != nil {
		return err
	}
	c.Set(keyApplication, s.Application)
	return c.send(http.StatusOK, sessionAnswer{s.UserID, s.Email, s.SessionID, stamp(s.ExpiresAt)})
}

func logout(c *call) error {
	if err := c.s.Sessions.Logout(c.ctx, c.token); err != nil {
		return err
	}
	return c.done()
}

// jwks is public by nature (RFC 7517); caches keep it shorter than a key
// rotation takes.
func jwks(c *call) error {
	slug := c.Param("slug")
	if !slugForm.MatchString(slug) {
		return notFound()
	}
	app, err := c.s.Applications.Application(c.ctx, slug)
	if errors.Is(err, workflow.ErrNotFound) {
		return notFound()
	}
	if err != nil {
		return err
	}
	set, err := c.s.Sessions.JWKS(app)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/json", set)
}
