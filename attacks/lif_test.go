package attacks

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows/flowtest"
	"github.com/resetflow/resetflow/internal/testkit/product"
	"github.com/resetflow/resetflow/workflow"
)

// brief lets codes of every flow live for a few seconds.
func brief(lifetime string) map[string]any {
	return map[string]any{"flows": map[string]any{
		"email_link": map[string]any{"enabled": true, "lifetime": lifetime}, "email_otp": map[string]any{"enabled": true, "lifetime": lifetime},
		"direct_code": map[string]any{"enabled": true, "lifetime": lifetime}}}
}

// proofs obtains one live proof of every flow, each of an account of its own,
// and the link of the code mail as a fourth.
func (x *World) proofs() (owners []string, all []Proof) {
	x.T.Helper()
	for i, flow := range flowNames {
		v := x.Person(fmt.Sprintf("p%d", i))
		owners, all = append(owners, v), append(all, x.Proof(v, flow))
	}
	v := x.Person("p3")
	x.Proof(v, "email_otp")
	return append(owners, v), append(all, Proof{"emailAuthCode": product.LinkCode(x.Next(v, "reset_code", 0).Text, "email_auth_code")})
}

// until waits until a proof's lifetime, as introspection told it, is over.
func until(t *testing.T, x *World, p Proof) {
	t.Helper()
	end, err := time.Parse(time.RFC3339Nano, field(x.Introspect(p), "expiresAt"))
	if err != nil {
		return // over already
	}
	time.Sleep(time.Until(end) + time.Second + 20*time.Millisecond) // it is told in whole seconds, cut off
}

func TestLIF(t *testing.T) {
	row(t, "LIF-01", "Reuse after success", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
			p := x.Proof(v, flow)
			never := x.Redeem(p.Wrong(), NewPassword)
			x.Redeemed(p, v, NewPassword)
			for _, n := range []*World{x, x.Beside().on(t)} {
				for _, password := range []string{NewPassword, "Another-horse-battery-88"} {
					used := n.Redeem(p, password)
					Invalid(t, used, flow)
					if flow != "email_otp" {
						Same(t, "a used and a wrong code", never, used)
					}
				}
				Invalid(t, n.Introspect(p), flow)
			}
			if !x.Opens(v, NewPassword) {
				t.Error("the password changed again")
			}
		})
	})

	row(t, "LIF-02", "Reuse of digits after they were judged right", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		first := x.Introspect(p)
		for range 7 { // more often than there are attempts
			Same(t, "judging twice", first, x.Introspect(p))
		}
		x.Redeemed(p, v, NewPassword)
		Invalid(t, x.Introspect(p), "email_otp")
		Invalid(t, x.Redeem(p, NewPassword), "email_otp")
	})

	row(t, "LIF-x03", "Older codes after a newer one", func(t *testing.T, x *World) {
		v := x.Person("v")
		link, direct := x.Proof(v, "email_link"), x.Proof(v, "direct_code")
		otp := x.Proof(v, "email_otp")
		Invalid(t, x.Redeem(link, NewPassword), "email_link")
		newer := x.Proof(v, "email_link")
		Invalid(t, x.Redeem(otp, NewPassword), "email_otp")
		x.Unchanged(v, newer, direct) // an operator code ends by no request of an end user
		again := x.Proof(v, "direct_code")
		Invalid(t, x.Redeem(direct, NewPassword), "direct_code")
		x.Redeemed(again, v, NewPassword)
		Invalid(t, x.Redeem(newer, "Another-horse-battery-88"), "email_link")
	})

	row(t, "LIF-04", "Killing the owner's code by asking again", func(t *testing.T, x *World) {
		v := x.Person("v")
		const ip = "203.0.113.77"
		for _, flow := range flowNames[:2] {
			kind := map[string]string{"email_link": "reset_link", "email_otp": "reset_code"}[flow]
			x.Must(http.StatusOK, "PATCH", "/admin/v1/applications/"+x.Slug, map[string]any{"resendAfter": "10m"})
			got := x.From(ip, request, object("email", v, "flow", flow))
			if got.Status == http.StatusTooManyRequests {
				got = x.From("203.0.113.78", request, object("email", v, "flow", flow))
			}
			statusIs(t, got, http.StatusAccepted)
			mail := x.Next(v, kind, 0)
			p := Proof{"emailAuthCode": product.LinkCode(mail.Text, "email_auth_code")}
			if flow == "email_otp" {
				p = Proof{"requestCode": field(got, "requestCode"), "verificationCode": product.Digits(mail.Text)}
			}
			for range 5 {
				Limited(t, x.From(ip, request, object("email", v, "flow", "email_link")))
			}
			x.Unchanged(v, p)
		}
	})

	row(t, "LIF-x04", "Killing the owner's code from many addresses", func(t *testing.T, x *World) {
		v := x.Person("v")
		direct := x.Proof(v, "direct_code")
		asked := 0
		for range 12 {
			if x.Ask(v, "email_link").Status == http.StatusAccepted {
				asked++
			}
		}
		if asked != 5 {
			t.Errorf("%d of 12 were accepted at 5/h", asked)
		}
		x.Idle()
		mails := x.MailsOf(v, "reset_link")
		alive := 0
		for _, m := range mails {
			if x.Introspect(Proof{"emailAuthCode": product.LinkCode(m.Text, "email_auth_code")}).Status == http.StatusOK {
				alive++
			}
		}
		if alive != 1 {
			t.Errorf("%d of %d links in the owner's mailbox are good, want the newest", alive, len(mails))
		}
		x.Redeemed(direct, v, NewPassword)
	}, limited(map[string]any{"perAddress": "5/h"}))

	row(t, "LIF-05", "No expiry", func(t *testing.T, x *World) {
		owners, all := x.proofs()
		for _, p := range all {
			until(t, x, p)
		}
		for i, p := range all {
			for _, n := range []*World{x, x.Beside()} {
				Invalid(t, n.Introspect(p), p.Flow())
				Invalid(t, n.Redeem(p, NewPassword), p.Flow())
			}
			x.Unchanged(owners[i])
		}
		Violated(t, x.Workflow("resend", object("requestCode", all[1]["requestCode"])), "requestCode", "invalid_request_code")
		for _, p := range []Proof{all[0], all[2]} {
			if seen := x.Browser().Get(x.Link(p)); strings.Contains(seen.Body, `name="newPassword"`) {
				t.Error("the page offers a new password for an expired link")
			}
		}
	}, brief("4s"))

	rigRow(t, "LIF-07", "Expired by one moment", func(t *testing.T, r *flowtest.Rig) {
		ctx := context.Background()
		for _, w := range flowtest.Ways() {
			email := string(w.Flow) + "@example.com"
			r.User(r.App, email)
			p, id, _ := w.Obtain(r, r.App, email)
			made, life := r.Clock.Now(), r.Row(r.App, id).ExpiresAt.Sub(r.Clock.Now())
			for _, at := range []struct {
				after time.Duration
				good  bool
			}{{0, true}, {life - time.Millisecond, true}, {life, false}, {life + time.Millisecond, false}, {life + time.Second, false}, {life - time.Second, true}} {
				r.Clock.Turn(made.Add(at.after).Sub(r.Clock.Now()))
				if _, err := r.Engine.Introspect(ctx, r.App, p, flowtest.Caller); (err == nil) != at.good {
					t.Errorf("%s after %s of %s: %v", w.Flow, at.after, life, err)
				}
				if !at.good {
					if _, err := r.Reset(r.App, p); err == nil {
						t.Errorf("%s after %s of %s: redeemed", w.Flow, at.after, life)
					}
				}
			}
			r.Clock.Turn(made.Add(life).Sub(r.Clock.Now()))
		}
	})

	row(t, "LIF-08", "Expiry looked at only on the first step", func(t *testing.T, x *World) {
		owners, all := x.proofs()
		b := x.Browser()
		form := b.Get(x.Link(all[0]))
		for _, p := range all {
			statusIs(t, x.Introspect(p), http.StatusOK)
		}
		for _, p := range all {
			until(t, x, p)
		}
		for i, p := range all {
			Invalid(t, x.Redeem(p, NewPassword), p.Flow())
			x.Unchanged(owners[i])
		}
		b.Submit(form, x.Page("reset-password"), url.Values{"newPassword": {NewPassword}})
		x.Unchanged(owners[0])
	}, brief("4s"))

	row(t, "LIF-x09", "A service in another time zone", func(t *testing.T, x *World) {
		for _, zone := range []string{"Asia/Tokyo", "America/Los_Angeles"} {
			y := x.Own("TZ=" + zone)
			owners, all := y.proofs()
			for i, p := range all[:3] {
				y.Redeemed(p, owners[i], NewPassword)
			}
			y.Must(http.StatusOK, "PATCH", "/admin/v1/applications/"+y.Slug, brief("2s"))
			v := y.Person("late")
			p := y.Proof(v, "email_link")
			until(t, y, p)
			Invalid(t, y.Redeem(p, NewPassword), "email_link")
		}
	})

	rigRow(t, "LIF-10", "Clean-up inverted or absent", func(t *testing.T, r *flowtest.Rig) {
		ctx := context.Background()
		proofs, ids := map[string]workflow.Proof{}, map[string]workflow.ID{}
		make := func(age string) {
			for _, w := range flowtest.Ways() {
				email := age + "-" + string(w.Flow) + "@example.com"
				r.User(r.App, email)
				proofs[email], ids[email], _ = w.Obtain(r, r.App, email)
			}
		}
		make("old")
		r.Clock.Turn(25 * time.Hour)
		for email := range proofs { // without the job
			if _, err := r.Reset(r.App, proofs[email]); err == nil {
				t.Errorf("%s: expired and redeemed before any clean-up", email)
			}
		}
		make("new")
		if _, err := r.Engine.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		keep := r.Clock.Now().Add(-time.Minute)
		if _, err := r.Store.Prune(ctx, workflow.Retention{Requests: keep, Messages: keep, Audit: keep}, 1000); err != nil {
			t.Fatal(err)
		}
		for email, id := range ids {
			row := r.Row(r.App, id)
			if old := strings.HasPrefix(email, "old"); old != (row.State == workflow.StateExpired) {
				t.Errorf("%s is %s after the clean-up", email, row.State)
			}
			if strings.HasPrefix(email, "new") {
				if _, err := r.Reset(r.App, proofs[email]); err != nil {
					t.Errorf("%s: the clean-up took a good code: %v", email, err)
				}
			}
		}
	})

	rigRow(t, "LIF-11", "Clean-up against redemption", func(t *testing.T, r *flowtest.Rig) {
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := r.Engine.Sweep(context.Background()); err != nil {
					t.Errorf("sweep: %v", err)
					return
				}
				now := r.Clock.Now()
				if _, err := r.Store.Prune(context.Background(), workflow.Retention{Requests: now, Messages: now, Audit: now}, 100); err != nil {
					t.Errorf("prune: %v", err)
					return
				}
			}
		})
		for i := range 20 {
			for _, w := range flowtest.Ways() {
				email := fmt.Sprintf("%s%d@example.com", w.Flow, i)
				r.User(r.App, email)
				p, _, _ := w.Obtain(r, r.App, email)
				if _, err := r.Reset(r.App, p); err != nil {
					t.Errorf("a good code was lost: %v", err)
				}
			}
		}
		stop()
		wg.Wait()
	})

	row(t, "LIF-x12", "A refused password spends the code", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
			p := x.Proof(v, flow)
			for _, weak := range []string{"short", "password123", v, strings.Repeat("x", 2000), "", "a\x00bcdefghijkl"} {
				Bad(t, x.Redeem(p, weak))
			}
			x.Unchanged(v, p)
			x.Redeemed(p, v, NewPassword)
		})
	})

	row(t, "LIF-13", "A scanner opens the link", func(t *testing.T, x *World) {
		owners, all := x.proofs()
		for i, p := range all {
			if p.Flow() == "email_otp" {
				continue
			}
			for _, method := range []string{"HEAD", "GET", "GET", "GET", "GET", "GET", "OPTIONS", "PUT", "DELETE", "PROPFIND"} {
				x.Browser().Do(method, x.Link(p), "", nil)
			}
			link := x.Link(p) + "&newPassword=" + NewPassword + "&confirmPassword=" + NewPassword
			x.Browser().Get(link)
			x.Browser().Do("POST", link, "", nil)
			for _, get := range []string{"GET", "HEAD"} {
				x.Call(get, "/api/v1/password-reset/reset-password?emailAuthCode="+p["emailAuthCode"]+"&newPassword="+NewPassword, x.Key, "", nil)
			}
			x.Unchanged(owners[i], p)
			x.Redeemed(p, owners[i], NewPassword)
		}
	})

	row(t, "LIF-14", "A bot presses the button", func(t *testing.T, x *World) {
		owners, all := x.proofs()
		for i, p := range all {
			if p.Flow() == "email_otp" {
				continue
			}
			b := x.Browser()
			seen := b.Get(x.Link(p))
			for _, typed := range []url.Values{{}, {"newPassword": {""}}, {"newPassword": {"x"}}, {"newPassword": {"bot"}, "confirmPassword": {""}}} {
				if got := b.Submit(seen, seen.Path, typed); got.Status != http.StatusBadRequest {
					t.Errorf("pressing the button: %d", got.Status)
				}
			}
			x.Unchanged(owners[i], p)
		}
		v := x.Person("w")
		x.Proof(v, "email_link")
		x.NoMail()
		for _, link := range anyLink.FindAllString(x.Next(v, "reset_link", 0).Text, -1) { // the not-me link too
			x.Browser().Do("GET", link, "", nil)
			x.Browser().Do("HEAD", link, "", nil)
		}
		x.Unchanged(v, Proof{"emailAuthCode": product.LinkCode(x.Next(v, "reset_link", 0).Text, "email_auth_code")})
	})

	row(t, "LIF-x15", "Back and reload after success", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		b := x.Browser()
		form := b.Get(x.Link(p))
		old := b.Cookie()
		done := b.Submit(form, x.Page("reset-password"), url.Values{"newPassword": {NewPassword}})
		statusIs(t, product.Answer{Status: done.Status, Body: []byte("the page")}, http.StatusOK)
		if !x.Opens(v, NewPassword) {
			t.Fatal("the page did not change the password")
		}
		again := url.Values{"form": {formToken.FindStringSubmatch(form.Body)[1]}, "newPassword": {"Another-horse-battery-88"}}
		b.Do("POST", x.Page("reset-password"), again.Encode(), nil)
		b.Do("POST", x.Page("reset-password"), again.Encode(), map[string]string{"Cookie": "rf_" + x.Slug + "=" + old})
		if seen := b.Get(x.Link(p)); strings.Contains(seen.Body, `name="newPassword"`) {
			t.Error("the used link offers a new password")
		}
		if !x.Opens(v, NewPassword) {
			t.Error("the password changed again")
		}
	})

	rigRow(t, "LIF-16", "A restored backup revives codes", func(t *testing.T, r *flowtest.Rig) {
		ctx := context.Background()
		saved, ids := map[string]workflow.Proof{}, map[string]workflow.ID{}
		for _, w := range flowtest.Ways() {
			for _, who := range []string{"used", "unused"} {
				email := who + "-" + string(w.Flow) + "@example.com"
				r.User(r.App, email)
				saved[email], ids[email], _ = w.Obtain(r, r.App, email)
				if who == "used" {
					if _, err := r.Reset(r.App, saved[email]); err != nil {
						t.Fatal(err)
					}
					// The request comes back from a backup, the account does not.
					if err := r.DB.Write(ctx).Exec("UPDATE requests SET state = 'challenged', completed_at = 0, ended_at = 0 WHERE id = ?", ids[email].String()).Error; err != nil {
						t.Fatal(err)
					}
					if _, err := r.Reset(r.App, saved[email]); err == nil {
						t.Errorf("%s: a used code was revived", email)
					}
				}
			}
		}
		r.Rekey(flowtest.Options{Keys: [][]byte{flowtest.Key(9)}}) // what docs/operations.md asks for after a restore
		for email, p := range saved {
			if _, err := r.Reset(r.App, p); err == nil {
				t.Errorf("%s: redeemed after the keys were replaced", email)
			}
		}
		page, err := os.ReadFile(filepath.Join(product.Root(), "docs", "operations.md"))
		if err != nil || !strings.Contains(string(page), "restored backup") || !strings.Contains(string(page), "Replace `secret_keys`") {
			t.Error("docs/operations.md does not say what to do after a restore")
		}
	})

	row(t, "LIF-17", "A used code after the password changed back", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
			used := x.Proof(v, flow)
			x.Redeemed(used, v, NewPassword)
			x.PatchUser(v, map[string]any{"password": OldPassword})
			Invalid(t, x.Redeem(used, NewPassword), flow)
			unused := x.Proof(v, flow)
			x.PatchUser(v, map[string]any{"password": "Third-horse-battery-55"})
			x.PatchUser(v, map[string]any{"password": OldPassword})
			Invalid(t, x.Redeem(unused, NewPassword), flow)
			x.Unchanged(v)
		})
	})

	row(t, "LIF-x18", "A withdrawn request", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
			p := x.Proof(v, flow)
			items := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/reset-requests?email="+v, nil)["items"].([]any)
			id := items[0].(map[string]any)["id"].(string)
			Has(t, "cancel", x.Admin("POST", "/reset-requests/"+id+"/cancel", ""), http.StatusOK, http.StatusNoContent)
			Invalid(t, x.Redeem(p, NewPassword), flow)
			if flow == "email_otp" {
				Invalid(t, x.Redeem(Proof{"emailAuthCode": product.LinkCode(x.Next(v, "reset_code", 0).Text, "email_auth_code")}, NewPassword), "email_link")
			}
			x.Unchanged(v)
		})
	})

	row(t, "LIF-19", "Many live requests of one account", func(t *testing.T, x *World) {
		v := x.Person("v")
		x.Proof(v, "direct_code")
		for i := range 40 {
			statusIs(t, x.Ask(v, flowNames[i%2]), http.StatusAccepted)
		}
		x.Idle()
		var live int
		if err := x.DB.Read(context.Background()).Raw("SELECT count(*) FROM requests WHERE application = ? AND state IN ('requested', 'challenged', 'locked')", x.Slug).Scan(&live).Error; err != nil {
			t.Fatal(err)
		}
		if live != 2 {
			t.Errorf("%d live requests, want one of the person and one of support", live)
		}
		good := 0
		for _, m := range x.MailsOf(v, "") {
			if code := product.LinkCode(m.Text, "email_auth_code"); code != "" && x.Introspect(Proof{"emailAuthCode": code}).Status == http.StatusOK {
				good++
			}
		}
		if good != 1 {
			t.Errorf("%d links are good, want the newest", good)
		}
	})
}
