package api

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/workflow"
)

// preflight answers a browser's question before a call (Fetch standard, CORS
// preflight). It carries no key, so an origin is granted that stands on any
// active publishable key; the call itself is judged by its own key.
func (s *server) preflight(rt *route) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, h := c.Request(), c.Response().Header()
		h.Add("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
		origins, method := r.Header.Values("Origin"), r.Header.Get("Access-Control-Request-Method")
		if len(origins) == 0 || method == "" {
			h.Set("Allow", "OPTIONS, "+allowed(rt.path))
			return c.NoContent(http.StatusNoContent)
		}
		known, err := s.originKnown(c, origins)
		if err != nil {
			return err
		}
		if !known {
			return workflow.Fail(workflow.CodeOriginNotAllowed, nil)
		}
		h.Set("Access-Control-Allow-Origin", origins[0])
		h.Set("Access-Control-Allow-Methods", allowed(rt.path))
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key")
		h.Set("Access-Control-Max-Age", "600")
		return c.NoContent(http.StatusNoContent)
	}
}

func (s *server) originKnown(c echo.Context, origins []string) (bool, error) {
	if len(origins) != 1 || !isOrigin(origins[0]) {
		return false, nil
	}
	return s.Keys.OriginKnown(c.Request().Context(), origins[0])
}

// fromOrigin judges the Origin of a call with a key. A publishable key speaks
// for its own origins only; a secret key is not for browsers, so its answers
// carry no CORS headers and no browser lets a page read them.
func (c *call) fromOrigin() error {
	origins := c.Request().Header.Values("Origin")
	if len(origins) == 0 || c.who.key.Type != workflow.KeyPublishable {
		return nil
	}
	if len(origins) != 1 || !isOrigin(origins[0]) || !slices.Contains(c.who.key.AllowedOrigins, origins[0]) {
		return workflow.Fail(workflow.CodeOriginNotAllowed, nil)
	}
	c.grant(origins[0])
	return nil
}

// fromAnyOrigin lets a page read the answer to an access token where its
// origin stands on some publishable key: a token names no key.
func (c *call) fromAnyOrigin() error {
	origins := c.Request().Header.Values("Origin")
	known, err := c.s.originKnown(c.Context, origins)
	if err == nil && known {
		c.grant(origins[0])
	}
	return err
}

func (c *call) grant(origin string) {
	h := c.Response().Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id")
}
