package builtin

import (
	"context"
	"encoding/json"
	"fmt"

	"gorm.io/gorm/clause"

	"github.com/resetflow/resetflow/internal/password"
	"github.com/resetflow/resetflow/workflow"
)

func (r accountRow) user() workflow.User {
	orgs := []string{}
	_ = json.Unmarshal([]byte(r.Orgs), &orgs) // written by writeOrgs only
	return workflow.User{
		ID: r.ID, Email: r.Email, Name: r.Name, Locale: r.Locale, Orgs: orgs, Disabled: r.Disabled,
		HasPassword: r.PasswordHash != "", MustReset: r.MustReset, CreatedAt: moment(r.CreatedAt), UpdatedAt: moment(r.UpdatedAt),
	}
}

func writeOrgs(orgs []string) string {
	if len(orgs) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(orgs) // texts always encode
	return string(b)
}

// check refuses texts that one of the databases cannot hold.
func check(name, locale string, orgs []string) error {
	v := workflow.Violations{}
	if !sayable(name) {
		v.Add("name", workflow.VioInvalidCharacter)
	}
	if !sayable(locale) {
		v.Add("locale", workflow.VioInvalidLocale)
	}
	for _, o := range orgs {
		if !sayable(o) {
			v.Add("orgs", workflow.VioInvalidCharacter)
			break
		}
	}
	return v.Err()
}

// takes refuses a hash that a login could not verify within the pool's memory.
// Its form is the caller's matter.
func (d *Directory) takes(hash *string) error {
	if hash != nil && password.Known(*hash) == nil && d.pool.Takes(*hash) != nil {
		return workflow.Violate("passwordHash", workflow.VioInvalidValue)
	}
	return nil
}

// CreateUser inserts an account. ErrNotUnique with a taken address.
func (d *Directory) CreateUser(ctx context.Context, application string, u workflow.NewUser, actor string) (workflow.User, error) {
	if err := check(u.Name, u.Locale, u.Orgs); err != nil {
		return workflow.User{}, err
	}
	if err := d.takes(&u.Hash); err != nil {
		return workflow.User{}, err
	}
	now := d.now()
	row := accountRow{
		Application: application, ID: workflow.NewID(now).String(), Email: u.Email, Name: u.Name, Locale: u.Locale, Orgs: writeOrgs(u.Orgs),
		Disabled: u.Disabled, PasswordHash: u.Hash, Generation: firstGeneration(), CreatedAt: micros(now), UpdatedAt: micros(now),
	}
	err := d.db.Atomically(ctx, func(ctx context.Context) error {
		done := d.db.Write(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
		if done.Error != nil {
			return fmt.Errorf("directory: create user: %w", done.Error)
		}
		if done.RowsAffected == 0 {
			return workflow.ErrNotUnique
		}
		return d.audit(ctx, auditRow{Application: application, Event: "user_created", AccountID: row.ID, Actor: actor})
	})
	if err != nil {
		return workflow.User{}, err
	}
	return row.user(), nil
}

// User returns one account. ErrNotFound.
func (d *Directory) User(ctx context.Context, application, id string) (workflow.User, error) {
	row, err := d.byID(ctx, application, id)
	if err != nil {
		return workflow.User{}, err
	}
	return row.user(), nil
}

// ListUsers lists by id, limit at a time; the cursor is the last id of the page before.
func (d *Directory) ListUsers(ctx context.Context, application, email, cursor string, limit int) (users []workflow.User, next string, err error) {
	if _, ok := workflow.ParseID(cursor); cursor != "" && !ok {
		return nil, "", workflow.Violate("cursor", workflow.VioInvalidValue)
	}
	if !sayable(email) {
		return []workflow.User{}, "", nil
	}
	query := d.db.Read(ctx).Where("application = ? AND id > ?", application, cursor)
	if email != "" {
		query = query.Where("email = ?", email)
	}
	var rows []accountRow
	if err := query.Order("id").Limit(limit + 1).Find(&rows).Error; err != nil {
		return nil, "", fmt.Errorf("directory: list users: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	users = make([]workflow.User, 0, len(rows))
	for _, r := range rows {
		users = append(users, r.user())
	}
	return users, next, nil
}

// locked reads an account to change it: nobody else changes it before this
// transaction ends (SQLite has one writer anyway).
func (d *Directory) locked(ctx context.Context, application, id string) (accountRow, error) {
	if _, ok := workflow.ParseID(id); !ok || !sayable(application) {
		return accountRow{}, workflow.ErrNotFound
	}
	return take(d.db.Write(ctx).Clauses(clause.Locking{Strength: "UPDATE"}).Where("application = ? AND id = ?", application, id))
}
