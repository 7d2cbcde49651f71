package limit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Over any stretch of time no key is let in more often than its rate and its
// burst, whatever the others do; who waits as long as told is let in.
func TestBucketsHoldTheirRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.IntRange(1, 5).Draw(t, "rate")
		b := newBuckets[int](perSecond)
		share := 1.0
		if rapid.Bool().Draw(t, "crowded") {
			b.most, share = 1, 2 // of a shard: its common bucket gives as much again
		}
		now := time.Unix(1000, 0)
		began, taken := now, map[int]int{}
		for range rapid.IntRange(1, 3000).Draw(t, "calls") {
			key := rapid.IntRange(0, 40).Draw(t, "key")
			now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "ms")) * time.Millisecond)
			wait := b.take(key, now)
			if wait == 0 {
				taken[key]++
				continue
			}
			now = now.Add(wait + time.Microsecond)
			if again := b.wait(key, now); again > 0 {
				t.Fatalf("key %d waited %s as it was told, and is to wait %s more", key, wait, again)
			}
		}
		for key, n := range taken {
			if most := share*float64(perSecond)*(burst+now.Sub(began).Seconds()) + 1; float64(n) > most {
				t.Fatalf("key %d was let in %d times, at most %.0f are right", key, n, most)
			}
		}
	})
}

// One key's flood is no other key's matter, as long as there is room.
func TestOneKeyStarvesNoOther(t *testing.T) {
	b := newBuckets[string](1)
	now := time.Unix(0, 0)
	for i := range 10 * burst {
		if ok := b.take("flood", now) == 0; ok != (i < burst) {
			t.Fatalf("call %d: %v", i, ok)
		}
	}
	if wait := b.take("other", now); wait != 0 {
		t.Errorf("another is to wait %s", wait)
	}
}

// Nobody gets rid of a debt by making us remember others, and what is
// remembered is bounded.
func TestDebtIsNotForgotten(t *testing.T) {
	b := newBuckets[string](1)
	b.most = 8
	now := time.Unix(0, 0)
	for range burst {
		b.charge("debtor", now, 1)
	}
	refused := 0
	for i := range 5000 {
		if b.take(fmt.Sprint(i), now) > 0 {
			refused++
		}
		if i%100 == 0 {
			now = now.Add(10 * time.Millisecond)
		}
	}
	if wait := b.wait("debtor", now); wait == 0 {
		t.Error("a flood of other keys paid the debt")
	}
	if refused == 0 {
		t.Error("keys without room were let in without end")
	}
	held := func() (n int) {
		for i := range b.shards {
			n += len(b.shards[i].known)
		}
		return n
	}
	if n := held(); n > shards*b.most {
		t.Errorf("%d keys are remembered", n)
	}
	// What is full again makes room.
	now = now.Add(2 * burst * time.Second)
	for i := range 200 {
		b.charge(fmt.Sprint("late ", i), now.Add(time.Duration(i)*time.Second), 1)
	}
	if n := held(); n > shards*b.most {
		t.Errorf("%d keys are remembered at last", n)
	}
	if wait := b.wait("debtor", now); wait != 0 {
		t.Errorf("a debt of long ago is still one: %s", wait)
	}
}

// Debt has an end: an hour's attack is over a minute and a half after it.
func TestDebtHasAnEnd(t *testing.T) {
	b := newBuckets[string](10)
	now := time.Unix(0, 0)
	for range 100_000 {
		b.charge("x", now, 5)
	}
	if wait := b.wait("x", now); wait < time.Second || wait > (burst+2)*time.Second {
		t.Errorf("it is to wait %s", wait)
	}
}

func BenchmarkTake(b *testing.B) {
	buckets := newBuckets[string](1_000_000_000)
	var names [1024]string
	for i := range names {
		names[i] = fmt.Sprint("https://token.actions.githubusercontent.com ", i)
	}
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			buckets.take(names[i%len(names)], now)
		}
	})
}
