package settings

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

func policyOf(t *testing.T, section string) workflow.PasswordPolicy {
	t.Helper()
	return decodeOK(t, `{"application":"acme","policy":`+section+`}`).Policy
}

func TestPresets(t *testing.T) {
	want := map[string]workflow.PasswordPolicy{
		"nist-800-63b-4": {MinLength: 15, MaxLength: 128, RequireClasses: []string{}, MinStrength: 2, Breached: "offline"},
		"owasp-asvs-5":   {MinLength: 8, MaxLength: 128, RequireClasses: []string{}, MinStrength: 2, Breached: "offline"},
		"btcdirect":      {MinLength: 8, MaxLength: 64, RequireClasses: []string{}, MinStrength: 2, Breached: "offline"},
		"unleash": {MinLength: 10, MaxLength: 128, RequireClasses: []string{"lower", "upper", "digit", "other"}, MaxRepeat: 2,
			Breached: "off", History: 5},
		"singularity": {MinLength: 8, MaxLength: 16384, RequireClasses: []string{"upper", "lower", "digit", "special"}, Breached: "off"},
	}
	if len(Presets()) != len(want) {
		t.Errorf("presets %v", Presets())
	}
	for name, p := range want {
		p.Preset = name
		if got := policyOf(t, `{"preset":"`+name+`"}`); !reflect.DeepEqual(got, p) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWrittenKeysWinOverThePreset(t *testing.T) {
	for _, section := range []string{`{"preset":"unleash","minLength":12,"requireClasses":["digit"],"history":0}`,
		`{"history":0,"requireClasses":["digit"],"minLength":12,"preset":"unleash"}`} {
		p := policyOf(t, section)
		if p.MinLength != 12 || len(p.RequireClasses) != 1 || p.History != 0 || p.MaxRepeat != 2 || p.Breached != "off" {
			t.Errorf("%s: %+v", section, p)
		}
	}
	if p := policyOf(t, `{"preset":"unleash"}`); len(p.RequireClasses) != 4 {
		t.Errorf("a document changed the preset: %+v", p)
	}
}

// exported is an application's policy as the admin API and export show it.
func exported(t *testing.T, app workflow.Application) string {
	t.Helper()
	body, err := Encode(app, policies...)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Policy json.RawMessage }
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	return string(out.Policy)
}

func TestExportedAsWritten(t *testing.T) {
	for section, want := range map[string]string{
		`{"preset":"nist-800-63b-4"}`:                   `{"preset":"nist-800-63b-4"}`,
		`{"minLength":15,"preset":"nist-800-63b-4"}`:    `{"preset":"nist-800-63b-4","minLength":15}`,
		`{"preset":"unleash","maxRepeat":0}`:            `{"preset":"unleash","maxRepeat":0}`,
		`{"preset":"","maxRepeat":0,"breachedFail":""}`: `{"preset":"","minLength":8,"maxLength":128,"requireClasses":[],"minStrength":2,"breached":"offline","history":0}`,
		`{"maxRepeat":3}`:                               `{"preset":"","minLength":8,"maxLength":128,"requireClasses":[],"maxRepeat":3,"minStrength":2,"breached":"offline","history":0}`,
	} {
		if got := exported(t, decodeOK(t, `{"application":"acme","policy":`+section+`}`)); got != want {
			t.Errorf("%s: %s", section, got)
		}
	}
}

func TestPatchedPresets(t *testing.T) {
	current := decodeOK(t, `{"application":"acme","policy":{"minLength":20}}`)
	for _, step := range []struct{ patch, want string }{
		{`{"policy":{"preset":"unleash"}}`, `{"preset":"unleash","minLength":20}`}, // 20 was written, the rest was not
		{`{"policy":{"history":2}}`, `{"preset":"unleash","minLength":20,"history":2}`},
		{`{"policy":{"minLength":null}}`, `{"preset":"unleash","history":2}`},
		{`{"name":"Acme"}`, `{"preset":"unleash","history":2}`},
		{`{"policy":{"preset":"owasp-asvs-5"}}`, `{"preset":"owasp-asvs-5","history":2}`},
		{`{"policy":{"preset":null}}`, `{"preset":"","minLength":8,"maxLength":128,"requireClasses":[],"minStrength":2,"breached":"offline","history":2}`},
	} {
		// What is stored comes back as JSON of the domain's type.
		doc, _ := json.Marshal(current)
		stored := workflow.DefaultApplication("acme")
		if err := json.Unmarshal(doc, &stored); err != nil {
			t.Fatal(err)
		}
		next, err := Merge(stored, []byte(step.patch), policies)
		if err != nil {
			t.Fatalf("%s: %v", step.patch, err)
		}
		if got := exported(t, next); got != step.want {
			t.Fatalf("%s: %s", step.patch, got)
		}
		current = next
	}
}

func TestHistoryNeedsTheBuiltinDirectory(t *testing.T) {
	r := &reader{bad: workflow.Violations{}}
	app := workflow.DefaultApplication("acme")
	app.Directory.Kind, app.Policy.History = "sql", 1
	r.checkPolicy(&app)
	if v := r.bad["policy.history"]; len(v) != 1 || v[0].Code != workflow.VioNotAvailable {
		t.Errorf("%v", r.bad)
	}
}

func TestThePresetRefusedNamesTheKnownOnes(t *testing.T) {
	v := violations(t, second(Decode([]byte(`{"application":"acme","policy":{"preset":"nist"}}`), policies)))
	if got := v["policy.preset"][0].Attributes["allowed"]; !strings.Contains(got, "nist-800-63b-4") || !strings.Contains(got, "owasp-asvs-5") {
		t.Errorf("allowed %q", got)
	}
}
