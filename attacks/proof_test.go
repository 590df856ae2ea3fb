package attacks

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
	"github.com/resetflow/resetflow/notify"
)

// Person makes an account and returns its address, which no other row has.
func (x *World) Person(name string) string {
	x.T.Helper()
	email := x.Address(name)
	x.User(x.Slug, email)
	return email
}

// Address is an address of the row's own that has no account.
func (x *World) Address(name string) string { return name + "@" + x.Slug + ".example.com" }

// Evil is an address of the attacker's that no other row has.
func (x *World) Evil() string { return "e@" + x.Slug + ".evil.example.org" }

// Ask asks for a reset.
func (x *World) Ask(email, flow string) product.Answer {
	x.T.Helper()
	return x.Workflow("request-password-reset", object("email", email, "flow", flow))
}

// Proof is what redeems a request: the members of a body.
type Proof map[string]string

// Proof obtains a live proof of a flow for an account, as its owner does.
func (x *World) Proof(email, flow string) Proof {
	x.T.Helper()
	if flow == "direct_code" {
		got := x.Workflow("create-password-reset-link", object("email", email))
		if got.Status != http.StatusCreated {
			x.T.Fatalf("create-password-reset-link: %d %s", got.Status, got.Body)
		}
		return Proof{"passwordResetCode": field(got, "passwordResetCode")}
	}
	kind := "reset_link"
	if flow == "email_otp" {
		kind = "reset_code"
	}
	before := len(x.MailsOf(email, kind))
	got := x.Ask(email, flow)
	if got.Status != http.StatusAccepted {
		x.T.Fatalf("request-password-reset: %d %s", got.Status, got.Body)
	}
	mail := x.Next(email, kind, before)
	if flow == "email_otp" {
		return Proof{"requestCode": field(got, "requestCode"), "verificationCode": product.Digits(mail.Text)}
	}
	return Proof{"emailAuthCode": product.LinkCode(mail.Text, "email_auth_code")}
}

// Flow is the flow whose proof p is.
func (p Proof) Flow() string {
	switch {
	case p["emailAuthCode"] != "":
		return "email_link"
	case p["passwordResetCode"] != "":
		return "direct_code"
	}
	return "email_otp"
}

// Field is the member that is judged.
func (p Proof) Field() string {
	return map[string]string{"email_link": "emailAuthCode", "email_otp": "verificationCode", "direct_code": "passwordResetCode"}[p.Flow()]
}

// Wrong is p with one character of what is judged changed.
func (p Proof) Wrong() Proof {
	out := maps.Clone(p)
	s := out[p.Field()]
	i := len(s) / 2
	for s[i] == '-' {
		i++
	}
	to := "2"
	if s[i] == '2' {
		to = "3"
	}
	out[p.Field()] = s[:i] + to + s[i+1:]
	return out
}

// With is p as a body with more members.
func (p Proof) With(more ...string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(p)) {
		all = append(all, k, p[k])
	}
	return object(append(all, more...)...)
}

// Redeem sets a password by a proof.
func (x *World) Redeem(p Proof, password string) product.Answer {
	x.T.Helper()
	return x.Workflow("reset-password", p.With("newPassword", password))
}

// Introspect looks at a proof.
func (x *World) Introspect(p Proof) product.Answer {
	x.T.Helper()
	return x.Workflow("introspect", p.With())
}

// Login logs in.
func (x *World) Login(email, password string) product.Answer {
	x.T.Helper()
	return x.Call("POST", "/api/v1/auth/login", x.Key, object("email", email, "password", password), nil)
}

// Opens reports whether a password logs in.
func (x *World) Opens(email, password string) bool {
	x.T.Helper()
	return x.Login(email, password).Status == http.StatusOK
}

// Unchanged fails the test unless the account of email still has OldPassword
// and every proof is still good.
func (x *World) Unchanged(email string, proofs ...Proof) {
	x.T.Helper()
	if !x.Opens(email, OldPassword) {
		x.T.Errorf("the old password of %s is gone", email)
	}
	for _, p := range proofs {
		if got := x.Introspect(p); got.Status != http.StatusOK {
			x.T.Errorf("the code of %s is spoiled: %d %s", email, got.Status, got.Body)
		}
	}
}

// Redeemed fails the test unless a proof still sets the account's password.
func (x *World) Redeemed(p Proof, email, password string) {
	x.T.Helper()
	if got := x.Redeem(p, password); got.Status != http.StatusOK {
		x.T.Errorf("the code of %s is spoiled: %d %s", email, got.Status, got.Body)
	} else if !x.Opens(email, password) {
		x.T.Errorf("the new password of %s does not open", email)
	}
}

// MailsOf returns the mails to an address, of a kind ("" for any), oldest first.
func (x *World) MailsOf(email, kind string) []notify.ReceivedMail {
	var out []notify.ReceivedMail
	for _, m := range x.SMTP.Mails() {
		if slices.Contains(m.EnvelopeTo, email) && (kind == "" || m.Kind == kind) {
			out = append(out, m)
		}
	}
	return out
}

// Next waits for the mail after the first n to an address.
func (x *World) Next(email, kind string, n int) notify.ReceivedMail {
	x.T.Helper()
	var got []notify.ReceivedMail
	eventually(x.T, 20*time.Second, fmt.Sprintf("mail %d of kind %s to %s", n+1, kind, email), func() bool {
		got = x.MailsOf(email, kind)
		return len(got) > n
	})
	return got[n]
}

// Idle waits until no request and no message of the application waits.
func (x *World) Idle() {
	x.T.Helper()
	path := "/admin/v1/applications/" + x.Slug
	eventually(x.T, 20*time.Second, "requests or messages still wait", func() bool {
		waiting := x.Must(http.StatusOK, "GET", path+"/reset-requests?state=requested", nil)["items"].([]any)
		return len(append(waiting, x.Must(http.StatusOK, "GET", path+"/messages?state=queued", nil)["items"].([]any)...)) == 0
	})
}

// NoMail waits until nothing waits, then fails the test where one of the
// addresses has a mail, or the attacker does.
func (x *World) NoMail(addresses ...string) {
	x.T.Helper()
	x.Idle()
	for _, m := range x.SMTP.Mails() {
		for _, to := range m.EnvelopeTo {
			if slices.Contains(addresses, to) || strings.Contains(to, x.Slug+".evil.") {
				x.T.Errorf("a %s went to %s", m.Kind, to)
			}
		}
	}
}

// Ledger lists the application's messages, newest first.
func (x *World) Ledger() []map[string]any {
	x.T.Helper()
	var out []map[string]any
	for _, item := range x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+"/messages?limit=200", nil)["items"].([]any) {
		out = append(out, item.(map[string]any))
	}
	return out
}

var ticket = regexp.MustCompile(`"ticket":"[^"]*"`) // random letters, which may spell anything

// Bad is the answer B: 400 as a problem, or 413 or 415, naming nothing of the inside.
func Bad(t *testing.T, got product.Answer) {
	t.Helper()
	switch got.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
	default:
		t.Errorf("%d %.300s, want a bad request", got.Status, got.Body)
		return
	}
	for _, inside := range []string{"strconv", "json:", "unmarshal", "gorm", "SQL", "pq:", "panic", "goroutine", "Go struct"} {
		if strings.Contains(ticket.ReplaceAllString(string(got.Body), ""), inside) {
			t.Errorf("the refusal tells of the inside: %.300s", got.Body)
		}
	}
}

// Violated is the answer B or P with one violation on one field.
func Violated(t *testing.T, got product.Answer, name, code string) {
	t.Helper()
	Bad(t, got)
	if v := violations(got); len(v) == 0 || !slices.Contains(v[name], code) {
		t.Errorf("%d %.300s, want %s: %s", got.Status, got.Body, name, code)
	}
}

// Invalid is the answer I for what is judged of a flow.
func Invalid(t *testing.T, got product.Answer, flow string) {
	t.Helper()
	want := map[string][]string{
		"email_link": {"invalid_email_auth_code"}, "email_otp": {"invalid_verification_code", "invalid_request_code"}, "direct_code": {"invalid_password_reset_code"},
	}[flow]
	v := violations(got)
	all := slices.Concat(slices.Collect(maps.Values(v))...)
	if got.Status != http.StatusBadRequest || len(v) != 1 || len(all) != 1 || !slices.Contains(want, all[0]) {
		t.Errorf("%d %.300s, want one of %v and nothing else", got.Status, got.Body, want)
	}
}

// violations are the codes of a problem by field.
func violations(got product.Answer) map[string][]string {
	out := map[string][]string{}
	m, _ := got.JSON.(map[string]any)
	fields, _ := m["violations"].(map[string]any)
	for name, list := range fields {
		for _, one := range list.([]any) {
			out[name] = append(out[name], one.(map[string]any)["code"].(string))
		}
	}
	return out
}

// Same fails the test unless the answers are one answer: status, names of
// headers, and bodies but for the ticket, codes and times that differ by nature.
func Same(t *testing.T, what string, answers ...product.Answer) {
	t.Helper()
	for _, got := range answers[1:] {
		if a, b := shape(answers[0]), shape(got); a != b {
			t.Errorf("%s: two answers differ:\n%s\n%s", what, a, b)
		}
	}
}

func shape(got product.Answer) string {
	body := map[string]any{}
	_ = json.Unmarshal(got.Body, &body)
	for _, name := range []string{"ticket", "expiresAt", "requestCode", "resendAfter"} {
		if v, ok := body[name]; ok {
			body[name] = len(fmt.Sprint(v))
		}
	}
	raw, _ := json.Marshal(body)
	return fmt.Sprintf("%d %v %s", got.Status, slices.Sorted(maps.Keys(got.Header)), raw)
}

// object is a JSON object of texts.
func object(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := json.Marshal(pairs[i])
		value, _ := json.Marshal(pairs[i+1])
		if i > 0 {
			b.WriteByte(',')
		} else {
			b.WriteByte('{')
		}
		fmt.Fprintf(&b, "%s:%s", name, value)
	}
	if b.Len() == 0 {
		return "{}"
	}
	return b.String() + "}"
}

// field reads a text of an answer.
func field(got product.Answer, name string) string {
	m, _ := got.JSON.(map[string]any)
	text, _ := m[name].(string)
	return text
}

// eventually waits until done is true and fails the test where it stays false.
func eventually(t *testing.T, within time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain: %s", within, what)
		}
	}
}

// Raw writes a request to the socket as it stands, where net/http would refuse
// to, and returns every answer until the service closes or is silent for 2 s.
func (x *World) Raw(request string) []product.Answer {
	x.T.Helper()
	conn, err := net.DialTimeout("tcp", x.Host(), 5*time.Second)
	if err != nil {
		x.T.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := conn.Write([]byte(request)); err != nil {
		x.T.Fatal(err)
	}
	var out []product.Answer
	for r := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return out
		}
		got := product.Answer{Status: resp.StatusCode, Header: resp.Header}
		buf := new(strings.Builder)
		_, err = bufio.NewReader(resp.Body).WriteTo(buf)
		_ = resp.Body.Close()
		got.Body = []byte(buf.String())
		_ = json.Unmarshal(got.Body, &got.JSON)
		out = append(out, got)
		if err != nil || resp.Close {
			return out
		}
	}
}

// Host is where the service listens.
func (x *World) Host() string { return strings.TrimPrefix(x.URL, "http://") }

// Post is a raw POST with given header lines (each ended by \r\n) in place of
// Host and Content-Length.
func (x *World) Post(target, headers, body string) string {
	return "POST " + target + " HTTP/1.1\r\n" + headers + "Authorization: Bearer " + x.Key + "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body
}

// manyAttempts are all flows on, with as many attempts as there may be.
var manyAttempts = map[string]any{"email_link": map[string]any{"enabled": true}, "direct_code": map[string]any{"enabled": true},
	"email_otp": map[string]any{"enabled": true, "maxAttempts": 10}}

func queryEscape(s string) string { return url.QueryEscape(s) }

// rawQuiet is Raw where the service may hang up in the middle.
func (x *World) rawQuiet(request string) []product.Answer {
	conn, err := net.DialTimeout("tcp", x.Host(), 5*time.Second)
	if err != nil {
		x.T.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	go func() { _, _ = conn.Write([]byte(request)) }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil
	}
	_ = resp.Body.Close()
	return []product.Answer{{Status: resp.StatusCode, Header: resp.Header}}
}

// answered keeps what the databases answered, to compare.
var answered struct {
	mu sync.Mutex
	of map[string]map[string]string
}

// alike fails the test where the other database answered otherwise.
func alike(t *testing.T, id, kind, what string) {
	t.Helper()
	answered.mu.Lock()
	defer answered.mu.Unlock()
	if answered.of == nil {
		answered.of = map[string]map[string]string{}
	}
	if answered.of[id] == nil {
		answered.of[id] = map[string]string{}
	}
	for other, said := range answered.of[id] {
		if other != kind && said != what {
			t.Errorf("%s and %s answer differently:\n%s\n%s", kind, other, what, said)
		}
	}
	answered.of[id][kind] = what
}
