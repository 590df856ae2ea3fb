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
		if stopped, err := r.Engine.CancelByCode(bg, r.App, "nonsense", flowtest.Caller); err != nil || stopped {
			t.Errorf("a code that names nothing: %v %v", stopped, err)
		}
		if stopped, err := r.Engine.CancelByCode(bg, r.Other, flowtest.LinkCode(t, m.NotMeLink, "request"), flowtest.Caller); err != nil || stopped {
			t.Errorf("another application: %v %v", stopped, err)
		}
		if s := r.Row(r.App, got.RequestID).State; s != workflow.StateChallenged {
			t.Fatalf("another application cancelled it: %s", s)
		}
		if stopped, err := r.Engine.CancelByCode(bg, r.App, flowtest.LinkCode(t, m.NotMeLink, "request"), flowtest.Caller); err != nil || !stopped {
			t.Fatalf("%v %v", stopped, err)
		}
		if stopped, err := r.Engine.CancelByCode(bg, r.App, flowtest.LinkCode(t, m.NotMeLink, "request"), flowtest.Caller); err != nil || stopped {
			t.Errorf("twice: %v %v", stopped, err)
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
