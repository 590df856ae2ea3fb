package attacks

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// Webhooks come with a later version. Until then none can be set, whatever its
// address, and nothing connects anywhere.
func TestWHK(t *testing.T) {
	refused := func(t *testing.T, x *World, addresses ...string) {
		t.Helper()
		for _, to := range addresses {
			body := `{"webhooks":[{"url":` + jsonOf(to) + `,"events":["password_reset.*"]}]}`
			Violated(t, x.Admin("PATCH", "", body), "webhooks", "not_available")
			Bad(t, x.Call("POST", "/admin/v1/applications", x.Server.Admin, strings.Replace(body, "{", `{"application":"`+x.Slug+`-w",`, 1), nil))
		}
	}
	row(t, "WHK-01", "Hooks into the inside", func(t *testing.T, x *World) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		met := make(chan struct{}, 100)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				met <- struct{}{}
				_ = conn.Close()
			}
		}()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for _, host := range []string{"127.0.0.1", "[::1]", "169.254.169.254", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "127.1", "10.0.0.1", "[fc00::1]", "100.64.0.1", "[64:ff9b::7f00:1]", "localhost"} {
			refused(t, x, "http://"+host+":"+port+"/", "https://"+host+":"+port+"/")
		}
		v := x.Person("v")
		x.Redeemed(x.Proof(v, "email_link"), v, NewPassword)
		x.Idle()
		_ = l.Close()
		if len(met) > 0 {
			t.Error("something connected to a hook")
		}
	})
	row(t, "WHK-04", "Hooks by odd schemes", func(t *testing.T, x *World) {
		refused(t, x, "gopher://127.0.0.1/_x", "file:///etc/passwd", "unix:/run/x.sock", "https://u:p@hooks.example.com/", "https://hooks.example.com/\r\nX: y", "ftp://x/", "")
		Has(t, "reading them", x.Admin("GET", "/webhooks", ""), http.StatusNotFound)
	})
}
