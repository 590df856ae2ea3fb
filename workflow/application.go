package workflow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Application is one product whose users reset passwords (contract §10). Its
// JSON form is the admin API's; the YAML form has the same keys in snake_case.
type Application struct {
	Slug            string                    `json:"application"`
	Name            string                    `json:"name"`
	Flows           map[FlowName]FlowSettings `json:"flows"`
	DefaultFlow     FlowName                  `json:"defaultFlow"`
	ResendAfter     Duration                  `json:"resendAfter"`
	Confirmation    Confirmation              `json:"confirmation"`
	LoginAfterReset bool                      `json:"loginAfterReset"`
	RedirectURLs    []string                  `json:"redirectUrls"`
	Hosts           []string                  `json:"hosts"`
	Locale          string                    `json:"locale"`
	Mail            MailSettings              `json:"mail"`
	Appearance      Appearance                `json:"appearance"`
	Policy          PasswordPolicy            `json:"policy"`
	Limits          Limits                    `json:"limits"`
	Sessions        SessionSettings           `json:"sessions"`
	Directory       DirectorySettings         `json:"directory"`
	Dialects        []string                  `json:"dialects"`
	Dialect         DialectSettings           `json:"dialect"`
	NotifyUnknown   bool                      `json:"notifyUnknown"`
	Webhooks        []Webhook                 `json:"webhooks"`

	// PolicyWritten names the policy's keys that stand beside a preset in the
	// document, so that it is exported as it was written. Nil without a preset.
	PolicyWritten []string `json:"policyWritten,omitempty"`

	Version int64 `json:"-"` // counts changes; 0 before the first save
}

// FlowSettings are one flow's settings; which keys count is in its policy.
type FlowSettings struct {
	Enabled     bool     `json:"enabled"`
	Lifetime    Duration `json:"lifetime"`
	LinkURL     string   `json:"linkUrl,omitempty"`
	Digits      int      `json:"digits,omitempty"`
	MaxAttempts int      `json:"maxAttempts,omitempty"`
	IncludeLink bool     `json:"includeLink,omitempty"`
}

// Confirmation is the "your password was changed" mail.
type Confirmation struct {
	Enabled   bool `json:"enabled"`
	AllowSkip bool `json:"allowSkip"`
}

// MailSettings are the application's sender.
type MailSettings struct {
	From    string `json:"from"` // RFC 5322 mailbox; "" means the installation's mail.from
	ReplyTo string `json:"replyTo"`
}

// Appearance is how pages and mails of the application look.
type Appearance struct {
	Color string `json:"color"` // #rrggbb; used only where contrast holds
	Logo  string `json:"logo"`  // data:image/png|svg+xml|webp;base64,… up to 24 KiB; "" shows the name
}

// PasswordPolicy is what a new password must satisfy.
type PasswordPolicy struct {
	Preset         string   `json:"preset"`
	MinLength      int      `json:"minLength"` // code points, at least 8
	MaxLength      int      `json:"maxLength"` // code points; up to 1024 there are at most 1024 bytes besides
	RequireClasses []string `json:"requireClasses"`
	MaxRepeat      int      `json:"maxRepeat,omitempty"`    // the same character in a row at most; 0 for any number
	MinStrength    int      `json:"minStrength"`            // zxcvbn score 0 to 4 of the first 64 characters
	Breached       string   `json:"breached"`               // "off", "offline" or "online" (and offline)
	BreachedFail   string   `json:"breachedFail,omitempty"` // "closed" refuses what online cannot tell; "" is open
	History        int      `json:"history"`                // last passwords refused, the present one included; 0 to [MaxHistory]
}

// Limits are rates "N/s|m|h|d" with a burst of N.
type Limits struct {
	PerAddress      Rate `json:"perAddress"`
	PerIP           Rate `json:"perIp"`
	PerPeer         Rate `json:"perPeer"`
	PerApplication  Rate `json:"perApplication"`
	MailsPerAccount Rate `json:"mailsPerAccount"`
	FailedCodes     Rate `json:"failedCodes"`
	FailedLogins    Rate `json:"failedLogins"`
}

// SessionSettings are lifetimes of the builtin directory's tokens.
type SessionSettings struct {
	Access  Duration `json:"access"`
	Refresh Duration `json:"refresh"` // absolute
	Idle    Duration `json:"idle"`    // since the last refresh
}

// DirectorySettings say where the accounts live.
type DirectorySettings struct {
	Kind string `json:"kind"`
}

// DialectSettings tune other systems' contracts; they count once a dialect is switched on.
type DialectSettings struct {
	ConfirmationWait Duration          `json:"confirmationWait"`
	Origins          []string          `json:"origins"`
	Dreadnode        DreadnodeSettings `json:"dreadnode"`
	Unleash          UnleashSettings   `json:"unleash"`
}

// DreadnodeSettings are choices of the dreadnode dialect.
type DreadnodeSettings struct {
	EmailRequired bool `json:"emailRequired"`
}

// UnleashSettings are choices of the unleash dialect.
type UnleashSettings struct {
	UnknownEmail string `json:"unknownEmail"`
	UsedToken    string `json:"usedToken"`
}

// Webhook is a receiver of events.
type Webhook struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
}

// Duration is a time.Duration written as in Go ("15m").
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes d without empty units: "30m", not "30m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON writes the string form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the string form; anything else is an error.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a text such as \"15m\"")
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"15m\"", s)
	}
	*d = Duration(v)
	return nil
}

// Rate is N events per window, with a burst of N.
type Rate struct {
	N   int
	Per time.Duration
}

// ParseRate reads "N/s", "N/m", "N/h" or "N/d" with N from 1 to 1,000,000,000.
func ParseRate(s string) (Rate, error) {
	n, unit, ok := strings.Cut(s, "/")
	v, err := strconv.Atoi(n)
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	if !ok || err != nil || !known || v < 1 || v > 1_000_000_000 || n != strconv.Itoa(v) {
		return Rate{}, fmt.Errorf("%q is not a rate such as \"5/h\" (s, m, h or d; at least 1)", s)
	}
	return Rate{v, per}, nil
}

// Interval is the time one event costs.
func (r Rate) Interval() time.Duration { return r.Per / time.Duration(max(r.N, 1)) }

// String writes the form ParseRate reads.
func (r Rate) String() string {
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h", 24 * time.Hour: "d"}[r.Per]
	return strconv.Itoa(r.N) + "/" + unit
}

// MarshalJSON writes the string form.
func (r Rate) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// UnmarshalJSON reads the string form.
func (r *Rate) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a rate is a text such as \"5/h\"")
	}
	v, err := ParseRate(s)
	if err != nil {
		return err
	}
	*r = v
	return nil
}

// DefaultApplication returns an application with every default of contract §10.
// Every flow is off; ApplyFlowDefaults fills what a named flow leaves out.
func DefaultApplication(slug string) Application {
	return Application{
		Slug:         slug,
		Flows:        map[FlowName]FlowSettings{},
		DefaultFlow:  "email_link",
		ResendAfter:  Duration(60 * time.Second),
		Confirmation: Confirmation{Enabled: true, AllowSkip: true},
		RedirectURLs: []string{}, Hosts: []string{}, Dialects: []string{}, Webhooks: []Webhook{},
		Locale: "en",
		Policy: PasswordPolicy{MinLength: 8, MaxLength: 128, RequireClasses: []string{}, MinStrength: 2, Breached: "offline"},
		Limits: Limits{
			PerAddress: Rate{5, time.Hour}, PerIP: Rate{100, time.Hour}, PerPeer: Rate{3000, time.Hour},
			PerApplication: Rate{10000, time.Hour}, MailsPerAccount: Rate{10, time.Hour},
			FailedCodes: Rate{20, time.Hour}, FailedLogins: Rate{20, time.Hour},
		},
		Sessions:  SessionSettings{Access: Duration(5 * time.Minute), Refresh: Duration(720 * time.Hour), Idle: Duration(168 * time.Hour)},
		Directory: DirectorySettings{Kind: "builtin"},
		Dialect: DialectSettings{ConfirmationWait: Duration(2 * time.Second), Origins: []string{},
			Unleash: UnleashSettings{UnknownEmail: "neutral", UsedToken: "unauthorized"}},
	}
}

// Flow returns the settings of a flow and whether it is switched on.
func (a *Application) Flow(name FlowName) (FlowSettings, bool) {
	s, ok := a.Flows[name]
	return s, ok && s.Enabled
}
