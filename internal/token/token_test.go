package token

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/resetflow/resetflow/internal/secret"
)

const issuer = "https://id.acme.test"

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func ring(t *testing.T, seeds ...byte) *secret.Keyring {
	t.Helper()
	var keys [][]byte
	for _, s := range seeds {
		keys = append(keys, bytes.Repeat([]byte{s}, 32))
	}
	r, err := secret.NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func claims(app string) Claims {
	return Claims{Application: app, UserID: "user", SessionID: "session", TokenID: "id", Generation: 1 << 51, IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute)}
}

func sign(t *testing.T, s *Signer, c Claims) string {
	t.Helper()
	text, err := s.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSignAndVerify(t *testing.T) {
	s := NewSigner(ring(t, 1), issuer)
	text := sign(t, s, claims("acme"))
	got, err := s.Verify(text, now.Add(5*time.Minute-time.Nanosecond))
	if err != nil || got != claims("acme") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Verify(text, now.Add(5*time.Minute)); !errors.Is(err, ErrInvalid) {
		t.Error("a token lives on at its end")
	}
	var header map[string]any
	raw, _ := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
	_ = json.Unmarshal(raw, &header)
	if header["typ"] != "at+jwt" || header["alg"] != "EdDSA" || len(header) != 3 {
		t.Errorf("header %v", header)
	}
}

func TestRotation(t *testing.T) {
	old := sign(t, NewSigner(ring(t, 1), issuer), claims("acme"))
	both := NewSigner(ring(t, 2, 1), issuer)
	if _, err := both.Verify(old, now); err != nil {
		t.Error("a token of an older configured key is dead:", err)
	}
	if _, err := NewSigner(ring(t, 2), issuer).Verify(old, now); !errors.Is(err, ErrInvalid) {
		t.Error("a token outlives its key")
	}
	var set jose.JSONWebKeySet
	raw, err := both.JWKS("acme")
	if err != nil || json.Unmarshal(raw, &set) != nil || len(set.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	// Anybody can verify with the published set alone.
	tok, _ := jwt.ParseSigned(old, []jose.SignatureAlgorithm{jose.EdDSA})
	keys := set.Key(tok.Headers[0].KeyID)
	var c jwt.Claims
	if len(keys) != 1 || !keys[0].IsPublic() || tok.Claims(keys[0], &c) != nil || c.Audience[0] != "acme" {
		t.Errorf("the published set does not verify: %d keys, %+v", len(keys), c)
	}
	if bytes.Contains(raw, []byte(`"d"`)) {
		t.Error("the set holds a private key")
	}
}

// forge signs anything with any key and header.
func forge(t *testing.T, alg jose.SignatureAlgorithm, key any, kid, typ string, body any) string {
	t.Helper()
	o := (&jose.SignerOptions{})
	if typ != "" {
		o = o.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(body).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVerifyRefuses(t *testing.T) {
	keys := ring(t, 1)
	s := NewSigner(keys, issuer)
	id := keys.Current()
	acme, _ := s.private(id, "acme")
	public := acme.Public().(ed25519.PublicKey)
	body := wire{Issuer: issuer, Audience: "acme", Subject: "user", SessionID: "session", IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 60}
	if _, err := s.Verify(forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, body), now); err != nil {
		t.Fatal("the forge itself is wrong:", err)
	}
	change := func(f func(*wire)) wire { w := body; f(&w); return w }
	good := sign(t, s, claims("acme"))
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"` + kid(id, "acme") + `"}`))
	for name, text := range map[string]string{
		"empty": "", "text": "abc", "long": good + strings.Repeat("a", MaxBytes), "none": none + "." + parts[1] + ".",
		"HS256 with the public key": forge(t, jose.HS256, []byte(public), kid(id, "acme"), typ, body),
		"another type":              forge(t, jose.EdDSA, acme, kid(id, "acme"), "JWT", body),
		"no type":                   forge(t, jose.EdDSA, acme, kid(id, "acme"), "", body),
		"no key id":                 forge(t, jose.EdDSA, acme, "", typ, body),
		"unknown key id":            forge(t, jose.EdDSA, acme, kid("00000000", "acme"), typ, body),
		"key of another app":        forge(t, jose.EdDSA, acme, kid(id, "other"), typ, body),
		"audience of another app":   forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, change(func(w *wire) { w.Audience = "other" })),
		"issuer":                    forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, change(func(w *wire) { w.Issuer = "https://evil.test" })),
		"no subject":                forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, change(func(w *wire) { w.Subject = "" })),
		"no session":                forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, change(func(w *wire) { w.SessionID = "" })),
		"no expiry":                 forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, change(func(w *wire) { w.ExpiresAt = 0 })),
		"audience as a list":        forge(t, jose.EdDSA, acme, kid(id, "acme"), typ, map[string]any{"iss": issuer, "aud": []string{"acme", "x"}, "sub": "u", "sid": "s", "exp": now.Unix() + 60}),
		"body of another token":     parts[0] + "." + strings.Split(sign(t, s, claims("other")), ".")[1] + "." + parts[2],
		"signature cut":             good[:len(good)-2],
	} {
		if got, err := s.Verify(text, now); !errors.Is(err, ErrInvalid) || got != (Claims{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
