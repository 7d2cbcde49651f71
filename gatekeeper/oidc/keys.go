package oidc

import (
	"context"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// How keys are fetched and how long they are believed. go-oidc's own key set
// fetches for every unknown kid and keeps a withdrawn key for good (threats
// rows 14 and 15).
const (
	keysFresh    = 10 * time.Minute // fetched again after that, so a withdrawn key stops verifying
	keysMaxAge   = time.Hour        // believed that long while the issuer does not answer
	keysCooldown = 15 * time.Second // time between two fetches on average, whoever asks for whatever kid
	keysSpare    = 3                // fetches one after the other, where there were none for long: a key may be new at any time
	fetchTimeout = 5 * time.Second
)

// keySet is one issuer's keys.
type keySet struct {
	fetch func(context.Context) ([]byte, error)
	algs  []string
	now   func() time.Time
	asks  *rate.Limiter
	told  func(error) // of each fetch

	flight  singleflight.Group
	mu      sync.Mutex
	keys    map[string]publicKey // by kid
	fetched time.Time            // the last good fetch
	tries   int                  // fetches that ended
	failed  bool                 // the last fetch did
	under   bool                 // a fetch is under way
}

func newKeySet(algs []string, now func() time.Time, fetch func(context.Context) ([]byte, error)) *keySet {
	return &keySet{fetch: fetch, algs: algs, now: now, asks: rate.NewLimiter(rate.Every(keysCooldown), keysSpare), told: func(error) {}}
}

// get is the key of that id and algorithm. Fetching happens at most once at a
// time and not too often; keys outlive a short outage of the issuer.
func (s *keySet) get(ctx context.Context, kid, alg string) (publicKey, error) {
	l := s.look(kid)
	if l.fetch {
		err := s.refresh(ctx, l.tries)
		l = s.look(kid)
		if err != nil && (!l.known || l.age >= keysMaxAge) {
			return publicKey{}, s.unavailable(err)
		}
	}
	switch {
	case l.age >= keysMaxAge || !l.known && l.failing: // a key that is new meanwhile is no wrong one
		return publicKey{}, s.unavailable(nil)
	case !l.known:
		return publicKey{}, invalid("the token is signed with a key that its issuer does not publish")
	case l.key.alg != "" && l.key.alg != alg:
		return publicKey{}, invalid("the token's alg is %q, its key is for %q", alg, l.key.alg)
	}
	return l.key, nil
}

// unavailable says when keys may be fetched again.
func (s *keySet) unavailable(cause error) error {
	missing := max(0, 1-s.asks.TokensAt(s.now()))
	return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: time.Second + time.Duration(missing*float64(keysCooldown)), Err: cause,
		Description: "the issuer's keys cannot be had right now; try again"}
}

// lookup is what is known of a key, and of the set.
type lookup struct {
	key     publicKey
	known   bool
	age     time.Duration // of the set
	tries   int
	failing bool
	fetch   bool // it is missing or old, and keys may be fetched or are on their way
}

func (s *keySet) look(kid string) lookup {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	key, known := s.keys[kid]
	age := keysMaxAge
	if !s.fetched.IsZero() {
		age = now.Sub(s.fetched)
	}
	fetch := (!known || age >= keysFresh) && (s.under || s.asks.TokensAt(now) >= 1)
	return lookup{key: key, known: known, age: age, tries: s.tries, failing: s.failed, fetch: fetch}
}

// refresh fetches for everybody who waits, unless a fetch ended since they
// looked. It is not bound to the caller that happened to be first: one that
// hangs up must not fail the others.
func (s *keySet) refresh(ctx context.Context, looked int) error {
	ch := s.flight.DoChan("", func() (any, error) {
		if !s.begin(looked) {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		body, err := s.fetch(ctx)
		if err == nil {
			err = s.replace(body)
		}
		s.end(err)
		s.told(err)
		return nil, err
	})
	select {
	case done := <-ch:
		return done.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *keySet) begin(looked int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under = s.tries == looked && s.asks.AllowN(s.now(), 1)
	return s.under
}

func (s *keySet) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries, s.failed, s.under = s.tries+1, err != nil, false
}

// replace takes a new set; an empty or broken one never replaces a good one.
func (s *keySet) replace(body []byte) error {
	keys, err := parseKeys(body, s.algs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetched = keys, s.now()
	return nil
}
