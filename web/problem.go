package web

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// problem is the data of the page for what has no page of its own.
type problem struct {
	Title, Text string
	Ticket      string
	Again       string // path of "try again", "" for none
	AgainText   string
}

// fail answers an error with a calm page in the person's language.
func (v *visit) fail(err error) error {
	if errors.Is(err, errCookies) {
		return v.noCookie(http.StatusForbidden, nil, "")
	}
	e := workflow.AsError(err)
	status := statusOf(e)
	p := problem{Again: v.base + "/forgot-password", AgainText: v.texts.Problem.Button}
	if m := v.Request().Method; m == http.MethodGet || m == http.MethodHead {
		p.Again = v.Request().URL.Path // a route of ours: it was matched
	}
	p.Title, p.Text = v.texts.Failure(e.Code, e.RetryAfter)
	v.wait(e)
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		p.Again = ""
	case http.StatusInternalServerError:
		p.Ticket = v.ticket()
		v.s.Logger.LogAttrs(v.Request().Context(), slog.LevelError, "page failed",
			slog.String("ticket", p.Ticket), slog.String("route", v.Path()), slog.Any("error", err))
	case http.StatusForbidden, http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge:
		p.Title, p.Text = v.texts.Problem.StaleTitle, v.texts.Problem.StaleText
	default:
		p.Ticket = v.ticket()
	}
	if v.app == nil {
		p.Again = ""
	}
	return v.render(status, "problem", v.view(p.Title, "/forgot-password", p))
}

// wait sets Retry-After where the error names a time.
func (v *visit) wait(e *workflow.Error) {
	if e.RetryAfter > 0 {
		v.Response().Header().Set("Retry-After", strconv.Itoa(wholeSeconds(e.RetryAfter)))
	}
}

// statusOf maps an error to the status of its page.
func statusOf(e *workflow.Error) int {
	switch e.Row().Class {
	case workflow.ClassInvalid:
		return http.StatusBadRequest
	case workflow.ClassUnauthenticated, workflow.ClassForbidden:
		return http.StatusForbidden
	case workflow.ClassNotFound:
		return http.StatusNotFound
	case workflow.ClassMethod:
		return http.StatusMethodNotAllowed
	case workflow.ClassConflict:
		return http.StatusConflict
	case workflow.ClassTooLarge:
		return http.StatusRequestEntityTooLarge
	case workflow.ClassUnsupported:
		return http.StatusUnsupportedMediaType
	case workflow.ClassLimited:
		return http.StatusTooManyRequests
	case workflow.ClassOverloaded:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// mistakes puts violations into sentences, each linked to the input that shows it.
func (v *visit) mistakes(e *workflow.Error, input map[string]string) []mistake {
	var out []mistake
	for _, field := range e.Violations.Fields() {
		at, ok := input[field]
		if !ok {
			continue
		}
		for _, x := range e.Violations[field] {
			out = append(out, mistake{at, v.texts.Violation(field, x)})
		}
	}
	return out
}

// busy reports whether e passes by itself: a limit, an overload, a failure of ours.
func busy(e *workflow.Error) bool {
	switch e.Row().Class {
	case workflow.ClassLimited, workflow.ClassOverloaded, workflow.ClassInternal:
		return true
	}
	return false
}

// again shows a form once more with a calm sentence, so that nothing typed is lost.
func (v *visit) again(e *workflow.Error, name string, w view) error {
	title, text := v.texts.Failure(e.Code, e.RetryAfter)
	w.Notice = text
	if e.Row().Class != workflow.ClassLimited {
		w.Notice = title + ". " + text
	}
	if e.Row().Class == workflow.ClassInternal {
		ticket := v.ticket()
		w.Notice += " " + v.texts.Problem.Ticket(ticket)
		v.s.Logger.LogAttrs(v.Request().Context(), slog.LevelError, "page failed",
			slog.String("ticket", ticket), slog.String("route", v.Path()), slog.Any("error", e))
	}
	v.wait(e)
	return v.show(statusOf(e), name, w)
}

// wholeSeconds rounds up, to at least one.
func wholeSeconds(d time.Duration) int { return max(int((d+time.Second-1)/time.Second), 1) }
