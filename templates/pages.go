package templates

import (
	"strconv"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// PageTexts holds every string of the hosted pages in one language.
//
// A field that ends in Format holds {placeholders}; the method of the same name
// without the ending fills them. The results are plain text: let html/template
// escape them.
type PageTexts struct {
	Locale string `yaml:"-"` // BCP 47 tag for the lang attribute
	Dir    string `yaml:"-"` // "ltr" or "rtl" for the dir attribute

	Frame    FrameTexts    `yaml:"frame"`
	Forgot   ForgotTexts   `yaml:"forgot"`
	Check    CheckTexts    `yaml:"check"`
	Code     CodeTexts     `yaml:"code"`
	Reset    ResetTexts    `yaml:"reset"`
	Password PasswordTexts `yaml:"password"`
	Done     DoneTexts     `yaml:"done"`
	Applying ApplyingTexts `yaml:"applying"`
	Gone     GoneTexts     `yaml:"gone"`
	NotMe    NotMeTexts    `yaml:"not_me"`
	Cookies  CookieTexts   `yaml:"cookies"`
	Problem  ProblemTexts  `yaml:"problem"`
	Errors   ErrorTexts    `yaml:"errors"`
	Methods  MethodTexts   `yaml:"methods"`

	lang locale
}

// FrameTexts stand on every page.
type FrameTexts struct {
	TitleFormat  string `yaml:"title" vars:"page,app"` // the title element
	SkipLink     string `yaml:"skip_link"`
	ErrorTitle   string `yaml:"error_title"`  // heading of the error summary
	ErrorPrefix  string `yaml:"error_prefix"` // put before the title element of a page with errors
	Back         string `yaml:"back"`
	Language     string `yaml:"language"`
	BackToFormat string `yaml:"back_to" vars:"app"`
}

// Title names the page and the application.
func (t FrameTexts) Title(page, app string) string {
	return fill(t.TitleFormat, "page", page, "app", app)
}

// BackTo is the link to the product.
func (t FrameTexts) BackTo(app string) string { return fill(t.BackToFormat, "app", app) }

// ForgotTexts are the page where a reset begins.
type ForgotTexts struct {
	Title        string `yaml:"title"`
	IntroFormat  string `yaml:"intro" vars:"app"`
	EmailLabel   string `yaml:"email_label"`
	EmailHint    string `yaml:"email_hint"`
	MethodLegend string `yaml:"method_legend"` // above the choice of link, code or code from support
	SendLink     string `yaml:"send_link"`     // button, flow email_link
	SendCode     string `yaml:"send_code"`     // button, flow email_otp
	CodeInstead  string `yaml:"code_instead"`  // second button where a link is the first choice
	LinkInstead  string `yaml:"link_instead"`  // second button where a code is the first choice
	Send         string `yaml:"send"`          // button where the person chooses the flow
	HaveCode     string `yaml:"have_code"`     // link to the code entry form
}

// Intro says what the page is for.
func (t ForgotTexts) Intro(app string) string { return fill(t.IntroFormat, "app", app) }

// CheckTexts are the page after asking. It is the same for every address.
type CheckTexts struct {
	Title           string `yaml:"title"`
	SentFormat      string `yaml:"sent" vars:"email"`
	Wait            string `yaml:"wait"` // "It can take a minute. Look in spam."
	LinkNextFormat  string `yaml:"link_next" vars:"lifetime"`
	CodeNextFormat  string `yaml:"code_next" vars:"digits,lifetime"`
	NothingTitle    string `yaml:"nothing_title"` // summary of what to do when nothing comes
	NothingSpam     string `yaml:"nothing_spam"`
	NothingAddress  string `yaml:"nothing_address"`
	NothingOther    string `yaml:"nothing_other"`
	NothingAgain    string `yaml:"nothing_again"`
	ChangeAddress   string `yaml:"change_address"` // link back to the form
	AgainInFormat   Plural `yaml:"again_in" vars:"count"`
	AgainNow        string `yaml:"again_now"`
	AgainButton     string `yaml:"again_button"`
	SentAgain       string `yaml:"sent_again"` // notice after a re-send
	TooEarlyFormat  Plural `yaml:"too_early" vars:"count"`
	CloseThisWindow string `yaml:"close_this_window"` // link flow: the page may be closed
}

// Sent says that a message is on its way if there is an account.
func (t CheckTexts) Sent(email string) string { return fill(t.SentFormat, "email", email) }

// LinkNext says what to do with a mailed link.
func (p *PageTexts) LinkNext(lifetime time.Duration) string {
	return fill(p.Check.LinkNextFormat, "lifetime", p.Lifetime(lifetime))
}

// CodeNext says what to do with a mailed code of so many digits.
func (p *PageTexts) CodeNext(digits int, lifetime time.Duration) string {
	return fill(p.Check.CodeNextFormat, "digits", strconv.Itoa(digits), "lifetime", p.Lifetime(lifetime))
}

// AgainIn says in how many seconds one may ask again.
func (p *PageTexts) AgainIn(seconds int) string { return p.lang.count(p.Check.AgainInFormat, seconds) }

// TooEarly says that asking again came too early (429 cooldown_active).
func (p *PageTexts) TooEarly(seconds int) string {
	return p.lang.count(p.Check.TooEarlyFormat, seconds)
}

// Lifetime writes a duration in words: "30 minutes".
func (p *PageTexts) Lifetime(d time.Duration) string { return p.lang.duration(d) }

// CodeTexts are the code entry, on the check page and alone.
type CodeTexts struct {
	Title          string `yaml:"title"`
	Label          string `yaml:"label"`
	HintFormat     string `yaml:"hint" vars:"digits"`
	Button         string `yaml:"button"`
	SupportTitle   string `yaml:"support_title"` // code from support (direct_code)
	SupportLabel   string `yaml:"support_label"`
	SupportHint    string `yaml:"support_hint"`
	AttemptsFormat Plural `yaml:"attempts" vars:"count"`
	LastAttempt    string `yaml:"last_attempt"`
	UsedUp         string `yaml:"used_up"` // no attempts left: the digits are dead
	NoCode         string `yaml:"no_code"` // link: "I have no code"
}

// Hint tells what the code looks like.
func (t CodeTexts) Hint(digits int) string { return fill(t.HintFormat, "digits", strconv.Itoa(digits)) }

// AttemptsLeft says how many attempts are left (0: the code is used up).
func (p *PageTexts) AttemptsLeft(n int) string {
	switch {
	case n <= 0:
		return p.Code.UsedUp
	case n == 1:
		return p.Code.LastAttempt
	}
	return p.lang.count(p.Code.AttemptsFormat, n)
}

// ResetTexts are the form for the new password.
type ResetTexts struct {
	Title         string `yaml:"title"`
	AccountFormat string `yaml:"account" vars:"email"`
	EmailLabel    string `yaml:"email_label"` // the read-only username field
	PasswordLabel string `yaml:"password_label"`
	ConfirmLabel  string `yaml:"confirm_label"` // second field, only without scripts
	Show          string `yaml:"show"`
	Hide          string `yaml:"hide"`
	ShowLabel     string `yaml:"show_label"` // for screen readers
	HideLabel     string `yaml:"hide_label"`
	Shown         string `yaml:"shown"` // announced after the switch
	Hidden        string `yaml:"hidden"`
	Consequence   string `yaml:"consequence"` // other devices are signed out
	Button        string `yaml:"button"`
}

// Account says whose password is set.
func (t ResetTexts) Account(email string) string { return fill(t.AccountFormat, "email", email) }

// PasswordTexts are the rules and the words for strength.
type PasswordTexts struct {
	RulesTitle       string `yaml:"rules_title"`
	RuleMinFormat    Plural `yaml:"rule_min" vars:"count"`
	RuleMaxFormat    Plural `yaml:"rule_max" vars:"count"`
	RuleUppercase    string `yaml:"rule_uppercase"`
	RuleLowercase    string `yaml:"rule_lowercase"`
	RuleDigit        string `yaml:"rule_digit"`
	RuleSymbol       string `yaml:"rule_symbol"`
	RuleRepeatFormat Plural `yaml:"rule_repeat" vars:"count"`
	RuleStrength     string `yaml:"rule_strength"`
	RuleCommon       string `yaml:"rule_common"` // not one of the most used or leaked
	RuleIdentifier   string `yaml:"rule_identifier"`
	RuleHistory      string `yaml:"rule_history"`
	RuleMet          string `yaml:"rule_met"` // said by screen readers
	RuleNotMet       string `yaml:"rule_not_met"`
	Advice           string `yaml:"advice"`
	StrengthLabel    string `yaml:"strength_label"`
	Strength0        string `yaml:"strength_0"`
	Strength1        string `yaml:"strength_1"`
	Strength2        string `yaml:"strength_2"`
	Strength3        string `yaml:"strength_3"`
	Strength4        string `yaml:"strength_4"`
}

// StrengthWord is the word for a score of 0 to 4.
func (t PasswordTexts) StrengthWord(score int) string {
	return [...]string{t.Strength0, t.Strength1, t.Strength2, t.Strength3, t.Strength4}[min(max(score, 0), 4)]
}

// Rule is one line of the password rules. Name is the violation it answers to,
// for the script that ticks the line while typing.
type Rule struct {
	Name workflow.ViolationCode
	Text string
}

// Rules lists what a new password must satisfy, in the order to show it.
func (p *PageTexts) Rules(policy workflow.PasswordPolicy) []Rule {
	t := p.Password
	rules := []Rule{{workflow.VioTooShort, p.lang.count(t.RuleMinFormat, policy.MinLength)}}
	for _, class := range policy.RequireClasses {
		switch class {
		case "upper":
			rules = append(rules, Rule{workflow.VioMissingUppercase, t.RuleUppercase})
		case "lower":
			rules = append(rules, Rule{workflow.VioMissingLowercase, t.RuleLowercase})
		case "digit":
			rules = append(rules, Rule{workflow.VioMissingDigit, t.RuleDigit})
		case "symbol", "other", "special":
			rules = append(rules, Rule{workflow.VioMissingSymbol, t.RuleSymbol})
		}
	}
	if policy.MaxRepeat > 0 {
		rules = append(rules, Rule{workflow.VioTooRepetitive, p.lang.count(t.RuleRepeatFormat, policy.MaxRepeat)})
	}
	if policy.MinStrength > 0 {
		rules = append(rules, Rule{workflow.VioTooWeak, t.RuleStrength})
	}
	if policy.Breached != "off" {
		rules = append(rules, Rule{workflow.VioTooCommon, t.RuleCommon})
	}
	rules = append(rules, Rule{workflow.VioContainsIdentifier, t.RuleIdentifier})
	if policy.History > 0 {
		rules = append(rules, Rule{workflow.VioRecentlyUsed, t.RuleHistory})
	}
	if policy.MaxLength > 0 && policy.MaxLength < 64 { // an ordinary bound is no news to anybody
		rules = append(rules, Rule{workflow.VioTooLong, p.lang.count(t.RuleMaxFormat, policy.MaxLength)})
	}
	return rules
}

// DoneTexts are the page after success.
type DoneTexts struct {
	Title          string `yaml:"title"`
	Changed        string `yaml:"changed"`
	SessionsFormat Plural `yaml:"sessions" vars:"count"`
	NoSessions     string `yaml:"no_sessions"`
	Confirmation   string `yaml:"confirmation"` // a mail confirms the change
	SignIn         string `yaml:"sign_in"`
	ContinueFormat string `yaml:"continue" vars:"app"` // button back to the product
}

// Continue is the button that leads back to the product.
func (t DoneTexts) Continue(app string) string { return fill(t.ContinueFormat, "app", app) }

// SessionsEnded says how many sessions were ended.
func (p *PageTexts) SessionsEnded(n int) string {
	if n <= 0 {
		return p.Done.NoSessions
	}
	return p.lang.count(p.Done.SessionsFormat, n)
}

// ApplyingTexts are the page while a foreign directory has not answered yet.
type ApplyingTexts struct {
	Title        string `yaml:"title"`
	Text         string `yaml:"text"`
	Button       string `yaml:"button"`
	FailedTitle  string `yaml:"failed_title"`
	FailedText   string `yaml:"failed_text"`
	FailedButton string `yaml:"failed_button"`
}

// GoneTexts are the page for a link or code that does not work any more.
type GoneTexts struct {
	Title     string `yaml:"title"`
	Text      string `yaml:"text"`
	CodeTitle string `yaml:"code_title"`
	CodeText  string `yaml:"code_text"`
	Button    string `yaml:"button"`
	EnterCode string `yaml:"enter_code"`
	Support   string `yaml:"support"` // where the code came from support: ask support for a new one
}

// NotMeTexts are the "this was not me" page.
type NotMeTexts struct {
	AfterTitle    string `yaml:"after_title"`
	AfterText     string `yaml:"after_text"`
	AfterButton   string `yaml:"after_button"`
	SecuredTitle  string `yaml:"secured_title"`
	SecuredText   string `yaml:"secured_text"`
	SecuredAdvice string `yaml:"secured_advice"`

	Title        string `yaml:"title"`
	Text         string `yaml:"text"`
	Unchanged    string `yaml:"unchanged"`
	Button       string `yaml:"button"`
	DoneTitle    string `yaml:"done_title"`
	DoneText     string `yaml:"done_text"`
	DoneAdvice   string `yaml:"done_advice"`
	ChangedTitle string `yaml:"changed_title"` // reached from the "password was changed" mail
	ChangedText  string `yaml:"changed_text"`
	ChangedReset string `yaml:"changed_reset"` // button: set a new password now
	GoneTitle    string `yaml:"gone_title"`    // the request is over already
	GoneText     string `yaml:"gone_text"`
}

// CookieTexts are shown where the browser took no cookie.
type CookieTexts struct {
	Title  string `yaml:"title"`
	Text   string `yaml:"text"`
	Button string `yaml:"button"`

	CodeLabel string `yaml:"code_label"` // takes a code from support or a whole link
	CodeHint  string `yaml:"code_hint"`
	OpenAgain string `yaml:"open_again"` // for a link that cannot be typed
}

// ProblemTexts are the page for everything else.
type ProblemTexts struct {
	Title         string `yaml:"title"`
	Text          string `yaml:"text"`
	TicketFormat  string `yaml:"ticket" vars:"ticket"`
	Button        string `yaml:"button"`
	NotFoundTitle string `yaml:"not_found_title"`
	NotFoundText  string `yaml:"not_found_text"`
	BusyTitle     string `yaml:"busy_title"`
	BusyText      string `yaml:"busy_text"`
	LimitedTitle  string `yaml:"limited_title"`
	LimitedFormat string `yaml:"limited" vars:"wait"`
	StaleTitle    string `yaml:"stale_title"` // the form token does not fit any more
	StaleText     string `yaml:"stale_text"`
	OffTitle      string `yaml:"off_title"` // the flow is not switched on
	OffText       string `yaml:"off_text"`
}

// Ticket names the number to tell support.
func (t ProblemTexts) Ticket(ticket string) string { return fill(t.TicketFormat, "ticket", ticket) }

// Limited says how long to wait after too many tries.
func (p *PageTexts) Limited(wait time.Duration) string {
	return fill(p.Problem.LimitedFormat, "wait", p.Lifetime(wait))
}

// MethodTexts name the ways to prove control of an account.
type MethodTexts struct {
	EmailLink      string `yaml:"email_link"`
	EmailLinkHint  string `yaml:"email_link_hint"`
	EmailOTP       string `yaml:"email_otp"`
	EmailOTPHint   string `yaml:"email_otp_hint"`
	DirectCode     string `yaml:"direct_code"`
	DirectCodeHint string `yaml:"direct_code_hint"`
}

// Method returns the name and the hint of a flow; an unknown flow is shown by
// its own name.
func (t MethodTexts) Method(flow workflow.FlowName) (name, hint string) {
	switch flow {
	case "email_link":
		return t.EmailLink, t.EmailLinkHint
	case "email_otp":
		return t.EmailOTP, t.EmailOTPHint
	case "direct_code":
		return t.DirectCode, t.DirectCodeHint
	}
	return string(flow), ""
}

// Name returns the name of a flow, for templates.
func (t MethodTexts) Name(flow workflow.FlowName) string { n, _ := t.Method(flow); return n }

// HintOf returns the hint of a flow, for templates.
func (t MethodTexts) HintOf(flow workflow.FlowName) string { _, h := t.Method(flow); return h }
