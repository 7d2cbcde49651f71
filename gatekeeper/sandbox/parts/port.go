package parts

import (
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ports"
)

// Addr is one on loopback for a server that is stopped and started again:
// nobody else has it until the test's end.
func Addr(t testing.TB) string {
	t.Helper()
	addr, release, err := ports.Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}
