package attacks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// alive fails the test unless the service answers and takes a request.
func (x *World) alive(t *testing.T) {
	t.Helper()
	statusIs(t, x.Call("GET", "/healthz", "", "", nil), http.StatusOK)
	statusIs(t, x.Ask(x.Address("z"), "email_link"), http.StatusAccepted)
}

// cutOff waits until the service ends a connection and returns how long that took.
func cutOff(conn net.Conn, within time.Duration) (time.Duration, bool) {
	began := time.Now()
	_ = conn.SetReadDeadline(began.Add(within))
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if e, ok := err.(net.Error); ok {
		timeout = e
	}
	return time.Since(began), timeout == nil || !timeout.Timeout()
}

func TestDOS(t *testing.T) {
	row(t, "DOS-01", "Headers and bodies that trickle", func(t *testing.T, x *World) {
		x = x.Own()
		var headers, bodies []net.Conn
		for i := range 300 {
			conn := x.Dial()
			defer func() { _ = conn.Close() }()
			if i%3 == 0 {
				_, _ = fmt.Fprintf(conn, "POST /api/v1/password-reset/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", start, x.Key)
				bodies = append(bodies, conn)
				continue
			}
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nX-Slow: ")
			headers = append(headers, conn)
		}
		x.alive(t)
		for name, conns := range map[string][]net.Conn{"headers": headers, "bodies": bodies} {
			within := map[string]time.Duration{"headers": 10 * time.Second, "bodies": 22 * time.Second}[name]
			for _, conn := range conns {
				if took, cut := cutOff(conn, within); !cut {
					t.Fatalf("%s that trickle are still read after %s", name, took)
				}
			}
			x.alive(t)
		}
	})
	row(t, "DOS-02", "Streams of HTTP/2", func(t *testing.T, x *World) {
		for _, request := range []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"} {
			for _, got := range x.Raw(request) {
				if got.Status == http.StatusSwitchingProtocols || strings.HasPrefix(request, "PRI") && got.Status < 400 {
					t.Errorf("%.20q: %d", request, got.Status)
				}
			}
		}
		x.alive(t)
	})
	row(t, "DOS-04", "Addresses that parsers choke on", func(t *testing.T, x *World) {
		for _, s := range []string{"(((((", "[[[[[", "\"\\", "a ", "<<<<", ",,,,", "@", ".", "é", "xn--", "a.", "\u0300"} {
			for _, n := range []int{3000, 200000} {
				text := strings.Repeat(s, n/len(s))
				for _, got := range []product.Answer{x.Workflow(start, object("email", text)), x.Workflow(start, object("email", text+"@example.com")), x.Login("v@"+text, "x")} {
					Bad(t, got)
				}
			}
		}
		x.alive(t)
	})
	row(t, "DOS-05", "Codes of a megabyte", func(t *testing.T, x *World) {
		for _, name := range []string{"emailAuthCode", "passwordResetCode", "requestCode"} {
			for _, n := range []int{600, 10000, 1 << 20} {
				for _, s := range []string{"A", "0", "-", " ", "_", "é", "１"} {
					p := Proof{name: strings.Repeat(s, n/len(s))}
					if name == "requestCode" {
						p["verificationCode"] = p[name]
					}
					Bad(t, x.Workflow("introspect", p.With()))
				}
			}
		}
		x.alive(t)
	})
	row(t, "DOS-07", "A database that stands still", func(t *testing.T, x *World) {
		x = x.Own("RESETFLOW_DATABASE_MAX_CONNECTIONS=4")
		x.Patch(map[string]any{"resendAfter": "1s"})
		x.alive(t)
		held, free := make(chan struct{}), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- x.DB.Atomically(context.Background(), func(ctx context.Context) error {
				lock := `LOCK TABLE limits, requests IN ACCESS EXCLUSIVE MODE`
				if x.Kind == "sqlite" {
					lock = `DELETE FROM limits WHERE name = 'nothing'`
				}
				err := x.DB.Write(ctx).Exec(lock).Error
				close(held)
				<-free
				return err
			})
		}()
		<-held
		answers := make(chan map[int]int)
		go func() {
			_, statuses := Together(100, func(i int) product.Answer { return x.Ask(x.Address(fmt.Sprint("u", i)), "email_link") })
			answers <- statuses
		}()
		time.Sleep(1500 * time.Millisecond)
		statusIs(t, x.Call("GET", "/healthz", "", "", nil), http.StatusOK)
		close(free)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		statuses := <-answers
		if statuses[http.StatusAccepted]+statuses[http.StatusServiceUnavailable] != 100 || statuses[http.StatusAccepted] == 0 {
			t.Errorf("while the database stood still: %v", statuses)
		}
		x.alive(t)
	})
	row(t, "DOS-08", "A body held back", func(t *testing.T, x *World) {
		v := x.Person("v")
		p := x.Proof(v, "email_link")
		body := p.With("newPassword", NewPassword)
		conn := x.Dial()
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "POST /api/v1/password-reset/reset-password HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", x.Key, len(body), body[:len(body)-1])
		w := x.Person("w")
		x.Redeemed(x.Proof(w, "email_link"), w, NewPassword)
		x.Unchanged(v, p)
		_, _ = io.WriteString(conn, body[len(body)-1:])
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		_ = resp.Body.Close()
	})
	row(t, "DOS-10", "Counters pushed out by other counters", func(t *testing.T, x *World) {
		v := x.Person("v")
		statusIs(t, x.Ask(v, "email_link"), http.StatusAccepted)
		Limited(t, x.Ask(v, "email_link"))
		Together(4, func(part int) (last product.Answer) {
			for i := range 100 {
				last = x.Ask(x.Address(fmt.Sprint("u", part, "-", i)), "email_link")
			}
			return last
		})
		Limited(t, x.Ask(v, "email_link"))
		Limited(t, x.Beside().Ask(v, "email_link"))
	}, limited(map[string]any{"perAddress": "1/h"}))
	row(t, "DOS-11", "Odd input everywhere", func(t *testing.T, x *World) {
		odd := []string{"", "null", "[]", "{}", "0", `""`, "{", `{"":""}`, "\x00", "\xff\xfe", `{"email":null,"userId":null}`, `{"a":` + strings.Repeat("[", 9000), strings.Repeat(`{"a":`, 3000), `{"email":"a@b.test","email":"c@d.test"}`, `{"n":1e999999}`, `{"n":-0}`, strings.Repeat(" ", 16000) + "{}", `{"email":"` + "a@b.test" + `"}{}`, "\ufeff{}"}
		for _, op := range x.operations(t) {
			method, path, _ := strings.Cut(op, " ")
			if method == "DELETE" && strings.HasSuffix(path, "{slug}") {
				continue
			}
			for _, id := range []string{nobody, "x", "%00", "..", strings.Repeat("9", 300), "-1", "%ff"} {
				target := strings.NewReplacer("{slug}", x.Slug, "{id}", id).Replace(path)
				for i, body := range odd {
					if id != nobody && i > 3 || id != nobody && !strings.Contains(path, "{id}") {
						continue
					}
					for _, credential := range []string{x.Key, x.Server.Admin} {
						got, err := x.Try(method, target, credential, body, nil)
						if err != nil || got.Status >= 500 {
							t.Errorf("%s %s %.30q: %d %s %v", method, target, body, got.Status, got.Body, err)
						}
					}
				}
			}
		}
		for _, path := range []string{"forgot-password", "reset-password", "reset-password/code", "resend", "check-password", "not-me"} {
			for _, body := range append(odd, "form=&email=%ff", "%", "a=b&a=c", "form=x;y=z") {
				b := x.Browser()
				if got := b.Do("POST", x.Page(path), body, nil); got.Status >= 500 {
					t.Errorf("%s %.30q: %d", path, body, got.Status)
				}
			}
		}
		if strings.Contains(x.Log.String(), `"msg":"panic"`) {
			t.Error("a handler panicked")
		}
		x.alive(t)
	})
	row(t, "DOS-13", "Everything in one answer", func(t *testing.T, x *World) {
		Together(4, func(part int) (last product.Answer) {
			for i := range 55 {
				last = x.Admin("POST", "/users", object("email", fmt.Sprint("u", part, "-", i, "@example.com")))
			}
			return last
		})
		for _, path := range []string{"/users", "/audit-events"} {
			page := x.Must(http.StatusOK, "GET", "/admin/v1/applications/"+x.Slug+path, nil)
			if n := len(page["items"].([]any)); n > 50 || path == "/users" && page["nextCursor"] == nil {
				t.Errorf("%s: %d in a page of 50", path, n)
			}
			for _, limit := range []string{"201", "1000000", "99999999999999999999"} {
				statusIs(t, x.Admin("GET", path+"?limit="+limit, ""), http.StatusBadRequest)
			}
		}
	})
	row(t, "DOS-14", "Everything expires at once", func(t *testing.T, x *World) {
		x.Patch(map[string]any{"flows": map[string]any{"email_otp": map[string]any{"lifetime": "2s"}}})
		Together(4, func(part int) (last product.Answer) {
			for i := range 40 {
				last = x.Ask(x.Address(fmt.Sprint("u", part, "-", i)), "email_otp")
			}
			return last
		})
		eventually(t, 30*time.Second, "all requests expire", func() bool {
			x.alive(t)
			var left int
			err := x.DB.Read(t.Context()).Raw(`SELECT count(*) FROM requests WHERE application = ? AND flow = 'email_otp' AND state <> 'expired'`, x.Slug).Scan(&left).Error
			time.Sleep(200 * time.Millisecond)
			return err == nil && left == 0
		})
	})
}

func TestDOSMore(t *testing.T) {
	row(t, "DOS-x1", "Headers without end", func(t *testing.T, x *World) {
		for name, request := range map[string]string{
			"one of a megabyte": "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", "many": "GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 100000) + "\r\n",
			"a long path": "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "a long cookie": "GET /apps/" + x.Slug + "/forgot-password HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("a=b; ", 100000) + "\r\n\r\n",
			"a long query": "GET /healthz?" + strings.Repeat("a=b&", 100000) + " HTTP/1.1\r\nHost: x\r\n\r\n",
		} {
			if status := x.flood(t, request); status != http.StatusRequestHeaderFieldsTooLarge && status != http.StatusBadRequest {
				t.Errorf("%s: %d", name, status)
			}
		}
		x.alive(t)
	})
	row(t, "DOS-x2", "A body without end", func(t *testing.T, x *World) {
		for name, headers := range map[string]string{"chunked": "Transfer-Encoding: chunked\r\n", "announced": "Content-Length: 10000000000\r\n"} {
			conn := x.Dial()
			_, _ = fmt.Fprintf(conn, "POST /api/v1/password-reset/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s\r\n", start, x.Key, headers)
			chunk, sent := "4000\r\n"+strings.Repeat("a", 0x4000)+"\r\n", 0
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			var err error
			for err == nil && sent < 64<<20 {
				var n int
				n, err = io.WriteString(conn, chunk)
				sent += n
			}
			_ = conn.Close()
			if sent >= 64<<20 {
				t.Errorf("%s: %d bytes were taken", name, sent)
			}
		}
		x.alive(t)
	})
	row(t, "DOS-x3", "Many requests in one write", func(t *testing.T, x *World) {
		one := x.WirePost("/api/v1/password-reset/introspect", `{"emailAuthCode":"x"}`)
		many := strings.ReplaceAll(one, "Connection: close\r\n", "")
		for _, got := range x.Raw(strings.Repeat(many, 50) + one) {
			statusIs(t, got, http.StatusBadRequest)
		}
		x.alive(t)
	})
}
