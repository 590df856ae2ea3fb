package workflow_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/storage"
	"github.com/resetflow/resetflow/workflow"
)

var errDown = &workflow.DeliveryError{Reply: "450 4.7.1 greylisted"}

func states(t *testing.T, r *flowtest.Rig) string {
	t.Helper()
	rows, _, err := r.Store.Messages(bg, "acme", workflow.MessageQuery{Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := len(rows) - 1; i >= 0; i-- {
		out = append(out, string(rows[i].Kind)+":"+string(rows[i].State))
	}
	return strings.Join(out, " ")
}

// A mail server that is down is invisible to the caller, and the same code
// arrives when it is back.
func TestMailWaitsForTheServer(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		r.Outbox.Fail(errDown)
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		r.Clock.Turn(2 * time.Second)
		r.Work()
		if got := states(t, r); got != "reset_link:queued" {
			t.Fatal(got)
		}
		r.Outbox.Fail(nil)
		r.Work()
		r.Work()
		if got := states(t, r); got != "reset_link:sent" || r.Outbox.Len() != 1 {
			t.Fatalf("%s, %d mails", got, r.Outbox.Len())
		}
		if _, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")}); err != nil {
			t.Error(err)
		}
	})
}

func TestPermanentRefusalIsNotRetried(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		r.Outbox.Fail(&workflow.DeliveryError{Permanent: true, Reply: "550 5.1.1 no such user"})
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		if got := states(t, r); got != "reset_link:failed" || len(r.Jobs()) != 0 {
			t.Fatalf("%s, %d jobs wait", got, len(r.Jobs()))
		}
		rows, _, _ := r.Store.Messages(bg, "acme", workflow.MessageQuery{Limit: 1})
		if rows[0].LastReply != "550 5.1.1 no such user" || rows[0].Attempts != 1 {
			t.Errorf("the ledger says %q after %d tries", rows[0].LastReply, rows[0].Attempts)
		}
		r.Outbox.Fail(nil)
		if err := r.Engine.RetryMessage(bg, r.App, rows[0].ID, "admin"); err != nil {
			t.Fatal(err)
		}
		r.Work()
		if got := states(t, r); got != "reset_link:sent" {
			t.Error(got)
		}
		if err := r.Engine.RetryMessage(bg, r.App, rows[0].ID, "admin"); workflow.AsError(err).Code != workflow.CodeNotRetryable {
			t.Errorf("retrying what was delivered: %v", err)
		}
	})
}

// A message that would arrive expired is not sent; one mail without a code follows.
func TestExpiredMessageIsFollowedOnce(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		r.Outbox.Fail(errDown)
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		r.Clock.Turn(31 * time.Minute)
		r.Work()
		if got := states(t, r); got != "reset_link:expired reset_link:queued" {
			t.Fatal(got)
		}
		r.Outbox.Fail(nil)
		r.Clock.Turn(time.Minute)
		r.Work()
		r.Work()
		if got := states(t, r); got != "reset_link:expired reset_link:sent" || r.Outbox.Len() != 1 {
			t.Fatalf("%s, %d mails", got, r.Outbox.Len())
		}
		m := r.Last("ada@example.com")
		if m.Link != "" || m.Code != "" || !strings.HasSuffix(m.ForgotLink, "/apps/acme/forgot-password") || !m.Message.NoCode {
			t.Errorf("the follow-up: %+v", m)
		}
	})
}

// No dead code is mailed, and none to an address that changed meanwhile.
func TestWaitingMessageOfADeadCodeIsVoid(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		u := r.User(r.App, "ada@example.com")
		r.Outbox.Fail(errDown)
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		fresh := "ada.new@example.com"
		if _, err := r.Directory.UpdateUser(bg, "acme", u.ID, workflow.UserPatch{Email: &fresh}, "test"); err != nil {
			t.Fatal(err)
		}
		r.Outbox.Fail(nil)
		r.Work()
		if got := states(t, r); got != "reset_link:void" || r.Outbox.Len() != 0 {
			t.Fatalf("%s, %d mails", got, r.Outbox.Len())
		}
	})
}

// Every job may run twice, also the one that died between commit and mail server.
func TestJobsRunTwice(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		got, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: "ada@example.com", Client: flowtest.Caller})
		if err != nil {
			t.Fatal(err)
		}
		job := r.Jobs()[0]
		r.Outbox.Fail(errors.New("the process died here"))
		_ = r.Engine.Work(bg, job)
		r.Outbox.Fail(nil)
		for range 3 {
			if err := r.Engine.Work(bg, job); err != nil {
				t.Fatal(err)
			}
		}
		r.Work()
		if n := r.Outbox.Len(); n != 1 {
			t.Errorf("%d mails, want 1", n)
		}
		if row := r.Row(r.App, got.RequestID); row.Sends != 1 {
			t.Errorf("%d sends", row.Sends)
		}
	})
}

// Two jobs of one account at once leave one live request.
func TestParallelResolve(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		var ids []workflow.ID
		for i := range 6 {
			c := flowtest.Caller
			c.IP, c.KeyID = "", string(rune('a'+i))
			got, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: "ada@example.com", Client: c})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, got.RequestID)
		}
		done := make(chan error)
		list := r.Jobs()
		for _, j := range list {
			go func() { done <- r.Engine.Work(bg, j) }()
		}
		for range list {
			if err := <-done; err != nil && !errors.Is(err, workflow.ErrStale) && !errors.Is(err, workflow.ErrLive) {
				t.Error(err)
			}
		}
		r.Work()
		live := 0
		for _, id := range ids {
			switch s := r.Row(r.App, id).State; s {
			case workflow.StateChallenged:
				live++
			case workflow.StateSuperseded:
			default:
				t.Errorf("a row is %s", s)
			}
		}
		if live != 1 {
			t.Errorf("%d live requests, want 1", live)
		}
	})
}

// The cap on mails is silent, and leaves the running code alone.
func TestMailCapIsSilent(t *testing.T) {
	o := flowtest.Options{Settings: func(a *workflow.Application) { a.Limits.MailsPerAccount = workflow.Rate{N: 2, Per: time.Hour} }}
	each(t, o, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		code := flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")
		got := r.Ask(r.App, flows.EmailLink, "ada@example.com")
		if s := r.Row(r.App, got.RequestID).State; s != workflow.StateDecoy || r.Outbox.Len() != 2 {
			t.Errorf("the third request is %s, %d mails", s, r.Outbox.Len())
		}
		if _, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: code}); err != nil {
			t.Errorf("the running code after the cap: %v", err)
		}
	})
}

func TestUnknownAddressIsToldOnlyWhereAsked(t *testing.T) {
	o := flowtest.Options{Settings: func(a *workflow.Application) { a.NotifyUnknown = true }}
	each(t, o, func(t *testing.T, r *flowtest.Rig) {
		r.Ask(r.App, flows.EmailLink, "nobody@example.com")
		r.Work()
		if m := r.Last("nobody@example.com"); m.Message.Kind != workflow.KindNoAccount || m.Link != "" || m.Code != "" {
			t.Errorf("%+v", m.Message)
		}
	})
}

// failing breaks the commit of a reset, after the directory's part.
type failing struct {
	*storage.Store
	on atomic.Bool
}

func (f *failing) Commit(ctx context.Context, c workflow.Commit) error {
	if f.on.Load() {
		return errors.New("the disk is full")
	}
	return f.Store.Commit(ctx, c)
}

// If the commit fails nothing happened: old password, sessions, code, mail (INV-5).
func TestFailedCommitChangesNothing(t *testing.T) {
	var store *failing
	o := flowtest.Options{Store: func(real *storage.Store) workflow.Store { store = &failing{Store: real}; return store }}
	each(t, o, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		tokens, err := r.Login(r.App, "ada@example.com", flowtest.OldPassword)
		if err != nil {
			t.Fatal(err)
		}
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		p := workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")}
		store.on.Store(true)
		if _, err := r.Reset(r.App, p); workflow.AsError(err).Code != workflow.CodeInternal {
			t.Fatalf("%v", err)
		}
		store.on.Store(false)
		r.Work()
		if _, err := r.Directory.Session(bg, tokens.AccessToken); err != nil {
			t.Errorf("a session ended: %v", err)
		}
		if _, err := r.Login(r.App, "ada@example.com", flowtest.OldPassword); err != nil {
			t.Errorf("the old password: %v", err)
		}
		if m := r.Last("ada@example.com"); m.Message.Kind == workflow.KindPasswordUpdated {
			t.Error("a confirmation left")
		}
		if _, err := r.Reset(r.App, p); err != nil {
			t.Errorf("the code afterwards: %v", err)
		}
	})
}

// Every refusal leaves an audit row, and none of them a secret.
func TestRefusalsAreAudited(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		for _, p := range []workflow.Proof{{EmailAuthCode: "SECRETSECRETSECRET"}, {PasswordResetCode: "SECRETSECRETSECRET"}, {RequestCode: "SECRETSECRETSECRET", VerificationCode: "123456"}} {
			before := strings.Count(testkit.Dump(t, r.DB), "authn_password_change_fail")
			_, _ = r.Reset(r.App, p)
			dump := testkit.Dump(t, r.DB)
			if after := strings.Count(dump, "authn_password_change_fail"); after != before+1 {
				t.Errorf("%s: %d rows more, want 1", p.Kind(), after-before)
			}
			if strings.Contains(dump, "SECRETSECRET") {
				t.Error("the audit trail repeats what was sent")
			}
		}
	})
}
