package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// EnvBin names the folder of initdb and postgres, where they are in no usual place.
const EnvBin = "RESETFLOW_PG_BIN"

// EnvFsync switches fsync on ("on") for tests that measure or crash.
const EnvFsync = "RESETFLOW_TEST_FSYNC"

var cluster struct {
	watch io.WriteCloser
	done  chan struct{}
	log   bytes.Buffer
}

// start makes and starts a cluster in a temporary folder and returns the URL of
// its first database.
func start() (string, error) {
	if given := os.Getenv(EnvPostgres); given != "" {
		if _, err := url.Parse(given); err != nil {
			return "", errors.New("testkit: " + EnvPostgres + " is not a URL such as postgres://postgres@127.0.0.1:5432/postgres")
		}
		return given, nil
	}
	bin, err := binaries()
	if err != nil {
		return "", err
	}
	attr, owner, err := unprivileged()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "resetflow-pg-")
	if err != nil {
		return "", fmt.Errorf("testkit: %w", err)
	}
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return "", fmt.Errorf("testkit: %w", err)
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	initdb.Dir, initdb.SysProcAttr = dir, attr
	if out, err := initdb.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("testkit: initdb: %w: %s", err, out)
	}
	if err := run(bin, dir, data, attr); err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	server := "postgres://postgres@/postgres?host=" + url.QueryEscape(dir)
	if err := await(server); err != nil {
		stop()
		return "", fmt.Errorf("%w; the server said: %s", err, cluster.log.String())
	}
	return server, nil
}

// watcher starts the server and waits for the end of its input, which this
// process holds open: however the process ends, the server ends and its folder goes.
const watcher = `dir=$1; shift; "$@" & pid=$!; cat >/dev/null; kill -QUIT $pid; wait $pid; rm -rf "$dir"`

func run(bin, dir, data string, attr *syscall.SysProcAttr) error {
	fsync := "off"
	if os.Getenv(EnvFsync) == "on" {
		fsync = "on"
	}
	args := []string{"-c", watcher, "sh", dir, filepath.Join(bin, "postgres"), "-D", data}
	for _, setting := range []string{
		"listen_addresses=", "unix_socket_directories=" + dir, "max_connections=300", "shared_buffers=128MB",
		"fsync=" + fsync, "synchronous_commit=" + fsync, "full_page_writes=" + fsync, "log_min_messages=fatal",
	} {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &cluster.log, &cluster.log
	own := syscall.SysProcAttr{}
	if attr != nil {
		own = *attr
	}
	own.Setpgid = true // Ctrl-C in a terminal must not reach it before the tests are done
	cmd.SysProcAttr = &own
	watch, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("testkit: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("testkit: %w", err)
	}
	cluster.watch, cluster.done = watch, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(cluster.done)
	}()
	return nil
}

func stop() {
	if cluster.watch == nil {
		return
	}
	_ = cluster.watch.Close()
	select {
	case <-cluster.done:
	case <-time.After(10 * time.Second): // the watcher goes on without us
	}
}

func await(server string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, server)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-cluster.done:
			return errors.New("testkit: PostgreSQL ended while starting")
		case <-ctx.Done():
			return fmt.Errorf("testkit: PostgreSQL did not start within %s: %w", startTimeout, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// binaries finds the folder of initdb and postgres; of several versions, the newest.
func binaries() (string, error) {
	var folders []string
	if given := os.Getenv(EnvBin); given != "" {
		folders = append(folders, given)
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(initdb))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(debian, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range append(folders, debian...) {
		if executable(folder, "initdb") && executable(folder, "postgres") {
			return folder, nil
		}
	}
	return "", errors.New("testkit: these tests need PostgreSQL on this machine: apt-get install postgresql (or set " + EnvBin + " to the folder of initdb, or " + EnvPostgres + " to a server's URL)")
}

func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

func executable(folder, name string) bool {
	info, err := os.Stat(filepath.Join(folder, name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// unprivileged says as whom to run: PostgreSQL refuses to run as root.
func unprivileged() (*syscall.SysProcAttr, *syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, nil, errors.New("testkit: as root the tests need the user postgres: apt-get install postgresql")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("testkit: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, nil, fmt.Errorf("testkit: %w", err)
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return &syscall.SysProcAttr{Credential: c}, c, nil
}
