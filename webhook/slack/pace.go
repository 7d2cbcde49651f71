package slack

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Slack takes about one message a second in a channel and lets short bursts
// pass (https://docs.slack.dev/apis/web-api/rate-limits). We stay below, so
// that 429 is rare, and obey it when it comes.
const (
	perChannel = rate.Limit(1)
	burst      = 3
	// crowd is how many channels are remembered before idle ones are forgotten.
	crowd = 1000
)

// pace says when Slack may be called. It is a courtesy kept in memory: what
// has to wait goes back to durable work.
type pace struct {
	clock func() time.Time

	mu    sync.Mutex
	posts map[string]*rate.Limiter // by channel
	until map[string]time.Time     // by method: Retry-After
}

func newPace(clock func() time.Time) *pace {
	return &pace{clock: clock, posts: map[string]*rate.Limiter{}, until: map[string]time.Time{}}
}

// wait is how long to leave the method alone; zero takes a turn.
func (p *pace) wait(method, channel string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	if left := p.until[method].Sub(now); left > 0 {
		return left
	}
	if method != "chat.postMessage" {
		return 0
	}
	turn := p.limiter(channel, now).ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	if delay > 0 {
		turn.CancelAt(now)
	}
	return delay
}

func (p *pace) limiter(channel string, now time.Time) *rate.Limiter {
	if l, ok := p.posts[channel]; ok {
		return l
	}
	if len(p.posts) >= crowd {
		for name, l := range p.posts {
			if l.TokensAt(now) >= burst {
				delete(p.posts, name)
			}
		}
	}
	l := rate.NewLimiter(perChannel, burst)
	p.posts[channel] = l
	return l
}

// hold obeys a Retry-After, which Slack says for a method as a whole.
func (p *pace) hold(method string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until[method] = p.clock().Add(d)
}
