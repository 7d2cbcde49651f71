package limit

import (
	"net/netip"
	"testing"
	"time"
)

// flooded is full of strangers of many addresses, each with one connection
// that came just now.
func flooded(now *time.Time) *conns {
	s := newConns(Options{Connections: 40, ConnectionsPerAddress: 10, ConnectionsPerRepository: 20, Now: func() time.Time { return *now }})
	for i := range 20 {
		s.admit(&conn{peer: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})})
	}
	return s
}

// In a flood from more addresses than there is room for, an address that has
// nothing is let in, and so is one whose only connection carries no call any
// more: that one gives way, however short it is idle.
func TestRoomInAFloodOfMany(t *testing.T) {
	now := time.Unix(0, 0)
	s := flooded(&now)
	first := &conn{peer: address(1)}
	if _, ok := s.admit(first); !ok {
		t.Fatal("an address with nothing finds no room")
	}
	if _, ok := s.call(first, first.peer); !ok {
		t.Fatal("it may not call")
	}
	s.idle(first)
	second := &conn{peer: first.peer}
	shed, ok := s.admit(second)
	if !ok || shed != first {
		t.Fatalf("an address whose connection is idle: let in %v, in the place of %v", ok, shed)
	}
	// While it calls, a second one is refused: others have no more than it.
	if _, ok := s.call(second, second.peer); !ok {
		t.Fatal("it may not call")
	}
	if _, ok := s.admit(&conn{peer: first.peer}); ok {
		t.Error("it has two connections where nobody else has")
	}
	now = now.Add(patience)
	if shed, ok := s.admit(&conn{peer: first.peer}); !ok || shed.peer == first.peer {
		t.Error("who never asked for anything keeps its place from who would")
	}
}

// Those who wait with a token that holds are nobody's to shed.
func TestFloodShedsNoWaitingStep(t *testing.T) {
	now := time.Unix(0, 0)
	s := flooded(&now)
	step := &conn{peer: address(1)}
	s.admit(step)
	s.call(step, step.peer)
	if !s.prove(step, "acme/payments") {
		t.Fatal("it may not wait")
	}
	for i := range 5000 {
		now = now.Add(time.Millisecond)
		if shed, _ := s.admit(&conn{peer: netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})}); shed == step || step.gone {
			t.Fatal("a step that waits was shed")
		}
	}
}
