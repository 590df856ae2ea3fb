package templates

import (
	"fmt"
	"net/url"
	"strings"
)

// The query parameters that carry a proof. A mail holds one link with one of
// them; every other link must not, or a reader (and a program that looks for
// the reset link) could take it for that.
var proofParameters = []string{"email_auth_code", "password_reset_code"}

// checkLinks refuses links that no mail may hold.
func (w *writer) checkLinks() error {
	for _, l := range []struct {
		name, url string
		proof     bool
	}{{"link", w.m.Link, true}, {"not-me link", w.m.NotMeLink, false}, {"link to start again", w.m.ForgotLink, false}} {
		if l.url == "" {
			continue
		}
		u, err := url.Parse(l.url)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || !visibleASCII(l.url) {
			return fmt.Errorf("the %s is not an http or https address", l.name) // never the link itself: it is a secret
		}
		for _, p := range proofParameters {
			if !l.proof && strings.Contains(l.url, p) {
				return fmt.Errorf("the %s carries %s; only the reset link may", l.name, p)
			}
		}
	}
	return nil
}

// visibleASCII reports whether s can stand in a plain text as one address.
func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte("<>\"\\", s[i]) >= 0 {
			return false
		}
	}
	return true
}

// digitsOnly reports whether code is what a person can be asked to type.
func digitsOnly(code string) bool {
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return false
		}
	}
	return len(code) >= 6 && len(code) <= 8
}
