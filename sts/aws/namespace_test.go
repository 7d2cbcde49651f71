package aws_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/enclave"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

const (
	iamAt = "127.0.0.1:7070"
	s3At  = "127.0.0.1:7071"
)

// The exchange with a real STS: versitygw verifies tokens against their
// issuers' keys and evaluates the trust policies that docs/credentials.md
// gives. It fetches keys from public addresses only (its guard against SSRF),
// so the test runs itself again in an enclave, where there is one.
func TestVersityGW(t *testing.T) {
	if dir := os.Getenv("GATEKEEPER_STS_NAMESPACE"); dir != "" {
		inNamespace(t, dir)
		return
	}
	versitygw := parts.Find(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	for name, install := range map[string]string{"unshare": "util-linux", "mount": "mount", "ip": "iproute2"} {
		parts.Find(t, name, "apt-get install "+install)
	}
	if os.Geteuid() != 0 {
		parts.Missing(t, "it takes root to make a network namespace; run this test as root")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
	defer cancel()
	cmd, err := enclave.Command(ctx, enclave.Options{Dir: dir, Hosts: []string{ciHost, ourHost}}, os.Args[0], "-test.run", "^TestVersityGW$", "-test.v")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "GATEKEEPER_STS_NAMESPACE="+dir, "GATEKEEPER_VERSITYGW="+versitygw)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestVersityGW/refusals") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// listens waits until somebody does, or the program has ended.
func listens(ctx context.Context, address string, ended <-chan struct{}) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serveTLS answers for each host, inside.
func serveTLS(t *testing.T, dir string, hosts map[string]http.Handler) {
	t.Helper()
	server, err := enclave.Serve(dir, hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
}
