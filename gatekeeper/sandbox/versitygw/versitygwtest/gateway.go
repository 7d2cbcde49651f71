// Package versitygwtest runs a versitygw for a test, in an enclave.
package versitygwtest

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw"
)

// Gateway is one that runs until its test ends.
type Gateway struct {
	versitygw.IAM
	S3 string // its URL
}

// Options of a gateway.
type Options struct {
	Dir     string   // for its files
	Buckets []string // with any there is an S3, too
}

// Where it listens: in an enclave nobody else does.
const (
	iamAddress = "127.0.0.1:7070"
	s3Address  = "127.0.0.1:7071"
)

// Start runs the IAM with STS, and beside it an S3 over a directory, which asks
// the IAM about sessions over a socket.
func Start(t testing.TB, o Options) Gateway {
	t.Helper()
	state, files, socket := filepath.Join(o.Dir, "iam"), filepath.Join(o.Dir, "s3"), filepath.Join(o.Dir, "iam.sock")
	makeDir(t, state)
	run(t, iamAddress, append(versitygw.Arguments(iamAddress, state), "--private-ports", socket)...)
	for _, bucket := range o.Buckets {
		makeDir(t, filepath.Join(files, bucket))
	}
	if len(o.Buckets) > 0 {
		run(t, s3Address, "-p", s3Address, "-a", versitygw.User, "-s", versitygw.Password, "--iam-standalone-endpoint", socket, "posix", files)
	}
	return Gateway{versitygw.IAM{URL: "http://" + iamAddress}, "http://" + s3Address}
}

func makeDir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, address string, args ...string) {
	t.Helper()
	log := &bytes.Buffer{}
	cmd := exec.Command(Find(t), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended); cancel() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%v\n%s", args, log)
		}
	})
	if err := listens(ctx, address); err != nil {
		t.Fatalf("versitygw ended, or does not listen at %s: %v", address, err)
	}
}

// Find is where the program is.
func Find(t testing.TB) string {
	t.Helper()
	return parts.Find(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
}

// listens waits until somebody does. It says that it listens before it does, so
// that connecting is the one sign.
func listens(ctx context.Context, address string) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
