package leaks

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func lineOf(password string, count int) string {
	return fmt.Sprintf("%X:%d\r\n", sha1.Sum([]byte(password)), count)
}

func build(t *testing.T, list string, o BuildOptions) (*Filter, Built) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "filter")
	b, err := Build(t.Context(), strings.NewReader(list), out, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, b
}

func has(t *testing.T, f *Filter, password string) bool {
	t.Helper()
	yes, err := f.Has(password)
	if err != nil {
		t.Fatal(err)
	}
	return yes
}

func TestEveryHashIsFound(t *testing.T) {
	for _, n := range []int{1, 2, 127, 128, 129, 1000, 40_000} {
		var list bytes.Buffer
		for _, i := range rand.Perm(n) {
			list.WriteString(lineOf(fmt.Sprint("leaked ", i), 1+i%3))
			if i%10 == 0 {
				list.WriteString(lineOf(fmt.Sprint("leaked ", i), 9)) // twice in the list
			}
		}
		f, b := build(t, list.String(), BuildOptions{Chunk: 1000})
		if f.Len() != uint64(n) || b.Kept != uint64(n) || b.Read != int64(n+(n+9)/10) {
			t.Errorf("%d: %+v, %d kept", n, b, f.Len())
		}
		wrong := 0
		for i := range n {
			if !has(t, f, fmt.Sprint("leaked ", i)) {
				t.Fatalf("%d: number %d is not found", n, i)
			}
			if has(t, f, fmt.Sprint("fresh ", i)) {
				wrong++
			}
		}
		if wrong > 2 { // one in a million
			t.Errorf("%d: %d that are not on the list are found", n, wrong)
		}
		if bits := float64(b.Bytes*8) / float64(n); n > 1000 && bits > 24 {
			t.Errorf("%d: %.1f bits each", n, bits)
		}
	}
}

func TestListsAreRead(t *testing.T) {
	list := lineOf("often", 500) + "\n" + strings.ToLower(lineOf("seldom", 2)) + fmt.Sprintf("%x", sha1.Sum([]byte("without a count")))
	f, b := build(t, list, BuildOptions{})
	if b.Kept != 3 || !has(t, f, "often") || !has(t, f, "seldom") || !has(t, f, "without a count") {
		t.Errorf("%+v", b)
	}
	f, b = build(t, list, BuildOptions{MinCount: 3})
	if b.Read != 3 || b.Kept != 1 || !has(t, f, "often") || has(t, f, "seldom") {
		t.Errorf("by count: %+v", b)
	}
	f, b = build(t, "letmein\n  blanks stay \r\nÄpfel:12\n", BuildOptions{Plain: true, Normal: strings.ToLower})
	if b.Kept != 3 || !has(t, f, "letmein") || !has(t, f, "  blanks stay ") || !has(t, f, "äpfel:12") || has(t, f, "Äpfel:12") {
		t.Errorf("plain: %+v", b)
	}
}

func TestListsThatAreNone(t *testing.T) {
	good := lineOf("x", 1)
	for name, list := range map[string]string{
		"plain": good + "password1\n", "another digest": good + strings.Repeat("A", 32) + ":4\n", "no hex": good + strings.Repeat("Z", 40) + ":4\n",
		"no count": good + strings.TrimSpace(good) + "x\n", "long": good + strings.Repeat("a", maxLine+1),
	} {
		_, err := Build(t.Context(), strings.NewReader(list), filepath.Join(t.TempDir(), "f"), BuildOptions{})
		var bad *LineError
		if !errors.As(err, &bad) || bad.Line != 2 || strings.Contains(err.Error(), "password1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Build(t.Context(), strings.NewReader("\n\n"), filepath.Join(t.TempDir(), "f"), BuildOptions{}); err == nil {
		t.Error("an empty list makes a filter")
	}
}

func TestAStoppedBuildLeavesTheOldFilter(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "filter")
	if _, err := Build(t.Context(), strings.NewReader(lineOf("old", 1)), out, BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []Stage{StageRead, StageWrite} {
		ctx, cancel := context.WithCancel(t.Context())
		var list bytes.Buffer
		for i := range 3 * tick {
			list.WriteString(lineOf(fmt.Sprint(i), 1))
		}
		_, err := Build(ctx, &list, out, BuildOptions{Chunk: tick, Progress: func(s Stage, _, _ int64) {
			if s == stage {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", stage, err)
		}
		f, err := Open(out)
		if err != nil {
			t.Fatalf("%s: %v", stage, err)
		}
		if !has(t, f, "old") {
			t.Errorf("%s: the old filter is gone", stage)
		}
		_ = f.Close()
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBrokenFilters(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "filter")
	if _, err := Build(t.Context(), strings.NewReader(lineOf("x", 1)+lineOf("y", 1)), out, BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[16] ^= 1
	for name, body := range map[string][]byte{"cut": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), 0), "header": flipped, "empty": nil, "text": []byte("hello")} {
		path := filepath.Join(dir, "broken")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, ErrFilter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Damage behind the header is an error or a wrong answer, never a panic.
	for i := headerBytes; i < len(whole); i++ {
		for _, b := range []byte{0, 0x7f, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[i] = b
			path := filepath.Join(dir, "damaged")
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = f.Has("x")
			_ = f.Close()
		}
	}
}
