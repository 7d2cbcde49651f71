package trace

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
)

// Outgoing gives calls to somebody else a span, where one is above it. They
// are not told of our trace: a vendor has no use for it, some refuse or log
// headers that they do not know, and a signed request would change. Nor does
// a span tell the path, where vendors put secrets (Slack's response URLs).
func (t *Tracing) Outgoing(peer string, next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return outgoing{t: t, peer: peer, next: next}
}

// ToGatekeeper is for the CI step: its calls carry the trace that ctx is in,
// also where nothing is exported, and have spans where something is.
func (t *Tracing) ToGatekeeper(next http.RoundTripper) http.RoundTripper {
	return outgoing{t: t, peer: "gatekeeper", next: next, carry: true}
}

type outgoing struct {
	t     *Tracing
	peer  string
	next  http.RoundTripper
	carry bool
}

// RoundTrip implements http.RoundTripper.
func (o outgoing) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := r.Context(), otel.Span(nil)
	if otel.SpanFromContext(ctx).IsRecording() {
		ctx, span = o.t.start(ctx, methodOf(r)+" "+o.peer, otel.WithSpanKind(otel.SpanKindClient), otel.WithAttributes(
			attribute.String("http.request.method", methodOf(r)), attribute.String("server.address", r.URL.Hostname())))
	}
	if o.carry {
		r = r.Clone(ctx)
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	} else if span != nil {
		r = r.WithContext(ctx)
	}
	resp, err := o.next.RoundTrip(r)
	if span != nil {
		answered(span, resp, err)
	}
	return resp, err
}

func answered(span otel.Span, resp *http.Response, err error) {
	defer span.End()
	if err != nil {
		kind := "unreachable"
		switch {
		case errors.Is(err, context.Canceled):
			kind = "canceled"
		case errors.Is(err, context.DeadlineExceeded):
			kind = "timeout"
		}
		span.SetAttributes(attribute.String(keyError, kind))
		span.SetStatus(codes.Error, "")
		return
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
}
