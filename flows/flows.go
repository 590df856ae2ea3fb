// Package flows holds the ways to prove control of an account, one file each.
//
// A flow is a policy as data and pure functions: it does no I/O, sets no state,
// and judges a code alone. Everything shared (limits, attempts, time, account,
// single use) is the engine's. A new flow is one file and one line in Builtin.
package flows

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"

	"github.com/resetflow/resetflow/workflow"
)

// The names of the builtin flows (contract §1).
const (
	EmailLink  workflow.FlowName = "email_link"
	EmailOTP   workflow.FlowName = "email_otp"
	DirectCode workflow.FlowName = "direct_code"
)

// Builtin lists the flows of the product.
func Builtin() []workflow.Flow {
	return []workflow.Flow{
		emailLink{},
		emailOTP{},
		directCode{},
	}
}

// Policies lists the policies of the builtin flows, for the settings check.
func Policies() []workflow.FlowPolicy {
	var out []workflow.FlowPolicy
	for _, f := range Builtin() {
		out = append(out, f.Policy())
	}
	return out
}

// bound derives a secret that is good for one purpose of one request only: its
// application, id, flow, account and the account's generation. A changed
// password, another account or another flow gives another secret (INV-2, INV-3).
func bound(k workflow.Keys, r workflow.Request, purpose string, send int) ([]byte, bool) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(send))
	return k.Derive(r.KeyID, purpose, []byte(r.Application), r.ID[:], []byte(r.Flow), []byte(r.AccountID), r.Generation, n[:])
}

// named makes a code of a request's id and a MAC: base64url without padding
// (RFC 4648 §5), case-sensitive, nothing trimmed.
func named(id workflow.ID, mac []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), id[:]...), mac...))
}

// nameIn reads the id out of such a code with a MAC of macLen bytes.
func nameIn(code string, macLen int) (workflow.ID, bool) {
	var id workflow.ID
	if len(code) != base64.RawURLEncoding.EncodedLen(len(id)+macLen) {
		return id, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil {
		return id, false
	}
	copy(id[:], raw)
	return id, true
}

// same compares in constant time, also for different lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
