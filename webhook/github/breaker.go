package github

import (
	"net/http"
	"sync"
	"time"
)

const (
	// silences is how many calls in a row may get no answer before GitHub is
	// left alone, and pause for how long. Otherwise each call hangs for its
	// whole timeout, and what waits behind it waits with it.
	silences = 3
	pause    = 10 * time.Second
)

// breaker fails calls at once while GitHub does not answer at all. After the
// pause one call is let through; its answer, whatever its status, ends the
// silence.
type breaker struct {
	next  http.RoundTripper
	clock func() time.Time

	mu      sync.Mutex
	silent  int
	until   time.Time
	probing bool
}

// silence is the error of a call that was not made.
type silence struct{ left time.Duration }

func (s *silence) Error() string {
	return "GitHub did not answer the last calls and is left alone for " + s.left.Round(time.Millisecond).String()
}

// RoundTrip implements http.RoundTripper.
func (b *breaker) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := b.enter(); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	resp, err := b.next.RoundTrip(r)
	b.leave(err == nil || r.Context().Err() != nil && b.quick(r))
	return resp, err
}

// quick says that the caller gave up, which says nothing of GitHub: it had
// not even waited for a call's own timeout.
func (b *breaker) quick(r *http.Request) bool {
	deadline, ok := r.Context().Deadline()
	return !ok || b.clock().Before(deadline)
}

func (b *breaker) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.silent < silences {
		return nil
	}
	if left := b.until.Sub(b.clock()); left > 0 || b.probing {
		return &silence{max(left, time.Second)}
	}
	b.probing = true
	return nil
}

func (b *breaker) leave(answered bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if answered {
		b.silent = 0
		return
	}
	if b.silent++; b.silent >= silences {
		b.until = b.clock().Add(pause)
	}
}
