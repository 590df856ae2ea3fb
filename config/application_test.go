package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/workflow"
)

func policies() []workflow.FlowPolicy {
	var out []workflow.FlowPolicy
	for _, f := range flows.Builtin() {
		out = append(out, f.Policy())
	}
	return out
}

// contract is the example of contract §10, its webhook left out.
const contract = `application: acme            # slug
name: Acme
flows:
  email_link:  {enabled: true, lifetime: 30m, link_url: ""}
  email_otp:   {enabled: true, lifetime: 10m, digits: 6, max_attempts: 5, include_link: true}
  direct_code: {enabled: false, lifetime: 24h}
default_flow: email_link
resend_after: 60s
confirmation: {enabled: true, allow_skip: true}
login_after_reset: false
redirect_urls: ["https://app.acme.test/login"]
hosts: []
locale: en
mail: {from: "Acme <no-reply@acme.test>", reply_to: ""}
policy: {preset: "", min_length: 8, max_length: 128, require_classes: [], min_strength: 2, breached: offline, history: 0}
limits: {per_address: 5/h, per_ip: 100/h, per_peer: 3000/h, per_application: 10000/h, mails_per_account: 10/h, failed_codes: 20/h, failed_logins: 20/h}
sessions: {access: 5m, refresh: 720h, idle: 168h}     # builtin directory
directory: {kind: builtin}
dialects: []
dialect: {confirmation_wait: 2s, origins: [], dreadnode: {email_required: false}, unleash: {unknown_email: neutral, used_token: unauthorized}}
notify_unknown: false
webhooks: []
`

func read(t *testing.T, body string) ([]workflow.Application, error) {
	t.Helper()
	return ReadApplications(write(t, "acme.yaml", body), nil, policies())
}

// The defaults written out in the contract are the defaults of what it leaves out.
func TestContractExample(t *testing.T) {
	full, err := read(t, contract)
	if err != nil {
		t.Fatal(err)
	}
	short, err := read(t, `{application: acme, name: Acme, flows: {email_link: {}, email_otp: {}, direct_code: {}},
  redirect_urls: ["https://app.acme.test/login"], mail: {from: "Acme <no-reply@acme.test>"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(full, short) {
		t.Errorf("written out\n%+v\nleft out\n%+v", full, short)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, body := range []string{contract, "application: b", `application: c
name: "on: #1 'quoted'"
flows: {email_otp: {digits: 8, lifetime: 20m, include_link: false}}
default_flow: email_otp
policy: {breached: off, require_classes: [upper, digit]}
hosts: [reset.acme.test]
appearance: {color: "#00ff00"}
`} {
		apps, err := read(t, body)
		if err != nil {
			t.Fatal(err)
		}
		out, err := WriteApplication(apps[0], policies())
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(t, string(out))
		if err != nil || !reflect.DeepEqual(again, apps) {
			t.Errorf("%v\n%s\n%+v\n%+v", err, out, apps, again)
		}
		twice, err := WriteApplication(again[0], policies())
		if err != nil || string(twice) != string(out) {
			t.Errorf("a second export differs: %v\n%s", err, twice)
		}
	}
}

func TestFolderAndDocuments(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{"b.yaml": "application: b\n---\n# nothing\n---\napplication: c\n", "a.yml": "application: a\n", "README.md": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	apps, err := ReadApplications(dir, nil, policies())
	if err != nil {
		t.Fatal(err)
	}
	var slugs []string
	for _, a := range apps {
		slugs = append(slugs, a.Slug)
	}
	if strings.Join(slugs, "") != "abc" {
		t.Errorf("%v", slugs)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.yaml"), []byte("application: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadApplications(dir, nil, policies()); err == nil || !strings.Contains(err.Error(), "z.yaml:1: application: a stands in") {
		t.Error(err)
	}
	if apps, err := ReadApplications("-", strings.NewReader("application: x"), policies()); err != nil || apps[0].Slug != "x" {
		t.Error(err)
	}
	for _, path := range []string{t.TempDir(), filepath.Join(dir, "none.yaml"), write(t, "empty.yaml", "# nothing\n")} {
		if _, err := ReadApplications(path, nil, policies()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestApplicationRefusals(t *testing.T) {
	tests := []struct{ body, want string }{
		{"application: acme\nlimits:\n  per_adress: 5/h", "acme.yaml:3: limits.per_adress: unknown key; did you mean per_address?"},
		{"application: acme\nlimits:\n  perAddress: 5/h", "acme.yaml:3: limits.perAddress: unknown key; did you mean per_address?"},
		{"application: acme\nlimits:\n  per__address: 5/h", "acme.yaml:3: limits.per__address: unknown key; did you mean"},
		{"application: acme\nflows:\n  emial_link: {}", "acme.yaml:3: flows.emial_link: unknown key; did you mean email_link?"},
		{"application: acme\nflows:\n  email_otp:\n    max_attempts: 11", "acme.yaml:4: flows.email_otp.max_attempts: too large; at most 10"},
		{"application: acme\nflows:\n  email_otp: {lifetime: 11m}", "acme.yaml:3: flows.email_otp.lifetime: too long for 6 digits; at most 10m"},
		{"application: acme\nflows:\n  email_link: {lifetime: 25h}", "acme.yaml:3: flows.email_link.lifetime: too large; at most 24h"},
		{"application: acme\nflows:\n  email_link: {lifetime: -1m}", "acme.yaml:3: flows.email_link.lifetime: too small"},
		{"application: acme\nflows:\n  email_link:", "acme.yaml:3: flows.email_link: wrong type; write keys and values, or {} for the defaults"},
		{"application: acme\nredirect_urls:\n  - https://a.test/\n  - http://a.test/", "acme.yaml:4: redirect_urls.1: not allowed here; write https"},
		{"application: acme\nname: A\nname: B", "acme.yaml:3: name: stands twice"},
		{"application: acme\nappearance: {color: #00ff00\n  }", "acme.yaml:2: appearance.color: wrong type"},
		{"application: acme\nlocale: no", "x"},
		{"application: acme\npolicy: {breached: on}", "acme.yaml:2: policy.breached: not allowed here; use off or offline or online"},
		{"application: acme\nwebhooks: [{url: 'https://a.test'}]", "acme.yaml:2: webhooks: not available in this version; remove it"},
		{"application: acme\nnotify_unknown: 1", "acme.yaml:2: notify_unknown: wrong type; write true or false"},
		{"application: acme\nresend_after: 60", "acme.yaml:2: resend_after: wrong type; write a duration such as 15m"},
		{"application: acme\npolicy: {min_length: 0x10}", "acme.yaml:2: policy.min_length: wrong type; write a whole number"},
		{"application: acme\npolicy: {min_length: 8.0}", "acme.yaml:2: policy.min_length: wrong type; write a whole number"},
		{"\n\nname: Acme", "acme.yaml:3: application: missing; add it"},
		{"application: acme\n? [a]\n: b", "a key must be a plain word"},
		{"application: acme\nname: !secret x", "acme.yaml:2: name: the tag !secret is not known"},
		{"- application: acme", "acme.yaml:1: this is not one application"},
		{"application: acme\nname: [", "not YAML"},
		{"application: acme\nname: \"\\eterminal\"", "acme.yaml:2: name: "},
		{"application: acme\n\"\\e[2Jx\": 1", "unknown key"},
		{"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d]", "larger or deeper"},
	}
	for _, tt := range tests {
		_, err := read(t, tt.body)
		if tt.want == "x" { // Norwegian is a text in YAML 1.2, not false
			if err != nil {
				t.Errorf("%q: %v", tt.body, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.body, err, tt.want)
		} else if strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: the message holds an escape sequence", tt.body)
		}
	}
}

func TestDifferences(t *testing.T) {
	if _, err := read(t, contract+"---\napplication: acme\n"); err == nil {
		t.Fatal("a second acme was taken")
	}
	apps, err := read(t, contract)
	if err != nil {
		t.Fatal(err)
	}
	other, err := read(t, strings.NewReplacer("name: Acme", "name: Acme Corp", "per_ip: 100/h", "per_ip: 7/m", "  direct_code: {enabled: false, lifetime: 24h}\n", "").Replace(contract))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := Differences(apps[0], other[0], policies())
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{{"name", "Acme", `"Acme Corp"`}, {"limits.per_ip", "100/h", "7/m"}, {"flows.direct_code.enabled", "false", ""}, {"flows.direct_code.lifetime", "24h", ""}}
	if !reflect.DeepEqual(changes, want) {
		t.Errorf("%+v", changes)
	}
	if changes, err = Differences(apps[0], apps[0], policies()); err != nil || len(changes) != 0 {
		t.Errorf("%v %v", changes, err)
	}
}
