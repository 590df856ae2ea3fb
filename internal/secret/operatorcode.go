package secret

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// crockford is the alphabet of operator codes: base 32 after Douglas Crockford,
// without I, L, O and U, so that a code can be read out over the telephone.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	operatorChars = 20 // 20 × 5 bits = 100 bits
	operatorGroup = 5
	operatorInput = 64 // bytes looked at, at most
)

// NewOperatorCode makes a code of 100 random bits: 20 characters in groups of
// five ("7K3QM-…").
func NewOperatorCode() (string, error) {
	var random [operatorChars]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	var out strings.Builder
	for i, b := range random {
		if i > 0 && i%operatorGroup == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(crockford[b&31]) // 256 is a multiple of 32: every character is equally likely
	}
	return out.String(), nil
}

// NormalOperatorCode returns the one spelling under which a code is hashed: 20
// upper-case characters without hyphens. Case, hyphens and spaces (U+0020) do
// not count, O is read as 0, I and L as 1. ok is false for what cannot be a code.
func NormalOperatorCode(s string) (normal string, ok bool) {
	if len(s) > operatorInput {
		return "", false
	}
	out := make([]byte, 0, operatorChars)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '-' || c == ' ':
			continue
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		switch c {
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if len(out) == operatorChars || strings.IndexByte(crockford, c) < 0 {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), len(out) == operatorChars
}
