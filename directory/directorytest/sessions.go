package directorytest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// RunSessions checks the promises of workflow.Sessions and workflow.Users.
func RunSessions(t *testing.T, make New) {
	for name, test := range map[string]func(*testing.T, *World){
		"login": login, "refusals": refusals, "must reset": mustReset, "same statements": sameStatements, "failed logins": failedLogins,
		"failed logins and reset": resetUnlocks, "per client": perClient, "log out": logout, "open": open,
		"refresh": refresh, "replay": replay, "forged refresh": forgedRefresh, "lifetimes": lifetimes, "ended by": endedBy, "counts": counts,
		"parallel rotation": parallelRotation, "refresh against reset": refreshAgainstReset, "login against reset": loginAgainstReset,
		"users": users, "user refusals": userRefusals, "user pages": userPages, "end sessions": endSessions,
	} {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

func login(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	tokens := w.login(t, rightOne)
	if tokens.TokenType != "Bearer" || tokens.ExpiresIn != 300 {
		t.Errorf("type %q, expires in %d", tokens.TokenType, tokens.ExpiresIn)
	}
	s, err := w.Sessions.Session(t.Context(), tokens.AccessToken)
	if err != nil || s.UserID != id || s.Email != alice || s.Application != w.App.Slug || s.SessionID == "" || !s.ExpiresAt.Equal(w.Clock.Now().Add(5*time.Minute)) {
		t.Errorf("%+v, %v", s, err)
	}
	if again := w.login(t, rightOne); again.AccessToken == tokens.AccessToken || again.RefreshToken == tokens.RefreshToken || !w.alive(tokens.AccessToken) {
		t.Error("a second login touches the first session")
	}
	_, err = w.Sessions.Refresh(t.Context(), w.Other, tokens.RefreshToken)
	wantCode(t, "refresh at another application", err, workflow.CodeInvalidGrant)
	if !w.alive(tokens.AccessToken) {
		t.Error("a token tried elsewhere ended the session")
	}
	raw, err := w.Sessions.JWKS(w.App)
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err != nil || json.Unmarshal(raw, &set) != nil || len(set.Keys) == 0 || set.Keys[0]["crv"] != "Ed25519" || set.Keys[0]["d"] != "" {
		t.Errorf("key set: %d keys, %v", len(set.Keys), err)
	}
	if e := w.Events(w.App.Slug); strings.Join(e, " ") != "authn_login_success authn_login_success user_created" {
		t.Errorf("events %v", e)
	}
}

func refusals(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	if _, err := w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: "sso@acme.test"}, "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Users.CreateUser(t.Context(), w.App.Slug, workflow.NewUser{Email: "odd@acme.test", Hash: "$argon2id$v=19$m=4194304,t=9,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}, "admin"); err != nil {
		t.Fatal(err)
	}
	try := func(what, email, password string) {
		t.Helper()
		_, err := w.Sessions.Login(t.Context(), w.App, email, password, client)
		wantCode(t, what, err, workflow.CodeInvalidCredentials)
	}
	try("wrong password", alice, "the wrong password")
	try("no password", alice, "")
	try("blank at the end", alice, rightOne+" ")
	try("too long", alice, strings.Repeat("a", 5000))
	try("unknown", "nobody@acme.test", rightOne)
	try("no address", "", rightOne)
	try("odd address", "a\x00b", rightOne)
	try("without a password of its own", "sso@acme.test", "")
	try("a hash nobody can verify", "odd@acme.test", rightOne)
	w.patch(t, id, workflow.UserPatch{Disabled: ptr(true)})
	try("disabled", alice, rightOne)
	_, err := w.Sessions.Session(t.Context(), "no token")
	wantCode(t, "session", err, workflow.CodeInvalidGrant)
	wantCode(t, "logout", w.Sessions.Logout(t.Context(), ""), workflow.CodeInvalidGrant)
}

func mustReset(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	if err := w.Users.RequireReset(t.Context(), w.App.Slug, id, "admin"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Sessions.Login(t.Context(), w.App, alice, "the wrong password", client)
	wantCode(t, "wrong password", err, workflow.CodeInvalidCredentials)
	_, err = w.Sessions.Login(t.Context(), w.App, alice, rightOne, client)
	wantCode(t, "right password", err, workflow.CodePasswordResetRequired)
	if u, err := w.Users.User(t.Context(), w.App.Slug, id); err != nil || !u.MustReset {
		t.Errorf("%+v, %v", u, err)
	}
	if _, err := w.set(t.Context(), w.App, w.change(w.find(t, alice))); err != nil {
		t.Fatal(err)
	}
	w.login(t, newOne)
	_, err = w.Sessions.Login(t.Context(), w.App, alice, rightOne, client)
	wantCode(t, "the old password", err, workflow.CodeInvalidCredentials)
}

func logout(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	one, two := w.login(t, rightOne), w.login(t, rightOne)
	if err := w.Sessions.Logout(t.Context(), one.AccessToken); err != nil {
		t.Fatal(err)
	}
	w.dead(t, "logged out", one)
	wantCode(t, "again", w.Sessions.Logout(t.Context(), one.AccessToken), workflow.CodeInvalidGrant)
	if !w.alive(two.AccessToken) {
		t.Error("the other session ended too")
	}
}

func open(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	tokens, err := w.Sessions.Open(t.Context(), w.App, id, client)
	if err != nil || !w.alive(tokens.AccessToken) {
		t.Fatal(err)
	}
	_, err = w.Sessions.Open(t.Context(), w.Other, id, client)
	wantCode(t, "another application", err, workflow.CodeInvalidGrant)
	w.patch(t, id, workflow.UserPatch{Disabled: ptr(true)})
	_, err = w.Sessions.Open(t.Context(), w.App, id, client)
	wantCode(t, "disabled", err, workflow.CodeInvalidGrant)
}

func refresh(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	first := w.login(t, rightOne)
	last := first
	for range 3 {
		next, err := w.Sessions.Refresh(t.Context(), w.App, last.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		if next.RefreshToken == last.RefreshToken || next.AccessToken == last.AccessToken {
			t.Error("rotation hands the same token out again")
		}
		last = next
	}
	a, err := w.Sessions.Session(t.Context(), first.AccessToken)
	b, err2 := w.Sessions.Session(t.Context(), last.AccessToken)
	if err != nil || err2 != nil || a.SessionID != b.SessionID || b.UserID != id {
		t.Errorf("the session changed over rotations: %v, %v", err, err2)
	}
}

func replay(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	first, other := w.login(t, rightOne), w.login(t, rightOne)
	second, err := w.Sessions.Refresh(t.Context(), w.App, first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Sessions.Refresh(t.Context(), w.App, first.RefreshToken)
	wantCode(t, "replay", err, workflow.CodeInvalidGrant)
	w.dead(t, "the family after a replay", second)
	w.dead(t, "the replayed token", first)
	if !w.alive(other.AccessToken) {
		t.Error("another family ended too")
	}
	n := strings.Count(strings.Join(w.Events(w.App.Slug), " "), "authn_token_reuse")
	if n != 1 {
		t.Errorf("%d audit rows for one replay", n)
	}
}

func forgedRefresh(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	tokens := w.login(t, rightOne)
	r := tokens.RefreshToken
	for i := 0; i < len(r); i += 7 {
		swap := byte('A')
		if r[i] == 'A' {
			swap = 'B'
		}
		_, err := w.Sessions.Refresh(t.Context(), w.App, r[:i]+string(swap)+r[i+1:])
		wantCode(t, "one letter changed", err, workflow.CodeInvalidGrant)
	}
	for _, bad := range []string{"", r + "A", r[1:], r + "=", strings.ToLower(r), strings.Repeat("A", len(r)), strings.Repeat("A", 1<<20), tokens.AccessToken} {
		_, err := w.Sessions.Refresh(t.Context(), w.App, bad)
		wantCode(t, "forged", err, workflow.CodeInvalidGrant)
	}
	if !w.alive(tokens.AccessToken) {
		t.Error("a forged token ended the session")
	}
	if _, err := w.Sessions.Refresh(t.Context(), w.App, r); err != nil {
		t.Error("a forged token used the real one up:", err)
	}
}

func lifetimes(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	w.App.Sessions = workflow.SessionSettings{Access: workflow.Duration(5 * time.Minute), Refresh: workflow.Duration(100 * time.Minute), Idle: workflow.Duration(30 * time.Minute)}
	tokens := w.login(t, rightOne)
	w.Clock.Advance(5*time.Minute - time.Microsecond)
	if !w.alive(tokens.AccessToken) {
		t.Error("the access token died early")
	}
	w.Clock.Advance(time.Microsecond)
	if w.alive(tokens.AccessToken) {
		t.Error("the access token outlived its time")
	}
	var err error
	for range 3 { // 5, then every 29.9 minutes: never idle
		if tokens, err = w.Sessions.Refresh(t.Context(), w.App, tokens.RefreshToken); err != nil {
			t.Fatal(err)
		}
		w.Clock.Advance(29*time.Minute + 54*time.Second)
	}
	if tokens, err = w.Sessions.Refresh(t.Context(), w.App, tokens.RefreshToken); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(5 * time.Minute) // 99:42
	w.Clock.Advance(18 * time.Second)
	w.dead(t, "past the absolute end", tokens)

	idle := w.login(t, rightOne)
	w.Clock.Advance(30 * time.Minute)
	_, err = w.Sessions.Refresh(t.Context(), w.App, idle.RefreshToken)
	wantCode(t, "idle", err, workflow.CodeInvalidGrant)

	old := w.login(t, rightOne) // a shorter setting counts for sessions that are open already
	w.Clock.Advance(2 * time.Minute)
	w.App.Sessions.Refresh = workflow.Duration(time.Minute)
	_, err = w.Sessions.Refresh(t.Context(), w.App, old.RefreshToken)
	wantCode(t, "past an absolute end set later", err, workflow.CodeInvalidGrant)
}

// endedBy: what kills every older token at once.
func endedBy(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	for _, step := range []struct {
		name  string
		do    func() error
		after string // the password afterwards, "" for no login
	}{
		{"reset", func() error { _, err := w.set(t.Context(), w.App, w.change(w.find(t, alice))); return err }, newOne},
		{"end sessions", func() error { _, err := w.Users.EndSessions(t.Context(), w.App.Slug, id, "admin"); return err }, newOne},
		{"password", func() error { w.patch(t, id, workflow.UserPatch{Hash: ptr(w.Hash(rightOne))}); return nil }, rightOne},
		{"address there and back", func() error {
			w.patch(t, id, workflow.UserPatch{Email: ptr("b@acme.test")})
			w.patch(t, id, workflow.UserPatch{Email: ptr(alice)})
			return nil
		}, rightOne},
		{"disabled", func() error { w.patch(t, id, workflow.UserPatch{Disabled: ptr(true)}); return nil }, ""},
		{"enabled again", func() error { w.patch(t, id, workflow.UserPatch{Disabled: ptr(false)}); return nil }, rightOne},
		{"deleted", func() error { return w.Users.DeleteUser(t.Context(), w.App.Slug, id, "admin") }, ""},
		{"made anew", func() error { w.user(t, w.App, alice); return nil }, rightOne},
	} {
		a, err := w.Directory.Find(t.Context(), w.App, alice)
		var tokens, rotated workflow.Tokens
		if live := err == nil && !a.Disabled; live {
			tokens, err = w.Sessions.Open(t.Context(), w.App, a.ID, client)
			if err != nil {
				t.Fatal(err)
			}
			rotated, err = w.Sessions.Open(t.Context(), w.App, a.ID, client)
			if err != nil {
				t.Fatal(err)
			}
			if rotated, err = w.Sessions.Refresh(t.Context(), w.App, rotated.RefreshToken); err != nil {
				t.Fatal(err)
			}
		}
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if tokens.AccessToken != "" {
			w.dead(t, step.name, tokens)
			w.dead(t, step.name+" after a rotation", rotated)
		}
		if step.after != "" {
			if fresh := w.login(t, step.after); !w.alive(fresh.AccessToken) {
				t.Errorf("%s: a new session is dead", step.name)
			}
		}
	}
}

// counts: the receipt counts what lived, and nothing else.
func counts(t *testing.T, w *World) {
	w.user(t, w.App, alice)
	w.App.Sessions = workflow.SessionSettings{Access: workflow.Duration(time.Minute), Refresh: workflow.Duration(2 * time.Hour), Idle: workflow.Duration(time.Hour)}
	w.login(t, rightOne) // will be idle
	w.Clock.Advance(61 * time.Minute)
	gone := w.login(t, rightOne)
	if err := w.Sessions.Logout(t.Context(), gone.AccessToken); err != nil {
		t.Fatal(err)
	}
	kept := []workflow.Tokens{w.login(t, rightOne), w.login(t, rightOne)}
	rotated, err := w.Sessions.Refresh(t.Context(), w.App, w.login(t, rightOne).RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.set(t.Context(), w.App, w.change(w.find(t, alice)))
	if err != nil || r != (workflow.Revoked{Sessions: 3, RefreshTokens: 3}) {
		t.Errorf("%+v, %v; want three", r, err)
	}
	for _, k := range append(kept, rotated) {
		w.dead(t, "counted", k)
	}
	if r, err := w.set(t.Context(), w.App, w.change(w.find(t, alice))); err != nil || r != (workflow.Revoked{}) {
		t.Errorf("a second reset ends %+v, %v", r, err)
	}
}

func endSessions(t *testing.T, w *World) {
	id := w.user(t, w.App, alice)
	tokens := w.login(t, rightOne)
	before := w.find(t, alice)
	r, err := w.Users.EndSessions(t.Context(), w.App.Slug, id, "admin")
	if err != nil || r != (workflow.Revoked{Sessions: 1, RefreshTokens: 1}) {
		t.Errorf("%+v, %v", r, err)
	}
	w.dead(t, "ended", tokens)
	if _, err := w.set(context.Background(), w.App, w.change(before)); err != nil {
		t.Error("ending sessions alone moves the generation:", err)
	}
}
