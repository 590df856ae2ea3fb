package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/workflow"
)

// What handlers leave on the context for the log line.
const (
	keyApplication = "application" // slug
	keyKey         = "key"         // id of the API key
	keyError       = "resetflow.error"
)

// requestDeadline bounds every request, below the server's write time-out.
const requestDeadline = 20 * time.Second

// around stands before routing, so that unknown routes get the same headers,
// ticket and log line as known ones.
func (s *server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		start := time.Now()
		ticket := rand.Text()
		h := c.Response().Header()
		h.Set(echo.HeaderXRequestID, ticket)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if s.hsts {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		req := c.Request()
		ctx, stop := context.WithTimeout(req.Context(), requestDeadline)
		defer stop()
		c.SetRequest(req.WithContext(ctx))
		if _, _, warn := s.Clients.Resolve(req); warn && s.Clients.Tell() {
			s.Log.Warn("untrusted_proxy: a private address outside trusted_proxies forwards for others; name it there, or its clients share one limit")
		}
		defer func() { s.finish(c, ticket, start) }()
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				s.fail(s.panicked(p, ticket), c)
				err = nil
			}
		}()
		if err := next(c); err != nil {
			s.fail(err, c)
		}
		return nil
	}
}

// panicked logs where it happened. The value is named by type alone unless the
// runtime made it: it may hold what was sent.
func (s *server) panicked(p any, ticket string) error {
	what := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	s.Log.Error("panic", "what", what, "ticket", ticket, "stack", string(debug.Stack()))
	return workflow.Fail(workflow.CodeInternal, errors.New("panic: "+what))
}

// finish writes the log line and counts. The route is the pattern, never the
// path: a path can hold a code, a query always might.
func (s *server) finish(c echo.Context, ticket string, start time.Time) {
	took := time.Since(start)
	route, status := c.Path(), c.Response().Status
	if route == "" {
		route = "unmatched"
	}
	method := knownMethod(c.Request().Method)
	if s.Observe != nil {
		s.Observe(method, route, status, took)
	}
	level := slog.LevelInfo
	attrs := []any{"method", method, "route", route, "status", status,
		"duration_ms", float64(took.Microseconds()) / 1000, "ticket", ticket}
	for _, name := range []string{keyApplication, keyKey} {
		if v, _ := c.Get(name).(string); v != "" {
			attrs = append(attrs, name, v)
		}
	}
	if e, _ := c.Get(keyError).(*workflow.Error); e != nil {
		attrs = append(attrs, "code", string(e.Code))
		if status >= http.StatusInternalServerError && e.Cause != nil {
			if !errors.Is(e.Cause, context.Canceled) { // the caller hung up: no fault of ours
				level = slog.LevelError
			}
			attrs = append(attrs, "cause", e.Cause.Error())
		}
	}
	s.Log.Log(c.Request().Context(), level, "request", attrs...)
}

// knownMethod keeps invented methods out of logs and metric labels.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// forPrograms reports whether path belongs to programs rather than people.
func forPrograms(path string) bool {
	for _, prefix := range []string{"/api/", "/admin/v1/", "/healthz", "/readyz", "/openapi.yaml"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return strings.Contains(path, "/.well-known/jwks.json")
}
