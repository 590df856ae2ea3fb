package api

import (
	"context"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

// careful is a registry whose applications remember three passwords.
type careful struct{ registry }

func (c careful) Application(ctx context.Context, slug string) (*workflow.Application, error) {
	app, err := c.registry.Application(ctx, slug)
	if err == nil {
		app.Policy.History = 3
	}
	return app, err
}

// remembering knows one former password of u1.
type remembering struct{ users }

func (remembering) Used(_ context.Context, application, accountID, password string, n int) (bool, error) {
	return application == "acme" && accountID == "u1" && password == "used before" && n == 3, nil
}

// informed knows one leaked password, and cannot tell about another.
type informed struct{ passwords }

func (informed) Leaked(_ context.Context, _ workflow.PasswordPolicy, password string) (bool, error) {
	if password == "nobody knows" {
		return false, workflow.ErrBusy
	}
	return password == "known to all", nil
}

// Administrators' passwords and the verdict pass the same judge as a reset's.
func TestOneJudgeOfPasswords(t *testing.T) {
	f := start(t, func(d *Deps) {
		w := d.Users.(users).world
		d.Applications, d.Users, d.Policies = careful{registry{w}}, remembering{users{w}}, informed{passwords{w}}
	})
	for _, row := range []struct {
		name   string
		got    reply
		status int
		code   string
	}{
		{"a leaked one for a new account", f.admin("POST", "/acme/users", `{"email":"a@b.test","password":"known to all"}`), 400, `"breached"`},
		{"a leaked one for an account", f.admin("PATCH", "/acme/users/u1", `{"password":"known to all"}`), 400, `"breached"`},
		{"a former one", f.admin("PATCH", "/acme/users/u1", `{"password":"used before"}`), 400, `"recently_used"`},
		{"somebody else's former one", f.admin("POST", "/acme/users", `{"email":"a@b.test","password":"used before"}`), 201, ""},
		{"nobody can tell", f.admin("PATCH", "/acme/users/u1", `{"password":"nobody knows"}`), 503, "overloaded"},
		{"a verdict on a leaked one", f.post(reset+"/check-password", `{"password":"known to all"}`, f.keys["secret"]), 200, `"breached"`},
		{"a verdict nobody can give", f.post(reset+"/check-password", `{"password":"nobody knows"}`, f.keys["secret"]), 503, "overloaded"},
	} {
		if row.got.status != row.status || !strings.Contains(row.got.body, row.code) {
			t.Errorf("%s: %d %s", row.name, row.got.status, row.got.body)
		}
	}
	f.admin("PATCH", "/acme/users/u1", `{"password":"a new password"}`)
	if f.patch.Hash == nil || f.patch.Remember != 3 {
		t.Errorf("what is remembered: %+v", f.patch)
	}
}
