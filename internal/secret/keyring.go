package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// The domains of everything derived. Changing one invalidates what was made with it.
const (
	domainID     = "resetflow/v1/key-id"
	domainDerive = "resetflow/v1/derive"
	domainSeal   = "resetflow/v1/seal"
)

// MinKeyBytes is the least length of a key.
const MinKeyBytes = 32

const (
	idBytes      = 4 // a key id in bytes; eight hexadecimal digits in text
	sealVersion  = 1 // first byte of a sealed text
	sealOverhead = 1 + idBytes + 12 + 16
)

// ErrSealed says that a sealed text was changed, cut, bound to another context,
// or made with a key that is not configured any more. Which of these is not told.
var ErrSealed = errors.New("secret: sealed text cannot be opened")

// Keyring holds the configured keys, newest first. It is safe for concurrent
// use and implements workflow.Keys.
type Keyring struct {
	ids  []string
	keys map[string]*key
}

type key struct {
	derive []byte      // HMAC key of Derive
	aead   cipher.AEAD // AES-256-GCM of Seal and Open
}

// NewKeyring makes a keyring of keys, newest first. Keys must be at least
// [MinKeyBytes] long and differ; [ParseKeys] checks what people write.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("secret: no key; give at least one")
	}
	r := &Keyring{keys: make(map[string]*key, len(keys))}
	for i, raw := range keys {
		if len(raw) < MinKeyBytes {
			return nil, fmt.Errorf("secret: key %d is shorter than %d bytes", i+1, MinKeyBytes)
		}
		id := keyID(raw)
		if _, taken := r.keys[id]; taken {
			return nil, fmt.Errorf("secret: key %d has the id of another key; make a new one", i+1)
		}
		k, err := newKey(raw)
		if err != nil {
			return nil, err
		}
		r.ids = append(r.ids, id)
		r.keys[id] = k
	}
	return r, nil
}

// keyID names a key without telling anything about it: the first eight
// hexadecimal digits of SHA-256 over a digest that is used for nothing else.
func keyID(raw []byte) string {
	inner := sha256.New()
	inner.Write([]byte(domainID))
	inner.Write([]byte{0})
	inner.Write(raw)
	outer := sha256.Sum256(inner.Sum(nil))
	return hex.EncodeToString(outer[:idBytes])
}

// newKey splits a raw key by HKDF-SHA-256 (RFC 5869), one sub-key for each use,
// so that no use can be played against another.
func newKey(raw []byte) (*key, error) {
	derive, err := hkdf.Key(sha256.New, raw, nil, domainDerive, 32)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	seal, err := hkdf.Key(sha256.New, raw, nil, domainSeal, 32)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return &key{derive: derive, aead: aead}, nil
}

// Current names the key that makes new secrets.
func (r *Keyring) Current() string { return r.ids[0] }

// IDs lists all key ids, newest first.
func (r *Keyring) IDs() []string { return append([]string(nil), r.ids...) }

// Derive returns 32 bytes for a purpose and its parts under the key keyID:
// HMAC-SHA-256 (RFC 2104) over purpose and parts, each with its length before
// it. ok is false where no such key is configured.
func (r *Keyring) Derive(keyID, purpose string, parts ...[]byte) (secret []byte, ok bool) {
	k := r.keys[keyID]
	if k == nil {
		return nil, false
	}
	mac := hmac.New(sha256.New, k.derive)
	var n [8]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		mac.Write(n[:])
		mac.Write(b)
	}
	write([]byte(purpose))
	for _, p := range parts {
		write(p)
	}
	return mac.Sum(nil), true
}

// Seal encrypts plain under the current key and binds it to context
// (AES-256-GCM, random nonce). The key's id stands in the sealed text, so that
// it opens as long as that key is configured.
func (r *Keyring) Seal(context string, plain []byte) ([]byte, error) {
	id := r.ids[0]
	out := make([]byte, 1+idBytes+12, sealOverhead+len(plain))
	out[0] = sealVersion
	if _, err := hex.Decode(out[1:1+idBytes], []byte(id)); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	nonce := out[1+idBytes:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return r.keys[id].aead.Seal(out, nonce, plain, bound(out[:1+idBytes], context)), nil
}

// Open reverses [Keyring.Seal]. It fails with [ErrSealed].
func (r *Keyring) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealOverhead || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	head := sealed[:1+idBytes]
	k := r.keys[hex.EncodeToString(head[1:])]
	if k == nil {
		return nil, ErrSealed
	}
	plain, err := k.aead.Open(nil, sealed[1+idBytes:1+idBytes+12], sealed[1+idBytes+12:], bound(head, context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// bound is the additional data of a sealed text: its head has a fixed length,
// so head and context cannot be shifted against each other.
func bound(head []byte, context string) []byte {
	return append(append(make([]byte, 0, len(head)+len(context)), head...), context...)
}
