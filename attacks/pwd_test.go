package attacks

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"

	"github.com/resetflow/resetflow/internal/testkit"
	"github.com/resetflow/resetflow/internal/testkit/product"
)

// base is a strong beginning for passwords whose end matters.
const base = "Vq7-tulip-harbor"

// sets resets a person's password by a fresh link and returns the answer.
func (x *World) sets(email, password string) product.Answer {
	x.T.Helper()
	return x.Redeem(x.Proof(email, "email_link"), password)
}

// Weak is the answer P: violations on the new password and on nothing else.
func Weak(t *testing.T, what string, got product.Answer) {
	t.Helper()
	v := violations(got)
	if got.Status != http.StatusBadRequest || len(v) != 1 || len(v["newPassword"]) == 0 {
		t.Errorf("%s: %d %.400s, want violations on newPassword", what, got.Status, got.Body)
	}
}

func TestPWD(t *testing.T) {
	row(t, "PWD-01", "Passwords of megabytes", func(t *testing.T, x *World) {
		v := x.Person("v")
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			Weak(t, "1025 bytes", x.Redeem(p, base+strings.Repeat("x", 1025-len(base))))
			for _, n := range []int{16 << 10, 1 << 20} {
				got := x.Redeem(p, strings.Repeat("x", n))
				statusIs(t, got, http.StatusRequestEntityTooLarge)
			}
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			_, _ = z.Write([]byte(p.With("newPassword", strings.Repeat("x", 1<<20))))
			_ = z.Close()
			got := x.Call("POST", "/api/v1/password-reset/reset-password", x.Key, b.String(), map[string]string{"Content-Encoding": "gzip"})
			statusIs(t, got, http.StatusUnsupportedMediaType)
			x.Unchanged(v, p)
		})
		Has(t, "login", x.Login(v, strings.Repeat("x", 1<<20)), http.StatusRequestEntityTooLarge)
		Has(t, "login", x.Login(v, strings.Repeat("x", 15000)), http.StatusUnauthorized)
	})
	row(t, "PWD-02", "What stands behind the 72nd byte", func(t *testing.T, x *World) {
		v := x.Person("v")
		long := base + strings.Repeat("tulip7", 10)[:72-len(base)]
		statusIs(t, x.sets(v, long), http.StatusOK)
		if x.Opens(v, long+"x") || x.Opens(v, long[:71]) || !x.Opens(v, long) {
			t.Error("the 72nd byte is the last that counts")
		}
		statusIs(t, x.sets(v, long+"x"), http.StatusOK)
		if x.Opens(v, long) || x.Opens(v, long+"y") || !x.Opens(v, long+"x") {
			t.Error("the 73rd byte does not count")
		}
		emoji := strings.Repeat("🦊🌷🚢", 10) + "🗝🦉"
		statusIs(t, x.sets(v, emoji), http.StatusOK)
		if x.Opens(v, strings.Repeat("🦊🌷🚢", 10)+"🗝🦇") || !x.Opens(v, emoji) {
			t.Error("32 emoji are not told apart")
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(long), 4)
		if err != nil {
			t.Fatal(err)
		}
		imported := x.Address("imported")
		x.Must(http.StatusCreated, "POST", "/admin/v1/applications/"+x.Slug+"/users", map[string]any{"email": imported, "passwordHash": string(hash)})
		if x.Opens(imported, long+"x") || x.Opens(imported, long+"\x00") || !x.Opens(imported, long) {
			t.Error("more than 72 bytes open an imported hash")
		}
	})
	row(t, "PWD-04", "Composed and decomposed", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, forms := range [][2]norm.Form{{norm.NFC, norm.NFD}, {norm.NFD, norm.NFC}} {
			word := base + "-éâü가"
			statusIs(t, x.sets(v, forms[0].String(word)), http.StatusOK)
			for _, f := range forms {
				if !x.Opens(v, f.String(word)) {
					t.Errorf("set in form %v, form %v does not open", forms[0], f)
				}
			}
		}
		Weak(t, "compatibility forms do not lengthen", x.sets(v, "Vq7ﬃﬃ"))
	})
	row(t, "PWD-05", "Characters that expand", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		for _, s := range []string{strings.Repeat("ﷺ", 129), strings.Repeat("ﷺ", 341), strings.Repeat("ﷺ", 342), strings.Repeat("\u0344", 512), strings.Repeat("𝅘𝅥𝅮", 300)} {
			Weak(t, fmt.Sprintf("%.12s × %d", s, len(s)), x.Redeem(p, s))
		}
		Has(t, "64 expanding ones", x.Redeem(p, base+strings.Repeat("ﷺ", 64)), http.StatusOK)
		if !x.Opens(v, base+strings.Repeat("ﷺ", 64)) {
			t.Error("what was set does not open")
		}
	})
	row(t, "PWD-07", "A flow with a weaker policy", func(t *testing.T, x *World) {
		v := x.Person("victoria")
		weak := []string{"a", "1234567", "password", "Password1", "qwertyuiop", "aaaaaaaaaaaa", "victoria2024", v, "        ", "", "\u200d\u200d\u200d\u200d\u200d\u200d\u200d\u200d"}
		answers := map[string][]string{}
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			for _, w := range weak {
				got := x.Redeem(p, w)
				Weak(t, flow+" "+w, got)
				answers[flow] = append(answers[flow], fmt.Sprint(violations(got)["newPassword"]))
			}
			x.Unchanged(v, p)
		})
		user := "/users/" + x.UserID(v)
		for i, w := range weak {
			got := x.Admin("PATCH", user, object("password", w))
			Has(t, "an administrator sets "+w, got, http.StatusBadRequest)
			if a := fmt.Sprint(violations(got)["password"]); a != answers["email_link"][i] {
				t.Errorf("%q: an administrator is told %s, a person %s", w, a, answers["email_link"][i])
			}
			Has(t, "created with "+w, x.Admin("POST", "/users", object("email", "victoria@n."+x.Slug+".example.com", "password", w)), http.StatusBadRequest)
			for _, flow := range flowNames {
				if answers[flow][i] != answers["email_link"][i] {
					t.Errorf("%q: %s says %s, email_link %s", w, flow, answers[flow][i], answers["email_link"][i])
				}
			}
		}
		x.Unchanged(v)
	})
	row(t, "PWD-08", "The common ones in disguise", func(t *testing.T, x *World) {
		p := x.Proof(x.Person("v"), "email_link")
		for _, w := range []string{"Password123456!", "p a s s w o r d", "PASSWORD1234", "P.a.s.s.w.o.r.d", "passwordpassword", "iloveyou!!!", "qwerty123456"} {
			Weak(t, w, x.Redeem(p, w))
		}
	})
	row(t, "PWD-10", "Words that anybody would guess", func(t *testing.T, x *World) {
		x.Patch(map[string]any{"name": "Kingfisher Cloud"})
		v := x.Person("wilhelmina.k")
		x.PatchUser(v, map[string]any{"name": "Wilhelmina Obermüller"})
		x.EachFlow(func(t *testing.T, x *World, flow string) {
			p := x.Proof(v, flow)
			for _, w := range []string{"Wilhelmina-7-harbor-tulip", "king-fisher-7-harbor-Tulip", "Kingfisher-harbor-77-vx", "OBERMÜLLER-7-harbor-tulip", x.Slug + "-7-Harbor-tulip", "w.i.l.h.e.l.m.i.n.a-99-vx"} {
				got := x.Redeem(p, w)
				Violated(t, got, "newPassword", "contains_identifier")
			}
		})
	})
	row(t, "PWD-11", "The password said back", func(t *testing.T, x *World) {
		x = x.Own("RESETFLOW_LOG_LEVEL=debug")
		v := x.Person("v")
		const canary, weak = "Canary-tulip-harbor-91-vx", "cnry7!"
		p := x.Proof(v, "email_link")
		for _, got := range []product.Answer{
			x.Redeem(p, weak), x.Workflow("reset-password", p.With("newPassword", canary, canary+"!", "x")), x.Workflow("check-password", object("password", canary)),
			x.Workflow("reset-password", `{"newPassword":{"a":"`+canary+`"}}`), x.Login(v, canary), x.Redeem(p, canary),
			x.Admin("POST", "/users", object("email", x.Address("w"), "password", canary)),
		} {
			if strings.Contains(string(got.Body), canary) || strings.Contains(string(got.Body), weak) {
				t.Errorf("%s", got.Body)
			}
		}
		x.Idle()
		for _, m := range x.MailsOf(v, "") {
			if bytes.Contains(m.Raw, []byte(canary)) {
				t.Errorf("a %s holds the password", m.Kind)
			}
		}
		if log := x.Log.String(); strings.Contains(log, canary) || strings.Contains(log, weak) {
			t.Error("the log holds the password")
		}
		if dump := testkit.Dump(t, x.DB); strings.Contains(dump, canary) {
			t.Error("the database holds the password")
		}
	})
	row(t, "PWD-13", "A hash in place of a password", func(t *testing.T, x *World) {
		v := x.Person("v")
		hash, err := bcrypt.GenerateFromPassword([]byte("the attacker's own"), 4)
		if err != nil {
			t.Fatal(err)
		}
		p := x.Proof(v, "email_link")
		for _, name := range []string{"passwordHash", "hash", "newPasswordHash"} {
			Violated(t, x.Workflow("reset-password", p.With("newPassword", NewPassword, name, string(hash))), name, "unknown_field")
		}
		for _, text := range []string{string(hash), "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"} {
			statusIs(t, x.sets(v, text), http.StatusOK)
			if !x.Opens(v, text) || x.Opens(v, "the attacker's own") || x.Opens(v, "") {
				t.Errorf("%.10s… is not taken as a text", text)
			}
		}
		var stored string
		if err := x.DB.Read(t.Context()).Raw(`SELECT password_hash FROM accounts WHERE application = ? AND email = ?`, x.Slug, v).Scan(&stored).Error; err != nil || stored == "" {
			t.Fatal(err)
		}
		if x.Opens(v, stored) {
			t.Error("the stored hash logs in")
		}
	})
	row(t, "PWD-14", "More hashes than the machine can make", func(t *testing.T, x *World) {
		x = x.Own("RESETFLOW_KDF_MAX_CONCURRENT=1", "RESETFLOW_KDF_ARGON2_MEMORY=64MiB", "RESETFLOW_KDF_ARGON2_TIME=2", "RESETFLOW_KDF_MAX_MEMORY=64MiB", "RESETFLOW_KDF_QUEUE=300ms")
		v := x.Address("w")
		done := make(chan int)
		go func() {
			_, statuses := Together(60, func(i int) product.Answer { return x.Login(v, "Not-the-password-9") })
			if statuses[http.StatusUnauthorized] == 0 || statuses[http.StatusServiceUnavailable] == 0 || len(statuses) > 2 {
				t.Errorf("60 logins at once: %v", statuses)
			}
			close(done)
		}()
		for range 5 {
			statusIs(t, x.Call("GET", "/healthz", "", "", nil), http.StatusOK)
			statusIs(t, x.Ask(x.Address("z"), "email_link"), http.StatusAccepted)
		}
		<-done
		p := x.Proof(x.Person("v"), "email_link")
		_, statuses := Together(12, func(i int) product.Answer {
			if i > 0 {
				return x.Login(v, "Not-the-password-9")
			}
			return x.Redeem(p, NewPassword)
		})
		t.Log(statuses)
		if got := x.Redeem(p, NewPassword); got.Status != http.StatusOK && !x.Opens(x.Address("v"), NewPassword) { // refused by overload, the code lives on
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
	row(t, "PWD-16", "An imported hash of 16 GB", func(t *testing.T, x *World) {
		tail := "$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
		for _, hash := range []string{"$argon2id$v=19$m=16777216,t=3,p=1" + tail, "$argon2id$v=19$m=65536,t=4294967295,p=1" + tail, "$argon2id$v=19$m=65536,t=3,p=255" + tail,
			"$argon2id$v=19$m=65536,t=0,p=1" + tail, "$argon2id$v=19$m=-1,t=1,p=1" + tail, "$argon2i$v=19$m=65536,t=3,p=1" + tail, "$2b$31$" + strings.Repeat("a", 53), "$2b$99$" + strings.Repeat("a", 53), "$1$x$y", "plain"} {
			Violated(t, x.Admin("POST", "/users", object("email", x.Address("w"), "passwordHash", hash)), "passwordHash", "invalid_value")
		}
	})
	row(t, "PWD-17", "The old and the new password, kept", func(t *testing.T, x *World) {
		x = x.Own()
		v := x.Person("v")
		var old string
		read := func() (hash string) {
			t.Helper()
			if err := x.DB.Read(t.Context()).Raw(`SELECT password_hash FROM accounts WHERE email = ?`, v).Scan(&hash).Error; err != nil {
				t.Fatal(err)
			}
			return hash
		}
		old = read()
		for _, flow := range flowNames {
			statusIs(t, x.Redeem(x.Proof(v, flow), NewPassword+flow), http.StatusOK)
		}
		x.Idle()
		dump := testkit.Dump(t, x.DB)
		for what, secret := range map[string]string{"the new password": NewPassword, "the first password": OldPassword, "the first hash": old} {
			if strings.Contains(dump, secret) {
				t.Errorf("the database holds %s", what)
			}
		}
	})
	row(t, "PWD-19", "Emoji, right to left, combining", func(t *testing.T, x *World) {
		v := x.Person("v")
		for _, w := range []string{"👩‍👩‍👧‍👦🏳️‍🌈❤️🦊🌷🚢🗝🦉🎻", "مفتاح-البيت-القديم-٧", "שלום-עליכם-מפתח-77", "ç̌ḁ̈ñ̃õ̂ü̃ý̌ž̈ą̄", "𝒯𝓊𝓁𝒾𝓅-𝒽𝒶𝓇𝒷𝑜𝓇", "パスフレーズは長いほど良い"} {
			if got := x.sets(v, w); got.Status != http.StatusOK {
				t.Errorf("%s: %s", w, got.Body)
			} else if !x.Opens(v, w) {
				t.Errorf("%s does not open", w)
			}
		}
	}, map[string]any{"policy": map[string]any{"minStrength": 0}})
	row(t, "PWD-20", "Length by bytes", func(t *testing.T, x *World) {
		v := x.Person("v")
		Violated(t, x.sets(v, "🦊🌷🚢🗝🦉🎻🐝🌋🪁🧊🥝🎲🛶🧵"), "newPassword", "too_short")
		statusIs(t, x.sets(v, "🦊🌷🚢🗝🦉🎻🐝🌋🪁🧊🥝🎲🛶🧵🪴"), http.StatusOK)
		Violated(t, x.sets(v, base+strings.Repeat("é", 64-len(base)+1)), "newPassword", "too_long")
		statusIs(t, x.sets(v, base+strings.Repeat("é", 64-len(base))), http.StatusOK)
	}, map[string]any{"policy": map[string]any{"minLength": 15, "maxLength": 64, "minStrength": 0}})
}

func TestPWDMore(t *testing.T) {
	row(t, "PWD-x6", "The common ones in wide letters", func(t *testing.T, x *World) {
		v := x.Person("wilhelmina")
		for _, w := range []string{"ＰａｓｓＷｏｒｄ１", "𝐩𝐚𝐬𝐬𝐰𝐨𝐫𝐝", "ⓟⓐⓢⓢⓦⓞⓡⓓ", "ｗｉｌｈｅｌｍｉｎａ１"} {
			Weak(t, w, x.sets(v, w))
		}
	})
	row(t, "PWD-x1", "NUL and controls", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		for _, c := range []string{"\x00", "\x01", "\n", "\r", "\t", "\x7f", "\u0085", "\u200b", "\u202e", "\ufeff", "\u2028"} {
			got := x.Redeem(p, base+c+"x")
			Violated(t, got, "newPassword", "invalid_character")
		}
		Bad(t, x.Workflow("reset-password", p.With()[:len(p.With())-1]+`,"newPassword":"`+base+`\ud800"}`))
		Bad(t, x.Workflow("reset-password", p.With()[:len(p.With())-1]+`,"newPassword":"`+base+"\xff\"}"))
		x.Unchanged(v, p)
		for _, c := range []string{"\x00", "\x00x"} {
			if x.Opens(v, OldPassword+c) {
				t.Error("a NUL ends the password")
			}
		}
	})
	row(t, "PWD-x2", "Trimmed and folded", func(t *testing.T, x *World) {
		v := x.Person("v")
		word := "  " + base + "  Vx "
		statusIs(t, x.sets(v, word), http.StatusOK)
		for _, w := range []string{strings.TrimSpace(word), word + " ", strings.ToLower(word), strings.ToUpper(word), strings.ReplaceAll(word, "  ", " ")} {
			if x.Opens(v, w) {
				t.Errorf("%q opens what %q set", w, word)
			}
		}
		if !x.Opens(v, word) {
			t.Error("blanks at the ends are lost")
		}
	})
	row(t, "PWD-x3", "A policy below the floor", func(t *testing.T, x *World) {
		for _, policy := range []map[string]any{{"minLength": 7}, {"minLength": 0}, {"minLength": -1}, {"maxLength": 7}, {"minLength": 20, "maxLength": 10}, {"maxLength": 1 << 20}, {"minStrength": -1}, {"breached": "perhaps"}} {
			got := x.Call("PATCH", "/admin/v1/applications/"+x.Slug, x.Server.Admin, fmt.Sprintf(`{"policy":%s}`, jsonOf(policy)), nil)
			Has(t, fmt.Sprint(policy), got, http.StatusBadRequest)
		}
		x.Patch(map[string]any{"policy": map[string]any{"minLength": 8, "minStrength": 0, "breached": "off"}})
		Weak(t, "seven", x.sets(x.Person("v"), "Vq7!tul"))
	})
	row(t, "PWD-x4", "A verdict that differs from the form's", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		for _, w := range []string{"x", "password", "aaaaaaaaaaaaaaaa", strings.Repeat("x", 129), base + "\n", x.Slug + "-12"} {
			a, b := x.Workflow("check-password", object("password", w)), x.Redeem(p, w)
			list, _ := a.JSON.(map[string]any)["violations"].([]any)
			var codes []string
			for _, one := range list {
				codes = append(codes, one.(map[string]any)["code"].(string))
			}
			if got := violations(b)["newPassword"]; fmt.Sprint(codes) != fmt.Sprint(got) {
				t.Errorf("%q: check says %v, reset %v", w, codes, got)
			}
		}
	})
	row(t, "PWD-x5", "A weak password through the pages", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		b := x.Browser()
		seen := b.Get(x.Link(p))
		for _, w := range []string{"", "short", "password123", strings.Repeat("x", 2000)} {
			got := b.Submit(seen, x.Page("reset-password"), form("newPassword", w))
			if got.Status != http.StatusBadRequest {
				t.Errorf("%.20q: %d", w, got.Status)
			}
			if len(w) > 8 && strings.Contains(got.Body, w) {
				t.Error("the page says the password back")
			}
		}
		got := b.Submit(seen, x.Page("reset-password"), form("newPassword", NewPassword, "confirmPassword", NewPassword+"x"))
		if got.Status != http.StatusBadRequest {
			t.Errorf("two different passwords: %d", got.Status)
		}
		x.Unchanged(v, p)
	})
}
