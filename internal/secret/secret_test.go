package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/resetflow/resetflow/workflow"
)

var _ workflow.Keys = (*Keyring)(nil)

func random(t *testing.T, seed byte) []byte {
	t.Helper()
	r, err := NewKeyring(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	out, _ := r.Derive(r.Current(), "test key")
	return out
}

func ring(t *testing.T, keys ...[]byte) *Keyring {
	t.Helper()
	r, err := NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDeriveSeparates(t *testing.T) {
	r := ring(t, random(t, 1), random(t, 2))
	id := r.Current()
	seen := map[string]string{}
	for name, get := range map[string]func() ([]byte, bool){
		"ab,c":      func() ([]byte, bool) { return r.Derive(id, "p", []byte("ab"), []byte("c")) },
		"a,bc":      func() ([]byte, bool) { return r.Derive(id, "p", []byte("a"), []byte("bc")) },
		"abc":       func() ([]byte, bool) { return r.Derive(id, "p", []byte("abc")) },
		"abc,empty": func() ([]byte, bool) { return r.Derive(id, "p", []byte("abc"), nil) },
		"pabc":      func() ([]byte, bool) { return r.Derive(id, "pabc") },
		"q":         func() ([]byte, bool) { return r.Derive(id, "q", []byte("abc")) },
		"older":     func() ([]byte, bool) { return r.Derive(r.IDs()[1], "p", []byte("abc")) },
	} {
		got, ok := get()
		if !ok || len(got) != 32 {
			t.Fatalf("%s: %d bytes, ok %v", name, len(got), ok)
		}
		if other, taken := seen[string(got)]; taken {
			t.Errorf("%s and %s give the same secret", name, other)
		}
		seen[string(got)] = name
	}
	if _, ok := r.Derive("00000000", "p"); ok {
		t.Error("an unknown key derives")
	}
	one, _ := r.Derive(id, "p", []byte("abc"))
	two, _ := ring(t, random(t, 3), random(t, 1)).Derive(id, "p", []byte("abc"))
	if !bytes.Equal(one, two) {
		t.Error("a key derives differently in another place of the list")
	}
}

func TestKeyIDs(t *testing.T) {
	r := ring(t, random(t, 1), random(t, 2))
	ids := r.IDs()
	if len(ids) != 2 || ids[0] != r.Current() || ids[0] == ids[1] {
		t.Fatalf("ids %v, current %s", ids, r.Current())
	}
	if b, err := hex.DecodeString(ids[0]); err != nil || len(b) != 4 {
		t.Errorf("id %q is not eight hexadecimal digits", ids[0])
	}
	ids[0] = "changed"
	if r.Current() == "changed" {
		t.Error("IDs hands out the keyring's own slice")
	}
	if _, err := NewKeyring(random(t, 1), random(t, 1)); err == nil {
		t.Error("a repeated key is taken")
	}
	if _, err := NewKeyring(make([]byte, 31)); err == nil {
		t.Error("a short key is taken")
	}
	if _, err := NewKeyring(); err == nil {
		t.Error("an empty keyring is made")
	}
}

func TestSealOpen(t *testing.T) {
	old, fresh := random(t, 1), random(t, 2)
	before := ring(t, old)
	sealed, err := before.Seal("hash of request 1", []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("plain")) {
		t.Error("the plain text stands in the sealed one")
	}
	again, _ := before.Seal("hash of request 1", []byte("plain"))
	if bytes.Equal(sealed, again) {
		t.Error("sealing twice gives the same text")
	}
	rotated := ring(t, fresh, old)
	if got, err := rotated.Open("hash of request 1", sealed); err != nil || string(got) != "plain" {
		t.Errorf("after rotation: %q, %v", got, err)
	}
	if _, err := ring(t, fresh).Open("hash of request 1", sealed); err != ErrSealed {
		t.Errorf("without the key: %v", err)
	}
	if _, err := rotated.Open("hash of request 2", sealed); err != ErrSealed {
		t.Errorf("another context: %v", err)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := rotated.Open("hash of request 1", broken); err != ErrSealed {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := rotated.Open("hash of request 1", sealed[:i]); err != ErrSealed {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if got, err := before.Open("c", mustSeal(t, before, "c", nil)); err != nil || len(got) != 0 {
		t.Errorf("empty text: %q, %v", got, err)
	}
}

func mustSeal(t *testing.T, r *Keyring, context string, plain []byte) []byte {
	t.Helper()
	sealed, err := r.Seal(context, plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestParseKeys(t *testing.T) {
	a, b := append(random(t, 1), 0xfb, 0xff), random(t, 2)
	std, url := base64.StdEncoding.EncodeToString, base64.URLEncoding.EncodeToString
	rawStd, rawURL := base64.RawStdEncoding.EncodeToString, base64.RawURLEncoding.EncodeToString
	for name, text := range map[string]string{
		"standard": std(a) + "," + std(b), "url": url(a) + "," + url(b), "raw standard": rawStd(a) + "," + rawStd(b),
		"raw url": rawURL(a) + "," + rawURL(b), "mixed and spaced": " " + std(a) + " , " + rawURL(b) + "\n",
	} {
		keys, err := ParseKeys(text)
		if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], a) || !bytes.Equal(keys[1], b) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	sequence := make([]byte, 32)
	down := make([]byte, 40)
	for i := range sequence {
		sequence[i] = byte(i)
	}
	for i := range down {
		down[i] = byte(200 - i)
	}
	block := bytes.Repeat([]byte("k3Y!"), 8)
	for name, row := range map[string]struct{ text, want string }{
		"nothing":       {"", "empty"},
		"blank":         {"  ", "empty"},
		"hole":          {std(a) + ",," + std(b), "key 2 is empty"},
		"short":         {std(a) + "," + std(b[:31]), "key 2 is shorter"},
		"no base64":     {"!!!!" + std(b), "key 1 is not base64"},
		"inner newline": {std(b)[:10] + "\n" + std(b)[10:], "key 1 is not base64"},
		"mixed letters": {"+_" + std(b), "key 1 is not base64"},
		"repeated":      {std(a) + "," + std(b) + "," + rawURL(a), "key 3 repeats key 1"},
		"zero":          {std(make([]byte, 32)), "default"},
		"sequence":      {std(sequence), "default"},
		"falling":       {std(down), "default"},
		"block":         {std(block), "default"},
		"changeme":      {std([]byte("changeme-changeme-now-0123456789abc")), "default"},
		"plain text":    {"changemechangemechangemechangemechangemechangeme", "default"},
		"digits":        {std([]byte("12345678901234567890123456789012")), "default"},
	} {
		_, err := ParseKeys(row.text)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "secret_keys: ") || !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("%s: %v names neither the key nor the remedy", name, err)
		}
		for _, part := range strings.Split(row.text, ",") {
			if len(part) > 8 && strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error holds the value", name)
			}
		}
	}
	for i := byte(0); i < 200; i++ { // random keys pass
		if _, err := ParseKeys(std(random(t, i))); err != nil {
			t.Fatal(i, err)
		}
	}
}

func TestOperatorCode(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		code, err := NewOperatorCode()
		if err != nil {
			t.Fatal(err)
		}
		if len(code) != 23 || code[5] != '-' || code[11] != '-' || code[17] != '-' {
			t.Fatalf("form of a code: %d characters", len(code))
		}
		normal, ok := NormalOperatorCode(code)
		if !ok || normal != strings.ReplaceAll(code, "-", "") {
			t.Fatal("a code is not its own normal form")
		}
		if seen[normal] {
			t.Fatal("the same code twice")
		}
		seen[normal] = true
	}
}

func TestNormalOperatorCode(t *testing.T) {
	const want = "0123456789ABCDEFGH11"
	for _, in := range []string{"0123456789ABCDEFGH11", "01234-56789-ABCDE-FGH11", "o1234-56789-abcde-fghil", " 0 1 2 3 4 56789ABCDEFGH11 ", "O12345678 9-AB-CDEFGHIL"} {
		if got, ok := NormalOperatorCode(in); !ok || got != want {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "0123456789ABCDEFGH1", "0123456789ABCDEFGH111", "0123456789ABCDEFGHU1", "0123456789ABCDEFGH1\t1",
		"0123456789ABCDEFGH1\u00a01", "0123456789ABCDEFGH1\u2010", "0123456789ABCDEFGH1\u0131", "%123456789ABCDEFGH11", strings.Repeat("-", 45) + want} {
		if got, ok := NormalOperatorCode(in); ok {
			t.Errorf("%q is taken as %q", in, got)
		}
	}
}
