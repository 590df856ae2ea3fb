package attacks

import (
	"net/http"
	"strings"
	"testing"
)

func TestACC(t *testing.T) {
	row(t, "ACC-01", "A disabled person resets", func(t *testing.T, x *World) {
		v := x.Person("v")
		x.PatchUser(v, map[string]any{"disabled": true})
		for _, flow := range flowNames[:2] {
			statusIs(t, x.Ask(v, flow), http.StatusAccepted)
		}
		statusIs(t, x.Workflow("create-password-reset-link", object("email", v)), http.StatusNotFound)
		x.NoMail(v)
		if u := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/users/"+x.UserID(v), nil); u["disabled"] != true {
			t.Errorf("%v", u)
		}
	})
	row(t, "ACC-02", "Disabled after the request", func(t *testing.T, x *World) {
		v := x.Person("v")
		otp, operator := x.Proof(v, "email_otp"), x.Proof(v, "direct_code")
		x.PatchUser(v, map[string]any{"disabled": true})
		Invalid(t, x.Redeem(otp, NewPassword), "email_otp")
		Invalid(t, x.Redeem(operator, NewPassword), "direct_code")
		statusIs(t, x.Login(v, NewPassword), http.StatusUnauthorized)
		x.PatchUser(v, map[string]any{"disabled": false}) // switched on again, the codes of before stay dead
		Invalid(t, x.Redeem(otp, NewPassword), "email_otp")
		Invalid(t, x.Redeem(operator, NewPassword), "direct_code")
		x.Unchanged(v)
		w := x.Person("w")
		link := x.Proof(w, "email_link")
		x.PatchUser(w, map[string]any{"disabled": true})
		x.PatchUser(w, map[string]any{"disabled": false})
		Invalid(t, x.Redeem(link, NewPassword), "email_link")
	})
	row(t, "ACC-04", "The password was changed after the request", func(t *testing.T, x *World) {
		for _, flow := range flowNames {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", "-"))
			p := x.Proof(v, flow)
			x.PatchUser(v, map[string]any{"password": OldPassword}) // to the same one, even
			Invalid(t, x.Redeem(p, NewPassword), flow)
			x.Unchanged(v)
		}
	})
	row(t, "ACC-05", "Deleted after the request, and made anew", func(t *testing.T, x *World) {
		for _, flow := range flowNames {
			name := "v-" + strings.ReplaceAll(flow, "_", "-")
			v := x.Person(name)
			p := x.Proof(v, flow)
			statusIs(t, x.Admin("DELETE", "/users/"+x.UserID(v), ""), http.StatusNoContent)
			Invalid(t, x.Redeem(p, NewPassword), flow)
			x.Person(name)
			Invalid(t, x.Redeem(p, NewPassword), flow)
			x.Unchanged(v)
			x.Redeemed(x.Proof(v, flow), v, NewPassword)
		}
	})
	row(t, "ACC-07", "A reset behind a lock of the login", func(t *testing.T, x *World) {
		v := x.Person("v")
		for range 4 {
			x.Login(v, "wrong")
		}
		if x.Opens(v, OldPassword) {
			t.Error("the login is not locked")
		}
		x.Redeemed(x.Proof(v, "email_link"), v, NewPassword) // the lock neither blocks the reset nor outlives it
	}, limited(map[string]any{"failedLogins": "3/h"}))
	row(t, "ACC-08", "A password for an account without one", func(t *testing.T, x *World) {
		v := x.Address("v")
		x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/users", map[string]any{"email": v})
		for _, flow := range flowNames[:2] {
			statusIs(t, x.Ask(v, flow), http.StatusAccepted)
		}
		statusIs(t, x.Workflow("create-password-reset-link", object("email", v)), http.StatusNotFound)
		x.NoMail(v)
		if u := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/users/"+x.UserID(v), nil); u["hasPassword"] != false {
			t.Errorf("%v", u)
		}
	})
	row(t, "ACC-11", "The rules of before the request", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		x.Patch(map[string]any{"policy": map[string]any{"minLength": 40}})
		Violated(t, x.Redeem(p, NewPassword), "newPassword", "too_short")
		x.Redeemed(p, v, NewPassword+NewPassword+"-tulip")
	})
	row(t, "ACC-13", "Another name, another address", func(t *testing.T, x *World) {
		for _, flow := range flowNames {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", "-"))
			p := x.Proof(v, flow)
			x.PatchUser(v, map[string]any{"name": "Somebody Else", "locale": "de"})
			x.Unchanged(v, p)
			x.PatchUser(v, map[string]any{"email": "new-" + v})
			x.PatchUser("new-"+v, map[string]any{"email": v}) // and back: what moved has moved
			Invalid(t, x.Redeem(p, NewPassword), flow)
			x.Unchanged(v)
		}
		// The freed address goes to another person: the code follows the account.
		a := x.Person("a")
		p := x.Proof(a, "email_link")
		x.PatchUser(a, map[string]any{"email": "moved-" + a})
		x.Person("a")
		Invalid(t, x.Redeem(p, NewPassword), "email_link")
		x.Unchanged(a)
	})
	row(t, "ACC-14", "An account made after the request", func(t *testing.T, x *World) {
		v := x.Address("v")
		got := x.Ask(v, "email_otp")
		x.Idle()
		x.Person("v")
		p := Proof{"requestCode": field(got, "requestCode"), "verificationCode": "000000"}
		Invalid(t, x.Redeem(p, NewPassword), "email_otp")
		statusIs(t, x.Workflow("resend", object("requestCode", p["requestCode"])), http.StatusAccepted)
		x.NoMail(v)
		x.Unchanged(v)
	})
}

func TestACCMore(t *testing.T) {
	row(t, "ACC-x1", "A flow that was switched off", func(t *testing.T, x *World) {
		for _, flow := range flowNames {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", "-"))
			p := x.Proof(v, flow)
			x.Patch(map[string]any{"flows": map[string]any{flow: map[string]any{"enabled": false}}})
			Invalid(t, x.Redeem(p, NewPassword), flow)
			x.Unchanged(v)
		}
	})
	row(t, "ACC-x2", "An application that is gone, and made anew", func(t *testing.T, x *World) {
		y := x.Second()
		v := y.Person("v")
		p, one := y.Proof(v, "email_link"), y.LogsIn(v, OldPassword)
		statusIs(t, y.Admin("DELETE", "", ""), http.StatusNoContent)
		statusIs(t, y.Redeem(p, NewPassword), http.StatusUnauthorized)
		y.Application(y.Slug, settings())
		statusIs(t, y.Redeem(p, NewPassword), http.StatusUnauthorized) // the key is gone as well
		y.Key = y.Server.Key(y.Slug, "secret", permissions...)
		y.User(y.Slug, v)
		Invalid(t, y.Redeem(p, NewPassword), "email_link")
		y.Dead(t, "made anew", one)
		y.Unchanged(v)
	})
	row(t, "ACC-x3", "Somebody who must reset", func(t *testing.T, x *World) {
		v := x.Person("v")
		one := x.LogsIn(v, OldPassword)
		statusIs(t, x.Admin("POST", "/users/"+x.UserID(v)+"/require-reset", ""), http.StatusNoContent)
		if got := x.Login(v, OldPassword); got.Status != http.StatusForbidden || field(got, "code") != "password_reset_required" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
		Same(t, "a wrong password tells nothing", x.Login(v, "wrong"), x.Login(x.Address("w"), "wrong"))
		x.Redeemed(x.Proof(v, "email_link"), v, NewPassword)
		x.Dead(t, "before", one)
	})
	row(t, "ACC-x4", "A request that was withdrawn", func(t *testing.T, x *World) {
		for _, flow := range flowNames {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", "-"))
			p := x.Proof(v, flow)
			items := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/reset-requests?email="+v, nil)["items"].([]any)
			id := items[0].(map[string]any)["id"].(string)
			statusIs(t, x.Admin("POST", "/reset-requests/"+id+"/cancel", ""), http.StatusNoContent)
			Invalid(t, x.Redeem(p, NewPassword), flow)
			x.Unchanged(v)
		}
	})
}
