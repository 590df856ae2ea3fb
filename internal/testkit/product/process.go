package product

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freePort returns a port below those that systems give to outgoing
// connections, so that it stays free while a killed process is away.
func freePort(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := 15000 + rand.IntN(15000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no free port was found")
	return 0
}

// FreeAddress is a loopback address nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", freePort(t))
}

// Beside runs one more node on the same database, with the same keys, public
// URL, administrator and mail server.
func (s *Server) Beside() *Server {
	s.t.Helper()
	n := &Server{t: s.t, Admin: s.Admin, SMTP: s.SMTP, dir: s.t.TempDir()}
	address := FreeAddress(s.t)
	n.URL = "http://" + address
	n.env = append(slices.Clone(s.env), "RESETFLOW_LISTEN="+address)
	n.Run()
	s.t.Cleanup(n.Stop)
	return n
}

// Signal sends the process a signal.
func (s *Server) Signal(signal syscall.Signal) { _ = s.cmd.Process.Signal(signal) }

// Kill ends the process as a crash would.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// Terminate ends the process by SIGTERM and returns its exit code. It fails the
// test unless the process ends within the default shutdown_timeout and 5 s.
func (s *Server) Terminate() int {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	return s.Ended()
}

// Ended waits as long as [Server.Terminate] for the end of the process and
// returns its exit code.
func (s *Server) Ended() int {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(25 * time.Second):
		s.Kill()
		s.t.Error("serve did not stop within its time")
	}
	return s.cmd.ProcessState.ExitCode()
}

// Try sends one request, as Call does, and returns what kept it from an answer.
func (s *Server) Try(method, path, bearer, body string, header map[string]string) (Answer, error) {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, reader)
	if err != nil {
		return Answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	out := Answer{Status: resp.StatusCode, Header: resp.Header}
	if out.Body, err = io.ReadAll(resp.Body); err != nil {
		return Answer{}, err
	}
	_ = json.Unmarshal(out.Body, &out.JSON)
	return out, nil
}
