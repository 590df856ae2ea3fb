package password

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of what a stored hash may ask for. An imported hash with absurd
// parameters would otherwise be a denial of service that waits for its login.
const (
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 32
	maxArgonThreads = 16
	maxArgonWork    = 1 << 20 // KiB × passes: about a second
	maxBcryptCost   = 15      // about two seconds
	bcryptBytes     = 72      // what bcrypt looks at; the rest would not count
)

// ErrUnknown says that a text is no hash this package verifies, or one whose
// parameters are out of bounds.
var ErrUnknown = errors.New("password: not an argon2id or bcrypt hash with parameters within bounds")

// cost is how a hash was made.
type cost struct {
	algorithm Algorithm
	time      uint32 // argon2: passes
	memory    uint32 // argon2: KiB
	threads   uint8
	rounds    int // bcrypt: cost
}

// bytes is the memory one run takes.
func (c cost) bytes() int64 {
	if c.algorithm == Bcrypt {
		return 8 << 10
	}
	return int64(c.memory) << 10
}

type argonHash struct {
	cost
	salt, sum []byte
}

// Known returns nil for a hash that can be verified, so that an import can
// refuse the others while somebody is looking. It wraps [ErrUnknown].
func Known(hash string) error {
	_, err := costOf(hash)
	return err
}

func costOf(hash string) (cost, error) {
	if strings.HasPrefix(hash, "$argon2id$") {
		h, err := parseArgon(hash)
		return h.cost, err
	}
	return parseBcrypt(hash)
}

func parseBcrypt(hash string) (cost, error) {
	if len(hash) != 60 || hash[0:2] != "$2" || hash[3] != '$' || strings.IndexByte("aby", hash[2]) < 0 || hash[6] != '$' {
		return cost{}, ErrUnknown
	}
	for i := 7; i < len(hash); i++ {
		if strings.IndexByte(bcryptAlphabet, hash[i]) < 0 {
			return cost{}, ErrUnknown
		}
	}
	rounds, err := strconv.Atoi(hash[4:6])
	if err != nil || rounds < bcrypt.MinCost || rounds > maxBcryptCost {
		return cost{}, fmt.Errorf("%w: bcrypt cost outside %d to %d", ErrUnknown, bcrypt.MinCost, maxBcryptCost)
	}
	return cost{algorithm: Bcrypt, rounds: rounds}, nil
}

// parseArgon reads the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$sum.
func parseArgon(hash string) (argonHash, error) {
	var h argonHash
	if len(hash) > 256 {
		return h, ErrUnknown
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return h, ErrUnknown
	}
	set := strings.Split(parts[3], ",")
	if len(set) != 3 {
		return h, ErrUnknown
	}
	var n [3]uint32
	for i, name := range []string{"m=", "t=", "p="} {
		text, found := strings.CutPrefix(set[i], name)
		v, err := strconv.ParseUint(text, 10, 32)
		if !found || err != nil || text != strconv.FormatUint(v, 10) {
			return h, ErrUnknown
		}
		n[i] = uint32(v)
	}
	if n[0] < 8 || n[0] > maxArgonMemory || n[1] < 1 || n[1] > maxArgonTime || n[2] < 1 || n[2] > maxArgonThreads ||
		n[0] < 8*n[2] || n[0]*n[1] > maxArgonWork {
		return h, fmt.Errorf("%w: argon2id memory, time or threads", ErrUnknown)
	}
	var err, err2 error
	h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.sum, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.sum) < 16 || len(h.sum) > 64 {
		return h, ErrUnknown
	}
	h.cost = cost{algorithm: Argon2id, memory: n[0], time: n[1], threads: uint8(n[2])}
	return h, nil
}

func formatArgon(c cost, salt, sum []byte) string {
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.time, c.threads, enc(salt), enc(sum))
}

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// dummy makes a text that reads as a hash of cost c and that no password is
// known to have: its sum is random, so making it costs nothing.
func dummy(c cost) string {
	random := make([]byte, 53)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	if c.algorithm == Argon2id {
		return formatArgon(c, random[:16], random[16:48])
	}
	for i := range random {
		random[i] = bcryptAlphabet[random[i]&63]
	}
	random[21] = bcryptAlphabet[(random[21]&3)<<4] // the last salt character carries two bits
	return fmt.Sprintf("$2b$%02d$%s", c.rounds, random)
}
