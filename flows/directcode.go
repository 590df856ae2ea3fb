package flows

import (
	"crypto/subtle"
	"time"

	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/workflow"
)

// directCode makes a code that an operator reads out or hands over. It is
// random (100 bits) and kept as a keyed hash: the telephone takes no 256 bits,
// and the engine limits wrong ones by client (design §4).
type directCode struct{}

func (directCode) Policy() workflow.FlowPolicy {
	return workflow.FlowPolicy{
		Name: DirectCode, Origin: workflow.OriginOperator, Proof: workflow.ProofPasswordResetCode,
		DefaultLifetime: 24 * time.Hour, MaxLifetime: 24 * time.Hour,
	}
}

func (directCode) Challenge(k workflow.Keys, r workflow.Request, _ workflow.FlowSettings, _ bool) (workflow.Challenge, error) {
	code, err := secret.NewOperatorCode()
	if err != nil {
		return workflow.Challenge{}, err
	}
	plain, _ := secret.NormalOperatorCode(code)
	hash, ok := operatorHash(k, r.KeyID, plain)
	if !ok {
		return workflow.Challenge{}, errKeyGone
	}
	return workflow.Challenge{Code: code, Link: code, CodeHash: hash}, nil
}

func (directCode) Locate(k workflow.Keys, p workflow.Proof) (workflow.Locator, bool) {
	plain, ok := secret.NormalOperatorCode(p.PasswordResetCode)
	if !ok {
		return workflow.Locator{}, false
	}
	var at workflow.Locator
	for _, id := range k.IDs() {
		if h, ok := operatorHash(k, id, plain); ok {
			at.Hashes = append(at.Hashes, h)
		}
	}
	return at, len(at.Hashes) > 0
}

func (directCode) Verify(k workflow.Keys, r workflow.Request, _ workflow.FlowSettings, p workflow.Proof) bool {
	plain, typed := secret.NormalOperatorCode(p.PasswordResetCode)
	want, ok := operatorHash(k, r.KeyID, plain)
	return subtle.ConstantTimeCompare(want, r.CodeHash) == 1 && ok && typed && len(r.CodeHash) > 0
}

func (directCode) Handle(workflow.Keys, workflow.Request) string { return "" }

func operatorHash(k workflow.Keys, keyID, plain string) ([]byte, bool) {
	return k.Derive(keyID, "operator-code", []byte(plain))
}
