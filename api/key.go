package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/resetflow/resetflow/workflow"
)

// keyBytes is the random part of a key: 256 bits, so that a plain SHA-256 is
// enough at rest (ASVS 5.0, 6.5.2).
const keyBytes = 32

var prefixes = map[workflow.KeyType]string{workflow.KeySecret: "rfsk", workflow.KeyPublishable: "rfpk"}

var keyEncoding = base64.RawURLEncoding.Strict()

// NewKey makes an API key and its row. The key is returned once and stands
// nowhere else; application "" is for the whole installation. The choice of
// permissions and origins is judged: an error is a [workflow.Error] with violations.
func NewKey(application, name string, kind workflow.KeyType, permissions, origins []string, now time.Time) (key string, row workflow.APIKey, err error) {
	if err := checkKey(application, name, kind, permissions, origins).Err(); err != nil {
		return "", workflow.APIKey{}, err
	}
	b := make([]byte, keyBytes)
	_, _ = rand.Read(b) // never fails since Go 1.24
	key = prefixes[kind] + "_" + keyEncoding.EncodeToString(b)
	sum := digest(key)
	return key, workflow.APIKey{
		ID: workflow.NewID(now).String(), Application: application, Name: name, Type: kind,
		Permissions: permissions, AllowedOrigins: origins, Prefix: prefixes[kind],
		LastFour: key[len(key)-4:], Hash: sum[:], CreatedAt: now,
	}, nil
}

func checkKey(application, name string, kind workflow.KeyType, permissions, origins []string) workflow.Violations {
	v := workflow.Violations{}
	checkText(v, "name", name, 1, 100)
	if prefixes[kind] == "" {
		v.Add("type", workflow.VioInvalidValue, "values", "secret, publishable")
	}
	if len(permissions) == 0 {
		v.Add("permissions", workflow.VioRequired)
	}
	for i, p := range permissions {
		field := "permissions." + strconv.Itoa(i)
		switch {
		case !Permission(p).known():
			v.Add(field, workflow.VioInvalidValue)
		case kind == workflow.KeyPublishable && !Permission(p).publishable(),
			application == "" && Permission(p) == PermWorkflow:
			v.Add(field, workflow.VioNotAllowed)
		}
	}
	if len(origins) > 0 && kind == workflow.KeySecret {
		v.Add("allowedOrigins", workflow.VioNotAllowed)
	}
	if len(origins) > 100 || len(permissions) > len(Permissions()) {
		v.Add("allowedOrigins", workflow.VioTooLong, "maxItems", "100")
	}
	for i, o := range origins {
		if !isOrigin(o) {
			v.Add("allowedOrigins."+strconv.Itoa(i), workflow.VioInvalidValue)
		}
	}
	return v
}

// isOrigin accepts an origin as browsers write it (RFC 6454 §6.2): lower-case
// scheme and host, port only where it is not the scheme's own, nothing after.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > 255 || strings.ToLower(s) != s || u.Host == "" || u.Hostname() == "" ||
		(u.Scheme != "https" && u.Scheme != "http") || s != u.Scheme+"://"+u.Host || strings.Contains(u.Host, "*") {
		return false
	}
	port := u.Port()
	if strings.HasSuffix(u.Host, ":") || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return false
	}
	if port != "" {
		n, err := strconv.Atoi(port)
		return err == nil && n >= 1 && n <= 65535 && strconv.Itoa(n) == port
	}
	return true
}

// parseKey tells the type of what is shaped like an API key.
func parseKey(s string) (workflow.KeyType, bool) {
	for kind, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(s, prefix+"_"); ok {
			b, err := keyEncoding.DecodeString(rest)
			return kind, err == nil && len(b) == keyBytes && len(rest) == keyEncoding.EncodedLen(keyBytes)
		}
	}
	return "", false
}

func digest(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// isAdmin compares digests, so that neither length nor prefix shows in time.
func (s *server) isAdmin(token string) bool {
	sum := digest(token)
	return subtle.ConstantTimeCompare(sum[:], s.admin[:]) == 1 && s.AdminToken != ""
}

// checkText judges a free text: its length in code points and its characters.
// Databases differ on NUL and mails on line ends, so no control character passes.
func checkText(v workflow.Violations, field, text string, least, most int) {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		v.Add(field, workflow.VioTooShort, "minLength", strconv.Itoa(least))
	case n > most:
		v.Add(field, workflow.VioTooLong, "maxLength", strconv.Itoa(most))
	case !printable(text):
		v.Add(field, workflow.VioInvalidCharacter)
	}
}
