package settings

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// policies are the three flows of contract §10.
var policies = []workflow.FlowPolicy{
	{Name: "email_link", Origin: workflow.OriginUser, DefaultEnabled: true, DefaultLifetime: 30 * time.Minute,
		MaxLifetime: 24 * time.Hour, Settings: []string{"link_url"}},
	{Name: "email_otp", Origin: workflow.OriginUser, DefaultEnabled: true, DefaultLifetime: 10 * time.Minute,
		MaxLifetime: time.Hour, Settings: []string{"digits", "max_attempts", "includeLink"}, DefaultDigits: 6, DefaultAttempts: 5},
	{Name: "direct_code", Origin: workflow.OriginOperator, DefaultLifetime: 24 * time.Hour, MaxLifetime: 7 * 24 * time.Hour},
}

func decodeOK(t *testing.T, body string) workflow.Application {
	t.Helper()
	app, err := Decode([]byte(body), policies)
	if err != nil {
		t.Fatalf("Decode(%s): %v", body, err)
	}
	return app
}

func violations(t *testing.T, err error) workflow.Violations {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	e := workflow.AsError(err)
	if e.Code != workflow.CodeViolations {
		t.Fatalf("code %s, want violations: %v", e.Code, err)
	}
	return e.Violations
}

func TestDefaults(t *testing.T) {
	app := decodeOK(t, `{"application":"acme","flows":{"email_link":{},"email_otp":{},"direct_code":{}}}`)
	got, err := Encode(app, policies...)
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	want, err := os.ReadFile("testdata/defaults.json")
	if err != nil {
		t.Fatal(err)
	}
	if pretty.String() != string(want) {
		t.Errorf("defaults differ from testdata/defaults.json:\n%s", pretty.String())
	}
	if app.Name != "acme" {
		t.Errorf("name %q, want the slug", app.Name)
	}
}

func TestFlowNotNamedIsOff(t *testing.T) {
	app := decodeOK(t, `{"application":"acme","flows":{"email_otp":{}}}`)
	if _, on := app.Flow("email_link"); on {
		t.Error("email_link is on without being named")
	}
	if s, on := app.Flow("email_otp"); !on || s.Digits != 6 || s.MaxAttempts != 5 || !s.IncludeLink {
		t.Errorf("email_otp on=%v %+v", on, s)
	}
	app = decodeOK(t, `{"application":"acme","flows":{"direct_code":{}}}`)
	if _, on := app.Flow("direct_code"); on {
		t.Error("direct_code is on without enabled")
	}
}

// full holds a value unlike the default for every key that takes one.
const full = `{"application":"a-1","name":"Ação ≈ Co","flows":{
	"email_link":{"enabled":false,"lifetime":"1h","linkUrl":"https://app.acme.test/#/reset?code={code}"},
	"email_otp":{"enabled":true,"lifetime":"1h","digits":8,"maxAttempts":10,"includeLink":false},
	"direct_code":{"enabled":true,"lifetime":"48h"}},
	"defaultFlow":"email_otp","resendAfter":"1s","confirmation":{"enabled":false,"allowSkip":false},"loginAfterReset":true,
	"redirectUrls":["https://app.acme.test/login","http://localhost:3000/x?y=1","http://[::1]:80/"],
	"hosts":["reset.acme.test","localhost:8080","acme.localhost"],"locale":"zh-Hans",
	"mail":{"from":"Acme <no-reply@acme.test>","replyTo":"help@acme.test"},
	"appearance":{"color":"#0A5bcd","logo":"data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="},
	"policy":{"preset":"","minLength":12,"maxLength":1024,"requireClasses":["upper","symbol"],"maxRepeat":3,"minStrength":4,"breached":"online","breachedFail":"closed","history":24},
	"limits":{"perAddress":"1/s","perIp":"2/m","perPeer":"3/h","perApplication":"1000000000/d","mailsPerAccount":"5/h","failedCodes":"6/h","failedLogins":"7/h"},
	"sessions":{"access":"1m","refresh":"2h","idle":"1h"},"directory":{"kind":"builtin"},"dialects":[],
	"dialect":{"confirmationWait":"0s","origins":["https://app.acme.test"],"dreadnode":{"emailRequired":true},"unleash":{"unknownEmail":"not_found","usedToken":"forbidden"}},
	"notifyUnknown":true,"webhooks":[]}`

func TestRoundTrip(t *testing.T) {
	for _, body := range []string{full, `{"application":"acme"}`, `{"application":"acme","policy":{"history":3,"minLength":10,"preset":"unleash"}}`, `{"application":"acme","flows":{"email_otp":{"includeLink":false}}}`} {
		app := decodeOK(t, body)
		for _, with := range [][]workflow.FlowPolicy{policies, nil} {
			encoded, err := Encode(app, with...)
			if err != nil {
				t.Fatal(err)
			}
			if again := decodeOK(t, string(encoded)); !reflect.DeepEqual(again, app) {
				t.Errorf("round trip changed\n%+v\nto\n%+v", app, again)
			}
		}
	}
}

// Every settable key of full must reach the application.
func TestFullDiffersFromDefault(t *testing.T) {
	app, def := reflect.ValueOf(decodeOK(t, full)), reflect.ValueOf(workflow.DefaultApplication("acme"))
	same := map[string]bool{"Directory": true, "Dialects": true, "Webhooks": true, "PolicyWritten": true, "Version": true}
	for i := range app.NumField() {
		name := app.Type().Field(i).Name
		if !same[name] && reflect.DeepEqual(app.Field(i).Interface(), def.Field(i).Interface()) {
			t.Errorf("%s still has its default", name)
		}
	}
}

func TestMerge(t *testing.T) {
	current := decodeOK(t, `{"application":"acme","name":"Acme","flows":{"email_link":{},"email_otp":{"digits":8}},"limits":{"perIp":"7/m"}}`)
	current.Version = 3
	tests := []struct {
		name, patch string
		check       func(workflow.Application) bool
	}{
		{"nothing", `{}`, func(a workflow.Application) bool { return reflect.DeepEqual(a, current) }},
		{"same slug", `{"application":"acme"}`, func(a workflow.Application) bool { return reflect.DeepEqual(a, current) }},
		{"one key deep down", `{"limits":{"perAddress":"9/h"}}`, func(a workflow.Application) bool {
			return a.Limits.PerAddress.String() == "9/h" && a.Limits.PerIP.String() == "7/m" && a.Name == "Acme" && a.Version == 3
		}},
		{"null sets back", `{"limits":{"perIp":null},"name":null}`, func(a workflow.Application) bool {
			return a.Limits.PerIP.String() == "100/h" && a.Name == "acme"
		}},
		{"null takes a flow away", `{"flows":{"email_otp":null}}`, func(a workflow.Application) bool {
			_, there := a.Flows["email_otp"]
			_, link := a.Flow("email_link")
			return !there && link
		}},
		{"a new flow starts from its policy", `{"flows":{"direct_code":{"enabled":true}}}`, func(a workflow.Application) bool {
			return a.Flows["direct_code"].Lifetime.D() == 24*time.Hour && a.Flows["email_otp"].Digits == 8
		}},
		{"lists are replaced", `{"hosts":["a.acme.test"]}`, func(a workflow.Application) bool { return len(a.Hosts) == 1 }},
	}
	for _, tt := range tests {
		got, err := Merge(current, []byte(tt.patch), policies)
		if err != nil || !tt.check(got) {
			t.Errorf("%s: %v %+v", tt.name, err, got)
		}
	}
	for _, patch := range []string{`{"application":"other"}`, `{"application":null}`} {
		if v := violations(t, second(Merge(current, []byte(patch), policies))); v["application"] == nil {
			t.Errorf("%s: %v", patch, v)
		}
	}
	for _, patch := range []string{``, `[]`, `null`, `{}{}`} {
		if err := second(Merge(current, []byte(patch), policies)); workflow.AsError(err).Code != workflow.CodeInvalidJSON {
			t.Errorf("patch %q: %v", patch, err)
		}
	}
	v := violations(t, second(Merge(current, []byte(`{"flows":{"email_otp":{"digits":5}},"hosts":[null],"nmae":1}`), policies)))
	for _, path := range []string{"flows.email_otp.digits", "hosts.0", "nmae"} {
		if v[path] == nil {
			t.Errorf("no violation on %s: %v", path, v)
		}
	}
	if !reflect.DeepEqual(current.Hosts, []string{}) || current.Limits.PerIP.String() != "7/m" {
		t.Error("Merge wrote to current")
	}
}

func second(_ workflow.Application, err error) error { return err }

func TestNearest(t *testing.T) {
	v := violations(t, second(Decode([]byte(`{"application":"acme","limits":{"perAdress":"5/h"},"flows":{"email_lnk":{},"email_otp":{"digit":6}},"DefaultFlow":"email_link"}`), policies)))
	for path, want := range map[string]string{"limits.perAdress": "perAddress", "flows.email_lnk": "email_link",
		"flows.email_otp.digit": "digits", "DefaultFlow": "defaultFlow"} {
		if len(v[path]) != 1 || v[path][0].Code != workflow.VioUnknownField || v[path][0].Attributes["nearest"] != want {
			t.Errorf("%s: %v, want nearest %s", path, v[path], want)
		}
	}
}

func TestNotJSON(t *testing.T) {
	for _, body := range []string{``, `null`, `[]`, `"x"`, `{"application":"a"} x`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`, strings.Repeat("[", 9999)} {
		if err := second(Decode([]byte(body), policies)); workflow.AsError(err).Code != workflow.CodeInvalidJSON {
			t.Errorf("%.20q: %v", body, err)
		}
	}
}

func TestCaseOfKeys(t *testing.T) {
	for snake, camel := range map[string]string{"per_ip": "perIp", "application": "application", "redirect_urls": "redirectUrls", "mails_per_account": "mailsPerAccount"} {
		if CamelCase(snake) != camel || SnakeCase(camel) != snake {
			t.Errorf("%s: %s, %s: %s", snake, CamelCase(snake), camel, SnakeCase(camel))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"application":"acme","flows":{"email_otp":{"digits":6.0}},"policy":{"minLength":-1e9}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		app, err := Decode(body, policies)
		if err != nil {
			if code := workflow.AsError(err).Code; code != workflow.CodeViolations && code != workflow.CodeInvalidJSON {
				t.Fatalf("code %s", code)
			}
			return
		}
		encoded, err := Encode(app, policies...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(encoded, policies)
		if err != nil || !reflect.DeepEqual(app, again) {
			t.Fatalf("round trip of %s: %v\n%+v\n%+v", body, err, app, again)
		}
	})
}
