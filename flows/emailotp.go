package flows

import (
	"encoding/base32"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/resetflow/resetflow/workflow"
)

// emailOTP sends digits; requestCode and verificationCode together are the
// proof. The digits are an HOTP (RFC 4226) over a secret of the request alone,
// the counter being the number of sends, so that only the newest is valid.
type emailOTP struct{}

func (emailOTP) Policy() workflow.FlowPolicy {
	return workflow.FlowPolicy{
		Name: EmailOTP, Origin: workflow.OriginUser, Proof: workflow.ProofVerificationCode, Mail: workflow.KindResetCode,
		DefaultEnabled: true, DefaultLifetime: 10 * time.Minute, MaxLifetime: 24 * time.Hour,
		Settings:      []string{"digits", "maxAttempts", "includeLink"},
		DefaultDigits: 6, DefaultAttempts: 5, Handle: true,
	}
}

func (emailOTP) Challenge(k workflow.Keys, r workflow.Request, set workflow.FlowSettings, withLink bool) (workflow.Challenge, error) {
	code, err := digits(k, r, set)
	if err != nil {
		return workflow.Challenge{}, err
	}
	c := workflow.Challenge{Code: code}
	if withLink {
		link, ok := linkCode(k, r)
		if !ok {
			return workflow.Challenge{}, errKeyGone
		}
		c.Link = link
	}
	return c, nil
}

func (emailOTP) Locate(_ workflow.Keys, p workflow.Proof) (workflow.Locator, bool) {
	id, ok := nameIn(p.RequestCode, handleSize)
	return workflow.Locator{ID: id}, ok
}

// Verify also takes the link of the same mail: either proof redeems the request.
func (f emailOTP) Verify(k workflow.Keys, r workflow.Request, set workflow.FlowSettings, p workflow.Proof) bool {
	if p.Kind() == workflow.ProofEmailAuthCode {
		return verifyLink(k, r, p)
	}
	want, err := digits(k, r, set)
	right := same(want, p.VerificationCode)
	named := same(f.Handle(k, r), p.RequestCode)
	return right && named && err == nil && want != ""
}

// handleSize is the MAC's length in a requestCode: 128 bits (ASVS 7.2.3).
const handleSize = 16

// Handle is the requestCode. It names the request and proves that it was
// answered to the caller; it is bound to no account, so that a decoy has one too.
func (emailOTP) Handle(k workflow.Keys, r workflow.Request) string {
	mac, ok := k.Derive(r.KeyID, "request-code", []byte(r.Application), r.ID[:], []byte(r.Flow))
	if !ok {
		return ""
	}
	return named(r.ID, mac[:handleSize])
}

func digits(k workflow.Keys, r workflow.Request, set workflow.FlowSettings) (string, error) {
	secret, ok := bound(k, r, "verification-code", 0)
	if !ok {
		return "", errKeyGone
	}
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	return hotp.GenerateCodeCustom(text, uint64(r.Sends), hotp.ValidateOpts{Digits: otp.Digits(set.Digits), Algorithm: otp.AlgorithmSHA256})
}
