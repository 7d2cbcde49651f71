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
// has to wait goes back to durable work, and has its turn when it comes again.
type pace struct {
	clock func() time.Time

	mu    sync.Mutex
	posts map[string]*rate.Limiter // by channel
	turns map[turn]time.Time       // given out and not taken yet
	until map[string]time.Time     // by method: Retry-After
}

// turn is one message's place in a channel's queue.
type turn struct{ channel, queued string }

func newPace(clock func() time.Time) *pace {
	return &pace{clock: clock, posts: map[string]*rate.Limiter{}, turns: map[turn]time.Time{}, until: map[string]time.Time{}}
}

// wait is how long to leave the method alone; zero takes a turn. Who has to
// wait is told when their own turn is, so that a hundred messages in a queue
// do not all come back for the next one.
func (p *pace) wait(method, channel, queued string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	if left := p.until[method].Sub(now); left > 0 {
		return left
	}
	if method != "chat.postMessage" {
		return 0
	}
	mine := turn{channel, queued}
	at, given := p.turns[mine]
	if !given {
		at = now.Add(p.limiter(channel, now).ReserveN(now, 1).DelayFrom(now))
	}
	if left := at.Sub(now); left > 0 {
		if len(p.turns) >= crowd {
			p.forget(now)
		}
		p.turns[mine] = at
		return left
	}
	delete(p.turns, mine)
	return 0
}

func (p *pace) limiter(channel string, now time.Time) *rate.Limiter {
	if l, ok := p.posts[channel]; ok {
		return l
	}
	if len(p.posts) >= crowd {
		p.forget(now)
	}
	l := rate.NewLimiter(perChannel, burst)
	p.posts[channel] = l
	return l
}

// forget drops channels that are idle, and turns that nobody came for.
func (p *pace) forget(now time.Time) {
	for name, l := range p.posts {
		if l.TokensAt(now) >= burst {
			delete(p.posts, name)
		}
	}
	for t, at := range p.turns {
		if now.Sub(at) > time.Hour {
			delete(p.turns, t)
		}
	}
}

// hold obeys a Retry-After, which Slack says for a method as a whole.
func (p *pace) hold(method string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until[method] = p.clock().Add(d)
}
