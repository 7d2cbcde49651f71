package limit

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Nobody holds more than their share, nothing is lost count of, and however
// many hold theirs, who has nothing yet finds half of what is left.
func TestBodiesAreShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBodies(rapid.IntRange(1, 200).Draw(t, "most"))
		held := map[netip.Addr]int{}
		sum := 0
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if b.all != sum || len(b.each) != len(held) || sum > b.most {
					t.Fatalf("%d bytes of %d addresses are counted as %d of %d", sum, len(held), b.all, len(b.each))
				}
				for a, n := range held {
					if n > b.most/shareOfBodies {
						t.Fatalf("%s holds %d of %d", a, n, b.most)
					}
				}
				if n := min(b.most/shareOfBodies, (b.most-sum)/2); n > 0 {
					if !b.take(address(200), n) {
						t.Fatalf("%d are left, and a newcomer is refused %d", b.most-sum, n)
					}
					b.give(address(200), n)
				}
			},
			"take": func(t *rapid.T) {
				n := rapid.IntRange(1, 15).Draw(t, "bytes")
				for i := range rapid.IntRange(1, 30).Draw(t, "addresses") {
					if a := address(i); b.take(a, n) {
						held[a] += n
						sum += n
					}
				}
			},
			"give": func(t *rapid.T) {
				a := address(rapid.IntRange(0, 30).Draw(t, "address"))
				if held[a] == 0 {
					t.Skip("it holds nothing")
				}
				n := rapid.IntRange(1, held[a]).Draw(t, "bytes")
				b.give(a, n)
				sum -= n
				if held[a] -= n; held[a] == 0 {
					delete(held, a)
				}
			},
		})
	})
}
