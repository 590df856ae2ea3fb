package templates

// mailTexts are the sentences of every mail in one language.
type mailTexts struct {
	Greeting     string `yaml:"greeting" vars:"name"` // left out where no name is known
	Asked        string `yaml:"asked" vars:"when,app"`
	AskedUnknown string `yaml:"asked_unknown" vars:"when,app"` // no account has the address
	Device       string `yaml:"device" vars:"browser,system"`
	OriginBoth   string `yaml:"origin_both" vars:"device,place"`
	OriginDevice string `yaml:"origin_device" vars:"device"`
	OriginPlace  string `yaml:"origin_place" vars:"place"`
	AddressBelow string `yaml:"address_below"` // between a button and its plain address
	NeverAsk     string `yaml:"never_ask" vars:"app"`
	Unchanged    string `yaml:"unchanged"`
	Stop         string `yaml:"stop"` // the not-me link of a mail with a code or a link
	Footer       string `yaml:"footer" vars:"app,email"`

	ResetLink       resetLinkTexts     `yaml:"reset_link"`
	ResetCode       resetCodeTexts     `yaml:"reset_code"`
	Restart         restartTexts       `yaml:"restart"`
	PasswordUpdated updatedTexts       `yaml:"password_updated"`
	NoAccount       noAccountTexts     `yaml:"no_account"`
	RequestLocked   requestLockedTexts `yaml:"request_locked"`
}

type resetLinkTexts struct {
	Subject  string `yaml:"subject" vars:"app"`
	Title    string `yaml:"title"`
	Action   string `yaml:"action"` // above the link in the text part
	Button   string `yaml:"button"`
	Lifetime string `yaml:"lifetime" vars:"until,lifetime"`
}

type resetCodeTexts struct {
	Subject  string `yaml:"subject" vars:"app"`
	Title    string `yaml:"title"`
	Action   string `yaml:"action"` // above the digits
	Lifetime string `yaml:"lifetime" vars:"until,lifetime"`
	OrLink   string `yaml:"or_link"`
	Button   string `yaml:"button"`
}

type restartTexts struct {
	Subject string `yaml:"subject" vars:"app"`
	Title   string `yaml:"title"`
	Text    string `yaml:"text"`
	Button  string `yaml:"button"`
}

type updatedTexts struct {
	Subject      string `yaml:"subject" vars:"app"`
	Title        string `yaml:"title"`
	Text         string `yaml:"text" vars:"app,when"`
	OriginBoth   string `yaml:"origin_both" vars:"device,place"`
	OriginDevice string `yaml:"origin_device" vars:"device"`
	OriginPlace  string `yaml:"origin_place" vars:"place"`
	Sessions     Plural `yaml:"sessions" vars:"count"`
	WasMe        string `yaml:"was_me"`
	WasNotMe     string `yaml:"was_not_me"`
	Button       string `yaml:"button"`
}

type noAccountTexts struct {
	Subject   string `yaml:"subject" vars:"app"`
	Title     string `yaml:"title"`
	Text      string `yaml:"text"`
	Button    string `yaml:"button"`
	Unchanged string `yaml:"unchanged"`
}

type requestLockedTexts struct {
	Subject   string `yaml:"subject" vars:"app"`
	Title     string `yaml:"title"`
	Text      string `yaml:"text"`
	Again     string `yaml:"again"`
	Button    string `yaml:"button"`
	Unchanged string `yaml:"unchanged"`
}
