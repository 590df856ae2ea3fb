package attacks

import (
	"fmt"
	"io"
	"regexp"
	"testing"
	"time"
)

// masks hide, at their length, what differs between any two answers.
var masks = regexp.MustCompile(`(?i)((?:date|x-request-id|retry-after|ratelimit): |"(?:ticket|requestCode|expiresAt)":"|set-cookie: [a-z0-9_-]+=|name="form" value="|t=|data-again=")([^"\r\n;]+)`)

// Wire sends a request as it stands and returns the answer byte for byte, with
// the order of headers, but for what differs by nature.
func (x *World) Wire(request string) string {
	x.T.Helper()
	conn := x.Dial()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		x.T.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		x.T.Fatal(err)
	}
	return masks.ReplaceAllStringFunc(string(raw), func(s string) string {
		m := masks.FindStringSubmatch(s)
		return fmt.Sprintf("%s<%d>", m[1], len(m[2]))
	})
}

// WirePost is a workflow call as a request for Wire.
func (x *World) WirePost(path, body string) string {
	return x.Post(path, fmt.Sprintf("Host: %s\r\nX-Resetflow-Client-IP: %s\r\nContent-Length: %d\r\n", x.Host(), clientIP(), len(body)), body)
}

// Alike fails the test unless all answers are the same bytes.
func Alike(t *testing.T, what string, answers map[string]string) {
	t.Helper()
	first, name := "", ""
	for n, a := range answers {
		if name == "" {
			first, name = a, n
		} else if a != first {
			t.Errorf("%s: %s and %s are answered differently:\n%s\n--\n%s", what, name, n, first, a)
		}
	}
}
