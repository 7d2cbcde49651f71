package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// machine plays what connections do, and holds the shares to their words.
type machine struct {
	conns *conns
	now   time.Time
	open  []*conn
}

func (m *machine) gone(shed *conn) {
	for i, c := range m.open {
		if c == shed {
			m.open = append(m.open[:i], m.open[i+1:]...)
			return
		}
	}
}

func (m *machine) crowdOf(a netip.Addr) int {
	if c := m.conns.crowds[a]; c != nil {
		return c.size()
	}
	return 0
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

// Nobody has more than their share, nothing is lost count of, and an address
// with fewer connections than another's finds room.
func TestConnectionsAreShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: time.Unix(0, 0)}
		m.conns = newConns(Options{
			Connections: rapid.IntRange(4, 20).Draw(t, "connections"), ConnectionsPerAddress: rapid.IntRange(1, 6).Draw(t, "address"),
			ConnectionsPerRepository: rapid.IntRange(1, 6).Draw(t, "repository"), Now: func() time.Time { return m.now },
		})
		one := func() *conn {
			if len(m.open) == 0 {
				t.Skip("none is open")
			}
			return rapid.SampledFrom(m.open).Draw(t, "connection")
		}
		t.Repeat(map[string]func(*rapid.T){
			"": m.check,
			"time passes": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "ms")) * time.Millisecond)
			},
			"accept": func(t *rapid.T) {
				c := &conn{peer: address(rapid.IntRange(0, 4).Draw(t, "from")), proxied: rapid.IntRange(0, 3).Draw(t, "proxied") == 0}
				mine, largest := m.crowdOf(c.peer), 0
				for a := range m.conns.crowds {
					largest = max(largest, m.crowdOf(a))
				}
				strangers := m.conns.lonely
				shed, ok := m.conns.admit(c)
				m.gone(shed)
				if ok {
					m.open = append(m.open, c)
				}
				if !ok && !c.proxied && mine < m.conns.perAddress && largest > mine {
					t.Fatalf("an address with %d connections found no room, and another has %d of all %d", mine, largest, strangers)
				}
			},
			"call": func(t *rapid.T) {
				c := one()
				client := c.peer
				if c.proxied {
					client = address(rapid.IntRange(0, 6).Draw(t, "client"))
				}
				shed, _ := m.conns.call(c, client)
				m.gone(shed)
			},
			"prove": func(t *rapid.T) { m.conns.prove(one(), fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "repository"))) },
			"idle":  func(*rapid.T) { m.gone(m.conns.idle(one())) },
			"close": func(*rapid.T) { c := one(); m.conns.release(c); m.conns.release(c); m.gone(c) },
		})
	})
}

func (m *machine) check(t *rapid.T) {
	s := m.conns
	if s.open != len(m.open) || s.open > s.most || s.lonely > s.strangers {
		t.Fatalf("%d are open, %d counted, %d strangers; at most %d and %d", len(m.open), s.open, s.lonely, s.most, s.strangers)
	}
	crowds, repositories, lonely := map[netip.Addr]int{}, map[string]int{}, 0
	for _, c := range m.open {
		if !c.proxied {
			crowds[c.peer] += 0
		}
		if c.crowd != nil {
			crowds[c.crowd.address]++
			lonely++
		}
		if c.repository != "" {
			repositories[c.repository]++
		}
		if c.crowd != nil && c.repository != "" || c.gone {
			t.Fatal("a connection is counted twice, or gone")
		}
	}
	if lonely != s.lonely || len(crowds) != len(s.crowds) || len(crowds) != len(s.largest) || len(repositories) != len(s.repositories) {
		t.Fatalf("%d strangers of %d addresses and %d repositories; counted are %d, %d, %d", lonely, len(crowds), len(repositories), s.lonely, len(s.crowds), len(s.repositories))
	}
	silent := 0
	for _, mine := range s.crowds {
		silent += mine.silent.Len()
	}
	if silent != s.silent.Len() {
		t.Fatalf("%d are silent, counted are %d", silent, s.silent.Len())
	}
	for a, n := range crowds {
		if n != m.crowdOf(a) || n > s.perAddress || n > s.largest[0].size() {
			t.Fatalf("%s has %d, counted are %d, at most %d", a, n, m.crowdOf(a), s.perAddress)
		}
	}
	for name, n := range repositories {
		if n != s.repositories[name] || n > s.perRepository {
			t.Fatalf("repository %s has %d, counted are %d", name, n, s.repositories[name])
		}
	}
}

// What a call costs here beside its token's verification.
func BenchmarkCall(b *testing.B) {
	s := newConns(Options{Connections: 20_000, ConnectionsPerAddress: 5000, ConnectionsPerRepository: 10_000, Now: time.Now})
	for i := range 5000 { // others
		s.admit(&conn{peer: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
	}
	c := &conn{peer: address(1)}
	s.admit(c)
	b.ReportAllocs()
	for b.Loop() {
		s.call(c, c.peer)
		s.prove(c, "acme/payments")
		s.idle(c)
	}
}

func BenchmarkAcceptUnderFlood(b *testing.B) {
	s := newConns(Options{Connections: 20_000, ConnectionsPerAddress: 5000, ConnectionsPerRepository: 10_000, Now: time.Now})
	var next uint32
	for b.Loop() {
		next++
		s.admit(&conn{peer: netip.AddrFrom4([4]byte{10, byte(next >> 16 & 3), byte(next >> 8), byte(next)})})
	}
}
