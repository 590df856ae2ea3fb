package flowtest

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/workflow"
)

// Way is how the suite gets a proof of one flow.
type Way struct {
	Flow workflow.FlowName
	// Obtain asks for a reset of email and returns the proof, the request's id,
	// and every text in it that is secret.
	Obtain func(r *Rig, app *workflow.Application, email string) (p workflow.Proof, id workflow.ID, secrets []string)
	// Wrong returns p with one character of the secret changed.
	Wrong func(p workflow.Proof) workflow.Proof
}

// Ways are the three flows.
func Ways() []Way {
	return []Way{
		{flows.EmailLink, func(r *Rig, app *workflow.Application, email string) (workflow.Proof, workflow.ID, []string) {
			got := r.Ask(app, flows.EmailLink, email)
			code := LinkCode(r.T, r.Last(email).Link, "email_auth_code")
			return workflow.Proof{EmailAuthCode: code}, got.RequestID, []string{code}
		}, func(p workflow.Proof) workflow.Proof { p.EmailAuthCode = flip(p.EmailAuthCode); return p }},
		{flows.EmailOTP, func(r *Rig, app *workflow.Application, email string) (workflow.Proof, workflow.ID, []string) {
			got := r.Ask(app, flows.EmailOTP, email)
			m := r.Last(email)
			return workflow.Proof{RequestCode: got.RequestCode, VerificationCode: m.Code}, got.RequestID,
				[]string{m.Code, got.RequestCode, LinkCode(r.T, m.Link, "email_auth_code")}
		}, func(p workflow.Proof) workflow.Proof { p.VerificationCode = flip(p.VerificationCode); return p }},
		{flows.DirectCode, func(r *Rig, app *workflow.Application, email string) (workflow.Proof, workflow.ID, []string) {
			got, err := r.Engine.CreateLink(context.Background(), app, workflow.OperatorInput{Email: email, Reason: "support call", Client: Caller})
			if err != nil {
				r.T.Fatal(err)
			}
			return workflow.Proof{PasswordResetCode: got.Code}, got.RequestID, []string{got.Code, strings.ReplaceAll(got.Code, "-", "")}
		}, func(p workflow.Proof) workflow.Proof { p.PasswordResetCode = flip(p.PasswordResetCode); return p }},
	}
}

// LinkCode reads the code out of a mailed link.
func LinkCode(t *testing.T, link, param string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Query().Get(param) == "" {
		t.Fatalf("the link %q carries no %s", link, param)
	}
	return u.Query().Get(param)
}

// flip changes the tenth character from the end (for digits the last one) to another of its alphabet.
func flip(s string) string {
	i := len(s) - 1
	if len(s) > 10 {
		i = len(s) - 10
	}
	if s[i] == '-' {
		i--
	}
	to := byte('2')
	if s[i] == '2' {
		to = '3'
	}
	return s[:i] + string(to) + s[i+1:]
}

// Refused fails the test unless err is a violation with a code on a field.
func Refused(t *testing.T, err error, field string, code workflow.ViolationCode) {
	t.Helper()
	var e *workflow.Error
	if !errors.As(err, &e) || len(e.Violations[field]) == 0 || e.Violations[field][0].Code != code {
		t.Errorf("got %v, want %s: %s", err, field, code)
	}
}

// invalid fails the test unless err is the one answer to a code that is not right.
func invalid(t *testing.T, err error) {
	t.Helper()
	var e *workflow.Error
	if !errors.As(err, &e) || e.Code != workflow.CodeViolations || len(e.Violations) != 1 {
		t.Errorf("got %v, want an invalid code", err)
		return
	}
	for _, vs := range e.Violations {
		switch vs[0].Code {
		case workflow.VioInvalidEmailAuthCode, workflow.VioInvalidVerificationCode, workflow.VioInvalidRequestCode, workflow.VioInvalidResetCode:
		default:
			t.Errorf("got %v, want an invalid code", err)
		}
	}
}

// Run runs the suite for one way on one database.
func Run(t *testing.T, w Way, db *database.DB) {
	for name, law := range map[string]func(*testing.T, *Rig, Way){
		"happy path": happy, "replay": replay, "wrong proof": wrong, "expiry": expiry, "half-open lifetime": halfOpen,
		"nothing secret at rest": atRest, "another application": otherApplication, "another account": otherAccount, "another flow": otherFlow,
		"account moved on": moved, "policy keeps the code": policy, "flow switched off": switchedOff, "keys rotate while codes are live": rotate,
		"parallel redemption": parallel,
	} {
		t.Run(name, func(t *testing.T) {
			clear(t, db)
			law(t, New(t, db, Options{}), w)
		})
	}
}

// clear empties what the earlier law left.
func clear(t *testing.T, db *database.DB) { t.Helper(); testkit.Truncate(t, db) }

func happy(t *testing.T, r *Rig, w Way) {
	u := r.User(r.App, "ada@example.com")
	for range 3 {
		if _, err := r.Login(r.App, "ada@example.com", OldPassword); err != nil {
			t.Fatal(err)
		}
	}
	p, id, _ := w.Obtain(r, r.App, "ada@example.com")
	seen, err := r.Engine.Introspect(context.Background(), r.App, p, Caller)
	if err != nil || seen.Flow != w.Flow || seen.MaskedEmail != "a***@example.com" {
		t.Fatalf("introspect: %+v %v", seen, err)
	}
	got, err := r.Reset(r.App, p)
	if err != nil {
		t.Fatal(err)
	}
	if got.Result != workflow.ResultLoginRequired || got.Revoked.Sessions != 3 || got.Revoked.RefreshTokens != 3 || got.Confirmation != "queued" {
		t.Errorf("receipt %+v", got)
	}
	if row := r.Row(r.App, id); row.State != workflow.StateCompleted || row.Attempts != 0 {
		t.Errorf("the row is %s with %d attempts", row.State, row.Attempts)
	}
	if _, err := r.Login(r.App, "ada@example.com", OldPassword); err == nil {
		t.Error("the old password still works")
	}
	if _, err := r.Login(r.App, "ada@example.com", NewPassword); err != nil {
		t.Errorf("the new password does not work: %v", err)
	}
	r.Work()
	if m := r.Last(u.Email); m.Message.Kind != workflow.KindPasswordUpdated || m.Code != "" || m.Link != "" {
		t.Errorf("the last mail is %s", m.Message.Kind)
	}
}

func replay(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, _, _ := w.Obtain(r, r.App, "ada@example.com")
	if _, err := r.Reset(r.App, p); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, err := r.Reset(r.App, p)
		invalid(t, err)
		_, err = r.Engine.Introspect(context.Background(), r.App, p, Caller)
		invalid(t, err)
	}
}

func wrong(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, id, _ := w.Obtain(r, r.App, "ada@example.com")
	_, err := r.Reset(r.App, w.Wrong(p))
	invalid(t, err)
	if row := r.Row(r.App, id); row.State != workflow.StateChallenged {
		t.Errorf("a wrong code moved the row to %s", row.State)
	}
	if _, err := r.Login(r.App, "ada@example.com", OldPassword); err != nil {
		t.Errorf("a wrong code changed something: %v", err)
	}
	if _, err := r.Reset(r.App, p); err != nil {
		t.Errorf("the right code after a wrong one: %v", err)
	}
}

func expiry(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, id, _ := w.Obtain(r, r.App, "ada@example.com")
	r.Clock.Turn(25 * time.Hour)
	_, err := r.Reset(r.App, p)
	invalid(t, err)
	if _, err := r.Engine.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if row := r.Row(r.App, id); row.State != workflow.StateExpired {
		t.Errorf("after the sweep the row is %s", row.State)
	}
	_, err = r.Reset(r.App, p)
	invalid(t, err)
}

// A code is good while now < expiresAt, on every database alike.
func halfOpen(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, id, _ := w.Obtain(r, r.App, "ada@example.com")
	end := r.Row(r.App, id).ExpiresAt
	r.Clock.Turn(end.Sub(r.Clock.Now()))
	_, err := r.Engine.Introspect(context.Background(), r.App, p, Caller)
	invalid(t, err)
	r.Clock.Turn(-time.Microsecond)
	if _, err := r.Engine.Introspect(context.Background(), r.App, p, Caller); err != nil {
		t.Errorf("a microsecond before its end: %v", err)
	}
}

func atRest(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	_, _, secrets := w.Obtain(r, r.App, "ada@example.com")
	dump := testkit.Dump(t, r.DB)
	for _, j := range r.Jobs() {
		dump += string(j.Kind) + j.ID.String()
	}
	dump += r.Log.String()
	for _, s := range append(secrets, OldPassword, NewPassword) {
		if len(s) > 6 && strings.Contains(dump, s) {
			t.Errorf("a secret of %s stands in the database or the log", w.Flow)
		}
	}
}

func otherApplication(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	r.User(r.Other, "ada@example.com")
	p, _, _ := w.Obtain(r, r.App, "ada@example.com")
	_, err := r.Reset(r.Other, p)
	invalid(t, err)
	if _, err := r.Reset(r.App, p); err != nil {
		t.Errorf("trying it elsewhere spoiled the code: %v", err)
	}
}

func otherAccount(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	r.User(r.App, "eve@example.com")
	victim, _, _ := w.Obtain(r, r.App, "ada@example.com")
	own, _, _ := w.Obtain(r, r.App, "eve@example.com")
	if _, err := r.Reset(r.App, own); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Login(r.App, "ada@example.com", OldPassword); err != nil {
		t.Error("one account's code changed another's password")
	}
	if victim.RequestCode != "" { // the pair must belong together
		fresh, _, _ := w.Obtain(r, r.App, "eve@example.com")
		_, err := r.Reset(r.App, workflow.Proof{RequestCode: victim.RequestCode, VerificationCode: fresh.VerificationCode})
		if victim.VerificationCode != fresh.VerificationCode {
			invalid(t, err)
		}
	}
	if _, err := r.Reset(r.App, victim); err != nil {
		t.Errorf("the victim's own code: %v", err)
	}
}

// A code counts in its own field only.
func otherFlow(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, id, secrets := w.Obtain(r, r.App, "ada@example.com")
	for _, s := range secrets[:1] {
		for _, q := range []workflow.Proof{{EmailAuthCode: s}, {PasswordResetCode: s}, {RequestCode: s, VerificationCode: "123456"}, {RequestCode: "x", VerificationCode: s}} {
			if q == p {
				continue
			}
			_, err := r.Reset(r.App, q)
			invalid(t, err)
		}
	}
	if row := r.Row(r.App, id); row.State != workflow.StateChallenged {
		t.Errorf("the row is %s", row.State)
	}
}

// A password change by any route, another address, disabling, deletion: the code is dead.
func moved(t *testing.T, r *Rig, w Way) {
	off, addr := true, "ada.new@example.com"
	hash, err := r.Hash("Some-other-password-9")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for name, change := range map[string]func(id string) error{
		"password": func(id string) error {
			_, err := r.Directory.UpdateUser(ctx, "acme", id, workflow.UserPatch{Hash: &hash}, "test")
			return err
		},
		"e-mail": func(id string) error {
			_, err := r.Directory.UpdateUser(ctx, "acme", id, workflow.UserPatch{Email: &addr}, "test")
			return err
		},
		"disabled": func(id string) error {
			_, err := r.Directory.UpdateUser(ctx, "acme", id, workflow.UserPatch{Disabled: &off}, "test")
			return err
		},
		"deleted": func(id string) error { return r.Directory.DeleteUser(ctx, "acme", id, "test") },
	} {
		email := strings.ReplaceAll(name, "-", "") + "@example.com"
		u := r.User(r.App, email)
		p, _, _ := w.Obtain(r, r.App, email)
		if err := change(u.ID); err != nil {
			t.Fatal(name, err)
		}
		_, err := r.Reset(r.App, p)
		if err == nil {
			t.Errorf("%s: the code still works", name)
		} else {
			invalid(t, err)
		}
	}
}

func policy(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, _, _ := w.Obtain(r, r.App, "ada@example.com")
	for _, weak := range []string{"Xq7", "password123", "ada@example.com", strings.Repeat("x", 2000)} {
		_, err := r.Engine.Reset(context.Background(), r.App, workflow.ResetInput{Proof: p, NewPassword: weak, Client: Caller})
		var e *workflow.Error
		if !errors.As(err, &e) || len(e.Violations["newPassword"]) == 0 || len(e.Violations) != 1 {
			t.Errorf("%.20q: %v", weak, err)
		}
		if strings.Contains(err.Error(), weak) {
			t.Error("the refusal repeats the password")
		}
	}
	if _, err := r.Reset(r.App, p); err != nil {
		t.Errorf("the code was spoiled by weak passwords: %v", err)
	}
}

func switchedOff(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, _, _ := w.Obtain(r, r.App, "ada@example.com")
	off := *r.App
	off.Flows = map[workflow.FlowName]workflow.FlowSettings{}
	for name, s := range r.App.Flows {
		s.Enabled = name != w.Flow
		off.Flows[name] = s
	}
	_, err := r.Reset(&off, p)
	invalid(t, err)
}

// A new key in front: old codes live on under theirs. The old key gone: dead.
func rotate(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	r.User(r.App, "bob@example.com")
	ada, _, _ := w.Obtain(r, r.App, "ada@example.com")
	bob, _, _ := w.Obtain(r, r.App, "bob@example.com")
	r.Rekey(Options{Keys: [][]byte{Key(2), Key(1)}})
	if _, err := r.Reset(r.App, ada); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	r.Rekey(Options{Keys: [][]byte{Key(2)}})
	_, err := r.Reset(r.App, bob)
	invalid(t, err)
}

// Of many redemptions at once exactly one wins, and the password is the winner's.
func parallel(t *testing.T, r *Rig, w Way) {
	r.User(r.App, "ada@example.com")
	p, _, _ := w.Obtain(r, r.App, "ada@example.com")
	const n = 5 // a verification code has five attempts, each contender reserves one
	errs := make([]error, n)
	gate, done := make(chan struct{}), make(chan int, n)
	for i := range n {
		go func() {
			<-gate
			_, errs[i] = r.Engine.Reset(context.Background(), r.App, workflow.ResetInput{Proof: p, NewPassword: NewPassword + string(rune('a'+i)), Client: Caller})
			done <- i
		}()
	}
	close(gate)
	for range n {
		<-done
	}
	won := -1
	for i, err := range errs {
		if err == nil {
			if won >= 0 {
				t.Fatalf("%d and %d both won", won, i)
			}
			won = i
			continue
		}
		invalid(t, err)
	}
	if won < 0 {
		t.Fatalf("nobody won: %v", errs)
	}
	if _, err := r.Login(r.App, "ada@example.com", NewPassword+string(rune('a'+won))); err != nil {
		t.Errorf("the winner's password does not work: %v", err)
	}
}
