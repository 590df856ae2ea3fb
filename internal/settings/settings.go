// Package settings reads, checks and writes the settings of an application
// (contract §10): the admin API speaks it as it is, `apply` and `export` after
// turning YAML into JSON and back.
//
// Nothing is ignored in silence. A key that does not exist, stands twice or
// holds the wrong type is refused, and so is a value that this version cannot
// honour. Refusals are [workflow.Error]s whose violations are named by the
// dotted camelCase path of the key ("limits.perAddress",
// "flows.email_otp.digits", "redirectUrls.0"); they never repeat the value.
package settings

import (
	"encoding/json"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

// Decode reads body as one application. What body does not name has the
// default of contract §10; a flow that is not named is off, a named one starts
// from its policy; the name defaults to the slug. The error is invalid_json, or
// carries a violation for everything that is wrong. A null is a wrong type.
func Decode(body []byte, flows []workflow.FlowPolicy) (workflow.Application, error) {
	root, err := strictjson.Parse(body)
	if err != nil {
		return workflow.Application{}, err
	}
	return decode(root, flows)
}

// Merge applies patch to current as a JSON merge patch (RFC 7396): a null sets
// a key back to its default, and takes a flow away. The slug cannot change. The
// result keeps current's Version. Errors are Decode's.
func Merge(current workflow.Application, patch []byte, flows []workflow.FlowPolicy) (workflow.Application, error) {
	change, err := strictjson.Parse(patch)
	if err != nil {
		return workflow.Application{}, err
	}
	for _, m := range change.Members {
		if m.Name == "application" && (m.Value.Kind != strictjson.Text || m.Value.Text != current.Slug) {
			return workflow.Application{}, workflow.Violate("application", workflow.VioNotAllowed)
		}
	}
	encoded, err := Encode(current, flows...)
	if err != nil {
		return workflow.Application{}, err
	}
	base, err := strictjson.Parse(encoded)
	if err != nil {
		return workflow.Application{}, err
	}
	unwritten(base, change)
	app, err := decode(merged(base, change), flows)
	app.Version = current.Version
	return app, err
}

// merged is the function MergePatch of RFC 7396 §2.
func merged(target, patch strictjson.Value) strictjson.Value {
	if patch.Kind != strictjson.Object {
		return patch
	}
	out := strictjson.Value{Kind: strictjson.Object}
	if target.Kind == strictjson.Object {
		out.Members = append(out.Members, target.Members...)
	}
	for _, m := range patch.Members {
		at := -1
		for i := range out.Members {
			if out.Members[i].Name == m.Name {
				at = i
			}
		}
		switch {
		case m.Value.Kind == strictjson.Null && at >= 0:
			out.Members = append(out.Members[:at], out.Members[at+1:]...)
		case m.Value.Kind == strictjson.Null:
		case at >= 0:
			out.Members[at].Value = merged(out.Members[at].Value, m.Value)
		default:
			out.Members = append(out.Members, strictjson.Member{Name: m.Name, Value: merged(strictjson.Value{}, m.Value)})
		}
	}
	return out
}

func decode(root strictjson.Value, flows []workflow.FlowPolicy) (workflow.Application, error) {
	app := workflow.DefaultApplication("")
	r := &reader{bad: workflow.Violations{}}
	r.application(&app, root, flows)
	r.check(&app, flows)
	if !r.named {
		app.Name = app.Slug
	}
	if err := r.bad.Err(); err != nil {
		return workflow.Application{}, err
	}
	return app, nil
}

// Encode writes app as JSON with every key, in the order of contract §10. With
// the flows' policies each flow shows exactly the keys it takes; without them
// the keys of a flow are told from what is set.
func Encode(app workflow.Application, flows ...workflow.FlowPolicy) ([]byte, error) {
	out := object{
		{"application", app.Slug},
		{"name", app.Name},
		{"flows", encodeFlows(app.Flows, flows)},
		{"defaultFlow", app.DefaultFlow},
		{"resendAfter", app.ResendAfter},
		{"confirmation", app.Confirmation},
		{"loginAfterReset", app.LoginAfterReset},
		{"redirectUrls", list(app.RedirectURLs)},
		{"hosts", list(app.Hosts)},
		{"locale", app.Locale},
		{"mail", app.Mail},
		{"appearance", app.Appearance},
		{"policy", encodePolicy(app)},
		{"limits", app.Limits},
		{"sessions", app.Sessions},
		{"directory", app.Directory},
		{"dialects", list(app.Dialects)},
		{"dialect", object{
			{"confirmationWait", app.Dialect.ConfirmationWait},
			{"origins", list(app.Dialect.Origins)},
			{"dreadnode", app.Dialect.Dreadnode},
			{"unleash", app.Dialect.Unleash},
		}},
		{"notifyUnknown", app.NotifyUnknown},
		{"webhooks", list(app.Webhooks)},
	}
	return json.Marshal(out)
}
