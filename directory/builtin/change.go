package builtin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/resetflow/resetflow/workflow"
)

// UpdateUser changes the fields of p that are given. A changed address, a new
// password and disabling or enabling move the generation and end every session.
func (d *Directory) UpdateUser(ctx context.Context, application, id string, p workflow.UserPatch, actor string) (workflow.User, error) {
	var row accountRow
	err := d.db.Atomically(ctx, func(ctx context.Context) (err error) {
		if row, err = d.locked(ctx, application, id); err != nil {
			return err
		}
		if err := d.takes(p.Hash); err != nil {
			return err
		}
		before := row.Generation
		fields, moved := row.apply(p)
		if err := check(row.Name, row.Locale, row.user().Orgs); err != nil {
			return err
		}
		if len(fields) == 0 {
			return nil
		}
		now := d.now()
		row.UpdatedAt = micros(now)
		if p.Hash != nil {
			if err := d.remember(ctx, application, id, before, p.Remember); err != nil {
				return err
			}
		}
		if moved {
			row.Generation++
		}
		if err := d.save(ctx, row); err != nil {
			return err
		}
		if moved {
			if _, err := d.endAll(ctx, application, id, before, now); err != nil {
				return err
			}
		}
		return d.audit(ctx, auditRow{Application: application, Event: "user_updated", AccountID: id, Actor: actor, Cause: strings.Join(fields, " ")})
	})
	if err != nil {
		return workflow.User{}, err
	}
	return row.user(), nil
}

// apply writes p into r and returns the names of the fields that changed and
// whether that moves the generation.
func (r *accountRow) apply(p workflow.UserPatch) (fields []string, moved bool) {
	set := func(name string, to *string, from *string, moves bool) {
		if to != nil && *to != *from {
			*from = *to
			fields, moved = append(fields, name), moved || moves
		}
	}
	set("email", p.Email, &r.Email, true)
	set("name", p.Name, &r.Name, false)
	set("locale", p.Locale, &r.Locale, false)
	if p.Hash != nil { // also where the text is the same: somebody set a password
		r.PasswordHash, r.MustReset = *p.Hash, false
		fields, moved = append(fields, "password"), true
	}
	if p.Orgs != nil && !slices.Equal(*p.Orgs, r.user().Orgs) {
		r.Orgs = writeOrgs(*p.Orgs)
		fields = append(fields, "orgs")
	}
	if p.Disabled != nil && *p.Disabled != r.Disabled {
		r.Disabled = *p.Disabled
		fields, moved = append(fields, "disabled"), true
	}
	return fields, moved
}

func (d *Directory) save(ctx context.Context, r accountRow) error {
	done := d.db.Write(ctx).Exec(`UPDATE accounts SET email = ?, name = ?, locale = ?, orgs = ?, disabled = ?, must_reset = ?, password_hash = ?, generation = ?, updated_at = ?
		WHERE application = ? AND id = ?`,
		r.Email, r.Name, r.Locale, r.Orgs, r.Disabled, r.MustReset, r.PasswordHash, r.Generation, r.UpdatedAt, r.Application, r.ID)
	switch {
	case errors.Is(done.Error, gorm.ErrDuplicatedKey):
		return workflow.ErrNotUnique
	case done.Error != nil:
		return fmt.Errorf("directory: update user: %w", done.Error)
	case done.RowsAffected != 1:
		return workflow.ErrNotFound
	}
	return nil
}

// DeleteUser removes an account and its sessions. What it leaves behind
// elsewhere names an id and a generation that never come back.
func (d *Directory) DeleteUser(ctx context.Context, application, id, actor string) error {
	return d.db.Atomically(ctx, func(ctx context.Context) error {
		if _, err := d.locked(ctx, application, id); err != nil {
			return err
		}
		for _, sql := range []string{`DELETE FROM sessions WHERE application = ? AND account_id = ?`,
			`DELETE FROM password_history WHERE application = ? AND account_id = ?`, `DELETE FROM accounts WHERE application = ? AND id = ?`} {
			if err := d.db.Write(ctx).Exec(sql, application, id).Error; err != nil {
				return fmt.Errorf("directory: delete user: %w", err)
			}
		}
		return d.audit(ctx, auditRow{Application: application, Event: "user_deleted", AccountID: id, Actor: actor})
	})
}

// EndSessions ends all sessions of an account, by row: the generation stays,
// so codes that are on their way stay good.
func (d *Directory) EndSessions(ctx context.Context, application, id, actor string) (r workflow.Revoked, err error) {
	err = d.db.Atomically(ctx, func(ctx context.Context) error {
		row, err := d.locked(ctx, application, id)
		if err != nil {
			return err
		}
		live, err := d.endAll(ctx, application, id, row.Generation, d.now())
		if err != nil {
			return err
		}
		r = workflow.Revoked{Sessions: live, RefreshTokens: live}
		return d.audit(ctx, auditRow{Application: application, Event: "authn_token_revoked", AccountID: id, Actor: actor, Cause: fmt.Sprintf("sessions %d", live)})
	})
	if err != nil {
		return workflow.Revoked{}, err
	}
	return r, nil
}

// RequireReset makes the next right password answer password_reset_required.
// Sessions stay; [Directory.EndSessions] ends them.
func (d *Directory) RequireReset(ctx context.Context, application, id, actor string) error {
	return d.db.Atomically(ctx, func(ctx context.Context) error {
		row, err := d.locked(ctx, application, id)
		if err != nil {
			return err
		}
		row.MustReset, row.UpdatedAt = true, micros(d.now())
		if err := d.save(ctx, row); err != nil {
			return err
		}
		return d.audit(ctx, auditRow{Application: application, Event: "user_updated", AccountID: id, Actor: actor, Cause: "must_reset"})
	})
}
