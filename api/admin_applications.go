package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/resetflow/resetflow/workflow"
)

func (c *call) sendApplication(status int, app workflow.Application) error {
	body, err := c.s.Settings.Encode(app, c.s.Flows...)
	if err != nil {
		return err
	}
	return c.Blob(status, "application/json", body)
}

func createApplication(c *call, body []byte) error {
	app, err := c.s.Settings.Decode(body, c.s.Flows)
	if err != nil {
		return err
	}
	c.Set(keyApplication, app.Slug)
	if err := c.s.Applications.Create(c.ctx, app, c.who.actor()); err != nil {
		return err
	}
	return c.sendApplication(http.StatusCreated, app)
}

// listApplications shows a key of one application that one alone.
func listApplications(c *call) error {
	v := workflow.Violations{}
	cursor, limit := c.page(v)
	if err := v.Err(); err != nil {
		return err
	}
	var rows []workflow.Application
	var next string
	var err error
	if bound := c.who.key.Application; bound == "" {
		rows, next, err = c.s.Applications.List(c.ctx, cursor, limit)
	} else {
		var app *workflow.Application
		if app, err = c.s.Applications.Application(c.ctx, bound); err == nil {
			rows = []workflow.Application{*app}
		}
	}
	if err != nil {
		return err
	}
	bodies := make([]json.RawMessage, 0, len(rows))
	for _, app := range rows {
		body, err := c.s.Settings.Encode(app, c.s.Flows...)
		if err != nil {
			return err
		}
		bodies = append(bodies, body)
	}
	return sendList(c, bodies, next, nil, func(b json.RawMessage) json.RawMessage { return b })
}

func showApplication(c *call) error { return c.sendApplication(http.StatusOK, *c.app) }

// patchTries is how often a patch is laid over a newer version before the
// caller is asked to come back.
const patchTries = 3

func patchApplication(c *call, patch []byte) error {
	for try := 1; ; try++ {
		app, err := c.s.Settings.Merge(*c.app, patch, c.s.Flows)
		if err != nil {
			return err
		}
		err = c.s.Applications.Update(c.ctx, app, c.who.actor())
		if err == nil {
			return c.sendApplication(http.StatusOK, app)
		}
		if !errors.Is(err, workflow.ErrStale) || try == patchTries {
			return err
		}
		if c.app, err = c.s.Applications.Application(c.ctx, c.app.Slug); err != nil {
			return err
		}
	}
}

func deleteApplication(c *call) error {
	if err := c.s.Applications.Delete(c.ctx, c.app.Slug, c.who.actor()); err != nil {
		return err
	}
	return c.done()
}
