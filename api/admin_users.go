package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

type userBody struct {
	email, password, passwordHash, locale, name text
	orgs                                        strictjson.Optional[[]string]
	disabled                                    strictjson.Optional[bool]
}

func userFields(in *userBody) []strictjson.Field {
	return []strictjson.Field{
		strictjson.String("email", &in.email),
		strictjson.String("password", &in.password),
		strictjson.String("passwordHash", &in.passwordHash),
		strictjson.String("locale", &in.locale),
		strictjson.String("name", &in.name),
		strictjson.Strings("orgs", &in.orgs),
		strictjson.Boolean("disabled", &in.disabled),
	}
}

// user is an account as administrators see it: no hash, no generation.
type user struct {
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	Locale      string   `json:"locale"`
	Orgs        []string `json:"orgs"`
	Disabled    bool     `json:"disabled"`
	HasPassword bool     `json:"hasPassword"`
	MustReset   bool     `json:"mustReset"`
	CreatedAt   string   `json:"createdAt"`
	UpdatedAt   string   `json:"updatedAt"`
}

func showUserRow(u workflow.User) user {
	if u.Orgs == nil {
		u.Orgs = []string{}
	}
	return user{u.ID, u.Email, u.Name, u.Locale, u.Orgs, u.Disabled, u.HasPassword, u.MustReset, stamp(u.CreatedAt), stamp(u.UpdatedAt)}
}

const (
	maxNameLength = 200
	maxOrgs       = 100
	maxHash       = 500
)

// check judges everything but a password's hash, which costs CPU and comes
// last; old is the account to change, the zero value for a new one. canonical
// is the address, "" where none was given.
func (in *userBody) check(c *call, v workflow.Violations, create bool, old workflow.User) (canonical string, err error) {
	name := old.Name
	if canonical = old.Email; create || in.email.Given {
		canonical = checkEmail(v, "email", in.email)
	}
	if in.name.Given {
		checkText(v, "name", in.name.Value, 0, maxNameLength)
		name = in.name.Value
	}
	if in.locale.Given && in.locale.Value != "" {
		checkLocale(v, in.locale.Value)
	}
	if len(in.orgs.Value) > maxOrgs {
		v.Add("orgs", workflow.VioTooLong, "maxItems", strconv.Itoa(maxOrgs))
	}
	for i, org := range in.orgs.Value {
		checkText(v, "orgs."+strconv.Itoa(i), org, 1, maxNameLength)
	}
	switch {
	case in.password.Given && in.passwordHash.Given:
		v.Add("password", workflow.VioMustBeNull)
		v.Add("passwordHash", workflow.VioMustBeNull)
	case in.passwordHash.Given:
		if len(in.passwordHash.Value) > maxHash || c.s.KnownHash(in.passwordHash.Value) != nil {
			v.Add("passwordHash", workflow.VioInvalidValue)
		}
	case in.password.Given:
		wrong, err := workflow.Judge(c.ctx, c.s.Policies, c.s.Users, c.app.Slug, c.app.Policy, old.ID, in.password.Value, identifiers(c.app, canonical, name))
		if err != nil {
			return canonical, err
		}
		if len(wrong) > 0 {
			v["password"] = wrong
		}
	}
	return canonical, v.Err()
}

// hash returns what is to be stored: the given hash, the password's, or none.
func (in *userBody) hash(c *call) (text, error) {
	if !in.password.Given {
		return in.passwordHash, nil
	}
	hash, err := c.s.Hasher.Hash(c.ctx, in.password.Value)
	return text{Given: true, Value: hash}, err
}

func createUser(c *call, in *userBody) error {
	v := workflow.Violations{}
	email, err := in.check(c, v, true, workflow.User{})
	if err != nil {
		return err
	}
	hash, err := in.hash(c)
	if err != nil {
		return err
	}
	u, err := c.s.Users.CreateUser(c.ctx, c.app.Slug, workflow.NewUser{
		Email: email, Name: in.name.Value, Locale: in.locale.Value, Hash: hash.Value,
		Orgs: in.orgs.Value, Disabled: in.disabled.Value,
	}, c.who.actor())
	if err != nil {
		return err
	}
	return c.send(http.StatusCreated, showUserRow(u))
}

func listUsers(c *call) error {
	v := workflow.Violations{}
	cursor, limit := c.page(v)
	email := c.queryEmail(v)
	if err := v.Err(); err != nil {
		return err
	}
	rows, next, err := c.s.Users.ListUsers(c.ctx, c.app.Slug, email, cursor, limit)
	return sendList(c, rows, next, err, showUserRow)
}

// user loads the account the path names.
func (c *call) user() (workflow.User, error) {
	id, err := c.nameID()
	if err != nil {
		return workflow.User{}, err
	}
	u, err := c.s.Users.User(c.ctx, c.app.Slug, id)
	return u, userError(err)
}

func userError(err error) error {
	if errors.Is(err, workflow.ErrNotFound) {
		return workflow.Fail(workflow.CodeUserNotFound, nil)
	}
	return err
}

func showUser(c *call) error {
	u, err := c.user()
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, showUserRow(u))
}

func patchUser(c *call, in *userBody) error {
	old, err := c.user()
	if err != nil {
		return err
	}
	v := workflow.Violations{}
	email, err := in.check(c, v, false, old)
	if err != nil {
		return err
	}
	hash, err := in.hash(c)
	if err != nil {
		return err
	}
	p := workflow.UserPatch{Name: in.name.Pointer(), Locale: in.locale.Pointer(), Hash: hash.Pointer(),
		Orgs: in.orgs.Pointer(), Disabled: in.disabled.Pointer(), Remember: c.app.Policy.History}
	if in.email.Given {
		p.Email = &email
	}
	u, err := c.s.Users.UpdateUser(c.ctx, c.app.Slug, old.ID, p, c.who.actor())
	if err != nil {
		return userError(err)
	}
	return c.send(http.StatusOK, showUserRow(u))
}

func deleteUser(c *call) error {
	id, err := c.nameID()
	if err != nil {
		return err
	}
	if err := c.s.Users.DeleteUser(c.ctx, c.app.Slug, id, c.who.actor()); err != nil {
		return userError(err)
	}
	return c.done()
}

type ended struct {
	Sessions      int `json:"sessions"`
	RefreshTokens int `json:"refreshTokens"`
}

func revokeSessions(c *call) error {
	id, err := c.nameID()
	if err != nil {
		return err
	}
	r, err := c.s.Users.EndSessions(c.ctx, c.app.Slug, id, c.who.actor())
	if err != nil {
		return userError(err)
	}
	return c.send(http.StatusOK, ended{r.Sessions, r.RefreshTokens})
}

func requireReset(c *call) error {
	id, err := c.nameID()
	if err != nil {
		return err
	}
	if err := c.s.Users.RequireReset(c.ctx, c.app.Slug, id, c.who.actor()); err != nil {
		return userError(err)
	}
	return c.done()
}
