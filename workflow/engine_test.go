package workflow_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/database"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/workflow"
)

func TestMain(m *testing.M) {
	// Enough for every run; -rapid.checks on the command line looks further.
	for name, value := range map[string]string{"rapid.checks": "30", "rapid.steps": "30"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	testkit.Main(m)
}

var bg = context.Background()

// each runs fn on a fresh rig on both databases.
func each(t *testing.T, o flowtest.Options, fn func(t *testing.T, r *flowtest.Rig)) {
	t.Helper()
	testkit.EachDatabase(t, func(t *testing.T, db *database.DB) {
		testkit.Truncate(t, db)
		fn(t, flowtest.New(t, db, o))
	})
}

func digits(r *flowtest.Rig, email string) (workflow.Proof, workflow.Accepted) {
	got := r.Ask(r.App, flows.EmailOTP, email)
	p := workflow.Proof{RequestCode: got.RequestCode}
	if mails := r.Outbox.To(email); len(mails) > 0 {
		p.VerificationCode = mails[len(mails)-1].Code
	}
	return p, got
}

func wrongDigits(p workflow.Proof) workflow.Proof {
	if strings.HasPrefix(p.VerificationCode, "0") {
		p.VerificationCode = "1" + p.VerificationCode[1:]
	} else if p.VerificationCode != "" {
		p.VerificationCode = "0" + p.VerificationCode[1:]
	} else {
		p.VerificationCode = "000000"
	}
	return p
}

// remaining reads attemptsRemaining out of a refusal; -1 where it names the request code.
func remaining(t *testing.T, err error) string {
	t.Helper()
	var e *workflow.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a refusal: %v", err)
	}
	if v := e.Violations["requestCode"]; len(v) == 1 && v[0].Code == workflow.VioInvalidRequestCode {
		return "request gone"
	}
	v := e.Violations["verificationCode"]
	if len(v) != 1 || v[0].Code != workflow.VioInvalidVerificationCode {
		t.Fatalf("unexpected refusal %v", err)
	}
	return v[0].Attributes["attemptsRemaining"]
}

// The request step looks nobody up: no directory is asked before the job runs,
// and the answers of known and unknown differ in nothing but their ids.
func TestRequestLooksNobodyUp(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		for _, email := range []string{"ada@example.com", "nobody@example.com"} {
			got, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: email, Flow: flows.EmailOTP, Client: flowtest.Caller})
			if err != nil || got.RequestCode == "" || len(got.RequestCode) != 43 {
				t.Fatalf("%s: %+v %v", email, got, err)
			}
			if row := r.Row(r.App, got.RequestID); row.State != workflow.StateRequested || row.AccountID != "" {
				t.Errorf("%s: the request step resolved the row to %s", email, row.State)
			}
		}
		if r.Outbox.Len() != 0 {
			t.Error("the request step sent a mail")
		}
		r.Work()
		if len(r.Outbox.To("ada@example.com")) != 1 || len(r.Outbox.To("nobody@example.com")) != 0 {
			t.Error("the jobs sent other mails than one to the known address")
		}
	})
}

// A decoy counts, locks and ends exactly as a real row does.
func TestDecoysAnswerAlike(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		var transcripts [2]string
		for i, email := range []string{"ada@example.com", "nobody@example.com"} {
			p, got := digits(r, email)
			for try := range 7 {
				_, err := r.Reset(r.App, wrongDigits(p))
				transcripts[i] += remaining(t, err) + ";"
				if try == 2 {
					c := flowtest.Caller
					c.IP, c.KeyID = "", fmt.Sprint("other", i)
					_, err := r.Engine.Resend(bg, r.App, p.RequestCode, c)
					transcripts[i] += fmt.Sprint(err, ";")
					r.Work()
					if fresh := r.Outbox.To(email); len(fresh) > 0 {
						p.VerificationCode = fresh[len(fresh)-1].Code
					}
				}
			}
			_, err := r.Engine.Resend(bg, r.App, p.RequestCode, flowtest.Caller)
			transcripts[i] += remaining(t, err)
			if row := r.Row(r.App, got.RequestID); row.State != workflow.StateLocked || row.Attempts != 5 {
				t.Errorf("%s: the row is %s after %d attempts", email, row.State, row.Attempts)
			}
		}
		if transcripts[0] != transcripts[1] || !strings.Contains(transcripts[0], "4;3;2;<nil>;1;0;request gone;request gone;") {
			t.Errorf("known:   %s\nunknown: %s", transcripts[0], transcripts[1])
		}
		r.Work()
		if m := r.Last("ada@example.com"); m.Message.Kind != workflow.KindRequestLocked {
			t.Errorf("the owner was told %s", m.Message.Kind)
		}
		if len(r.Outbox.To("nobody@example.com")) != 0 {
			t.Error("a decoy sent mail")
		}
	})
}

// The digits are used up, and the link of the same mail still works (INV-14).
func TestLinkSurvivesALock(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		p, got := digits(r, "ada@example.com")
		link := flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")
		for range 5 {
			_, _ = r.Reset(r.App, wrongDigits(p))
		}
		if _, err := r.Reset(r.App, p); remaining(t, err) != "request gone" {
			t.Error("the right digits worked after the lock")
		}
		if _, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: link}); err != nil {
			t.Errorf("the link after the lock: %v", err)
		}
		if row := r.Row(r.App, got.RequestID); row.State != workflow.StateCompleted {
			t.Errorf("the row is %s", row.State)
		}
	})
}

// A re-send makes a new code, ends the old one, and keeps the attempts.
func TestResend(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		old, got := digits(r, "ada@example.com")
		oldLink := flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")
		_, err := r.Reset(r.App, wrongDigits(old))
		if remaining(t, err) != "4" {
			t.Error("the first wrong code")
		}
		if _, err := r.Engine.Resend(bg, r.App, old.RequestCode, flowtest.Caller); err != nil {
			t.Fatal(err)
		}
		r.Work()
		if _, err := r.Engine.Resend(bg, r.App, old.RequestCode, flowtest.Caller); workflow.AsError(err).Code != workflow.CodeCooldown {
			t.Errorf("a second re-send at once: %v", err)
		}
		fresh := r.Last("ada@example.com")
		row := r.Row(r.App, got.RequestID)
		if row.Sends != 2 || row.Attempts != 1 {
			t.Errorf("sends %d, attempts %d", row.Sends, row.Attempts)
		}
		if fresh.Code != old.VerificationCode {
			if _, err := r.Reset(r.App, old); remaining(t, err) != "3" {
				t.Error("the older code was taken")
			}
		}
		_, err = r.Reset(r.App, workflow.Proof{EmailAuthCode: oldLink})
		flowtest.Refused(t, err, "emailAuthCode", workflow.VioInvalidEmailAuthCode)
		if _, err := r.Reset(r.App, workflow.Proof{RequestCode: old.RequestCode, VerificationCode: fresh.Code}); err != nil {
			t.Errorf("the newest code: %v", err)
		}
	})
}

// Finished rows go on counting, so that the answer never tells the state.
func TestFinishedRowsGoOnAnswering(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		superseded, _ := digits(r, "ada@example.com")
		done, got := digits(r, "ada@example.com")
		if _, err := r.Reset(r.App, done); err != nil {
			t.Fatal(err)
		}
		for _, p := range []workflow.Proof{superseded, done} {
			var seen string
			for range 6 {
				_, err := r.Reset(r.App, wrongDigits(p))
				seen += remaining(t, err) + ";"
			}
			if seen != "4;3;2;1;0;request gone;" {
				t.Errorf("a finished row answered %s", seen)
			}
		}
		if row := r.Row(r.App, got.RequestID); row.State != workflow.StateCompleted {
			t.Errorf("counting moved a finished row to %s", row.State)
		}
	})
}

// The budget of wrong codes spans requests and re-sends; beyond it digits are
// never right, and a link goes out in place of them.
func TestFailedCodesBudget(t *testing.T) {
	o := flowtest.Options{Settings: func(a *workflow.Application) { a.Limits.FailedCodes = workflow.Rate{N: 7, Per: time.Hour} }}
	each(t, o, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		p, _ := digits(r, "ada@example.com")
		for range 5 {
			_, _ = r.Reset(r.App, wrongDigits(p))
		}
		p, _ = digits(r, "ada@example.com")
		for range 2 {
			_, _ = r.Reset(r.App, wrongDigits(p))
		}
		if _, err := r.Reset(r.App, p); remaining(t, err) != "2" {
			t.Error("beyond the budget the right digits were taken, or the answer changed")
		}
		got := r.Ask(r.App, flows.EmailOTP, "ada@example.com")
		m := r.Last("ada@example.com")
		if m.Message.Kind != workflow.KindResetLink || m.Code != "" || m.Link == "" {
			t.Fatalf("beyond the budget the mail was %s", m.Message.Kind)
		}
		if got.RequestCode == "" {
			t.Error("the answer changed beyond the budget")
		}
		if _, err := r.Reset(r.App, workflow.Proof{EmailAuthCode: flowtest.LinkCode(t, m.Link, "email_auth_code")}); err != nil {
			t.Errorf("the link in place of digits: %v", err)
		}
	})
}

// Right codes give back what they reserved: only a wrong code can lock.
func TestOnlyWrongCodesCount(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		p, got := digits(r, "ada@example.com")
		for range 12 {
			seen, err := r.Engine.Introspect(bg, r.App, p, flowtest.Caller)
			if err != nil || seen.AttemptsRemaining != 5 {
				t.Fatalf("introspecting a right code: %+v %v", seen, err)
			}
			if _, err := r.Engine.Reset(bg, r.App, workflow.ResetInput{Proof: p, NewPassword: "short", Client: flowtest.Caller}); err == nil {
				t.Fatal("a short password was taken")
			}
		}
		if row := r.Row(r.App, got.RequestID); row.Attempts != 0 {
			t.Errorf("%d attempts after right codes", row.Attempts)
		}
	})
}

// Parallel guesses never get more than the attempts there are.
func TestParallelGuesses(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		p, got := digits(r, "ada@example.com")
		const n = 40
		errs, gate := make(chan error, n), make(chan struct{})
		for range n {
			go func() {
				<-gate
				_, err := r.Reset(r.App, wrongDigits(p))
				errs <- err
			}()
		}
		close(gate)
		judged := 0
		for range n {
			if remaining(t, <-errs) != "request gone" {
				judged++
			}
		}
		if judged != 5 {
			t.Errorf("%d guesses were judged, want 5", judged)
		}
		if row := r.Row(r.App, got.RequestID); row.Attempts != 5 || row.State != workflow.StateLocked {
			t.Errorf("%d attempts, %s", row.Attempts, row.State)
		}
	})
}

// A newer request ends the older one, and never an operator code; an operator
// code ends the older operator code, and never a request.
func TestSupersession(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		first := r.Ask(r.App, flows.EmailLink, "ada@example.com")
		op := func() workflow.OperatorCode {
			out, err := r.Engine.CreateLink(bg, r.App, workflow.OperatorInput{Email: "ada@example.com", Client: flowtest.Caller})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		older, newer := op(), op()
		second := r.Ask(r.App, flows.EmailOTP, "ada@example.com")
		for id, want := range map[workflow.ID]workflow.State{
			first.RequestID: workflow.StateSuperseded, second.RequestID: workflow.StateChallenged,
			older.RequestID: workflow.StateSuperseded, newer.RequestID: workflow.StateChallenged,
		} {
			if got := r.Row(r.App, id).State; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		got, err := r.Reset(r.App, workflow.Proof{PasswordResetCode: newer.Code})
		if err != nil || got.Revoked.PendingResets != 1 {
			t.Fatalf("%+v %v", got, err)
		}
		if s := r.Row(r.App, second.RequestID).State; s != workflow.StateSuperseded {
			t.Errorf("after the reset the other request is %s", s)
		}
	})
}

func TestSkipNeedsATrustedCaller(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		ask := func(app *workflow.Application, c workflow.Client, p workflow.Proof) error {
			_, err := r.Engine.Reset(bg, app, workflow.ResetInput{Proof: p, NewPassword: flowtest.NewPassword, SkipConfirmation: true, Client: c})
			return err
		}
		browser := flowtest.Caller
		browser.Trusted = false
		strict := *r.App
		strict.Confirmation.AllowSkip = false
		// before the code is looked at: even with a code that is none
		flowtest.Refused(t, ask(r.App, browser, workflow.Proof{EmailAuthCode: "x"}), "skipPasswordUpdatedEmail", workflow.VioNotAllowed)
		flowtest.Refused(t, ask(&strict, flowtest.Caller, workflow.Proof{EmailAuthCode: "x"}), "skipPasswordUpdatedEmail", workflow.VioNotAllowed)
		flowtest.Refused(t, ask(r.App, flowtest.Caller, workflow.Proof{PasswordResetCode: "x"}), "skipPasswordUpdatedEmail", workflow.VioNotAllowed)
		r.Ask(r.App, flows.EmailLink, "ada@example.com")
		code := flowtest.LinkCode(t, r.Last("ada@example.com").Link, "email_auth_code")
		if err := ask(r.App, flowtest.Caller, workflow.Proof{EmailAuthCode: code}); err != nil {
			t.Fatal(err)
		}
		r.Work()
		if m := r.Last("ada@example.com"); m.Message.Kind == workflow.KindPasswordUpdated {
			t.Error("the confirmation was sent although skipped")
		}
		if !strings.Contains(testkit.Dump(t, r.DB), "confirmation skipped") {
			t.Error("the skip is not in the audit trail")
		}
	})
}

func TestCooldownIsAlikeAndPerClient(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		for _, email := range []string{"ada@example.com", "nobody@example.com"} {
			ask := func(ip string) error {
				c := flowtest.Caller
				c.IP = ip
				_, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: email, Client: c})
				return err
			}
			if err := ask("2001:db8::1"); err != nil {
				t.Fatal(err)
			}
			err := workflow.AsError(ask("2001:db8::2"))
			if err.Code != workflow.CodeCooldown || err.RetryAfter < time.Second || err.RetryAfter > time.Minute {
				t.Errorf("%s within the cool-down from the same /64: %v after %s", email, err, err.RetryAfter)
			}
			if err := ask("2001:db8:0:1::1"); err != nil {
				t.Errorf("%s from another network: %v", email, err)
			}
		}
	})
}

func TestUnknownSettingsAreRefusedBeforeLimits(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		for range 3 {
			_, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: "a@example.com", Flow: "carrier_pigeon", RedirectURL: "https://evil.example/", Client: flowtest.Caller})
			flowtest.Refused(t, err, "flow", workflow.VioNotEnabled)
			flowtest.Refused(t, err, "redirectUrl", workflow.VioNotAllowed)
		}
		_, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: "a@example.com", Flow: flows.DirectCode, Client: flowtest.Caller})
		flowtest.Refused(t, err, "flow", workflow.VioNotEnabled)
		if _, err := r.Engine.Request(bg, r.App, workflow.RequestInput{Email: "a@example.com", Client: flowtest.Caller}); err != nil {
			t.Errorf("refused calls used up the cool-down: %v", err)
		}
	})
}

func TestOperatorTriesAreLimitedByClient(t *testing.T) {
	each(t, flowtest.Options{}, func(t *testing.T, r *flowtest.Rig) {
		r.User(r.App, "ada@example.com")
		right, err := r.Engine.CreateLink(bg, r.App, workflow.OperatorInput{Email: "ada@example.com", Client: flowtest.Caller})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 21 {
			if _, err := r.Engine.Introspect(bg, r.App, workflow.Proof{PasswordResetCode: right.Code}, flowtest.Caller); err != nil {
				t.Fatalf("a right code at try %d: %v", i, err)
			}
		}
		for range 20 {
			_, err := r.Reset(r.App, workflow.Proof{PasswordResetCode: "AAAAA-AAAAA-AAAAA-AAAAA"})
			flowtest.Refused(t, err, "passwordResetCode", workflow.VioInvalidResetCode)
		}
		_, err = r.Reset(r.App, workflow.Proof{PasswordResetCode: right.Code})
		if workflow.AsError(err).Code != workflow.CodeRateLimited {
			t.Errorf("after 20 wrong codes: %v", err)
		}
		elsewhere := flowtest.Caller
		elsewhere.IP = "198.51.100.9"
		if _, err := r.Engine.Reset(bg, r.App, workflow.ResetInput{Proof: workflow.Proof{PasswordResetCode: right.Code}, NewPassword: flowtest.NewPassword, Client: elsewhere}); err != nil {
			t.Errorf("the person itself, from elsewhere: %v", err)
		}
	})
}
