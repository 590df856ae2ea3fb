// Package token makes and reads the access tokens of the builtin directory:
// JWTs of type at+jwt (RFC 9068), signed with Ed25519 (RFC 8037).
//
// The rules:
//
//   - A seed derives from `secret_keys` and the application, so that every node
//     signs alike and no application's token passes for another's.
//   - The key id names the one key that is tried. Algorithm and type are fixed
//     here and never read from the token.
//   - A right token only says who it was made for. Whether its session still
//     lives is asked of the database by whoever reads it.
package token

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/resetflow/resetflow/workflow"
)

// MaxBytes bounds what is parsed at all.
const MaxBytes = 4096

const (
	typ     = "at+jwt" // RFC 9068 §2.1
	purpose = "access-token"
)

// ErrInvalid is the one answer for every token that is not good, so that
// nobody learns how close he came.
var ErrInvalid = errors.New("token: not a valid access token")

// Claims are what a token says. Times are in whole seconds.
type Claims struct {
	Application string // aud: the slug
	UserID      string // sub
	SessionID   string // sid
	TokenID     string // jti
	Generation  int64  // gen: the account's when the session was opened
	IssuedAt    time.Time
	ExpiresAt   time.Time
}

// wire is the JSON of the claims.
type wire struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	Subject    string `json:"sub"`
	SessionID  string `json:"sid"`
	TokenID    string `json:"jti"`
	IssuedAt   int64  `json:"iat"`
	ExpiresAt  int64  `json:"exp"`
	Generation int64  `json:"gen"`
}

// Signer makes and reads tokens. It is safe for concurrent use.
type Signer struct {
	keys   workflow.Keys
	issuer string
}

// NewSigner makes a signer; issuer is the installation's public URL.
func NewSigner(keys workflow.Keys, issuer string) *Signer { return &Signer{keys: keys, issuer: issuer} }

// Sign makes a token with the current key.
func (s *Signer) Sign(c Claims) (string, error) {
	id := s.keys.Current()
	key, ok := s.private(id, c.Application)
	if !ok {
		return "", fmt.Errorf("token: the current key does not derive")
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: kid(id, c.Application)}},
		(&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return jwt.Signed(signer).Claims(wire{
		Issuer: s.issuer, Audience: c.Application, Subject: c.UserID, SessionID: c.SessionID, TokenID: c.TokenID,
		IssuedAt: c.IssuedAt.Unix(), ExpiresAt: c.ExpiresAt.Unix(), Generation: c.Generation,
	}).Serialize()
}

// Verify reads a token at now; it expires on the second, without leeway. Every
// failure is [ErrInvalid].
func (s *Signer) Verify(text string, now time.Time) (Claims, error) {
	if len(text) > MaxBytes {
		return Claims{}, ErrInvalid
	}
	t, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(t.Headers) != 1 {
		return Claims{}, ErrInvalid
	}
	header := t.Headers[0]
	// Types compare without case and the prefix may be left out (RFC 7515
	// §4.1.9); ours are written in one way, and only that is read.
	if name, _ := header.ExtraHeaders[jose.HeaderType].(string); name != typ {
		return Claims{}, ErrInvalid
	}
	id, application, found := strings.Cut(header.KeyID, ".")
	if !found {
		return Claims{}, ErrInvalid
	}
	key, ok := s.private(id, application)
	if !ok {
		return Claims{}, ErrInvalid
	}
	var w wire
	if err := t.Claims(key.Public(), &w); err != nil {
		return Claims{}, ErrInvalid
	}
	expires := time.Unix(w.ExpiresAt, 0).UTC()
	if w.Issuer != s.issuer || w.Audience != application || w.Subject == "" || w.SessionID == "" || !now.Before(expires) {
		return Claims{}, ErrInvalid
	}
	return Claims{
		Application: w.Audience, UserID: w.Subject, SessionID: w.SessionID, TokenID: w.TokenID, Generation: w.Generation,
		IssuedAt: time.Unix(w.IssuedAt, 0).UTC(), ExpiresAt: expires,
	}, nil
}

// JWKS returns the public keys of an application as a JWK Set (RFC 7517), one
// for each configured key, newest first.
func (s *Signer) JWKS(application string) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, id := range s.keys.IDs() {
		key, ok := s.private(id, application)
		if !ok {
			return nil, fmt.Errorf("token: a configured key does not derive")
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid(id, application), Algorithm: string(jose.EdDSA), Use: "sig"})
	}
	return json.Marshal(set)
}

// kid names a key of an application; key ids hold no dot.
func kid(id, application string) string { return id + "." + application }

func (s *Signer) private(id, application string) (ed25519.PrivateKey, bool) {
	seed, ok := s.keys.Derive(id, purpose, []byte(application))
	if !ok {
		return nil, false
	}
	return ed25519.NewKeyFromSeed(seed), true
}
