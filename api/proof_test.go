package api

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

var codeNames = []string{"emailAuthCode", "requestCode", "verificationCode", "passwordResetCode"}

// want says what contract §5 answers to a subset of the code fields.
func want(given map[string]bool) string {
	pair := given["requestCode"] || given["verificationCode"]
	ways := 0
	for _, w := range []bool{given["emailAuthCode"], pair, given["passwordResetCode"]} {
		if w {
			ways++
		}
	}
	v := workflow.Violations{}
	for _, n := range codeNames {
		half := n == "requestCode" || n == "verificationCode"
		switch {
		case ways > 1 && given[n]:
			v.Add(n, workflow.VioMustBeNull)
		case ways == 0, ways == 1 && pair && half && !given[n]:
			v.Add(n, workflow.VioRequired)
		}
	}
	var out []string
	for _, f := range v.Fields() {
		out = append(out, f+"="+string(v[f][0].Code))
	}
	return strings.Join(out, " ")
}

// TestSubsets walks all 16 subsets of the four codes on both routes, with the
// rest absent and with the rest null.
func TestSubsets(t *testing.T) {
	f := start(t)
	f.receipt = workflow.Receipt{Result: workflow.ResultLoginRequired, Confirmation: "queued"}
	for _, route := range []string{"/introspect", "/reset-password"} {
		for bits := range 16 {
			for _, nulls := range []bool{false, true} {
				given, body := map[string]bool{}, map[string]any{}
				for i, n := range codeNames {
					if given[n] = bits>>i&1 == 1; given[n] {
						body[n] = "value-" + n
					} else if nulls {
						body[n] = nil
					}
				}
				if route == "/reset-password" {
					body["newPassword"] = "new"
				}
				b, _ := json.Marshal(body)
				f.took()
				res := f.post(reset+route, string(b), f.keys["secret"])
				expected := want(given)
				if expected == "" {
					if res.status != 200 {
						t.Errorf("%s %s: %d %s", route, b, res.status, res.body)
					}
					got := f.proof
					if route == "/reset-password" {
						got = f.reset.Proof
					}
					p := workflow.Proof{}
					for i, to := range []*string{&p.EmailAuthCode, &p.RequestCode, &p.VerificationCode, &p.PasswordResetCode} {
						if given[codeNames[i]] {
							*to = "value-" + codeNames[i]
						}
					}
					if !reflect.DeepEqual(got, p) {
						t.Errorf("%s %s: the engine got %+v", route, b, got)
					}
					continue
				}
				p := res.problem(t)
				if res.status != 400 || p.Type != "constraint_violations_error" || p.Code != workflow.CodeViolations || res.vio(t) != expected {
					t.Errorf("%s %s: %d %s, want %s", route, b, res.status, res.body, expected)
				}
				if took := f.took(); took != "Key Application" {
					t.Errorf("%s %s: reached %s", route, b, took)
				}
			}
		}
	}
}

func TestCodeShapes(t *testing.T) {
	f := start(t)
	long := strings.Repeat("x", maxCode+1)
	for _, tc := range []struct{ body, want string }{
		{`{"newPassword":"n","emailAuthCode":"","requestCode":null}`, "emailAuthCode=too_short"},
		{`{"newPassword":"n","passwordResetCode":""}`, "passwordResetCode=too_short"},
		{`{"newPassword":"n","requestCode":"r","verificationCode":""}`, "verificationCode=too_short"},
		{`{"newPassword":"n","requestCode":"","verificationCode":""}`, "requestCode=too_short verificationCode=too_short"},
		{`{"newPassword":"n","emailAuthCode":"","passwordResetCode":""}`, "emailAuthCode=must_be_null passwordResetCode=must_be_null"},
		{`{"emailAuthCode":"a","passwordResetCode":"b"}`, "emailAuthCode=must_be_null passwordResetCode=must_be_null"},
		{`{"emailAuthCode":"a"}`, "newPassword=required"},
		{`{"emailAuthCode":"a","newPassword":null}`, "newPassword=required"},
		{`{"newPassword":"n","emailAuthCode":"` + long + `"}`, "emailAuthCode=invalid_email_auth_code"},
		{`{"newPassword":"n","passwordResetCode":"` + long + `"}`, "passwordResetCode=invalid_password_reset_code"},
		{`{"newPassword":"n","requestCode":"` + long + `","verificationCode":"1"}`, "requestCode=invalid_request_code"},
		{`{"newPassword":"n","requestCode":"r","verificationCode":"` + long + `"}`, "verificationCode=invalid_verification_code"},
		{`{"newPassword":"n","emailAuthCode":"a","skipPasswordUpdatedEmail":"true"}`, "skipPasswordUpdatedEmail=invalid_type"},
		{`{"newPassword":"n","emailAuthCode":"a","userId":"v"}`, "userId=unknown_field"},
		{`{"newPassword":"n","emailAuthCode":"a","verified":true}`, "verified=unknown_field"},
		{`{"newPassword":"n","emailAuthCode":"a","passwordHash":"$2a$x"}`, "passwordHash=unknown_field"},
		{`{"newPassword":"n","emailAuthCode":["a"]}`, "emailAuthCode=invalid_type"},
		{`{"newPassword":"n","requestCode":"r","verificationCode":123456}`, "verificationCode=invalid_type"},
	} {
		res := f.post(reset+"/reset-password", tc.body, f.keys["secret"])
		if res.status != 400 || res.vio(t) != tc.want {
			t.Errorf("%.80s: %d %s, want %s", tc.body, res.status, res.body, tc.want)
		}
		if strings.Contains(f.took(), "Reset") {
			t.Errorf("%.80s reached the engine", tc.body)
		}
	}
	res := f.post(reset+"/reset-password", `{"newPassword":"n","emailAuthCode":""}`, f.keys["secret"])
	if a := res.problem(t).Violations["emailAuthCode"][0].Attributes; a["minLength"] != "1" {
		t.Errorf("too_short says how short: %v", a)
	}
}

func TestResetAnswers(t *testing.T) {
	f := start(t)
	const body = `{"emailAuthCode":"a","newPassword":"","skipPasswordUpdatedEmail":null,"secondFactorCode":"1"}`
	for _, tc := range []struct {
		receipt workflow.Receipt
		status  int
		want    string
	}{
		{workflow.Receipt{Result: workflow.ResultLoginRequired, Revoked: workflow.Revoked{Sessions: 3, RefreshTokens: 4, PendingResets: 1}, Confirmation: "queued"}, 200,
			`{"result":"LOGIN_REQUIRED","revoked":{"sessions":3,"refreshTokens":4,"pendingResets":1},"confirmation":"queued"}`},
		{workflow.Receipt{Result: workflow.ResultAuthSession, RedirectURL: "https://a.test/x?a=1&b=2", AuthSessionCode: "c", Confirmation: "skipped"}, 200,
			`{"result":"CREATE_AUTH_SESSION","redirectUrl":"https://a.test/x?a=1&b=2","authSessionCode":"c","revoked":{"sessions":0,"refreshTokens":0,"pendingResets":0},"confirmation":"skipped"}`},
		{workflow.Receipt{Result: workflow.ResultApplying, StatusCode: "s"}, 202, `{"result":"APPLYING","statusCode":"s"}`},
	} {
		f.receipt = tc.receipt
		res := f.post(reset+"/reset-password", body, f.keys["secret"])
		if res.status != tc.status || strings.TrimSpace(res.body) != tc.want {
			t.Errorf("got %d %s, want %s", res.status, res.body, tc.want)
		}
	}
	if f.reset.SkipConfirmation || f.reset.NewPassword != "" {
		t.Errorf("null is false, and an empty password goes to the policy: %+v", f.reset)
	}
	f.post(reset+"/reset-password", `{"emailAuthCode":"a","newPassword":"p","skipPasswordUpdatedEmail":true}`, f.keys["browser"])
	if !f.reset.SkipConfirmation || f.reset.Client.Trusted {
		t.Errorf("the engine judges a skip, and learns that a publishable key asks: %+v", f.reset.Client)
	}
}
