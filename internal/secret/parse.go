package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// makeOne says how to make a key; it ends every refusal.
const makeOne = "make one with: openssl rand -base64 32"

// ParseKeys reads the setting `secret_keys`: keys between commas, newest first,
// each at least [MinKeyBytes] long in standard or URL base64 (RFC 4648 §4, §5),
// with or without padding. Short, repeated and default-looking keys are
// refused. Errors name the position and never the value.
func ParseKeys(commaList string) ([][]byte, error) {
	if strings.TrimSpace(commaList) == "" {
		return nil, errors.New("secret_keys: empty; " + makeOne)
	}
	var keys [][]byte
	for i, text := range strings.Split(commaList, ",") {
		raw, err := parseKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("secret_keys: key %d %w; %s", i+1, err, makeOne)
		}
		for j, other := range keys {
			if bytes.Equal(raw, other) {
				return nil, fmt.Errorf("secret_keys: key %d repeats key %d; %s", i+1, j+1, makeOne)
			}
		}
		keys = append(keys, raw)
	}
	return keys, nil
}

func parseKey(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("is empty")
	}
	// One alphabet for both spellings; a text that mixes them is a mistake.
	if strings.ContainsAny(text, "+/") && strings.ContainsAny(text, "-_") {
		return nil, errors.New("is not base64")
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(text)
	// A looks-like-a-default text is often no base64 at all; say what matters.
	if placeholder([]byte(text)) {
		return nil, errors.New("looks like a default value")
	}
	encoding := base64.StdEncoding
	if !strings.HasSuffix(plain, "=") {
		encoding = base64.RawStdEncoding
	}
	raw, err := encoding.Strict().DecodeString(plain)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("is not base64")
	}
	if len(raw) < MinKeyBytes {
		return nil, fmt.Errorf("is shorter than %d bytes", MinKeyBytes)
	}
	if regular(raw) || placeholder(raw) {
		return nil, errors.New("looks like a default value")
	}
	return raw, nil
}

// placeholders are words people leave in configuration files.
var placeholders = []string{"changeme", "change-me", "change_me", "change me", "replaceme", "replace-me", "replace_me",
	"replace me", "insert-", "example", "your-secret", "your_secret", "yoursecret", "secretkey", "secret-key", "secret_key",
	"password", "default", "placeholder", "todo", "xxxxxxxx", "12345678", "abcdefgh"}

// placeholder reports whether b holds such a word. Long base64 texts of random
// bytes hold a given word of seven letters or more hardly ever; shorter words
// count at the start of a text only.
func placeholder(b []byte) bool {
	low := bytes.ToLower(b)
	for _, word := range placeholders {
		if len(word) >= 7 && bytes.Contains(low, []byte(word)) || bytes.HasPrefix(low, []byte(word)) {
			return true
		}
	}
	return false
}

// regular reports whether b repeats a short block or counts up or down: what
// nobody gets from a random source (a pattern of up to a quarter of the key).
func regular(b []byte) bool {
	for period := 1; period <= len(b)/4; period++ {
		if repeats(b, period) {
			return true
		}
	}
	step := b[1] - b[0]
	for i := 1; i < len(b); i++ {
		if b[i]-b[i-1] != step {
			return false
		}
	}
	return true
}

func repeats(b []byte, period int) bool {
	for i := period; i < len(b); i++ {
		if b[i] != b[i-period] {
			return false
		}
	}
	return true
}
