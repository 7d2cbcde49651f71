package trace

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

// All that spans say, beside OpenTelemetry's own words for HTTP.
const (
	keyRequest     = "gatekeeper.request.id"
	keyState       = "gatekeeper.request.state"
	keyRule        = "gatekeeper.rule"
	keyEnvironment = "gatekeeper.environment"
	keyOutcome     = "gatekeeper.outcome"
	keyCredential  = "gatekeeper.credential.type"
	keyRedemption  = "gatekeeper.redemption.id"
	keyWork        = "gatekeeper.work.kind"
	keyAttempt     = "gatekeeper.work.attempt"
	keyCall        = "gatekeeper.call" // the request_id of an error's answer
	keyError       = "error.type"
)

// describeUs is the resource: what the operator says of us by OTEL_SERVICE_NAME
// and OTEL_RESOURCE_ATTRIBUTES stands above what we say.
func describeUs(o Options) *resource.Resource {
	ours := resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))
	theirs, err := resource.New(context.Background(), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if theirs == nil {
		return ours
	}
	if err != nil {
		o.Logger.Warn("OTEL_RESOURCE_ATTRIBUTES cannot be read whole", "error", err)
	}
	all, err := resource.Merge(ours, theirs)
	if err != nil {
		return ours
	}
	return all
}

// about says on the span in ctx which request it is about, and links it to
// the trace that opened the request when that is another one.
func about(ctx context.Context, r gatekeeper.Request) {
	span := otel.SpanFromContext(ctx)
	if r.ID == "" || !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.String(keyRequest, r.ID), attribute.String(keyState, string(r.State)),
		attribute.String(keyRule, r.Rule.Name), attribute.String(keyEnvironment, r.Environment))
	opened := parse(r.Trace)
	if opened.IsValid() && opened.TraceID() != span.SpanContext().TraceID() && !linked(span, opened) {
		span.AddLink(otel.Link{SpanContext: opened})
	}
}

func linked(span otel.Span, to otel.SpanContext) bool {
	known, ok := span.(sdk.ReadOnlySpan)
	if !ok {
		return true
	}
	for _, l := range known.Links() {
		if l.SpanContext.TraceID() == to.TraceID() && l.SpanContext.SpanID() == to.SpanID() {
			return true
		}
	}
	return false
}

// traceparent is the context's span as W3C writes it, "" where there is none.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

func parse(traceparent string) otel.SpanContext {
	if traceparent == "" {
		return otel.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return otel.SpanContextFromContext(ctx)
}
