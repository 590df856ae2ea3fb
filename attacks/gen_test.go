package attacks

import (
	"bytes"
	"encoding/base64"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/flows"
	"github.com/resetflow/resetflow/internal/secret"
	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
	"github.com/resetflow/resetflow/workflow"
)

// maker makes codes as the worker does, without mails.
type maker struct {
	t    *testing.T
	keys *secret.Keyring
	set  workflow.FlowSettings
}

func newMaker(t *testing.T, key []byte) maker {
	t.Helper()
	keys, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return maker{t, keys, workflow.FlowSettings{Enabled: true, Digits: 6, MaxAttempts: 5}}
}

func (m maker) code(name workflow.FlowName, id workflow.ID) workflow.Challenge {
	m.t.Helper()
	for _, f := range flows.Builtin() {
		if f.Policy().Name == name {
			r := workflow.Request{Application: "acme", ID: id, Flow: name, KeyID: m.keys.Current(), AccountID: "a", Generation: []byte{1}, Sends: 1}
			ch, err := f.Challenge(m.keys, r, m.set, true)
			if err != nil {
				m.t.Fatal(err)
			}
			return ch
		}
	}
	m.t.Fatal(name)
	return workflow.Challenge{}
}

// fair fails the test where counts of equally likely outcomes are further from
// even than chance leaves them in one of ten million runs.
func fair(t *testing.T, what string, counts []int) {
	t.Helper()
	total := 0
	for _, c := range counts {
		total += c
	}
	want := float64(total) / float64(len(counts))
	chi := 0.0
	for _, c := range counts {
		d := float64(c) - want
		chi += d * d / want
	}
	df := float64(len(counts) - 1)
	// Wilson and Hilferty: (chi²/df)^(1/3) is nearly normal; compared cubed, 5.3 deviations above.
	limit := 1 - 2/(9*df) + 5.3*sqrt(2/(9*df))
	if limit = df * limit * limit * limit; chi > limit {
		t.Errorf("%s: chi² is %.1f, more than %.1f: %v", what, chi, limit, counts)
	}
}

func sqrt(x float64) float64 {
	r := x
	for range 60 {
		r = (r + x/r) / 2
	}
	return r
}

// decoded is the bytes of a code.
func decoded(t *testing.T, code string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(code)
	if err != nil {
		t.Fatalf("the code is not base64url")
	}
	return raw
}

func TestGEN(t *testing.T) {
	rowOnce(t, "GEN-01", "Seeded or weak randomness", func(t *testing.T) {
		m := newMaker(t, bytes.Repeat([]byte{7, 91, 33, 250, 4}, 8)[:32])
		seen := map[string]bool{}
		var of [256]int
		var after [16][16]int
		crock := map[byte]int{}
		now := time.Now()
		for range 10000 {
			id := workflow.NewID(now) // the same millisecond for all of them
			mac := decoded(t, m.code(flows.EmailLink, id).Link)[16:]
			op := strings.ReplaceAll(m.code(flows.DirectCode, id).Code, "-", "")
			for _, s := range []string{string(mac), op} {
				if seen[s] {
					t.Fatal("a code came twice")
				}
				seen[s] = true
			}
			for i, b := range mac {
				of[b]++
				if i > 0 {
					after[mac[i-1]&15][b&15]++
				}
			}
			for i := range len(op) {
				crock[op[i]]++
			}
		}
		fair(t, "bytes of links", of[:])
		for i := range after {
			fair(t, "half bytes after one another", after[i][:])
		}
		var signs []int
		for _, n := range crock {
			signs = append(signs, n)
		}
		if len(signs) != 32 {
			t.Errorf("%d signs in operator codes", len(signs))
		}
		fair(t, "signs of operator codes", signs)
		noWeakRandom(t)
	})

	row(t, "GEN-02", "Sandwich between two own requests", func(t *testing.T, x *World) {
		v := x.Person("v")
		e := x.Person("e")
		first := x.Proof(e, "email_link")
		right := x.Proof(v, "email_link")
		second := x.Proof(x.Person("e2"), "email_link")
		a, b, c := decoded(t, first["emailAuthCode"]), decoded(t, right["emailAuthCode"]), decoded(t, second["emailAuthCode"])
		if len(b) != 48 || bytes.Equal(a[16:], b[16:]) || bytes.Equal(b[16:], c[16:]) {
			t.Fatalf("the secret part is not 32 bytes of its own")
		}
		for _, mac := range [][]byte{a[16:], c[16:], make([]byte, 32)} {
			forged := base64.RawURLEncoding.EncodeToString(append(append([]byte{}, b[:16]...), mac...))
			Invalid(t, x.Redeem(Proof{"emailAuthCode": forged}, NewPassword), "email_link")
		}
		x.Unchanged(v, right)
	})

	row(t, "GEN-x03", "A code that is nearly right", func(t *testing.T, x *World) {
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			v := x.Person("v-" + strings.ReplaceAll(flow, "_", ""))
			p := x.Proof(v, flow)
			code := p[p.Field()]
			near := []string{code[:len(code)-1], code + "0", code[1:], "0" + code, code[:1], code + code, " " + code + "\n", code + "=", code[:len(code)/2]}
			if flow == "email_otp" {
				near = near[:4] // an attempt each
			}
			for _, n := range near {
				q := Proof{"requestCode": p["requestCode"], p.Field(): n}
				if flow != "email_otp" {
					delete(q, "requestCode")
				}
				Invalid(t, x.Redeem(q, NewPassword), flow)
			}
			x.Unchanged(v, p)
		})
	})

	row(t, "GEN-04", "Short space", func(t *testing.T, x *World) {
		v := x.Person("v")
		link, otp, direct := x.Proof(v, "email_link"), x.Proof(v, "email_otp"), x.Proof(v, "direct_code")
		if n := len(decoded(t, link["emailAuthCode"])) - 16; n*8 < 128 {
			t.Errorf("a link has %d bits", n*8)
		}
		if n := len(decoded(t, otp["requestCode"])) - 16; n*8 < 128 {
			t.Errorf("a requestCode has %d bits", n*8)
		}
		if len(otp["verificationCode"]) < 6 {
			t.Error("fewer than six digits")
		}
		if n := len(strings.ReplaceAll(direct["passwordResetCode"], "-", "")); n*5 < 100 {
			t.Errorf("an operator code has %d bits", n*5)
		}
		for _, change := range []string{`{"digits":5}`, `{"digits":0}`, `{"digits":-6}`, `{"maxAttempts":0}`, `{"maxAttempts":11}`, `{"maxAttempts":1000000}`, `{"lifetime":"11m"}`} {
			Bad(t, x.Admin("PATCH", "", `{"flows":{"email_otp":`+change+`}}`))
		}
	})

	rowOnce(t, "GEN-05", "Bias and lost leading zeros", func(t *testing.T) {
		m := newMaker(t, bytes.Repeat([]byte{71, 3, 200, 9, 55, 18, 111}, 5)[:32])
		const n = 200000
		var place [6][10]int
		now := time.Now()
		for range n {
			code := m.code(flows.EmailOTP, workflow.NewID(now)).Code
			if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
				t.Fatalf("%q is not six digits", code)
			}
			for i := range 6 {
				place[i][code[i]-'0']++
			}
		}
		for i := range place {
			fair(t, "digits of one place", place[i][:])
		}
	})

	row(t, "GEN-x06", "Other spellings of one code", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		code := p["emailAuthCode"]
		for _, other := range []string{strings.ToUpper(code), strings.ToLower(code), strings.NewReplacer("-", "+", "_", "/").Replace(code) + "=", code[:20] + "\n" + code[20:], code + "\x00"} {
			if other == code {
				continue
			}
			Invalid(t, x.Redeem(Proof{"emailAuthCode": other}, NewPassword), "email_link")
		}
		otp := x.Proof(v, "email_otp") // the newest request of v
		req := otp["requestCode"]
		raw := []byte(req)
		alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		last := strings.IndexByte(alphabet, raw[len(raw)-1])
		raw[len(raw)-1] = alphabet[last^1] // 32 bytes leave two unused bits at the end
		Invalid(t, x.Introspect(Proof{"requestCode": string(raw), "verificationCode": otp["verificationCode"]}), "email_otp")
		x.Unchanged(v, otp)
		for _, digits := range []string{"١٢٣٤٥٦", "１２３４５６", "+" + otp["verificationCode"], otp["verificationCode"] + ".0"} {
			Invalid(t, x.Introspect(Proof{"requestCode": req, "verificationCode": digits}), "email_otp")
		}
	})

	row(t, "GEN-07", "Forged with a known, empty or default key", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		id := decoded(t, p["emailAuthCode"])[:16]
		known := newMaker(t, []byte("0f3kL9-known-from-a-public-repos"))
		forged := base64.RawURLEncoding.EncodeToString(append(append([]byte{}, id...), decoded(t, known.code(flows.EmailLink, workflow.ID(id)).Link)[16:]...))
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+v+`","email":"`+v+`"}`)) + "."
		for _, code := range []string{forged, none} {
			Invalid(t, x.Redeem(Proof{"emailAuthCode": code}, NewPassword), "email_link")
			Invalid(t, x.Redeem(Proof{"passwordResetCode": code}, NewPassword), "direct_code")
			if got := x.Call("GET", "/api/v1/auth/session", code, "", nil); got.Status != http.StatusUnauthorized {
				t.Errorf("as an access token: %d", got.Status)
			}
			if got := x.Call("POST", "/api/v1/password-reset/"+request, code, object("email", v), nil); got.Status != http.StatusUnauthorized {
				t.Errorf("as a key: %d", got.Status)
			}
		}
		x.Unchanged(v, p)
	})

	rowOnce(t, "GEN-x07", "Start with a default, short or repeated key", func(t *testing.T) {
		good := "QmFja2dyb3VuZE5vaXNlT2ZUaGVVbml2ZXJzZTQxNzM="
		enc := base64.StdEncoding.EncodeToString
		for _, bad := range []string{"", "changeme", enc([]byte("short")), enc(make([]byte, 32)), enc([]byte(strings.Repeat("secretkey", 4))), good + "," + good, enc([]byte("change-me-change-me-change-me-123")), "," + good, good + ","} {
			code, out := serveWith(t, "RESETFLOW_SECRET_KEYS="+bad)
			if code != 2 || !strings.Contains(out, "secret_keys") {
				t.Errorf("%q: exit %d: %.300s", bad, code, out)
			}
			if len(bad) > 8 && strings.Contains(out, bad) {
				t.Error("the key stands in the output")
			}
		}
	})

	row(t, "GEN-08", "State that answers give away", func(t *testing.T, x *World) {
		v := x.Person("v")
		allowed := map[string]string{"result": "", "flow": "", "requestCode": "", "expiresAt": "", "resendAfter": ""}
		for _, flow := range flowNames[:2] {
			got := x.Ask(v, flow)
			for name := range got.JSON.(map[string]any) {
				if _, ok := allowed[name]; !ok {
					t.Errorf("the answer holds %s", name)
				}
			}
		}
		var tickets [2][]byte
		for i := range tickets {
			tickets[i] = []byte(x.Ask(v, "email_link").Header.Get("X-Request-Id"))
		}
		same := 0
		for i := range min(len(tickets[0]), len(tickets[1])) {
			if tickets[0][i] == tickets[1][i] {
				same++
			}
		}
		if same > len(tickets[0])/2 {
			t.Errorf("tickets count: %s %s", tickets[0], tickets[1])
		}
		seen := x.Browser().Get("/healthz")
		for _, name := range []string{"Server", "X-Powered-By", "X-Runtime", "X-Node"} {
			if seen.Header.Get(name) != "" {
				t.Errorf("%s: %s", name, seen.Header.Get(name))
			}
		}
	})

	row(t, "GEN-x09", "Two requests in one moment", func(t *testing.T, x *World) {
		people := []string{x.Person("a"), x.Person("b"), x.Person("c")}
		codes := map[string]bool{}
		for _, v := range people {
			x.Ask(v, "email_otp")
		}
		for _, v := range people {
			mail := x.Next(v, "reset_code", 0)
			codes[product.LinkCode(mail.Text, "email_auth_code")[22:]] = true
		}
		if len(codes) != len(people) {
			t.Error("two people got one code")
		}
		otp := x.Proof(people[0], "email_otp")
		before := len(x.MailsOf(people[0], "reset_code"))
		statusIs(t, x.Workflow("resend", object("requestCode", otp["requestCode"])), http.StatusAccepted)
		again := product.Digits(x.Next(people[0], "reset_code", before).Text)
		if again != otp["verificationCode"] {
			Invalid(t, x.Introspect(otp), "email_otp")
		}
		otp["verificationCode"] = again
		x.Redeemed(otp, people[0], NewPassword)
	})

	row(t, "GEN-10", "Guessing a requestCode", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_otp")
		raw := decoded(t, p["requestCode"])
		decoy := field(x.Ask(x.Address("nobody"), "email_otp"), "requestCode")
		if len(decoded(t, decoy)) != len(raw) {
			t.Error("a decoy's requestCode has another length")
		}
		unknown := x.Introspect(Proof{"requestCode": strings.Repeat("A", len(p["requestCode"])), "verificationCode": p["verificationCode"]})
		for i := range raw {
			raw[i]++ // of the id, then of the secret
			got := x.Introspect(Proof{"requestCode": base64.RawURLEncoding.EncodeToString(raw), "verificationCode": p["verificationCode"]})
			raw[i]--
			Invalid(t, got, "email_otp")
			Same(t, "a neighbour and an unknown one", unknown, got)
		}
		for _, other := range []string{"1", "0", "00000000-0000-0000-0000-000000000000", x.Slug} {
			Same(t, "an unknown one", unknown, x.Introspect(Proof{"requestCode": other, "verificationCode": p["verificationCode"]}))
		}
		x.Unchanged(v, p)
	})

	row(t, "GEN-11", "Codes at rest", func(t *testing.T, x *World) {
		v := x.Person("v")
		link, otp, direct := x.Proof(v, "email_link"), x.Proof(x.Person("w"), "email_otp"), x.Proof(v, "direct_code")
		x.Ask(v, "email_otp")
		includes := product.LinkCode(x.Next(x.Address("w"), "reset_code", 0).Text, "email_auth_code")
		dump := testkit.Dump(t, x.DB)
		if path, ok := strings.CutPrefix(x.Database, "sqlite:"); ok {
			for _, end := range []string{"", "-wal"} {
				raw, err := os.ReadFile(path + end)
				if err != nil && end == "" {
					t.Fatal(err)
				}
				dump += string(raw)
			}
		}
		plain := strings.ReplaceAll(direct["passwordResetCode"], "-", "")
		for what, code := range map[string]string{"the link": link["emailAuthCode"], "the link's secret": link["emailAuthCode"][22:], "the operator code": direct["passwordResetCode"],
			"the operator code, plain": plain, "the requestCode": otp["requestCode"], "the code mail's link": includes, "the key": x.Key, "the password": OldPassword} {
			if strings.Contains(dump, code) {
				t.Errorf("%s stands in the database", what)
			}
			if strings.Contains(x.Log.String(), code) {
				t.Errorf("%s stands in the log", what)
			}
		}
		if regexp.MustCompile(`[="'\s:]` + otp["verificationCode"] + `[\s"',}]`).MatchString(testkitOnly(dump, x.Slug)) {
			t.Error("the digits stand in the database")
		}
	})
}

// testkitOnly are the lines of a dump that hold no times of others, in which
// six digits may stand by chance.
func testkitOnly(dump, slug string) string {
	var out []string
	for line := range strings.SplitSeq(dump, "\n") {
		if strings.Contains(line, slug) || strings.HasPrefix(line, "messages.") || strings.HasPrefix(line, "requests.") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// noWeakRandom reads the sources: nothing that makes or keeps a secret imports
// a random source for games.
func noWeakRandom(t *testing.T) {
	t.Helper()
	read := 0
	for _, dir := range []string{"flows", "internal/secret", "internal/token", "internal/password", "directory", "api", "web", "workflow"} {
		err := filepath.WalkDir(filepath.Join(product.Root(), dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			read++
			for _, i := range file.Imports {
				if p := strings.Trim(i.Path.Value, `"`); p == "math/rand" || p == "math/rand/v2" {
					t.Errorf("%s imports %s", filepath.Base(path), p)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 50 {
		t.Errorf("only %d files were read", read)
	}
}
