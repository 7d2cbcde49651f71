package trace

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter tells of an outage once, and of its end. The SDK would print each
// failure by a handler that the whole process shares.
type exporter struct {
	sdk.SpanExporter
	o    Options
	away atomic.Bool
}

func newExporter(o Options) (*exporter, error) {
	c, err := newClient(o.Settings)
	if err != nil {
		return nil, err
	}
	return &exporter{SpanExporter: otlptrace.NewUnstarted(c), o: o}, nil
}

// ExportSpans implements sdk.SpanExporter. Spans that are not taken are gone.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		if e.away.Swap(false) {
			e.o.Logger.InfoContext(ctx, "the collector takes traces again")
		}
		return nil
	}
	if !e.away.Swap(true) {
		e.o.Logger.WarnContext(ctx, "the collector does not take traces; what it misses is dropped", "error", err)
	}
	if e.o.Failed != nil {
		e.o.Failed(len(spans))
	}
	return nil
}
