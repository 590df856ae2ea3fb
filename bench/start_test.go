package bench

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/resetflow/resetflow/internal/testkit/product"
)

// cheapest makes hashing cost next to nothing; standard is the default cost.
var (
	cheapest = []string{"RESETFLOW_KDF_ALGORITHM=argon2id", "RESETFLOW_KDF_ARGON2_TIME=1", "RESETFLOW_KDF_ARGON2_MEMORY=64KiB"}
	standard = []string{"RESETFLOW_KDF_ALGORITHM=argon2id", "RESETFLOW_KDF_ARGON2_TIME=2", "RESETFLOW_KDF_ARGON2_MEMORY=19MiB"}
)

// start runs the service on a seeded database with our own mail server.
func start(tb testing.TB, url string, s *sink, accounts int, hashing []string) (*product.Server, *target) {
	tb.Helper()
	server := product.Start(tb, product.Options{Database: url, Env: append([]string{"RESETFLOW_SMTP_URL=" + s.url()}, hashing...)})
	key := server.Key("acme", "secret", "password-reset-workflow:execute")
	return server, &target{host: strings.TrimPrefix(server.URL, "http://"), key: key, sink: s, accounts: accounts}
}

// startToReady returns the median time from starting the process to the first
// good answer of /readyz, on a database that is in use already.
func startToReady(tb testing.TB, url string, s *sink, runs int) time.Duration {
	tb.Helper()
	var all times
	for range runs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		host := l.Addr().String()
		_ = l.Close()
		cmd := exec.Command(product.Build(tb), "serve")
		cmd.Dir = tb.TempDir()
		for _, e := range os.Environ() {
			if !strings.HasPrefix(e, "RESETFLOW_") {
				cmd.Env = append(cmd.Env, e)
			}
		}
		key := base64.StdEncoding.EncodeToString([]byte("a key for measuring, worth nothing to anybody"))
		cmd.Env = append(cmd.Env, "RESETFLOW_LISTEN="+host, "RESETFLOW_PUBLIC_URL=http://"+host, "RESETFLOW_DATABASE_URL="+url,
			"RESETFLOW_SECRET_KEYS="+key, "RESETFLOW_SMTP_URL="+s.url(), "RESETFLOW_MAIL_FROM=no-reply@acme.test", "RESETFLOW_METRICS_LISTEN=")
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			tb.Fatal(err)
		}
		for !isReady(host) {
			if time.Since(begin) > patience {
				tb.Fatal("the service does not become ready")
			}
			time.Sleep(500 * time.Microsecond)
		}
		all = append(all, time.Since(begin))
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	return all.sorted().at(0.5)
}

func isReady(host string) bool {
	nc, err := net.DialTimeout("tcp", host, time.Second)
	if err != nil {
		return false
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(nc, "GET /readyz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return false
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// fsyncTime is the median of writing and syncing 8 KiB where the databases are.
func fsyncTime(tb testing.TB) time.Duration {
	tb.Helper()
	f, err := os.CreateTemp(tb.TempDir(), "sync")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 8<<10)
	var all times
	for range 100 {
		begin := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			tb.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			tb.Fatal(err)
		}
		all = append(all, time.Since(begin))
	}
	return all.sorted().at(0.5)
}
