// Package trace is the room of OpenTelemetry: spans of what the gatekeeper and
// its CI step do, exported by OTLP over HTTP. It stands around the domain's
// ports, which know nothing of it, and decides nothing: a collector that is
// down, slow or wrong costs spans, never a decision.
//
// What spans say is a list of a few words of ours: ids of requests, rules,
// environments, states, types of credentials, codes of errors. No token, no
// secret, no text of a person or an error (threats row 40).
package trace

import (
	"context"
	"log/slog"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names whose spans these are.
const scope = "github.com/gatekeeper-ci/gatekeeper"

// maxValue bounds an attribute: an environment's name has up to 255
// characters, nothing else comes near.
const maxValue = 255

// Options of a Tracing.
type Options struct {
	Settings
	Service string // service.name, unless OTEL_SERVICE_NAME says otherwise
	Version string
	Logger  *slog.Logger
	Failed  func(spans int) // is told of spans that the collector did not take; nil: nobody
}

// Tracing makes spans and exports them. A nil Tracing does neither: each of
// its methods then gives back what it was given.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   otel.Tracer
}

// New begins to export; nobody is dialed yet. It is nil where Settings name no
// endpoint.
func New(o Options) (*Tracing, error) {
	if o.Endpoint == "" {
		return nil, nil
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	out, err := newExporter(o)
	if err != nil {
		return nil, err
	}
	limits := sdk.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = maxValue
	}
	// The batcher's queue is bounded and drops what does not fit: whoever ends
	// a span never waits.
	p := sdk.NewTracerProvider(sdk.WithBatcher(out), sdk.WithSampler(newSampler(o.Settings)), sdk.WithResource(describeUs(o)), sdk.WithRawSpanLimits(limits))
	return &Tracing{provider: p, tracer: p.Tracer(scope, otel.WithInstrumentationVersion(o.Version))}, nil
}

// flushTime is how long a stop waits for the last spans to leave.
const flushTime = 2 * time.Second

// Close sends what is left, for as long as ctx and a short time of its own
// allow.
func (t *Tracing) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what did not leave is counted by the exporter
}

// Abandon ends without sending anything more.
func (t *Tracing) Abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	t.Close(ctx)
}

// Start begins a span below the one in ctx. end is told how it went.
func (t *Tracing) Start(ctx context.Context, name string, attributes ...Attribute) (_ context.Context, end func(error)) {
	ctx, span := t.start(ctx, name, otel.WithAttributes(attributes...))
	return ctx, func(err error) { done(span, err) }
}

func (t *Tracing) start(ctx context.Context, name string, o ...otel.SpanStartOption) (context.Context, otel.Span) {
	if t == nil {
		return ctx, noop.Span{}
	}
	return t.tracer.Start(ctx, name, o...)
}

// done ends a span. Of an error its code is told, never its text: that may be
// of a person, a cloud or a stranger.
func done(span otel.Span, err error) {
	failed(span, err)
	span.End()
}

func failed(span otel.Span, err error) {
	if err == nil || !span.IsRecording() {
		return
	}
	code := gatekeeper.CodeOf(err)
	span.SetAttributes(attribute.String(keyError, string(code)))
	switch code {
	case gatekeeper.CodeInternal, gatekeeper.CodeUnavailable, gatekeeper.CodeExchangeFailed, gatekeeper.CodeExchangeUnknown:
		span.SetStatus(codes.Error, string(code))
	}
}
