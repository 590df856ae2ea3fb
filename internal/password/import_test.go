package password

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/resetflow/resetflow/workflow"
)

// imported is an argon2id hash of raw bytes, as another system makes it.
func imported(raw string, c cost) string {
	salt := []byte("0123456789abcdef")
	return formatArgon(c, salt, argonSum(raw, salt, c, 32))
}

func TestRawBytesOfImportedHashes(t *testing.T) {
	p := light(Options{})
	for _, raw := range []string{"cafe\u0301", "wide\u3000blank", "tab\there", "zero\u200bwidth", "\u1100\u1161", "not\xffutf8"} {
		legacy, err := bcrypt.GenerateFromPassword([]byte(raw), 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, hash := range []string{imported(raw, p.present), imported(raw, cost{Argon2id, 1, 32, 1, 0}), string(legacy)} {
			if ok, rehash := verify(t, p, hash, raw); !ok || !rehash {
				t.Errorf("%q, %.12s: ok %v, rehash %v", raw, hash, ok, rehash)
			}
			if ok, _ := verify(t, p, hash, raw+"x"); ok {
				t.Errorf("%q: a wrong one fits", raw)
			}
		}
	}
	// Typed in another composition, only a hash of the normal form is the same.
	if ok, _ := verify(t, p, imported("cafe\u0301", p.present), "caf\u00e9"); ok {
		t.Error("raw bytes fit another text")
	}
	for pw, tries := range map[string]int{"plain": 1, "caf\u00e9": 1, "cafe\u0301": 2, "tab\t": 2, "": 2, strings.Repeat("a", MaxBytes+1): 1} {
		if got := len(forms(pw)); got != tries {
			t.Errorf("%.10q: %d tries", pw, got)
		}
	}
}

// A wrong password takes the work of the heaviest hash that was met, whatever
// hash it is compared with.
func TestWorkIsFilledUp(t *testing.T) {
	p := NewPool(Options{Argon2Memory: 64, Argon2Time: 2})
	if p.heaviest.argon != p.present || p.heaviest.bcrypt.rounds != 0 {
		t.Fatalf("%+v", p.heaviest)
	}
	legacy, _ := bcrypt.GenerateFromPassword([]byte("x"), 5)
	for _, hash := range []string{string(legacy), imported("x", cost{Argon2id, 1, 512, 1, 0}), imported("x", cost{Argon2id, 1, 16, 1, 0})} {
		if ok, _ := verify(t, p, hash, "wrong"); ok {
			t.Fatal("a wrong password fits")
		}
	}
	if p.heaviest.argon.memory != 512 || p.heaviest.bcrypt.rounds != 5 {
		t.Errorf("what was met: %+v", p.heaviest)
	}
	// One that would make everybody wait is not taken as the measure.
	if err := p.Takes("$2b$15$" + strings.Repeat("a", 53)); err != nil || p.heaviest.bcrypt.rounds != 5 {
		t.Errorf("%v, %+v", err, p.heaviest)
	}
	heavy := NewPool(Options{Algorithm: Bcrypt, BcryptCost: 14})
	if heavy.heaviest.bcrypt.rounds != 14 {
		t.Error("the present cost is not the measure")
	}
}

func TestHashesBeyondTheMemoryAreNotTaken(t *testing.T) {
	small := NewPool(Options{Argon2Memory: 64, MaxMemory: 1 << 20})
	if err := small.Takes(imported("x", cost{Argon2id, 1, 1024, 1, 0})); err != nil {
		t.Error(err)
	}
	err := small.Takes(dummy(cost{Argon2id, 1, 1025, 1, 0}))
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "kdf.max_memory") {
		t.Errorf("%v", err)
	}
	if err := small.Takes("plain"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	// 64 MiB are what others widely use, so they are taken from the start.
	if err := light(Options{MaxConcurrent: 1}).Takes(dummy(cost{Argon2id, 3, 64 << 10, 4, 0})); err != nil {
		t.Error(err)
	}
}

func TestAny(t *testing.T) {
	p := light(Options{})
	old := light(Options{Algorithm: Bcrypt})
	first, _ := p.Hash(t.Context(), "the first")
	second, _ := old.Hash(t.Context(), "the s\u00e9cond")
	hashes := []string{first, "no hash", second, imported("raw\tbytes", p.present)}
	for pw, want := range map[string]bool{"the first": true, "the se\u0301cond": true, "raw\tbytes": true, "the third": false, "": false} {
		if got, err := p.Any(t.Context(), hashes, pw); err != nil || got != want {
			t.Errorf("%q: %v, %v", pw, got, err)
		}
	}
	if got, err := p.Any(t.Context(), nil, "x"); got || err != nil {
		t.Errorf("no history: %v, %v", got, err)
	}
}

func TestAnyKeepsToTheBounds(t *testing.T) {
	p := light(Options{MaxConcurrent: 1, Queue: time.Nanosecond})
	hold, held := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = p.gate.run(t.Context(), 1, func() error { close(held); <-hold; return nil })
	})
	<-held
	if _, err := p.Any(t.Context(), []string{p.Dummy()}, "x"); !errors.Is(err, workflow.ErrBusy) {
		t.Errorf("%v", err)
	}
	close(hold)
	wg.Wait()
}
