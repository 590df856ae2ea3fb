package web

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/templates"
	"github.com/resetflow/resetflow/workflow"
)

// visit is one request to a page.
type visit struct {
	echo.Context
	s      *server
	app    *workflow.Application // nil where there is none
	base   string                // "/apps/{slug}", or "" at the root of a mapped host
	texts  *templates.PageTexts
	locale string // the language asked for, "" where nobody asked for one we have
	state  state
	kept   bool // the browser brought our cookie
}

// errNotFound and errMethod are answered with a calm page of their own.
var (
	errNotFound = workflow.Fail(workflow.CodeNotFound, nil)
	errMethod   = workflow.Fail(workflow.CodeMethodNotAllowed, nil)
)

// handle runs a page for the application that the path or the host names.
func (s *server) handle(page func(*visit) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := s.open(c)
		if err := s.find(v); err != nil {
			return v.fail(err)
		}
		v.load()
		v.speak()
		if err := page(v); err != nil {
			return v.fail(err)
		}
		return nil
	}
}

// handleAnywhere runs a page that needs no application.
func (s *server) handleAnywhere(page func(*visit) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		v := s.open(c)
		if err := page(v); err != nil {
			return v.fail(err)
		}
		return nil
	}
}

// open prepares a visit before its application is known.
func (s *server) open(c echo.Context) *visit {
	v := &visit{Context: c, s: s}
	secureHeaders(c.Response().Header(), pagePolicy)
	v.speak()
	return v
}

// find fills the application: by the path, else by the mapped host. The host
// of a request chooses a page and nothing else; links come from configuration.
func (s *server) find(v *visit) error {
	ctx := v.Request().Context()
	var app *workflow.Application
	var err error
	if slug := v.Param("slug"); slug != "" {
		app, err = s.Applications.Application(ctx, slug)
		v.base = "/apps/" + slug
	} else if strings.HasPrefix(v.Request().URL.Path, "/apps/") {
		return errNotFound
	} else {
		app, err = s.mapped(ctx, v.Request())
	}
	if errors.Is(err, workflow.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	v.app = app
	return nil
}

// mapped returns the application of the request's host. ErrNotFound.
func (s *server) mapped(ctx context.Context, r *http.Request) (*workflow.Application, error) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "" || len(host) > 253 {
		return nil, workflow.ErrNotFound
	}
	return s.Applications.ByHost(ctx, strings.ToLower(host))
}

// client is who asks, for limits and audit.
func (v *visit) client() workflow.Client {
	c := workflow.Client{Actor: "page", UserAgent: cut(v.Request().UserAgent(), 256)}
	ip, peer, _ := v.s.Clients.Resolve(v.Request())
	if ip.IsValid() {
		c.IP, c.Peer = ip.String(), peer
	}
	return c
}

// reading reports whether the request only reads, and refuses methods other than GET, HEAD and POST.
func (v *visit) reading() (bool, error) {
	switch v.Request().Method {
	case http.MethodGet, http.MethodHead:
		return true, nil
	case http.MethodPost:
		return false, nil
	}
	v.Response().Header().Set("Allow", "GET, HEAD, POST")
	return false, errMethod
}

// forward sends the browser to one of our own pages.
func (v *visit) forward(path string) error {
	if err := v.save(); err != nil {
		return err
	}
	return v.Redirect(http.StatusSeeOther, v.base+path)
}

// ticket is the number that a person can tell support; it also stands in the log.
func (v *visit) ticket() string {
	h := v.Response().Header()
	if id := h.Get(echo.HeaderXRequestID); id != "" {
		return id
	}
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	id := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	h.Set(echo.HeaderXRequestID, id)
	return id
}

// returnTo takes ?redirectUrl= where it stands on the application's list, to the letter.
func (v *visit) returnTo(q url.Values) {
	for _, allowed := range v.app.RedirectURLs {
		if q.Get("redirectUrl") == allowed {
			v.state.Return = allowed
		}
	}
}

// cut shortens s to at most n bytes without breaking a character.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
