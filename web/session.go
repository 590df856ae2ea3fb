package web

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/resetflow/resetflow/workflow"
)

// state is what the sealed cookie rf_{slug} holds: the little a reset needs
// between two pages, so that no code stands in an address or in a page.
type state struct {
	Nonce   string `json:"n,omitempty"` // what the form token is bound to
	Locale  string `json:"l,omitempty"` // chosen by the language switch
	Typed   string `json:"e,omitempty"` // the address as typed
	Flow    string `json:"f,omitempty"` // the flow that was asked for
	Return  string `json:"b,omitempty"` // where to go afterwards, from the application's list
	Expires int64  `json:"x,omitempty"` // end of the lifetime, seconds since the epoch
	Again   int64  `json:"a,omitempty"` // when one may ask again, milliseconds since the epoch
	Resent  bool   `json:"s,omitempty"` // say once that a new message was sent

	Request string `json:"r,omitempty"` // requestCode
	Digits  string `json:"v,omitempty"` // verificationCode, once it was right
	Link    string `json:"k,omitempty"` // emailAuthCode
	Support string `json:"o,omitempty"` // passwordResetCode
	NotMe   string `json:"m,omitempty"` // code of the "this was not me" link
	Changed bool   `json:"h,omitempty"` // the link came from the mail after a change
	Dead    bool   `json:"d,omitempty"` // the link was judged dead already
	Account string `json:"u,omitempty"` // the account's address, once a code was right
}

// idle is how long a cookie without a code is kept.
const idle = 30 * time.Minute

// proof is the way the cookie proves; ok is false where it holds none.
func (s state) proof() (p workflow.Proof, ok bool) {
	switch {
	case s.Link != "":
		return workflow.Proof{EmailAuthCode: s.Link}, true
	case s.Support != "":
		return workflow.Proof{PasswordResetCode: s.Support}, true
	case s.Request != "" && s.Digits != "":
		return workflow.Proof{RequestCode: s.Request, VerificationCode: s.Digits}, true
	}
	return workflow.Proof{}, false
}

// drop forgets every code but keeps what was typed.
func (s *state) drop() {
	s.Request, s.Digits, s.Link, s.Support, s.Account = "", "", "", "", ""
	s.Dead, s.Expires = false, 0
}

func (v *visit) cookieName() string { return "rf_" + v.app.Slug }

func (v *visit) cookiePath() string {
	if v.base == "" {
		return "/"
	}
	return v.base
}

func (v *visit) sealContext() string { return "web-cookie:" + v.app.Slug }

// load opens the cookie. One that is missing, foreign or changed counts as none.
func (v *visit) load() {
	c, err := v.Cookie(v.cookieName())
	if err == nil && len(c.Value) <= 4096 {
		if raw, err := base64.RawURLEncoding.DecodeString(c.Value); err == nil {
			if plain, err := v.s.Keys.Open(v.sealContext(), raw); err == nil {
				var s state
				if json.Unmarshal(plain, &s) == nil && s.Nonce != "" {
					v.state, v.kept = s, true
				}
			}
		}
	}
	if v.state.Expires > 0 && v.now().Unix() >= v.state.Expires {
		v.state.drop()
	}
	if v.state.Nonce == "" {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
		v.state.Nonce = base64.RawURLEncoding.EncodeToString(b[:])
	}
}

// save seals the state into the cookie, for the rest of the code's lifetime.
func (v *visit) save() error {
	plain, err := json.Marshal(v.state)
	if err != nil {
		return err
	}
	sealed, err := v.s.Keys.Seal(v.sealContext(), plain)
	if err != nil {
		return err
	}
	rest := idle
	if v.state.Expires > 0 {
		rest = time.Unix(v.state.Expires, 0).Sub(v.now())
	}
	v.setCookie(base64.RawURLEncoding.EncodeToString(sealed), max(int(rest/time.Second), 1))
	return nil
}

// forget removes the cookie.
func (v *visit) forget() { v.setCookie("", -1) }

func (v *visit) setCookie(value string, age int) {
	v.SetCookie(&http.Cookie{
		Name: v.cookieName(), Value: value, Path: v.cookiePath(), MaxAge: age,
		Secure: v.s.secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, // Strict would lose it on the way from webmail
	})
}

func (v *visit) now() time.Time { return v.s.Clock.Now() }

// formToken is the token of this visit's forms.
func (v *visit) formToken() string {
	sum, _ := v.s.Keys.Derive(v.s.Keys.Current(), "web-form", []byte(v.app.Slug), []byte(v.state.Nonce))
	return base64.RawURLEncoding.EncodeToString(sum[:min(16, len(sum))])
}

// formTokenFits compares in constant time, under every key that still counts.
func (v *visit) formTokenFits(token string) bool {
	got, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(got) != 16 || !v.kept {
		return false
	}
	for _, id := range v.s.Keys.IDs() {
		sum, ok := v.s.Keys.Derive(id, "web-form", []byte(v.app.Slug), []byte(v.state.Nonce))
		if ok && len(sum) >= 16 && hmac.Equal(sum[:16], got) {
			return true
		}
	}
	return false
}
