package trace

import (
	"context"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Store gives each commit a span, keeps with a new request the span that
// opened it, and links whoever comes to the request later to that one: the
// message, the click, the verdict, another job's redemption.
func (t *Tracing) Store(next gatekeeper.Store) gatekeeper.Store {
	if t == nil {
		return next
	}
	return store{next, t}
}

type store struct {
	gatekeeper.Store
	t *Tracing
}

// Open implements gatekeeper.Store.
func (s store) Open(ctx context.Context, key gatekeeper.OpenKey, decide func(gatekeeper.OpenView) (gatekeeper.Change, error)) (gatekeeper.Request, error) {
	by := traceparent(ctx)
	commit, span := s.t.start(ctx, "store open")
	r, err := s.Store.Open(commit, key, func(v gatekeeper.OpenView) (gatekeeper.Change, error) {
		c, err := decide(v)
		if c.Request.Version == 0 && c.Request.ID != "" {
			c.Request.Trace = by
		}
		return c, err
	})
	done(span, err)
	about(ctx, r)
	return r, err
}

// Update implements gatekeeper.Store.
func (s store) Update(ctx context.Context, id string, change func(gatekeeper.Request, time.Time) (gatekeeper.Change, error)) (gatekeeper.Request, error) {
	commit, span := s.t.start(ctx, "store update")
	r, err := s.Store.Update(commit, id, change)
	done(span, err)
	about(ctx, r)
	return r, err
}

// Record implements gatekeeper.Store.
func (s store) Record(ctx context.Context, c gatekeeper.Change) error {
	commit, span := s.t.start(ctx, "store record")
	err := s.Store.Record(commit, c)
	done(span, err)
	return err
}

// UseToken implements gatekeeper.Store.
func (s store) UseToken(ctx context.Context, issuerURL string, token gatekeeper.Token) error {
	commit, span := s.t.start(ctx, "store token")
	err := s.Store.UseToken(commit, issuerURL, token)
	done(span, err)
	return err
}

// Get implements gatekeeper.Store. It reads, and has no span of its own.
func (s store) Get(ctx context.Context, id string) (gatekeeper.Request, error) {
	r, err := s.Store.Get(ctx, id)
	about(ctx, r)
	return r, err
}
