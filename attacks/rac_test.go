package attacks

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// flat is a flow's name as part of an address.
func flat(flow string) string { return strings.ReplaceAll(flow, "_", "") }

// oneWinner redeems one proof n times at once with different passwords and
// expects exactly one 200, the answer I for the rest, and the winner's password.
func oneWinner(t *testing.T, email string, p Proof, n int, nodes ...*World) {
	t.Helper()
	password := func(i int) string { return fmt.Sprintf("%s-%02d", NewPassword, i) }
	answers, statuses := Together(n, func(i int) product.Answer { return nodes[i%len(nodes)].Redeem(p, password(i)) })
	if statuses[http.StatusOK] != 1 {
		t.Fatalf("%v of %d at once", statuses, n)
	}
	for i, got := range answers {
		if got.Status == http.StatusOK {
			if !nodes[0].Opens(email, password(i)) {
				t.Error("the password is not the winner's")
			}
			continue
		}
		Invalid(t, got, p.Flow())
		if nodes[0].Opens(email, password(i)) {
			t.Error("a loser's password opens")
		}
	}
}

// wrongs guesses n times at once and returns how many guesses were judged.
func wrongs(t *testing.T, p Proof, n int, nodes ...*World) int {
	t.Helper()
	judged := 0
	answers, _ := Together(n, func(i int) product.Answer {
		digits := fmt.Sprintf("%06d", (i*7919+1)%1000000)
		if digits == p["verificationCode"] {
			digits = "999999"
		}
		return nodes[i%len(nodes)].Guess(p, digits)
	})
	for _, got := range answers {
		if Invalid(t, got, "email_otp"); len(violations(got)["verificationCode"]) > 0 {
			judged++
		}
	}
	return judged
}

func TestRAC(t *testing.T) {
	row(t, "RAC-01", "One code, many at once", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + flat(flow))
			n := 40
			if flow == "direct_code" {
				n = 20
			}
			oneWinner(t, v, x.Proof(v, flow), n, x)
			x.Idle()
			if m := x.MailsOf(v, "password_updated"); len(m) != 1 {
				t.Errorf("%d confirmations", len(m))
			}
		})
	})

	row(t, "RAC-02", "One code on two nodes", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + flat(flow))
			oneWinner(t, v, x.Proof(v, flow), 20, x, x.Beside().on(t))
		})
	})

	row(t, "RAC-x03", "Guesses at once beyond the limit, on two nodes", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		if judged := wrongs(t, p, 40, x, x.Beside()); judged != 5 {
			t.Errorf("%d guesses were judged, want 5", judged)
		}
		Invalid(t, x.Redeem(p, NewPassword), "email_otp")
		x.Unchanged(v)
		x.Idle()
		x.Redeemed(x.Proof(v, "email_link"), v, NewPassword) // and nobody is locked out
	})

	row(t, "RAC-04", "The right digits inside the burst", func(t *testing.T, x *World) {
		for round := range 3 {
			v := x.Person(fmt.Sprintf("v%d", round))
			p := x.Proof(v, "email_otp")
			const n = 12
			answers, _ := Together(n, func(i int) product.Answer {
				if i == n/2 {
					return x.Redeem(p, NewPassword)
				}
				return x.Redeem(p.Wrong(), "Guessers-own-battery-9")
			})
			judged, won := 0, answers[n/2].Status == http.StatusOK
			for i, got := range answers {
				if got.Status == http.StatusOK && i != n/2 {
					t.Error("wrong digits won")
				}
				if len(violations(got)["verificationCode"]) > 0 && i != n/2 {
					judged++
				}
			}
			if judged > 5 {
				t.Errorf("%d wrong guesses were judged", judged)
			}
			if x.Opens(v, NewPassword) != won || x.Opens(v, OldPassword) == won {
				t.Errorf("the answer says %v, the password otherwise", won)
			}
		}
	})

	row(t, "RAC-05", "Digits judged twice at once", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		answers, statuses := Together(4, func(int) product.Answer { return x.Introspect(p) })
		if statuses[http.StatusOK] != 4 {
			t.Errorf("%v %s", statuses, answers[0].Body)
		}
		if got := Remaining(x.Introspect(p)); got != "5" {
			t.Errorf("judging left %s attempts", got)
		}
		oneWinner(t, v, p, 8, x, x.Beside())
	})

	row(t, "RAC-x06", "The promised login, many at once", func(t *testing.T, x *World) {
		v := x.Person("v")
		code := field(x.Redeem(x.Proof(v, "email_link"), NewPassword), "authSessionCode")
		_, statuses := Together(16, func(i int) product.Answer {
			return []*World{x, x.Beside()}[i%2].Workflow("create-auth-session", object("authSessionCode", code))
		})
		if statuses[http.StatusOK] != 1 || statuses[http.StatusBadRequest] != 15 {
			t.Errorf("%v", statuses)
		}
	}, map[string]any{"loginAfterReset": true})

	row(t, "RAC-07", "Redemption against a new request", func(t *testing.T, x *World) {
		for round := range 6 {
			v := x.Person(fmt.Sprintf("v%d", round))
			p := x.Proof(v, "email_link")
			answers, _ := Together(2, func(i int) product.Answer {
				if i == 0 {
					return x.Redeem(p, NewPassword)
				}
				return x.Ask(v, "email_link")
			})
			statusIs(t, answers[1], http.StatusAccepted)
			x.Idle()
			won := answers[0].Status == http.StatusOK
			if !won {
				Invalid(t, answers[0], "email_link")
			}
			if x.Opens(v, NewPassword) != won {
				t.Errorf("the answer says %v, the password otherwise", won)
			}
			Invalid(t, x.Redeem(p, "Another-horse-battery-88"), "email_link")
		}
	})

	row(t, "RAC-08", "Redemption against a change of address", func(t *testing.T, x *World) {
		for round := range 6 {
			v, now := x.Person(fmt.Sprintf("v%d", round)), x.Address(fmt.Sprintf("new%d", round))
			id, p := x.UserID(v), x.Proof(v, flowNames[round%3])
			answers, _ := Together(2, func(i int) product.Answer {
				if i == 0 {
					return x.Redeem(p, NewPassword)
				}
				return x.Admin("PATCH", "/users/"+id, object("email", now))
			})
			statusIs(t, answers[1], http.StatusOK)
			won := answers[0].Status == http.StatusOK
			if !won {
				Invalid(t, answers[0], p.Flow())
			}
			if x.Opens(now, NewPassword) != won || x.Opens(now, OldPassword) == won || x.Opens(v, NewPassword) {
				t.Errorf("the answer says %v, the password otherwise", won)
			}
			Invalid(t, x.Redeem(p, "Another-horse-battery-88"), p.Flow())
		}
	})

	row(t, "RAC-x09", "Redemption against an administrator's password", func(t *testing.T, x *World) {
		for round := range 6 {
			v := x.Person(fmt.Sprintf("v%d", round))
			id, p := x.UserID(v), x.Proof(v, flowNames[round%3])
			answers, _ := Together(2, func(i int) product.Answer {
				if i == 0 {
					return x.Redeem(p, NewPassword)
				}
				return x.Admin("PATCH", "/users/"+id, object("password", "Admins-horse-battery-88"))
			})
			statusIs(t, answers[1], http.StatusOK)
			if answers[0].Status != http.StatusOK {
				Invalid(t, answers[0], p.Flow())
			}
			opens := 0
			for _, password := range []string{OldPassword, NewPassword, "Admins-horse-battery-88"} {
				if x.Opens(v, password) {
					opens++
				}
			}
			if opens != 1 || x.Opens(v, OldPassword) {
				t.Errorf("%d passwords open", opens)
			}
			if answers[0].Status != http.StatusOK && !x.Opens(v, "Admins-horse-battery-88") {
				t.Error("the change that was answered by 200 is lost")
			}
		}
	})

	row(t, "RAC-10", "Redemption against a rotation", func(t *testing.T, x *World) {
		for round := range 6 {
			v := x.Person(fmt.Sprintf("v%d", round))
			login := x.Login(v, OldPassword)
			p := x.Proof(v, "direct_code")
			refresh := []string{field(login, "refreshToken")}
			access := []string{field(login, "accessToken")}
			turn := func(n *World, token string) product.Answer {
				return n.Call("POST", "/api/v1/auth/refresh", n.Key, object("refreshToken", token), nil)
			}
			done := make(chan product.Answer, 1)
			go func() { done <- x.Redeem(p, NewPassword) }()
			for range 20 {
				got := turn([]*World{x, x.Beside()}[round%2], refresh[len(refresh)-1])
				if got.Status != http.StatusOK {
					break
				}
				refresh, access = append(refresh, field(got, "refreshToken")), append(access, field(got, "accessToken"))
			}
			statusIs(t, <-done, http.StatusOK)
			for i := len(refresh) - 1; i >= 0; i-- {
				if got := turn(x, refresh[i]); got.Status != http.StatusUnauthorized {
					t.Errorf("a refresh token of before the reset: %d", got.Status)
				}
				if got := x.Call("GET", "/api/v1/auth/session", access[i], "", nil); got.Status != http.StatusUnauthorized {
					t.Errorf("an access token of before the reset: %d", got.Status)
				}
			}
		}
	})

	row(t, "RAC-11", "Redemption against disabling and deleting", func(t *testing.T, x *World) {
		for round := range 6 {
			v := x.Person(fmt.Sprintf("v%d", round))
			id, p := x.UserID(v), x.Proof(v, flowNames[round%3])
			deletes := round >= 3
			answers, _ := Together(2, func(i int) product.Answer {
				switch {
				case i == 0:
					return x.Redeem(p, NewPassword)
				case deletes:
					return x.Admin("DELETE", "/users/"+id, "")
				}
				return x.Admin("PATCH", "/users/"+id, `{"disabled":true}`)
			})
			Has(t, "the administrator", answers[1], http.StatusOK, http.StatusNoContent)
			won := answers[0].Status == http.StatusOK
			if !won {
				Invalid(t, answers[0], p.Flow())
			}
			if x.Opens(v, NewPassword) || x.Opens(v, OldPassword) {
				t.Error("an account that is no more logs in")
			}
			Invalid(t, x.Redeem(p, "Another-horse-battery-88"), p.Flow())
			if !deletes {
				x.PatchUser(v, map[string]any{"disabled": false})
				if x.Opens(v, NewPassword) != won || x.Opens(v, OldPassword) == won {
					t.Errorf("the answer says %v, the password otherwise", won)
				}
			}
		}
	})

	row(t, "RAC-x12", "Redemption against a login with the old password", func(t *testing.T, x *World) {
		for round := range 5 {
			v := x.Person(fmt.Sprintf("v%d", round))
			p := x.Proof(v, "email_link")
			answers, _ := Together(6, func(i int) product.Answer {
				if i == 2 {
					return x.Redeem(p, NewPassword)
				}
				return x.Login(v, OldPassword)
			})
			statusIs(t, answers[2], http.StatusOK)
			for i, got := range answers {
				if i == 2 || got.Status != http.StatusOK {
					continue
				}
				statusIs(t, x.Call("GET", "/api/v1/auth/session", field(got, "accessToken"), "", nil), http.StatusUnauthorized)
				statusIs(t, x.Call("POST", "/api/v1/auth/refresh", x.Key, object("refreshToken", field(got, "refreshToken")), nil), http.StatusUnauthorized)
			}
		}
	})

	row(t, "RAC-13", "Two requests in one millisecond", func(t *testing.T, x *World) {
		v := x.Person("v")
		nodes := []*World{x, x.Beside()}
		_, statuses := Together(5, func(i int) product.Answer { return nodes[i%2].Ask(v, "email_link") }) // as many as the default limit lets through
		if statuses[http.StatusAccepted] != 5 {
			t.Errorf("%v", statuses)
		}
		x.Idle()
		alive := 0
		for _, m := range x.MailsOf(v, "reset_link") {
			if x.Introspect(Proof{"emailAuthCode": product.LinkCode(m.Text, "email_auth_code")}).Status == http.StatusOK {
				alive++
			}
		}
		if alive != 1 {
			t.Errorf("%d links are good, want one", alive)
		}
		new := x.Address("new")
		_, statuses = Together(8, func(i int) product.Answer {
			return nodes[i%2].Admin("POST", "/users", object("email", new, "password", OldPassword))
		})
		if statuses[http.StatusCreated] != 1 || statuses[http.StatusConflict] != 7 {
			t.Errorf("one address, registered at once: %v", statuses)
		}
	})

	row(t, "RAC-14", "Locks on SQLite: many people at once", func(t *testing.T, x *World) {
		const n = 40
		emails, proofs := make([]string, n), make([]Proof, n)
		Together(n, func(i int) product.Answer { emails[i] = x.Person(fmt.Sprintf("p%02d", i)); return product.Answer{} })
		began := time.Now()
		_, asked := Together(n, func(i int) product.Answer { return x.Ask(emails[i], "email_link") })
		Together(n, func(i int) product.Answer { proofs[i] = x.Proof(emails[i], "direct_code"); return product.Answer{} })
		_, done := Together(n, func(i int) product.Answer { return x.Redeem(proofs[i], fmt.Sprintf("%s-%02d", NewPassword, i)) })
		if asked[http.StatusAccepted] != n || done[http.StatusOK] != n {
			t.Errorf("asked %v, done %v after %s", asked, done, time.Since(began))
		}
		for i := range emails {
			if i%8 == 0 && !x.Opens(emails[i], fmt.Sprintf("%s-%02d", NewPassword, i)) {
				t.Errorf("%s has another's password", emails[i])
			}
		}
	})

	row(t, "RAC-x15", "Redemption against withdrawal", func(t *testing.T, x *World) {
		for round := range 6 {
			v := x.Person(fmt.Sprintf("v%d", round))
			p := x.Proof(v, flowNames[round%3])
			id := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/reset-requests?email="+v, nil)["items"].([]any)[0].(map[string]any)["id"].(string)
			answers, _ := Together(2, func(i int) product.Answer {
				if i == 0 {
					return x.Redeem(p, NewPassword)
				}
				return x.Admin("POST", "/reset-requests/"+id+"/cancel", "")
			})
			won := answers[0].Status == http.StatusOK
			if !won {
				Invalid(t, answers[0], p.Flow())
			}
			if answers[1].Status >= 500 || won == (answers[1].Status < 300) {
				t.Errorf("redeemed %d, withdrawn %d %s", answers[0].Status, answers[1].Status, answers[1].Body)
			}
			if x.Opens(v, NewPassword) != won {
				t.Errorf("the answer says %v, the password otherwise", won)
			}
		}
	})

	row(t, "RAC-16", "One idempotency key for two", func(t *testing.T, x *World) {
		v, e := x.Person("v"), x.Person("e")
		theirs, own := x.Proof(v, "email_link"), x.Proof(e, "email_link")
		with := func(step, body string) product.Answer {
			return x.Call("POST", "/api/v1/password-reset/"+step, x.Key, body, map[string]string{"Idempotency-Key": "same", "X-Idempotency-Key": "same"})
		}
		first := with("introspect", theirs.With())
		second := with("introspect", own.With())
		if first.Status != http.StatusOK || second.Status != http.StatusOK || !strings.HasPrefix(field(second, "maskedEmail"), "e***") {
			t.Errorf("%s %s", first.Body, second.Body)
		}
		statusIs(t, with(redeem, own.With("newPassword", NewPassword)), http.StatusOK)
		Invalid(t, with(redeem, own.With("newPassword", NewPassword)), "email_link") // not answered from memory
		x.Unchanged(v, theirs)
		statusIs(t, with(redeem, theirs.With("newPassword", NewPassword)), http.StatusOK)
	})

	row(t, "RAC-17", "A counter reset by another's success", func(t *testing.T, x *World) {
		v, e := x.Person("v"), x.Person("e")
		theirs, own := x.Proof(v, "email_otp"), x.Proof(e, "email_otp")
		judged := 0
		answers, _ := Together(24, func(i int) product.Answer {
			if i%2 == 0 {
				return x.Introspect(own) // right, and gives its own attempt back
			}
			return x.Guess(theirs, theirs.Wrong()["verificationCode"])
		})
		for i, got := range answers {
			if i%2 == 1 && len(violations(got)["verificationCode"]) > 0 {
				judged++
			}
		}
		if judged != 5 {
			t.Errorf("%d guesses at the other's code were judged, want 5", judged)
		}
		x.Redeemed(own, e, NewPassword)
		Invalid(t, x.Introspect(theirs), "email_otp")
		x.Unchanged(v)
	})

	row(t, "RAC-x18", "Cool-down and address limit at once, on two nodes", func(t *testing.T, x *World) {
		nodes := []*World{x, x.Beside()}
		cool := x.Address("cool")
		_, statuses := Together(20, func(i int) product.Answer {
			return nodes[i%2].From("203.0.113.5", request, object("email", cool))
		})
		if statuses[http.StatusAccepted] != 1 || statuses[http.StatusTooManyRequests] != 19 {
			t.Errorf("within a cool-down: %v", statuses)
		}
		many := x.Address("many")
		_, statuses = Together(20, func(i int) product.Answer { return nodes[i%2].Ask(many, "email_link") })
		if statuses[http.StatusAccepted] != 4 || statuses[http.StatusTooManyRequests] != 16 {
			t.Errorf("at a limit of 4: %v", statuses)
		}
	}, map[string]any{"resendAfter": "10m"}, limited(map[string]any{"perAddress": "4/h"}))

	row(t, "RAC-19", "Shared state between requests", func(t *testing.T, x *World) {
		y := x.Second()
		const n = 10
		worlds, emails, proofs := []*World{x, y}, map[string]string{}, map[string]Proof{}
		for i := range n {
			for w, z := range worlds {
				name := fmt.Sprintf("%c%d", 'a'+i, w)
				emails[name] = z.Person(name)
				proofs[name] = z.Proof(emails[name], "direct_code")
			}
		}
		const calls = 3000
		for part := range calls / 100 {
			answers, _ := Together(100, func(i int) product.Answer {
				z, name := worlds[i%2], fmt.Sprintf("%c%d", 'a'+(i/2+part)%n, i%2)
				switch i % 10 {
				case 0, 1:
					return z.Ask(emails[name], "email_otp")
				case 2, 3:
					return z.Workflow("check-password", object("password", name))
				case 4, 5:
					return z.Redeem(Proof{"passwordResetCode": name}, NewPassword)
				case 6, 7:
					return z.Call("GET", "/api/v1/auth/session", name, "", nil)
				}
				return z.Introspect(proofs[name])
			})
			seen := map[string]bool{}
			for i, got := range answers {
				name := fmt.Sprintf("%c%d", 'a'+(i/2+part)%n, i%2)
				id := got.Header.Get("X-Request-Id")
				if id == "" || seen[id] {
					t.Error("a ticket came twice")
				}
				seen[id] = true
				if ticket := field(got, "ticket"); ticket != "" && ticket != id {
					t.Errorf("the body's ticket %s is not the header's %s", ticket, id)
				}
				switch i % 10 {
				case 0, 1:
					statusIs(t, got, http.StatusAccepted)
				case 2, 3:
					Has(t, "check-password", got, http.StatusOK, http.StatusBadRequest, http.StatusTooManyRequests)
				case 4, 5:
					Has(t, "a wrong code", got, http.StatusBadRequest, http.StatusTooManyRequests)
				case 6, 7:
					statusIs(t, got, http.StatusUnauthorized)
				default:
					if want := name[:1] + "***@" + worlds[i%2].Slug + ".example.com"; got.Status != http.StatusOK || field(got, "maskedEmail") != want {
						t.Errorf("%d %s, want %s", got.Status, got.Body, want)
					}
				}
			}
			if t.Failed() {
				return
			}
		}
		var strangers int
		err := x.DB.Read(context.Background()).Raw("SELECT count(*) FROM requests WHERE application IN (?, ?) AND email NOT LIKE '%' || application || '.example.com'", x.Slug, y.Slug).Scan(&strangers).Error
		if err != nil || strangers != 0 {
			t.Errorf("%d requests stand under another application: %v", strangers, err)
		}
	})
}
