package ports

import (
	"net"
	"testing"
)

// So many at once: two that were the same made a replica's restart fail, as
// another test's server had taken its port while it was down.
func TestHoldGivesEachOnce(t *testing.T) {
	seen := map[string]bool{}
	for range 500 {
		addr, release, err := Hold(1)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if seen[addr] {
			t.Fatalf("%s was given twice", addr)
		}
		seen[addr] = true
	}
}

// What is held can be bound, over and over, and what was let go is held again.
func TestHeldIsFree(t *testing.T) {
	addr, release, err := Hold(3)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := net.Listen("tcp", addr) //nolint:noctx // ends here
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	var again held
	if err := again.hold(addr); err == nil {
		t.Fatal("it is held twice")
	}
	release()
	if err := again.hold(addr); err != nil {
		t.Fatal(err)
	}
	again.release()
}
