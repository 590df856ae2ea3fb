package workflow_test

import (
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/workflow"
)

func TestLoginAfterReset(t *testing.T) {
	o := flowtest.Options{Settings: func(a *workflow.Application) { a.LoginAfterReset = true }}
	each(t, o, func(t *testing.T, r *flowtest.Rig) {
		u := r.User(r.App, "ada@example.com")
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		got, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")})
		if err != nil || got.Result != workflow.ResultAuthSession || got.AuthSessionCode == "" {
			t.Fatalf("%+v %v", got, err)
		}
		if _, err := r.Engine.RedeemAuthSession(bg, r.Other, got.AuthSessionCode); err == nil {
			t.Error("another application redeemed it")
		}
		id, err := r.Engine.RedeemAuthSession(bg, r.App, got.AuthSessionCode)
		if err != nil || id != u.ID {
			t.Fatalf("%s %v", id, err)
		}
		_, err = r.Engine.RedeemAuthSession(bg, r.App, got.AuthSessionCode)
		flowtest.Refused(t, err, "authSessionCode", workflow.VioInvalidAuthSessionCode)

		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		got, err = r.Engine.Reset(bg, r.App, workflow.ResetInput{NewPassword: flowtest.OldPassword, Client: flowtest.Caller,
			Proof: workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")}})
		if err != nil {
			t.Fatal(err)
		}
		hash, err := r.Hash("Some-other-password-9")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Directory.UpdateUser(bg, "acme", u.ID, workflow.UserPatch{Hash: &hash}, "test"); err != nil {
			t.Fatal(err)
		}
		_, err = r.Engine.RedeemAuthSession(bg, r.App, got.AuthSessionCode)
		flowtest.Refused(t, err, "authSessionCode", workflow.VioInvalidAuthSessionCode) // the account moved on

		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		got, err = r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")})
		if err != nil {
			t.Fatal(err)
		}
		r.Clock.Turn(61 * time.Second)
		_, err = r.Engine.RedeemAuthSession(bg, r.App, got.AuthSessionCode)
		flowtest.Refused(t, err, "authSessionCode", workflow.VioInvalidAuthSessionCode)
	})
}

func TestCancel(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		got := r.Ask(r.App, flows.EmailLink, "ada@example.com")
		m := r.Last("ada@example.com")
		if done, err := r.Engine.NotMe(bg, r.App, "nonsense", flowtest.Caller); err != nil || done != workflow.DisownedNothing {
			t.Errorf("a code that names nothing: %v %v", done, err)
		}
		if done, err := r.Engine.NotMe(bg, r.Other, flowtest.LinkCode(t, m.NotMeLink, "request"), flowtest.Caller); err != nil || done != workflow.DisownedNothing {
			t.Errorf("another application: %v %v", done, err)
		}
		if s := r.Row(r.App, got.RequestID).State; s != workflow.StateChallenged {
			t.Fatalf("another application cancelled it: %s", s)
		}
		if done, err := r.Engine.NotMe(bg, r.App, flowtest.LinkCode(t, m.NotMeLink, "request"), flowtest.Caller); err != nil || done != workflow.DisownedStopped {
			t.Fatalf("%v %v", done, err)
		}
		if done, err := r.Engine.NotMe(bg, r.App, flowtest.LinkCode(t, m.NotMeLink, "request"), flowtest.Caller); err != nil || done != workflow.DisownedNothing {
			t.Errorf("twice: %v %v", done, err)
		}
		if s := r.Row(r.App, got.RequestID).State; s != workflow.StateCancelled {
			t.Errorf("the row is %s", s)
		}
		_, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, m.Link, "email_auth_code")})
		flowtest.Refused(t, err, "emailAuthCode", workflow.VioInvalidEmailAuthCode)
		if err := r.Engine.Cancel(bg, r.App, got.RequestID, "admin"); workflow.AsError(err).Code != workflow.CodeNotCancellable {
			t.Errorf("cancelling twice: %v", err)
		}
		if err := r.Engine.Cancel(bg, r.App, workflow.NewID(time.Now()), "admin"); workflow.AsError(err).Code != workflow.CodeNotFound {
			t.Errorf("cancelling nothing: %v", err)
		}
	})
}

// After a change, "this was not me" ends every session, holds the account, kills
// what is out, and starts a fresh reset to the stored address, once.
func TestNotMeAfterAChange(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		if _, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")}); err != nil {
			t.Fatal(err)
		}
		thief, err := r.Login(r.App, "ada@example.com", flowtest.NewPassword)
		if err != nil {
			t.Fatal(err)
		}
		pending, err := r.Engine.CreateLink(bg, r.App, workflow.OperatorInput{Email: "ada@example.com", Client: flowtest.Caller})
		if err != nil {
			t.Fatal(err)
		}
		r.Work()
		code := flowtest.LinkCode(t, r.Last("ada@example.com").NotMeLink, "changed")
		page := workflow.Client{Actor: "page", IP: "203.0.113.9"}
		if done, err := r.Engine.NotMe(bg, r.Other, code, page); err != nil || done != workflow.DisownedNothing {
			t.Errorf("another application: %v %v", done, err)
		}
		results := make(chan workflow.Disowned, 8)
		for range 8 { // once, however often it is pressed
			go func() {
				done, err := r.Engine.NotMe(bg, r.App, code, page)
				if err != nil {
					t.Error(err)
				}
				results <- done
			}()
		}
		secured := 0
		for range 8 {
			if <-results == workflow.DisownedSecured {
				secured++
			}
		}
		if secured != 1 {
			t.Errorf("secured %d times, want once", secured)
		}
		if _, err := r.Directory.Session(bg, thief.AccessToken); err == nil {
			t.Error("the thief's session lives")
		}
		if _, err := r.Login(r.App, "ada@example.com", flowtest.NewPassword); workflow.AsError(err).Code != workflow.CodePasswordResetRequired {
			t.Errorf("the thief's password: %v", err)
		}
		_, err = r.Reset(r.App, workflow.Proof{PasswordResetCode: pending.Code})
		flowtest.Refused(t, err, "passwordResetCode", workflow.VioInvalidResetCode)
		r.Work()
		m := r.Last("ada@example.com")
		if m.Message.Kind != workflow.KindResetLink {
			t.Fatalf("no fresh reset came, the last mail is %s", m.Message.Kind)
		}
		if _, err := r.Engine.Reset(bg, r.App, workflow.ResetInput{NewPassword: flowtest.OldPassword, Client: flowtest.Caller,
			Proof: workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, m.Link, "email_auth_code")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Login(r.App, "ada@example.com", flowtest.OldPassword); err != nil {
			t.Errorf("after the fresh reset: %v", err)
		}
	})
}

func TestNotMeEndsWithItsTime(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		if _, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")}); err != nil {
			t.Fatal(err)
		}
		r.Work()
		code := flowtest.LinkCode(t, r.Last("ada@example.com").NotMeLink, "changed")
		r.Clock.Turn(7*24*time.Hour + time.Second)
		if done, err := r.Engine.NotMe(bg, r.App, code, flowtest.Caller); err != nil || done != workflow.DisownedNothing {
			t.Errorf("%v %v", done, err)
		}
	})
}
