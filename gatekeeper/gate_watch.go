package gatekeeper

import (
	"context"
	"time"
)

// Watch is a caller's wait for news of its own request. Thousands of steps
// wait at once, so it holds little, and nothing of the token or the request.
type Watch struct {
	gate    *Gate
	id      string
	wait    Wait
	changed <-chan struct{}
	stop    func()
}

// Watch is Show for who waits elsewhere: the request of the token's workload,
// and where there is something to wait for, a Watch that has to be ended by
// Next. It is nil when the request is what the caller has to hear now.
func (g *Gate) Watch(ctx context.Context, token, id string, wait Wait) (Request, *Watch, error) {
	w, err := g.Verifier.Verify(ctx, token, "")
	if err != nil {
		return Request{}, nil, err
	}
	if wait.For <= 0 {
		r, err := g.own(ctx, w, id)
		return r, nil, err
	}
	changed, stop := g.Store.Watch(id) // before it is read, so that no change falls between the two
	r, err := g.own(ctx, w, id)
	if err != nil || r.news(wait.Seen) {
		stop()
		return r, nil, err
	}
	if wait.Seen == 0 {
		wait.Seen = r.Version
	}
	return r, &Watch{gate: g, id: id, wait: wait, changed: changed, stop: stop}, nil
}

// Next waits for news, or until the time is over or ctx ends, and gives the
// request as it is then. It is called once. What it gives is a pointer, so that
// nobody who waits has room for a request on its stack.
func (w *Watch) Next(ctx context.Context) (*Request, error) {
	defer w.stop()
	timer := time.NewTimer(w.wait.For)
	defer timer.Stop()
	for {
		over := false
		select {
		case <-w.changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		if r, err := w.look(ctx); err != nil || over || r.news(w.wait.Seen) {
			return r, err
		}
	}
}

// look reads the request, also for a caller whose time is over.
func (w *Watch) look(ctx context.Context) (*Request, error) {
	r, err := w.gate.Store.Get(context.WithoutCancel(ctx), w.id)
	return &r, err
}

// news says whether a waiting caller has to hear of the request now.
func (r *Request) news(seen int64) bool {
	return r.State != Pending || (seen > 0 && r.Version > seen)
}
