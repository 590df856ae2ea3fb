package settings

import (
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

const (
	maxPassword = 1024
	minPassword = 8
	maxStrength = 4
	maxRepeat   = 100
	keyPreset   = "preset"
)

// classes are the names require_classes takes.
var classes = []string{"upper", "lower", "digit", "symbol", "other", "special"}

// presets are whole policies by name. The first two follow a standard; where
// it is silent, our default stands. The others are what a dialect's product
// asks for.
var presets = map[string]workflow.PasswordPolicy{
	// §3.1.1.2: 15 characters where a password is the only factor, at least 64
	// taken, no composition rules, a blocklist.
	"nist-800-63b-4": {MinLength: 15, MaxLength: 128, MinStrength: 2, Breached: "offline"},
	// 6.2.1, 6.2.4, 6.2.5, 6.2.9, 6.2.12: 8 characters (15 are better), at least
	// 64 taken, no composition rules, top lists and a breached set.
	"owasp-asvs-5": {MinLength: 8, MaxLength: 128, MinStrength: 2, Breached: "offline"},
	"btcdirect":    {MinLength: 8, MaxLength: 64, MinStrength: 2, Breached: "offline"},
	"unleash": {MinLength: 10, MaxLength: 128, RequireClasses: []string{"lower", "upper", "digit", "other"},
		MaxRepeat: 2, Breached: "off", History: 5},
	// No maximum but the body's.
	"singularity": {MinLength: 8, MaxLength: 16 << 10, RequireClasses: []string{"upper", "lower", "digit", "special"}, Breached: "off"},
}

// Presets lists the names policy.preset takes.
func Presets() []string {
	names := make([]string, 0, len(presets))
	for name := range presets {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// policy reads the policy: the preset fills what the document leaves out,
// wherever in the section it stands, and which keys stand beside it is kept.
func (r *reader) policy(app *workflow.Application, path string, v strictjson.Value) {
	p := &app.Policy
	app.PolicyWritten = nil
	for _, m := range v.Members {
		if preset, known := presets[m.Value.Text]; m.Name == keyPreset && known {
			*p = preset
			p.RequireClasses = append([]string{}, preset.RequireClasses...)
		}
	}
	members := []member{
		r.text(keyPreset, &p.Preset),
		r.integer("minLength", &p.MinLength, minPassword, maxPassword),
		r.integer("maxLength", &p.MaxLength, minPassword, maxPassword),
		r.texts("requireClasses", &p.RequireClasses),
		r.integer("maxRepeat", &p.MaxRepeat, 0, maxRepeat),
		r.integer("minStrength", &p.MinStrength, 0, maxStrength),
		r.text("breached", &p.Breached),
		r.text("breachedFail", &p.BreachedFail),
		r.integer("history", &p.History, 0, workflow.MaxHistory),
	}
	r.object(path, v, members...)
	if p.Preset == "" {
		return
	}
	for _, m := range members {
		if m.name != keyPreset && slices.ContainsFunc(v.Members, func(w strictjson.Member) bool { return w.Name == m.name }) {
			app.PolicyWritten = append(app.PolicyWritten, m.name)
		}
	}
}

func (r *reader) checkPolicy(app *workflow.Application) {
	p := app.Policy
	if _, known := presets[p.Preset]; p.Preset != "" && !known {
		r.refuse("policy.preset", workflow.VioInvalidValue, "allowed", strings.Join(Presets(), ","))
	}
	if p.MinLength > p.MaxLength {
		r.refuse("policy.minLength", workflow.VioTooLarge, "max", strconv.Itoa(p.MaxLength))
	}
	for i, c := range p.RequireClasses {
		at := below("policy.requireClasses", strconv.Itoa(i))
		switch {
		case !slices.Contains(classes, c):
			r.refuse(at, workflow.VioInvalidValue, "allowed", strings.Join(classes, ","))
		case slices.Contains(p.RequireClasses[:i], c):
			r.refuse(at, workflow.VioNotUnique)
		}
	}
	r.oneOf("policy.breached", p.Breached, "off", "offline", "online")
	if p.BreachedFail != "" {
		r.oneOf("policy.breachedFail", p.BreachedFail, "open", "closed")
	}
	if p.History > 0 && app.Directory.Kind != "builtin" {
		// Only our own directory keeps former hashes.
		r.refuse("policy.history", workflow.VioNotAvailable, "allowed", "0")
	}
}

// encodePolicy writes a policy as it was written: a preset with the keys beside
// it, or every key. Keys that contract §10 does not name appear where they are set.
func encodePolicy(app workflow.Application) object {
	p := app.Policy
	all := object{
		{keyPreset, p.Preset},
		{"minLength", p.MinLength},
		{"maxLength", p.MaxLength},
		{"requireClasses", list(p.RequireClasses)},
		{"maxRepeat", p.MaxRepeat},
		{"minStrength", p.MinStrength},
		{"breached", p.Breached},
		{"breachedFail", p.BreachedFail},
		{"history", p.History},
	}
	var out object
	for _, m := range all {
		shown := m.name == keyPreset || slices.Contains(app.PolicyWritten, m.name)
		if p.Preset == "" {
			shown = m.name != "maxRepeat" && m.name != "breachedFail" || !reflect.ValueOf(m.value).IsZero()
		}
		if shown {
			out = append(out, m)
		}
	}
	return out
}

// unwritten takes the keys with default values out of a policy without a
// preset, before a change that names one: nobody may have written them, and
// they would stand in the preset's way.
func unwritten(base, change strictjson.Value) {
	before, after := inside(base, "policy"), inside(change, "policy")
	if before == nil || after == nil {
		return
	}
	old, preset := inside(*before, keyPreset), inside(*after, keyPreset)
	if old == nil || old.Text != "" || preset == nil || preset.Kind != strictjson.Text || preset.Text == "" {
		return
	}
	encoded, err := Encode(workflow.DefaultApplication("x"))
	if err != nil {
		return
	}
	defaults, err := strictjson.Parse(encoded)
	if err != nil {
		return
	}
	section := inside(defaults, "policy")
	before.Members = slices.DeleteFunc(before.Members, func(m strictjson.Member) bool {
		fallback := inside(*section, m.Name)
		return fallback != nil && reflect.DeepEqual(*fallback, m.Value)
	})
}

// inside returns a member's value, nil where there is none.
func inside(v strictjson.Value, name string) *strictjson.Value {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return &v.Members[i].Value
		}
	}
	return nil
}
