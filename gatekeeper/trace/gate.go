package trace

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	otel "go.opentelemetry.io/otel/trace"
)

// Gate is what CI steps call.
type Gate interface {
	Open(ctx context.Context, token string, ask gatekeeper.Ask) (r gatekeeper.Request, created bool, err error)
	Show(ctx context.Context, token, id string, wait gatekeeper.Wait) (gatekeeper.Request, error)
	Watch(ctx context.Context, token, id string, wait gatekeeper.Wait) (gatekeeper.Request, *gatekeeper.Watch, error)
	Redeem(ctx context.Context, token, id string, ask gatekeeper.RedeemAsk) (gatekeeper.Credential, error)
	Cancel(ctx context.Context, token, id string) (gatekeeper.Request, error)
}

// Gate tells on the call's span which request it was about and with which
// code it failed.
func (t *Tracing) Gate(next Gate) Gate {
	if t == nil {
		return next
	}
	return gate{next}
}

type gate struct{ next Gate }

// Open implements Gate.
func (g gate) Open(ctx context.Context, token string, ask gatekeeper.Ask) (gatekeeper.Request, bool, error) {
	r, created, err := g.next.Open(ctx, token, ask)
	about(ctx, r) // one that was there already was found, not read
	failed(otel.SpanFromContext(ctx), err)
	return r, created, err
}

// Show implements Gate.
func (g gate) Show(ctx context.Context, token, id string, wait gatekeeper.Wait) (gatekeeper.Request, error) {
	r, err := g.next.Show(ctx, token, id, wait)
	failed(otel.SpanFromContext(ctx), err)
	return r, err
}

// Watch implements Gate. What comes of the wait is told by whoever reads it.
func (g gate) Watch(ctx context.Context, token, id string, wait gatekeeper.Wait) (gatekeeper.Request, *gatekeeper.Watch, error) {
	r, watch, err := g.next.Watch(ctx, token, id, wait)
	failed(otel.SpanFromContext(ctx), err)
	return r, watch, err
}

// Redeem implements Gate.
func (g gate) Redeem(ctx context.Context, token, id string, ask gatekeeper.RedeemAsk) (gatekeeper.Credential, error) {
	c, err := g.next.Redeem(ctx, token, id, ask)
	failed(otel.SpanFromContext(ctx), err)
	return c, err
}

// Cancel implements Gate.
func (g gate) Cancel(ctx context.Context, token, id string) (gatekeeper.Request, error) {
	r, err := g.next.Cancel(ctx, token, id)
	failed(otel.SpanFromContext(ctx), err)
	return r, err
}
