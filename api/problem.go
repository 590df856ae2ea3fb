package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/workflow"
)

// statusOf is the one place where a class becomes a status.
var statusOf = map[workflow.Class]int{
	workflow.ClassInvalid:         http.StatusBadRequest,
	workflow.ClassUnauthenticated: http.StatusUnauthorized,
	workflow.ClassForbidden:       http.StatusForbidden,
	workflow.ClassNotFound:        http.StatusNotFound,
	workflow.ClassMethod:          http.StatusMethodNotAllowed,
	workflow.ClassConflict:        http.StatusConflict,
	workflow.ClassTooLarge:        http.StatusRequestEntityTooLarge,
	workflow.ClassUnsupported:     http.StatusUnsupportedMediaType,
	workflow.ClassLimited:         http.StatusTooManyRequests,
	workflow.ClassOverloaded:      http.StatusServiceUnavailable,
	workflow.ClassInternal:        http.StatusInternalServerError,
}

// problem is the body of every error (RFC 9457, with contract §5's members).
type problem struct {
	Type       string              `json:"type"`
	Title      string              `json:"title"`
	Status     int                 `json:"status"`
	Detail     string              `json:"detail"`
	Code       workflow.ErrorCode  `json:"code"`
	Message    string              `json:"message"`
	Ticket     string              `json:"ticket"`
	Violations workflow.Violations `json:"violations,omitempty"`
}

// overloadWait is what an overloaded service asks for where nobody knows better.
const overloadWait = 2 * time.Second

// public turns any error into one of the table. Ports report sentinels and
// contexts end; neither is a fault of ours to be hidden behind a 500.
func public(err error) *workflow.Error {
	var e *workflow.Error
	var h *echo.HTTPError
	var tooLarge *http.MaxBytesError
	named := errors.As(err, &e) && e.Row().Class != workflow.ClassInternal
	switch {
	case named && e.Row().Class == workflow.ClassOverloaded && e.RetryAfter <= 0:
		return &workflow.Error{Code: e.Code, Violations: e.Violations, RetryAfter: overloadWait, Limit: e.Limit, Cause: e.Cause}
	case named:
		return e
	case errors.As(err, &tooLarge):
		return workflow.Fail(workflow.CodeBodyTooLarge, nil)
	case errors.Is(err, workflow.ErrBusy), errors.Is(err, workflow.ErrStale),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &workflow.Error{Code: workflow.CodeOverloaded, RetryAfter: overloadWait, Cause: err}
	case e != nil:
		return e
	case errors.Is(err, workflow.ErrNotFound):
		return workflow.Fail(workflow.CodeNotFound, nil)
	case errors.Is(err, workflow.ErrNotUnique):
		return workflow.Fail(workflow.CodeNotUnique, nil)
	case errors.As(err, &h):
		return fromEcho(h)
	}
	return workflow.Fail(workflow.CodeInternal, err)
}

func fromEcho(h *echo.HTTPError) *workflow.Error {
	switch h.Code {
	case http.StatusNotFound:
		return workflow.Fail(workflow.CodeNotFound, nil)
	case http.StatusMethodNotAllowed:
		return workflow.Fail(workflow.CodeMethodNotAllowed, nil)
	}
	return workflow.Fail(workflow.CodeInternal, h)
}

// fail is echo's error handler: it writes the answer and leaves code and cause
// for the log line.
func (s *server) fail(err error, c echo.Context) {
	e := public(err)
	c.Set(keyError, e)
	if c.Response().Committed {
		return
	}
	if s.Page != nil && !forPrograms(c.Request().URL.Path) && s.Page(c, e) {
		return
	}
	row := e.Row()
	status := statusOf[row.Class]
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	switch row.Class {
	case workflow.ClassUnauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="resetflow"`)
	case workflow.ClassLimited, workflow.ClassOverloaded:
		retry := max(seconds(e.RetryAfter), 1)
		h.Set("Retry-After", strconv.FormatInt(retry, 10))
		if row.Class == workflow.ClassLimited {
			rateHeaders(h, e, retry)
		}
	}
	p := problem{
		Type: "base_error", Title: http.StatusText(status), Status: status, Detail: row.Sentence,
		Code: row.Code, Message: row.Sentence, Ticket: h.Get(echo.HeaderXRequestID), Violations: e.Violations,
	}
	if row.Code == workflow.CodeViolations {
		p.Type = "constraint_violations_error"
	}
	_ = write(c, status, "application/problem+json", p)
}

// rateHeaders writes the fields of draft-ietf-httpapi-ratelimit-headers.
func rateHeaders(h http.Header, e *workflow.Error, retry int64) {
	name, quota, window := string(e.Code), 1, retry
	if e.Limit != nil {
		name, quota, window = e.Limit.Name, e.Limit.Rate.N, max(seconds(e.Limit.Rate.Per), 1)
	}
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", name, quota, window))
	h.Set("RateLimit", fmt.Sprintf("%q;r=0;t=%d", name, retry))
}

// write sends v as JSON. Nothing here is read as HTML, so & stays readable.
func write(c echo.Context, status int, kind string, v any) error {
	c.Response().Header().Set("Content-Type", kind)
	c.Response().WriteHeader(status)
	enc := json.NewEncoder(c.Response())
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
