package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/resetflow/resetflow/internal/settings"
	"github.com/resetflow/resetflow/workflow"
)

// remote is the installation behind the admin API of a running service.
type remote struct {
	base, token string
	client      *http.Client
}

func newRemote(base, token string) *remote {
	return &remote{base: base, token: token, client: &http.Client{
		Timeout: 30 * time.Second,
		// A redirect would carry the token to somewhere nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (r *remote) close() { r.client.CloseIdleConnections() }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 20

// call sends body as JSON (nil for none) and reads the answer into out (nil to
// drop it). A refusal comes back as the domain's error.
func (r *remote) call(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.base+"/admin/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := r.client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("--server: %s cannot be reached: %w", r.base, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("--server: the answer broke off: %w", err)
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("--server: %s does not answer as resetflow does; check the address", r.base)
		}
		return nil
	}
	return refusal(r.base, res.StatusCode, answer)
}

// refusal turns problem+json back into the domain's error.
func refusal(base string, status int, answer []byte) error {
	var problem struct {
		Code       workflow.ErrorCode  `json:"code"`
		Ticket     string              `json:"ticket"`
		Violations workflow.Violations `json:"violations"`
	}
	if json.Unmarshal(answer, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("--server: %s answered %d, and not as resetflow does; check the address", base, status)
	}
	switch problem.Code {
	case workflow.CodeNotFound, workflow.CodeUserNotFound:
		return workflow.ErrNotFound
	case workflow.CodeNotUnique:
		return workflow.ErrNotUnique
	case workflow.CodeUnauthenticated:
		return errors.New("--token: the service does not know this token; use its admin.token or an API key with the permission")
	case workflow.CodeForbidden:
		return errors.New("--token: this token does not hold the permission; use admin.token or an API key that does")
	case workflow.CodeInternal, workflow.CodeOverloaded:
		return fmt.Errorf("--server: the service could not do it now; try again, and if it stays look for ticket %s in its log", problem.Ticket)
	}
	return &workflow.Error{Code: problem.Code, Violations: problem.Violations}
}

func at(parts ...string) string {
	path := "/applications"
	for _, p := range parts {
		path += "/" + url.PathEscape(p)
	}
	return path
}

func (r *remote) application(ctx context.Context, slug string) (workflow.Application, error) {
	var body json.RawMessage
	if err := r.call(ctx, http.MethodGet, at(slug), nil, &body); err != nil {
		return workflow.Application{}, err
	}
	app, err := settings.Decode(body, policies())
	if err != nil {
		return app, fmt.Errorf("--server: the service has settings this version does not know; use the same version: %w", because(err))
	}
	return app, nil
}

func (r *remote) create(ctx context.Context, app workflow.Application) error {
	body, err := settings.Encode(app, policies()...)
	if err != nil {
		return err
	}
	return r.call(ctx, http.MethodPost, at(), body, nil)
}

// update sends the whole application as a merge patch. A flow that is not named
// any more must be taken away by a null, or the patch would keep it.
func (r *remote) update(ctx context.Context, old, app workflow.Application) error {
	body, err := settings.Encode(app, policies()...)
	if err != nil {
		return err
	}
	var patch map[string]json.RawMessage
	if err := json.Unmarshal(body, &patch); err != nil {
		return err
	}
	var flows map[workflow.FlowName]json.RawMessage
	if err := json.Unmarshal(patch["flows"], &flows); err != nil {
		return err
	}
	for name := range old.Flows {
		if _, kept := flows[name]; !kept {
			flows[name] = json.RawMessage("null")
		}
	}
	if patch["flows"], err = json.Marshal(flows); err != nil {
		return err
	}
	if body, err = json.Marshal(patch); err != nil {
		return err
	}
	return r.call(ctx, http.MethodPatch, at(app.Slug), body, nil)
}

func (r *remote) createKey(ctx context.Context, k newKey) (key, id string, err error) {
	in := map[string]any{"name": k.name, "type": k.kind, "permissions": k.permissions}
	if len(k.origins) > 0 {
		in["allowedOrigins"] = k.origins
	}
	body, err := json.Marshal(in)
	if err != nil {
		return "", "", err
	}
	var out struct{ ID, Key string }
	err = r.call(ctx, http.MethodPost, at(k.application, "keys"), body, &out)
	return out.Key, out.ID, err
}

func (r *remote) keys(ctx context.Context, application string) ([]workflow.APIKey, error) {
	var all []workflow.APIKey
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID, Name, Type, Prefix, LastFour string
				Permissions, AllowedOrigins      []string
				CreatedAt, RevokedAt             time.Time
			}
			NextCursor string
		}
		path := at(application, "keys") + "?limit=200"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := r.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, k := range page.Items {
			all = append(all, workflow.APIKey{ID: k.ID, Application: application, Name: k.Name, Type: workflow.KeyType(k.Type),
				Permissions: k.Permissions, AllowedOrigins: k.AllowedOrigins, Prefix: k.Prefix, LastFour: k.LastFour,
				CreatedAt: k.CreatedAt, RevokedAt: k.RevokedAt})
		}
		if cursor = page.NextCursor; cursor == "" {
			return all, nil
		}
	}
}

func (r *remote) revokeKey(ctx context.Context, application, id string) error {
	return r.call(ctx, http.MethodDelete, at(application, "keys", id), nil, nil)
}

func (r *remote) createUser(ctx context.Context, application string, u workflow.NewUser) error {
	in := map[string]any{"email": u.Email, "disabled": u.Disabled}
	for name, value := range map[string]string{"passwordHash": u.Hash, "name": u.Name, "locale": u.Locale} {
		if value != "" {
			in[name] = value
		}
	}
	if len(u.Orgs) > 0 {
		in["orgs"] = u.Orgs
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return r.call(ctx, http.MethodPost, at(application, "users"), body, nil)
}

func (r *remote) userExists(ctx context.Context, application, email string) (bool, error) {
	var page struct{ Items []json.RawMessage }
	err := r.call(ctx, http.MethodGet, at(application, "users")+"?limit=1&email="+url.QueryEscape(email), nil, &page)
	return len(page.Items) > 0, err
}
