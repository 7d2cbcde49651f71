package trace

import (
	"context"
	"crypto/rand"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
)

// Continue puts a CI step into the trace that its pipeline is in, by the
// variables TRACEPARENT and TRACESTATE
// (https://opentelemetry.io/docs/specs/otel/context/env-carriers/). Where
// there is none, and no span of ours will begin one, it makes one up, so that
// all calls of the step are one trace at the gatekeeper.
func (t *Tracing) Continue(ctx context.Context, env func(string) string) context.Context {
	carrier := propagation.MapCarrier{"traceparent": env("TRACEPARENT"), "tracestate": env("TRACESTATE")}
	ctx = propagation.TraceContext{}.Extract(ctx, carrier)
	if t != nil || otel.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	c := otel.SpanContextConfig{TraceFlags: otel.FlagsSampled, Remote: true}
	_, _ = rand.Read(c.TraceID[:]) // never fails
	_, _ = rand.Read(c.SpanID[:])
	return otel.ContextWithRemoteSpanContext(ctx, otel.NewSpanContext(c))
}

// Attribute is one thing that a span says.
type Attribute = attribute.KeyValue

// Exit says on the span in ctx how its process ended.
func Exit(ctx context.Context, code int) {
	span := otel.SpanFromContext(ctx)
	span.SetAttributes(attribute.Int("process.exit.code", code))
	if code != 0 {
		span.SetStatus(codes.Error, "")
	}
}

// About are attributes for what a step's span is about; empty ones are left
// out.
func About(request, environment, rule, state, credentialType string) []Attribute {
	var all []Attribute
	for _, kv := range []struct{ key, value string }{
		{keyRequest, request}, {keyEnvironment, environment}, {keyRule, rule}, {keyState, state}, {keyCredential, credentialType},
	} {
		if kv.value != "" {
			all = append(all, attribute.String(kv.key, kv.value))
		}
	}
	return all
}
