package parts

import (
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ports"
)

// Addr is one on loopback for a server that is stopped and started again:
// nobody else has it until the test's end.
func Addr(t testing.TB) string { t.Helper(); return Addrs(t, 1) }

// Addrs is the first of n such addresses, whose ports are in a row.
func Addrs(t testing.TB, n int) string {
	t.Helper()
	addr, release, err := ports.Hold(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return addr
}
