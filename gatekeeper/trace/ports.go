package trace

import (
	"context"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/trace"
)

// Verifier gives each token's verification a span.
func (t *Tracing) Verifier(next gatekeeper.Verifier) gatekeeper.Verifier {
	if t == nil {
		return next
	}
	return verifier{t, next}
}

type verifier struct {
	t    *Tracing
	next gatekeeper.Verifier
}

// Verify implements gatekeeper.Verifier.
func (v verifier) Verify(ctx context.Context, raw, audience string) (gatekeeper.Workload, error) {
	ctx, span := v.t.start(ctx, "verify token")
	w, err := v.next.Verify(ctx, raw, audience)
	done(span, err)
	return w, err
}

// Decider gives each decision a span.
func (t *Tracing) Decider(next gatekeeper.Decider) gatekeeper.Decider {
	if t == nil {
		return next
	}
	return decider{t, next}
}

type decider struct {
	t    *Tracing
	next gatekeeper.Decider
}

// Decide implements gatekeeper.Decider.
func (d decider) Decide(ctx context.Context, w gatekeeper.Workload, environment string, now time.Time) gatekeeper.Decision {
	if !otel.SpanFromContext(ctx).IsRecording() { // a decision takes microseconds, and inboxes take many
		return d.next.Decide(ctx, w, environment, now)
	}
	ctx, span := d.t.start(ctx, "decide")
	defer span.End()
	decision := d.next.Decide(ctx, w, environment, now)
	span.SetAttributes(attribute.String(keyOutcome, decision.Outcome.String()))
	if decision.Rule != nil {
		span.SetAttributes(attribute.String(keyRule, decision.Rule.Name))
	}
	return decision
}

// Exchanger is one that may also revoke, as all of ours.
type Exchanger interface {
	gatekeeper.Exchanger
	gatekeeper.Revoker
}

// Exchanger gives each exchange with a cloud a span.
func (t *Tracing) Exchanger(next Exchanger) gatekeeper.Exchanger {
	if t == nil {
		return next
	}
	return exchanger{t, next}
}

type exchanger struct {
	t    *Tracing
	next Exchanger
}

// Exchange implements gatekeeper.Exchanger.
func (e exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, subjectToken string) (gatekeeper.Credential, error) {
	ctx, span := e.t.start(ctx, "exchange", otel.WithAttributes(
		attribute.String(keyRequest, g.Request().ID), attribute.String(keyRule, g.Request().Rule.Name),
		attribute.String(keyCredential, g.Credential().Type), attribute.String(keyRedemption, g.Redemption().ID)))
	c, err := e.next.Exchange(ctx, g, subjectToken)
	done(span, err)
	return c, err
}

// Revoke implements gatekeeper.Revoker.
func (e exchanger) Revoke(ctx context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	ctx, span := e.t.start(ctx, "revoke", otel.WithAttributes(attribute.String(keyCredential, spec.Type), attribute.String(keyRedemption, d.ID)))
	r, err := e.next.Revoke(ctx, spec, d)
	done(span, err)
	return r, err
}
