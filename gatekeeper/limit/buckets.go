package limit

import (
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// shards is over how many locks the keys of a kind are spread.
const shards = 16

// maxKeys bounds how many keys of a kind are remembered, about 200 bytes each.
const maxKeys = 64 << 10

// sweepEvery is how often a shard without room looks for buckets to forget: at
// each new key it would be the flood's gain.
const sweepEvery = time.Second

// buckets are token buckets by key, in bounded memory. Only a full bucket is
// forgotten, which says nothing: so nobody gets rid of its debt by making us
// remember others. Who finds no room shares one bucket with all of them.
type buckets[K comparable] struct {
	limit  rate.Limit
	burst  int
	most   int          // keys of a shard
	seed   maphash.Seed // strangers cannot aim at a shard
	shards [shards]shard[K]
}

type shard[K comparable] struct {
	mu     sync.Mutex
	known  map[K]*rate.Limiter
	common *rate.Limiter
	swept  time.Time
}

func newBuckets[K comparable](perSecond int) *buckets[K] {
	b := &buckets[K]{limit: rate.Limit(perSecond), burst: burst * perSecond, most: maxKeys / shards, seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i] = shard[K]{known: map[K]*rate.Limiter{}, common: b.full()}
	}
	return b
}

func (b *buckets[K]) full() *rate.Limiter { return rate.NewLimiter(b.limit, b.burst) }

// take counts a call and gives 0, or counts nothing and says when one will be
// taken.
func (b *buckets[K]) take(key K, now time.Time) time.Duration {
	s := b.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket := s.bucket(b, key, now)
	if bucket.AllowN(now, 1) {
		return 0
	}
	return b.until(bucket, now)
}

// wait says when the next call is taken, and counts none. Who was never
// charged is not remembered for asking.
func (b *buckets[K]) wait(key K, now time.Time) time.Duration {
	s := b.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, ok := s.known[key]
	switch {
	case ok:
	case len(s.known) >= b.most:
		bucket = s.common
	default:
		return 0
	}
	return b.until(bucket, now)
}

// charge counts what was done already, into debt where it has to be. Debt ends
// at a burst: what is in hand at once is bounded elsewhere.
func (b *buckets[K]) charge(key K, now time.Time, cost int) {
	s := b.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if bucket := s.bucket(b, key, now); bucket.TokensAt(now) > -float64(b.burst) {
		bucket.ReserveN(now, cost)
	}
}

// until is when the bucket has a token.
func (b *buckets[K]) until(bucket *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(b.limit) * float64(time.Second))
}

func (b *buckets[K]) shard(key K) *shard[K] {
	return &b.shards[maphash.Comparable(b.seed, key)%shards]
}

func (s *shard[K]) bucket(b *buckets[K], key K, now time.Time) *rate.Limiter {
	if bucket, ok := s.known[key]; ok {
		return bucket
	}
	if len(s.known) >= b.most {
		s.sweep(b, now)
	}
	if len(s.known) >= b.most {
		return s.common
	}
	bucket := b.full()
	s.known[key] = bucket
	return bucket
}

func (s *shard[K]) sweep(b *buckets[K], now time.Time) {
	if age := now.Sub(s.swept); 0 <= age && age < sweepEvery {
		return
	}
	s.swept = now
	for key, bucket := range s.known {
		if bucket.TokensAt(now) >= float64(b.burst) {
			delete(s.known, key)
		}
	}
}
