package api

import (
	"errors"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/workflow"
)

// handler wraps a row of the route table. An access without a case is refused:
// what nobody thought of is closed.
func (s *server) handler(rt *route) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{Context: ec, s: s, ctx: ec.Request().Context()}
		if rt.crossOrigin() {
			ec.Response().Header().Add("Vary", "Origin")
		}
		switch rt.access {
		case open:
			return rt.action.serve(c, nil)
		case keyed:
			return c.audited(rt, c.keyed(rt))
		case session:
			return c.session(rt)
		case admin:
			return c.audited(rt, c.admin(rt))
		}
		return workflow.Fail(workflow.CodeForbidden, nil)
	}
}

// keyed is contract §5's order: shape, credential, limits, and so on. Whether a
// credential is there and looks like one costs no look-up and comes first.
func (c *call) keyed(rt *route) error {
	raw, bearer, err := presented(c.Request())
	if err != nil {
		return err
	}
	if bearer && c.s.isAdmin(raw) {
		c.who = credential{admin: true}
		return workflow.Fail(workflow.CodeForbidden, nil)
	}
	if _, ok := parseKey(raw); !ok {
		return workflow.Fail(workflow.CodeUnauthenticated, nil)
	}
	in, shape := c.read(rt.action)
	if shape != nil && len(c.Request().Header.Values("Origin")) == 0 {
		return shape
	}
	// A page may read what is wrong with its body only from an allowed origin,
	// and that only the key can say.
	if err := c.lookUp(raw); err != nil {
		return errors.Join(shape, err)
	}
	if err := c.fromOrigin(); err != nil {
		return err
	}
	if shape != nil {
		return shape
	}
	if !c.who.holds(rt.permission) || c.who.key.Application == "" {
		return workflow.Fail(workflow.CodeForbidden, nil)
	}
	if c.app, err = c.s.Applications.Application(c.ctx, c.who.key.Application); errors.Is(err, workflow.ErrNotFound) {
		return workflow.Fail(workflow.CodeUnauthenticated, nil)
	} else if err != nil {
		return err
	}
	c.Set(keyApplication, c.app.Slug)
	if err := c.identify(); err != nil {
		return err
	}
	return rt.action.serve(c, in)
}

// maxToken bounds an access token before anything parses it.
const maxToken = 4096

func (c *call) session(rt *route) error {
	raw, bearer, err := presented(c.Request())
	if err != nil {
		return err
	}
	if err := c.fromAnyOrigin(); err != nil {
		return err
	}
	if !bearer || raw == "" || len(raw) > maxToken {
		return workflow.Fail(workflow.CodeInvalidGrant, nil)
	}
	c.token = raw
	return rt.action.serve(c, nil)
}

// admin judges the credential before the body: everything below is for
// administrators, and a stranger learns nothing from it but 401.
func (c *call) admin(rt *route) error {
	raw, bearer, err := presented(c.Request())
	if err != nil {
		return err
	}
	if bearer && c.s.isAdmin(raw) {
		c.who = credential{admin: true}
	} else if err := c.lookUp(raw); err != nil {
		return err
	}
	if !c.who.holds(rt.permission) {
		return workflow.Fail(workflow.CodeForbidden, nil)
	}
	if err := c.within(rt.boundary); err != nil {
		return err
	}
	in, err := c.read(rt.action)
	if err != nil {
		return err
	}
	return rt.action.serve(c, in)
}

// within judges the boundary. An application outside it is 404, not 403: 403
// would tell that it exists.
func (c *call) within(b boundary) error {
	bound := c.who.key.Application
	switch b {
	case installation:
		if bound != "" {
			return workflow.Fail(workflow.CodeForbidden, nil)
		}
		return nil
	case listing:
		return nil
	case named:
		slug := c.Param("slug")
		if !slugForm.MatchString(slug) || bound != "" && bound != slug {
			return notFound()
		}
		app, err := c.s.Applications.Application(c.ctx, slug)
		if err != nil {
			return err
		}
		c.app = app
		c.Set(keyApplication, app.Slug)
		return nil
	}
	return workflow.Fail(workflow.CodeForbidden, nil)
}
