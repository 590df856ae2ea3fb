package settings

import (
	"slices"
	"strconv"
	"time"

	"github.com/resetflow/resetflow/internal/strictjson"
	"github.com/resetflow/resetflow/workflow"
)

// Bounds of contract §10, and of good sense where it names none.
const (
	shortest    = time.Second
	maxResend   = time.Hour
	maxAccess   = 24 * time.Hour // a stolen access token elsewhere lives as long
	maxSession  = 10 * 365 * 24 * time.Hour
	maxWait     = 30 * time.Second
	maxAttempts = 10
	minDigits   = 6
	maxDigits   = 8

	// maxSixDigits is how long six digits may live: 20 bits are guessable by time.
	maxSixDigits = 10 * time.Minute
)

func (r *reader) application(app *workflow.Application, v strictjson.Value, flows []workflow.FlowPolicy) {
	dialect, limits := &app.Dialect, &app.Limits
	name := r.text("name", &app.Name)
	r.object("", v,
		r.text("application", &app.Slug),
		member{"name", func(path string, v strictjson.Value) { r.named = true; name.read(path, v) }},
		member{"flows", func(path string, v strictjson.Value) { r.flows(app, path, v, flows) }},
		r.text("defaultFlow", (*string)(&app.DefaultFlow)),
		r.duration("resendAfter", &app.ResendAfter, shortest, maxResend),
		r.nested("confirmation",
			r.boolean("enabled", &app.Confirmation.Enabled),
			r.boolean("allowSkip", &app.Confirmation.AllowSkip)),
		r.boolean("loginAfterReset", &app.LoginAfterReset),
		r.texts("redirectUrls", &app.RedirectURLs),
		r.texts("hosts", &app.Hosts),
		r.text("locale", &app.Locale),
		r.nested("mail",
			r.text("from", &app.Mail.From),
			r.text("replyTo", &app.Mail.ReplyTo)),
		r.nested("appearance",
			r.text("color", &app.Appearance.Color),
			r.text("logo", &app.Appearance.Logo)),
		member{"policy", func(path string, v strictjson.Value) { r.policy(app, path, v) }},
		r.nested("limits",
			r.rate("perAddress", &limits.PerAddress),
			r.rate("perIp", &limits.PerIP),
			r.rate("perPeer", &limits.PerPeer),
			r.rate("perApplication", &limits.PerApplication),
			r.rate("mailsPerAccount", &limits.MailsPerAccount),
			r.rate("failedCodes", &limits.FailedCodes),
			r.rate("failedLogins", &limits.FailedLogins)),
		r.nested("sessions",
			r.duration("access", &app.Sessions.Access, shortest, maxAccess),
			r.duration("refresh", &app.Sessions.Refresh, shortest, maxSession),
			r.duration("idle", &app.Sessions.Idle, shortest, maxSession)),
		r.nested("directory", r.text("kind", &app.Directory.Kind)),
		r.texts("dialects", &app.Dialects),
		r.nested("dialect",
			r.duration("confirmationWait", &dialect.ConfirmationWait, 0, maxWait),
			r.texts("origins", &dialect.Origins),
			r.nested("dreadnode", r.boolean("emailRequired", &dialect.Dreadnode.EmailRequired)),
			r.nested("unleash",
				r.text("unknownEmail", &dialect.Unleash.UnknownEmail),
				r.text("usedToken", &dialect.Unleash.UsedToken))),
		r.boolean("notifyUnknown", &app.NotifyUnknown),
		member{"webhooks", r.webhooks},
	)
}

// webhooks come with a later version; an empty list says the same as none.
func (r *reader) webhooks(path string, v strictjson.Value) {
	if r.kind(path, v, strictjson.Array, "array of objects") && len(v.Items) > 0 {
		r.refuse(path, workflow.VioNotAvailable)
	}
}

func (r *reader) flows(app *workflow.Application, path string, v strictjson.Value, flows []workflow.FlowPolicy) {
	members := make([]member, 0, len(flows))
	for _, p := range flows {
		members = append(members, member{string(p.Name), func(path string, v strictjson.Value) { r.flow(app, path, v, p) }})
	}
	r.object(path, v, members...)
}

func (r *reader) flow(app *workflow.Application, path string, v strictjson.Value, p workflow.FlowPolicy) {
	s := flowDefaults(p)
	members := []member{
		r.boolean("enabled", &s.Enabled),
		r.duration("lifetime", &s.Lifetime, shortest, p.MaxLifetime),
	}
	for _, key := range flowKeys(p) {
		switch key {
		case keyLinkURL:
			members = append(members, r.text(key, &s.LinkURL))
		case keyDigits:
			members = append(members, r.integer(key, &s.Digits, minDigits, maxDigits))
		case keyMaxAttempts:
			members = append(members, r.integer(key, &s.MaxAttempts, 1, maxAttempts))
		case keyIncludeLink:
			members = append(members, r.boolean(key, &s.IncludeLink))
		}
	}
	r.object(path, v, members...)
	if s.Digits == minDigits && s.Lifetime.D() > maxSixDigits {
		r.refuse(below(path, "lifetime"), workflow.VioTooLarge, "max", workflow.Duration(maxSixDigits).String(), "digits", strconv.Itoa(minDigits))
	}
	if s.LinkURL != "" && !linkURL(s.LinkURL) {
		r.refuse(below(path, "linkUrl"), workflow.VioInvalidValue, "form", "https://host/path?code={code}, with {code} once")
	}
	app.Flows[p.Name] = s
}

// check judges what needs more than one key, or the final value.
func (r *reader) check(app *workflow.Application, flows []workflow.FlowPolicy) {
	switch {
	case app.Slug == "":
		r.refuse("application", workflow.VioRequired)
	case !slug(app.Slug):
		r.refuse("application", workflow.VioInvalidValue, "form", "a-z, 0-9 and inner hyphens, at most 40 characters")
	}
	r.checkName(app)
	if !slices.ContainsFunc(flows, func(p workflow.FlowPolicy) bool {
		return p.Name == app.DefaultFlow && p.Origin == workflow.OriginUser
	}) {
		r.refuse("defaultFlow", workflow.VioInvalidValue, "allowed", userFlows(flows))
	}
	r.each("redirectUrls", app.RedirectURLs, redirectURL, "https://host/path without user, fragment and blanks")
	r.each("hosts", app.Hosts, host, "a lower-case DNS name without scheme, port and path")
	if !Locale(app.Locale) {
		r.refuse("locale", workflow.VioInvalidLocale)
	}
	if app.Mail.From != "" && !Mailbox(app.Mail.From) {
		r.refuse("mail.from", workflow.VioInvalidEmail, "form", "Name <mailbox@example.com>")
	}
	if app.Mail.ReplyTo != "" && !Mailbox(app.Mail.ReplyTo) {
		r.refuse("mail.replyTo", workflow.VioInvalidEmail, "form", "Name <mailbox@example.com>")
	}
	if c := app.Appearance.Color; c != "" && !color(c) {
		r.refuse("appearance.color", workflow.VioInvalidValue, "form", "#rrggbb")
	}
	r.checkLogo(app.Appearance.Logo)
	r.checkPolicy(app)
	r.checkLater(app)
}

func userFlows(flows []workflow.FlowPolicy) string {
	names := ""
	for _, p := range flows {
		if p.Origin == workflow.OriginUser {
			if names != "" {
				names += ","
			}
			names += string(p.Name)
		}
	}
	return names
}

// each judges the items of a list, which must differ.
func (r *reader) each(path string, items []string, ok func(string) bool, form string) {
	for i, item := range items {
		at := below(path, strconv.Itoa(i))
		switch {
		case !ok(item):
			r.refuse(at, workflow.VioInvalidValue, "form", form)
		case slices.Contains(items[:i], item):
			r.refuse(at, workflow.VioNotUnique)
		}
	}
}
