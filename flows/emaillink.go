package flows

import (
	"errors"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

var errKeyGone = errors.New("flows: the key this request was made with is not configured any more")

// emailLink sends a link; the emailAuthCode in it is the proof.
type emailLink struct{}

func (emailLink) Policy() workflow.FlowPolicy {
	return workflow.FlowPolicy{
		Name: EmailLink, Origin: workflow.OriginUser, Proof: workflow.ProofEmailAuthCode, Mail: workflow.KindResetLink,
		DefaultEnabled: true, DefaultLifetime: 30 * time.Minute, MaxLifetime: 24 * time.Hour,
		Settings: []string{"linkUrl"},
	}
}

func (emailLink) Challenge(k workflow.Keys, r workflow.Request, _ workflow.FlowSettings, _ bool) (workflow.Challenge, error) {
	code, ok := linkCode(k, r)
	if !ok {
		return workflow.Challenge{}, errKeyGone
	}
	return workflow.Challenge{Link: code}, nil
}

func (emailLink) Locate(_ workflow.Keys, p workflow.Proof) (workflow.Locator, bool) {
	id, ok := nameIn(p.EmailAuthCode, macSize)
	return workflow.Locator{ID: id}, ok
}

func (emailLink) Verify(k workflow.Keys, r workflow.Request, _ workflow.FlowSettings, p workflow.Proof) bool {
	return verifyLink(k, r, p)
}

func (emailLink) Handle(workflow.Keys, workflow.Request) string { return "" }

// macSize is the MAC's length in an emailAuthCode: 256 bits (design §4).
const macSize = 32

// linkCode is the emailAuthCode of r's newest send, for every flow that mails a link.
func linkCode(k workflow.Keys, r workflow.Request) (string, bool) {
	mac, ok := bound(k, r, "email-auth-code", r.Sends)
	return named(r.ID, mac), ok
}

func verifyLink(k workflow.Keys, r workflow.Request, p workflow.Proof) bool {
	want, ok := linkCode(k, r)
	return same(want, p.EmailAuthCode) && ok && p.EmailAuthCode != "" && r.LinkSent
}
