package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	workflowPath = "/api/v1/password-reset"
	newPassword  = "Brand-new-horse-battery-7"
	patience     = 30 * time.Second
)

// target is a running service and who is known to it.
type target struct {
	host     string // host:port
	key      string // a secret key
	sink     *sink
	accounts int
	next     atomic.Int64 // the next account
	stranger atomic.Int64 // the next unknown address
}

// known returns the next known address. All accounts have their turn before one
// comes again.
func (t *target) known() string { return account(int(t.next.Add(1)-1) % t.accounts) }

func account(i int) string { return fmt.Sprintf("user-%07d@acme.test", i) }

// unknown returns an address as long as a known one that nobody has.
func (t *target) unknown() string { return fmt.Sprintf("none-%07d@acme.test", t.stranger.Add(1)) }

// caller is one kept connection. It does less than net/http's client, which
// would take the processors' time from what is measured.
type caller struct {
	t  *target
	nc net.Conn
	r  *bufio.Reader
	w  []byte
}

func (t *target) dial() (*caller, error) {
	nc, err := net.Dial("tcp", t.host)
	if err != nil {
		return nil, err
	}
	return &caller{t: t, nc: nc, r: bufio.NewReaderSize(nc, 8<<10)}, nil
}

func (c *caller) close() { _ = c.nc.Close() }

// write prepares a call; send puts it on the wire.
func (c *caller) write(path, body string) {
	// Every call comes from an address of its own, as end users do.
	n := rand.Uint32()
	c.w = fmt.Appendf(c.w[:0], "POST %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"X-Resetflow-Client-IP: 10.%d.%d.%d\r\nX-Resetflow-User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nContent-Length: %d\r\n\r\n%s",
		workflowPath, path, c.t.host, c.t.key, byte(n>>16), byte(n>>8), byte(n), len(body), body)
}

func (c *caller) send() (int, []byte, error) {
	_ = c.nc.SetDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(c.w); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, body, err
}

// prepare writes a request step for an address.
func (c *caller) prepare(flow, email string) {
	c.write("/request-password-reset", `{"email":"`+email+`","flow":"`+flow+`"}`)
}

// ask sends a request step and returns its requestCode, where it has one.
func (c *caller) ask(flow, email string) (string, error) {
	c.prepare(flow, email)
	status, body, err := c.send()
	if err != nil {
		return "", err
	}
	if status != http.StatusAccepted {
		return "", fmt.Errorf("the request step answered %d: %s", status, body)
	}
	if flow != "email_otp" {
		return "", nil
	}
	var a struct {
		RequestCode string `json:"requestCode"`
	}
	err = json.Unmarshal(body, &a)
	return a.RequestCode, err
}

// reset is one full reset of two calls; the code comes out of the mail.
func (c *caller) reset(flow string) error {
	email := c.t.known()
	inbox := c.t.sink.expect(email)
	defer c.t.sink.forget(email)
	request, err := c.ask(flow, email)
	if err != nil {
		return err
	}
	var m mail
	end := time.After(patience)
	for m.code == "" {
		select {
		case m = <-inbox:
		case <-end:
			return fmt.Errorf("no mail with a code came to %s within %s", email, patience)
		}
	}
	proof := `"emailAuthCode":"` + m.code + `"`
	if flow == "email_otp" {
		proof = `"requestCode":"` + request + `","verificationCode":"` + m.code + `"`
	}
	c.write("/reset-password", `{`+proof+`,"newPassword":"`+newPassword+`"}`)
	status, body, err := c.send()
	if err != nil {
		return err
	}
	if status != http.StatusOK || !strings.Contains(string(body), `"confirmation":"queued"`) {
		return fmt.Errorf("the reset answered %d: %s", status, body)
	}
	return nil
}
