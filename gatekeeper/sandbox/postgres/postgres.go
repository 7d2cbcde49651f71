// Package postgres starts a real PostgreSQL for tests: a cluster of its own on
// loopback, which ends with the test. It is for tests alone.
package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server is a running cluster.
type Server struct {
	t    testing.TB
	bin  string
	dir  string
	port string
	env  []string
	cmd  *exec.Cmd

	exited chan struct{}
	made   atomic.Int64
}

// Options say how the cluster runs.
type Options struct {
	Durable bool // false: without fsync, which only a crash of the machine would show
	Config  map[string]string
	Dir     string   // where it lives, an empty directory; "": one that goes with the test
	Init    []string // more for initdb
	Clock   bool     // its clock can be set, see SetClock
}

// Start runs a cluster. Where there is no PostgreSQL the test is skipped; in
// CI it fails.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, bin: programs(t), dir: o.Dir}
	if s.dir == "" {
		s.dir = ownDir(t)
	}
	dir := s.dir
	if err := own(dir); err != nil {
		t.Fatal(err)
	}
	s.run("initdb", append([]string{"--pgdata", filepath.Join(dir, "data"), "--username", "gatekeeper", "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"}, o.Init...)...)
	_, s.port, _ = net.SplitHostPort(parts.Addr(t))
	settings := map[string]string{"listen_addresses": "127.0.0.1", "port": s.port, "unix_socket_directories": dir, "max_connections": "200", "log_min_messages": "warning"}
	if !o.Durable {
		settings["fsync"], settings["full_page_writes"] = "off", "off"
	}
	for name, value := range o.Config {
		settings[name] = value
	}
	s.configure(settings)
	if o.Clock {
		s.fakeClock(t)
	}
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

// ownDir is outside the test's own: the server's account has to reach it.
func ownDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatekeeper-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *Server) configure(settings map[string]string) {
	s.t.Helper()
	var b strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&b, "%s = '%s'\n", name, value)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "data", "postgresql.auto.conf"), []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := own(filepath.Join(s.dir, "data", "postgresql.auto.conf")); err != nil {
		s.t.Fatal(err)
	}
}

// Restart starts the server, again after Stop or Kill, and waits until it
// takes connections.
func (s *Server) Restart() {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		s.start()
		err := s.ready()
		if err == nil {
			return
		}
		// The children of a killed server hold its shared memory until they
		// notice; nobody starts before.
		if time.Now().After(deadline) {
			body, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("PostgreSQL does not answer: %v\n%s", err, body)
		}
	}
}

func (s *Server) start() {
	s.t.Helper()
	s.cmd = command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"))
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), s.env...)
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal("PostgreSQL does not start:", err)
	}
	exited := make(chan struct{})
	go func(cmd *exec.Cmd) { _ = cmd.Wait(); close(exited) }(s.cmd)
	s.exited = exited
}

// ready asks until the server answers, which a start-up file cannot tell, or
// has ended.
func (s *Server) ready() error {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-s.exited:
			<-tick.C
			return err
		case <-tick.C:
		}
	}
}

// Stop ends the server at once, connections included, as an operator would.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(os.Interrupt) // fast shutdown
	<-s.exited
	s.cmd = nil
}

// Kill ends it as a machine that dies does: no process of it says goodbye.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
	_ = os.Remove(filepath.Join(s.dir, "data", "postmaster.pid"))
}

// Ended says whether it went by itself, as it does when it cannot write its log.
func (s *Server) Ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// Addr is where it listens.
func (s *Server) Addr() string { return "127.0.0.1:" + s.port }

// Database makes a fresh database and gives its URL.
func (s *Server) Database() string {
	s.t.Helper()
	name := fmt.Sprintf("g%d", s.made.Add(1))
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
		s.t.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(name string) string {
	return "postgres://gatekeeper@" + s.Addr() + "/" + name + "?sslmode=disable"
}

func (s *Server) run(name string, args ...string) {
	s.t.Helper()
	cmd := command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// programs is the folder of initdb and postgres.
func programs(t testing.TB) string {
	t.Helper()
	places, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(places) > 0 {
		return filepath.Dir(places[len(places)-1])
	}
	if found, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(found)
	}
	parts.Missing(t, "no PostgreSQL here: apt-get install postgresql")
	return ""
}
