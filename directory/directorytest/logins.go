package directorytest

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// shape is the kinds of statements in their order, without begin and commit.
func shape(statements []string) []string {
	var out []string
	for _, s := range statements {
		words := strings.Fields(strings.ToLower(s))
		if len(words) == 0 || words[0] == "begin" || words[0] == "commit" || words[0] == "rollback" {
			continue
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

// sameStatements: wrong logins look alike from the database, whoever is meant.
func sameStatements(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	off := w.user(t, w.App, "off@acme.test")
	w.patch(t, off, workflow.UserPatch{Disabled: ptr(true)})
	if _, err := w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: "sso@acme.test"}, "admin"); err != nil {
		t.Fatal(err)
	}
	must := w.user(t, w.App, "must@acme.test")
	if err := w.Users.RequireReset(t.Context(), w.App.Slug, must, "admin"); err != nil {
		t.Fatal(err)
	}
	_ = id
	var first []string
	for _, email := range []string{"nobody@acme.test", alice, "off@acme.test", "sso@acme.test", "must@acme.test"} {
		w.Statements()
		_, err := w.Sessions.Login(t.Context(), w.App, email, "the wrong password", client)
		wantCode(t, email, err, workflow.CodeInvalidCredentials)
		got := shape(w.Statements())
		if first == nil {
			first = got
		}
		if len(got) == 0 || !reflect.DeepEqual(got, first) {
			t.Errorf("%s: %d statements, an unknown address takes %d:\n%s", email, len(got), len(first), strings.Join(got, "\n"))
		}
	}
}

func failedLogins(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	w.App.Limits.FailedLogins = workflow.Rate{N: 3, Per: time.Hour}
	w.App.Limits.PerIP = workflow.Rate{N: 1000, Per: time.Hour}
	for _, email := range []string{alice, "nobody@acme.test"} {
		for i := range 5 {
			_, err := w.Sessions.Login(t.Context(), w.App, email, "the wrong password", client)
			wantCode(t, email, err, workflow.CodeInvalidCredentials)
			var e *workflow.Error
			if errors.As(err, &e) && (e.RetryAfter != 0 || e.Limit != nil) {
				t.Errorf("try %d tells that the budget is used up", i)
			}
		}
	}
	_, err := w.Sessions.Login(t.Context(), w.App, alice, rightOne, client)
	wantCode(t, "the right password beyond the budget", err, workflow.CodeInvalidCredentials)
	if n := strings.Count(strings.Join(w.Events(w.App.Slug), " "), "authn_login_fail_max"); n != 2+2+1 {
		t.Errorf("%d rows for refusals beyond the budget", n)
	}

	// One success clears the budget: two wrong ones and a right one, over and over.
	w.user(t, w.App, "bob@acme.test")
	for range 4 {
		for range 2 {
			_, err := w.Sessions.Login(t.Context(), w.App, "bob@acme.test", "the wrong password", client)
			wantCode(t, "wrong", err, workflow.CodeInvalidCredentials)
		}
		if _, err := w.Sessions.Login(t.Context(), w.App, "bob@acme.test", rightOne, client); err != nil {
			t.Fatal("locked in spite of a success:", err)
		}
	}
}

// resetUnlocks: nobody stays locked out of an account that he just reset.
func resetUnlocks(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	w.App.Limits.FailedLogins = workflow.Rate{N: 2, Per: time.Hour}
	for range 6 {
		_, err := w.Sessions.Login(t.Context(), w.App, alice, "the wrong password", client)
		wantCode(t, "wrong", err, workflow.CodeInvalidCredentials)
	}
	if _, err := w.set(t.Context(), w.App, w.change(w.find(t, alice))); err != nil {
		t.Fatal("failed logins block a reset:", err)
	}
	w.login(t, newOne)
}

func perClient(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	w.App.Limits.PerIP = workflow.Rate{N: 3, Per: time.Hour}
	w.App.Limits.PerPeer = workflow.Rate{N: 5, Per: time.Hour}
	try := func(c workflow.Client, password string) error {
		_, err := w.Sessions.Login(t.Context(), w.App, alice, password, c)
		return err
	}
	for range 6 { // right ones cost nothing
		if err := try(client, rightOne); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		wantCode(t, "wrong", try(client, "the wrong password"), workflow.CodeInvalidCredentials)
	}
	err := try(client, rightOne)
	wantCode(t, "over the client's budget", err, workflow.CodeRateLimited)
	var e *workflow.Error
	if errors.As(err, &e) && (e.RetryAfter < time.Second || e.Limit == nil || e.Limit.Name != "failed_logins_ip") {
		t.Errorf("retry after %v, limit %+v", e.RetryAfter, e.Limit)
	}
	wantCode(t, "again", try(client, rightOne), workflow.CodeRateLimited)
	if n := strings.Count(strings.Join(w.Events(w.App.Slug), " "), "excess_rate_limit_exceeded"); n != 1 {
		t.Errorf("%d audit rows for refusals within a minute", n)
	}
	neighbour, nowhere, peer := client, client, client
	neighbour.IP, nowhere.IP, peer.IP, peer.Peer = "192.0.2.8", "", "10.0.0.1", true
	for _, c := range []workflow.Client{neighbour, nowhere} {
		if err := try(c, rightOne); err != nil {
			t.Errorf("%q: %v", c.IP, err)
		}
	}
	for range 5 {
		wantCode(t, "peer", try(peer, "the wrong password"), workflow.CodeInvalidCredentials)
	}
	wantCode(t, "over the peer's budget", try(peer, rightOne), workflow.CodeRateLimited)
	six := client
	for _, ip := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff"} {
		six.IP = ip
		wantCode(t, ip, try(six, "the wrong password"), workflow.CodeInvalidCredentials)
	}
	six.IP = "2001:db8::9"
	wantCode(t, "the same /64", try(six, rightOne), workflow.CodeRateLimited)
}
