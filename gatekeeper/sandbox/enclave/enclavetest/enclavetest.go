// Package enclavetest runs tests in an enclave.
package enclavetest

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/enclave"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// within is the enclave's directory, in the environment of who runs inside.
const within = "GATEKEEPER_TEST_ENCLAVE"

// Inside runs the test that calls it again, in an enclave with these hosts, and
// gives the enclave's directory there. Outside it gives "": the test was run.
func Inside(t *testing.T, hosts ...string) (dir string) {
	t.Helper()
	if dir := os.Getenv(within); dir != "" {
		return dir
	}
	for name, install := range map[string]string{"unshare": "util-linux", "mount": "mount", "ip": "iproute2"} {
		parts.Find(t, name, "apt-get install "+install)
	}
	if os.Geteuid() != 0 {
		parts.Missing(t, "it takes root to make a network namespace; run the tests as root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	dir = t.TempDir()
	cmd, err := enclave.Command(ctx, enclave.Options{Dir: dir, Hosts: hosts}, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, within+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("%v\n%s", err, out)
	}
	return ""
}

// Serve answers HTTPS for each host until the test ends.
func Serve(t *testing.T, dir string, hosts map[string]http.Handler) {
	t.Helper()
	server, err := enclave.Serve(dir, hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
}
