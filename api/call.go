package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

// call is one request on its way through a route.
type call struct {
	echo.Context
	s      *server
	ctx    context.Context
	who    credential
	token  string                // the access token, on routes that take one
	app    *workflow.Application // the application the route speaks of
	client workflow.Client
}

// action is what a route does: shape reads the body before anything is looked
// up (nil where the route takes none), serve does the rest.
type action struct {
	limit int64
	kinds []string // media types
	shape func(body []byte) (any, error)
	serve func(c *call, in any) error
}

// bodyLimit bounds ordinary bodies, documentLimit an application's settings
// (they hold a logo).
const (
	bodyLimit     = 16 << 10
	documentLimit = 64 << 10
)

// without is an action that takes no body.
func without(serve func(c *call) error) action {
	return action{serve: func(c *call, _ any) error { return serve(c) }}
}

// with is an action on a body of the fields that describe lists.
func with[T any](describe func(in *T) []strictjson.Field, serve func(c *call, in *T) error) action {
	return action{
		limit: bodyLimit, kinds: []string{"application/json"},
		shape: func(body []byte) (any, error) {
			in := new(T)
			return in, strictjson.Decode(body, describe(in)...)
		},
		serve: func(c *call, in any) error { return serve(c, in.(*T)) },
	}
}

// document is an action on an application's settings, whose fields are known
// to the settings alone.
func document(serve func(c *call, body []byte) error, kinds ...string) action {
	return action{
		limit: documentLimit, kinds: kinds,
		shape: func(body []byte) (any, error) {
			_, err := strictjson.Parse(body)
			return body, err
		},
		serve: func(c *call, in any) error { return serve(c, in.([]byte)) },
	}
}

// read returns the body in the action's shape. A missing content type is
// forgiven to nobody but an empty body, which is then refused as no JSON.
func (c *call) read(a action) (any, error) {
	if a.shape == nil {
		return nil, nil
	}
	r := c.Request()
	kinds := r.Header.Values("Content-Type")
	if len(r.Header.Values("Content-Encoding")) > 0 || len(kinds) > 1 || len(kinds) == 1 && !acceptable(kinds[0], a.kinds) {
		return nil, workflow.Fail(workflow.CodeUnsupportedMediaType, nil)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, a.limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, workflow.Fail(workflow.CodeBodyTooLarge, nil)
	case err != nil: // cut off or badly framed
		return nil, workflow.Fail(workflow.CodeInvalidJSON, nil)
	case len(kinds) == 0 && len(body) > 0:
		return nil, workflow.Fail(workflow.CodeUnsupportedMediaType, nil)
	}
	return a.shape(body)
}

func acceptable(header string, kinds []string) bool {
	kind, params, err := mime.ParseMediaType(header)
	if err != nil {
		return false
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	for _, k := range kinds {
		if k == kind {
			return true
		}
	}
	return false
}

func (c *call) send(status int, v any) error {
	return write(c.Context, status, "application/json", v)
}

func (c *call) done() error { return c.NoContent(http.StatusNoContent) }

func notFound() error { return workflow.Fail(workflow.CodeNotFound, nil) }
