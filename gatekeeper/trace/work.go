package trace

import (
	"context"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"go.opentelemetry.io/otel/attribute"
	otel "go.opentelemetry.io/otel/trace"
)

// Work gives each run of durable work a trace of its own: it may come hours
// after what caused it, merges what several callers caused, and is repeated.
// When it looks at a request, it is linked to the trace that opened that.
func (t *Tracing) Work(handlers map[string]gatekeeper.WorkHandler) map[string]gatekeeper.WorkHandler {
	if t == nil {
		return handlers
	}
	traced := make(map[string]gatekeeper.WorkHandler, len(handlers))
	for kind, next := range handlers {
		traced[kind] = t.work(next)
	}
	return traced
}

func (t *Tracing) work(next gatekeeper.WorkHandler) gatekeeper.WorkHandler {
	return func(ctx context.Context, w gatekeeper.Work) error {
		attributes := []attribute.KeyValue{attribute.String(keyWork, w.Kind), attribute.Int(keyAttempt, w.Attempt)}
		if strings.HasPrefix(w.Key, "req_") {
			attributes = append(attributes, attribute.String(keyRequest, w.Key))
		}
		ctx, span := t.start(ctx, "work "+w.Kind, otel.WithNewRoot(), otel.WithSpanKind(otel.SpanKindConsumer), otel.WithAttributes(attributes...))
		err := error(nil)
		defer func() { done(span, err) }() // a handler that panics is the runner's to catch
		err = next(ctx, w)
		return err
	}
}
