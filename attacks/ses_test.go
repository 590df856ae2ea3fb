package attacks

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// tokens are what a login gave.
type tokens struct{ access, refresh string }

func tokensOf(got product.Answer) tokens {
	return tokens{field(got, "accessToken"), field(got, "refreshToken")}
}

// LogsIn opens a session.
func (x *World) LogsIn(email, password string) tokens {
	x.T.Helper()
	got := x.Login(email, password)
	if got.Status != http.StatusOK {
		x.T.Fatalf("login: %d %s", got.Status, got.Body)
	}
	return tokensOf(got)
}

// Session asks whose session a token is.
func (x *World) Session(access string) product.Answer {
	x.T.Helper()
	return x.Call("GET", "/api/v1/auth/session", access, "", nil)
}

// Refresh rotates.
func (x *World) Refresh(refresh string) product.Answer {
	x.T.Helper()
	return x.Call("POST", "/api/v1/auth/refresh", x.Key, object("refreshToken", refresh), nil)
}

// Dead fails the test where any part of a session lives.
func (x *World) Dead(t *testing.T, what string, all ...tokens) {
	t.Helper()
	for _, one := range all {
		for path, got := range map[string]product.Answer{"session": x.Session(one.access), "refresh": x.Refresh(one.refresh), "logout": x.Call("POST", "/api/v1/auth/logout", one.access, "", nil)} {
			if got.Status != http.StatusUnauthorized || field(got, "code") != "invalid_grant" {
				t.Errorf("%s: %s answers %d %s", what, path, got.Status, got.Body)
			}
		}
	}
}

// Alive fails the test unless a session lives.
func (x *World) Alive(t *testing.T, what string, one tokens) {
	t.Helper()
	Has(t, what, x.Session(one.access), http.StatusOK)
}

func TestSES(t *testing.T) {
	row(t, "SES-01", "Sessions survive", func(t *testing.T, x *World) {
		v := x.Person("v")
		password := OldPassword
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			old := []tokens{x.LogsIn(v, password), x.LogsIn(v, password), x.LogsIn(v, password)}
			got := x.Redeem(x.Proof(v, flow), NewPassword+flow)
			statusIs(t, got, http.StatusOK)
			if !strings.Contains(string(got.Body), `"sessions":3,"refreshTokens":3`) {
				t.Errorf("%s", got.Body)
			}
			x.Dead(t, flow, old...)
			x.Beside().Dead(t, flow+", the other node", old...)
			password = NewPassword + flow
		})
	})
	row(t, "SES-02", "Refresh tokens survive", func(t *testing.T, x *World) {
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		two := tokensOf(x.Refresh(one.refresh))
		statusIs(t, x.Redeem(x.Proof(v, "email_link"), NewPassword), http.StatusOK)
		for _, r := range []string{two.refresh, one.refresh, two.refresh} {
			statusIs(t, x.Refresh(r), http.StatusUnauthorized)
		}
		x.Alive(t, "the new session", x.LogsIn(v, NewPassword))
	})
	row(t, "SES-04", "Access tokens live on", func(t *testing.T, x *World) {
		v := x.Person("v")
		old := x.LogsIn(v, OldPassword)
		x.Alive(t, "before", old)
		statusIs(t, x.Redeem(x.Proof(v, "email_link"), NewPassword), http.StatusOK)
		x.Dead(t, "after", old)
	}, map[string]any{"sessions": map[string]any{"access": "24h"}})
	row(t, "SES-05", "A token of the second of the reset", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		old := x.LogsIn(v, OldPassword)
		statusIs(t, x.Redeem(p, NewPassword), http.StatusOK)
		fresh := x.LogsIn(v, NewPassword)
		x.Dead(t, "of before", old)
		x.Alive(t, "of after", fresh)
	})
	row(t, "SES-10", "The session store is away", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		old := x.LogsIn(v, OldPassword)
		proofs := map[string]Proof{}
		for _, flow := range flowNames {
			p := x.Proof(v, flow)
			statement(t, x, `ALTER TABLE sessions RENAME TO sessions_away`)
			got := x.Redeem(p, NewPassword)
			statement(t, x, `ALTER TABLE sessions_away RENAME TO sessions`)
			if got.Status < 500 {
				t.Errorf("%s: without the store of sessions a reset answers %d %s", flow, got.Status, got.Body)
			}
			proofs[flow] = p
		}
		x.Alive(t, "nothing happened", old)
		x.Unchanged(v, proofs["email_otp"], proofs["direct_code"])
		x.Redeemed(proofs["email_otp"], v, NewPassword)
		x.Dead(t, "after", old)
		x.Idle()
		if n := len(x.MailsOf(v, "password_updated")); n != 1 {
			t.Errorf("%d notices for one reset", n)
		}
	})
	row(t, "SES-11", "A commit that breaks at its last statement", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		old := x.LogsIn(v, OldPassword)
		p := x.Proof(v, "email_link")
		for _, table := range []string{"messages", "audit", "accounts"} {
			when := "BEFORE INSERT"
			if table == "accounts" {
				when = "BEFORE UPDATE"
			}
			if x.Kind == "postgres" {
				statement(t, x, `CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$`)
				statement(t, x, `CREATE TRIGGER broken `+when+` ON `+table+` FOR EACH ROW EXECUTE FUNCTION broken()`)
			} else {
				statement(t, x, `CREATE TRIGGER broken `+when+` ON `+table+` BEGIN SELECT RAISE(ABORT, 'broken'); END`)
			}
			got := x.Redeem(p, NewPassword)
			if x.Kind == "postgres" {
				statement(t, x, `DROP TRIGGER broken ON `+table)
			} else {
				statement(t, x, `DROP TRIGGER broken`)
			}
			if got.Status < 500 || strings.Contains(string(got.Body), "broken") {
				t.Errorf("%s broken: %d %s", table, got.Status, got.Body)
			}
			x.Alive(t, table, old)
			x.Unchanged(v, p)
		}
		x.Idle()
		if n := len(x.MailsOf(v, "password_updated")); n != 0 {
			t.Errorf("%d notices of a reset that never was", n)
		}
		x.Redeemed(p, v, NewPassword)
	})
	row(t, "SES-16", "Other codes survive", func(t *testing.T, x *World) {
		for _, last := range append([]string{"settings"}, flowNames...) {
			v := x.Person("v-" + strings.ReplaceAll(last, "_", "-"))
			otp, operator := x.Proof(v, "email_otp"), x.Proof(v, "direct_code")
			link := Proof{"emailAuthCode": product.LinkCode(x.Next(v, "reset_code", 0).Text, "email_auth_code")} // of the same mail
			proofs := map[string]Proof{"email_link": link, "email_otp": otp, "direct_code": operator}
			if last == "settings" {
				x.PatchUser(v, map[string]any{"password": NewPassword})
			} else {
				statusIs(t, x.Redeem(proofs[last], NewPassword), http.StatusOK)
			}
			for flow, p := range proofs {
				Invalid(t, x.Redeem(p, "Another-"+NewPassword), flow)
				Invalid(t, x.Introspect(p), flow)
			}
			if !x.Opens(v, NewPassword) {
				t.Errorf("after %s the password is another one", last)
			}
		}
	})
	row(t, "SES-17", "Notices, none or twice", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		_, statuses := Together(8, func(i int) product.Answer { return x.Redeem(p, fmt.Sprint(NewPassword, i)) })
		if statuses[http.StatusOK] != 1 {
			t.Errorf("%v", statuses)
		}
		x.Idle()
		if n := len(x.MailsOf(v, "password_updated")); n != 1 {
			t.Errorf("%d notices for one reset", n)
		}
	})
	row(t, "SES-19", "A session that ended on the screen only", func(t *testing.T, x *World) {
		v := x.Person("v")
		one, other := x.LogsIn(v, OldPassword), x.LogsIn(v, OldPassword)
		statusIs(t, x.Call("POST", "/api/v1/auth/logout", one.access, "", nil), http.StatusNoContent)
		x.Dead(t, "logged out", one)
		x.Alive(t, "the other one", other)
	})
	row(t, "SES-20", "Sessions of deleted people", func(t *testing.T, x *World) {
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		statusIs(t, x.Admin("DELETE", "/users/"+x.UserID(v), ""), http.StatusNoContent)
		x.Dead(t, "deleted", one)
		x.Person("v")
		x.Dead(t, "made anew", one)
	})
}

func TestSESMore(t *testing.T) {
	row(t, "SES-x1", "A rotation in flight", func(t *testing.T, x *World) {
		v, password := x.Person("v"), OldPassword
		for i := range 6 {
			var mu sync.Mutex
			all := []tokens{x.LogsIn(v, password), x.LogsIn(v, password), x.LogsIn(v, password)}
			p := x.Proof(v, flowNames[i%3])
			next := fmt.Sprint(NewPassword, i)
			var wg sync.WaitGroup
			for _, one := range all {
				wg.Go(func() {
					for range 4 {
						got := x.Refresh(one.refresh)
						if got.Status != http.StatusOK {
							return
						}
						one = tokensOf(got)
						mu.Lock()
						all = append(all, one)
						mu.Unlock()
					}
				})
			}
			wg.Go(func() { statusIs(t, x.Redeem(p, next), http.StatusOK) })
			wg.Wait()
			for _, one := range all {
				if got := x.Session(one.access); got.Status != http.StatusUnauthorized {
					t.Errorf("round %d: an access token lives: %d", i, got.Status)
				}
			}
			for _, one := range all {
				if got := x.Refresh(one.refresh); got.Status != http.StatusUnauthorized {
					t.Errorf("round %d: a refresh token lives: %d", i, got.Status)
				}
			}
			password = next
		}
	})
	row(t, "SES-x2", "The login that a reset promised", func(t *testing.T, x *World) {
		v := x.Person("v")
		redeem := func(code string) product.Answer {
			return x.Workflow("create-auth-session", object("authSessionCode", code))
		}
		first := x.Redeem(x.Proof(v, "email_link"), NewPassword)
		code := field(first, "authSessionCode")
		if field(first, "result") != "CREATE_AUTH_SESSION" || code == "" {
			t.Fatalf("%s", first.Body)
		}
		y := x.Second(map[string]any{"loginAfterReset": true})
		Violated(t, y.Workflow("create-auth-session", object("authSessionCode", code)), "authSessionCode", "invalid_auth_session_code")
		all, statuses := Together(8, func(int) product.Answer { return redeem(code) })
		if statuses[http.StatusOK] != 1 {
			t.Errorf("one promise redeemed: %v", statuses)
		}
		for _, got := range all {
			if got.Status == http.StatusOK {
				x.Alive(t, "promised", tokensOf(got))
			}
		}
		second := field(x.Redeem(x.Proof(v, "email_link"), NewPassword+"2"), "authSessionCode")
		third := field(x.Redeem(x.Proof(v, "email_otp"), NewPassword+"3"), "authSessionCode")
		for what, c := range map[string]string{"of the reset before": second, "changed": third[:10] + "A" + third[11:], "longer": third + "A", "empty": ""} {
			Has(t, what, redeem(c), http.StatusBadRequest)
		}
		x.PatchUser(v, map[string]any{"disabled": true})
		Has(t, "disabled meanwhile", redeem(third), http.StatusBadRequest)
	}, map[string]any{"loginAfterReset": true})
	row(t, "SES-x3", "A refresh token played again", func(t *testing.T, x *World) {
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		other := x.LogsIn(v, OldPassword)
		two := tokensOf(x.Refresh(one.refresh))
		three := tokensOf(x.Refresh(two.refresh))
		x.Alive(t, "the newest", three)
		statusIs(t, x.Refresh(one.refresh), http.StatusUnauthorized)
		x.Dead(t, "the family", one, two, three)
		x.Alive(t, "another family", other)
	})
	row(t, "SES-x4", "Sessions after anything about the account changed", func(t *testing.T, x *World) {
		for name, change := range map[string]func(v string){
			"disabled": func(v string) {
				x.PatchUser(v, map[string]any{"disabled": true})
				x.PatchUser(v, map[string]any{"disabled": false})
			},
			"address":  func(v string) { x.PatchUser(v, map[string]any{"email": "new-" + v}) },
			"password": func(v string) { x.PatchUser(v, map[string]any{"password": NewPassword}) },
			"revoked": func(v string) {
				statusIs(t, x.Admin("POST", "/users/"+x.UserID(v)+"/revoke-sessions", ""), http.StatusOK)
			},
		} {
			v := x.Person("v-" + name)
			one := x.LogsIn(v, OldPassword)
			change(v)
			x.Dead(t, name, one)
		}
	})
	row(t, "SES-x5", "Tokens of another application, or as another thing", func(t *testing.T, x *World) {
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		y := x.Second()
		y.User(y.Slug, v)
		statusIs(t, y.Refresh(one.refresh), http.StatusUnauthorized)
		x.Alive(t, "a stranger's call ends no family", one)
		statusIs(t, x.Call("GET", "/api/v1/password-reset/password-policy", one.access, "", nil), http.StatusUnauthorized)
		statusIs(t, x.Call("GET", "/admin/v1/applications", one.access, "", nil), http.StatusUnauthorized)
		for _, odd := range []string{one.refresh, x.Key, x.Server.Admin, one.access + "A", one.access[:len(one.access)-1], strings.ToUpper(one.access), "a.b.c", "..", "x"} {
			statusIs(t, x.Session(odd), http.StatusUnauthorized)
		}
		for _, odd := range []string{one.access, one.refresh + "A", one.refresh[:len(one.refresh)-2], "x", strings.Repeat("A", 5000)} {
			statusIs(t, x.Refresh(odd), http.StatusUnauthorized)
		}
	})
	row(t, "SES-x6", "A token after its end", func(t *testing.T, x *World) {
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		time.Sleep(2100 * time.Millisecond)
		x.Dead(t, "expired", one)
	}, map[string]any{"sessions": map[string]any{"access": "1s", "refresh": "2s", "idle": "2s"}})
}

// statement runs SQL beside the service.
func statement(t *testing.T, x *World, sql string) {
	t.Helper()
	var err error
	for range 20 { // a lock of a moment is no news
		if err = x.DB.Write(t.Context()).Exec(sql).Error; err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal(err)
}
