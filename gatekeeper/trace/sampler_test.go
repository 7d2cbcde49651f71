package trace

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

// A caller's word not to sample holds; its word to sample, and a trace id
// that was picked to pass every ratio, open no more than our own bounds do.
func TestStrangersDoNotMakeUsExport(t *testing.T) {
	for name, c := range map[string]struct {
		settings Settings
		parent   string
		kind     otel.SpanKind
		most     int // of 1000 asked
	}{
		"sampled by the caller, ratio 0":     {Settings{Ratio: 0, ParentBased: true}, "00-00000000000000000000000000000001-0000000000000001-01", otel.SpanKindServer, 0},
		"an id that passes every ratio":      {Settings{Ratio: 0.001, ParentBased: true, PerSecond: 5}, "00-00000000000000010000000000000000-0000000000000001-01", otel.SpanKindServer, 5},
		"an id that does not":                {Settings{Ratio: 0.001, ParentBased: true, PerSecond: 5}, "00-0000000000000001ffffffffffffffff-0000000000000001-01", otel.SpanKindServer, 0},
		"no traceparent":                     {Settings{Ratio: 1, ParentBased: true, PerSecond: 5}, "", otel.SpanKindServer, 5},
		"not sampled by the caller":          {Settings{Ratio: 1, ParentBased: true}, "00-00000000000000010000000000000000-0000000000000001-00", otel.SpanKindServer, 0},
		"not sampled, and we do not follow":  {Settings{Ratio: 1, PerSecond: 5}, "00-00000000000000010000000000000000-0000000000000001-00", otel.SpanKindServer, 5},
		"our own work is not bounded by it":  {Settings{Ratio: 1, ParentBased: true, PerSecond: 5}, "", otel.SpanKindConsumer, 1000},
		"a CI step follows its own pipeline": {Settings{Ratio: 1, ParentBased: true}, "00-00000000000000010000000000000000-0000000000000001-01", otel.SpanKindInternal, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSampler(c.settings)
			ctx := otel.ContextWithRemoteSpanContext(context.Background(), parse(c.parent))
			id := parse(c.parent).TraceID()
			taken := 0
			for range 1000 {
				if s.ShouldSample(sdk.SamplingParameters{ParentContext: ctx, TraceID: id, Kind: c.kind}).Decision == sdk.RecordAndSample {
					taken++
				}
			}
			// The bucket fills while we ask: a few more than most are its refill.
			if taken < c.most || taken > c.most+c.most/5+1 && c.most < 1000 || c.most == 0 && taken > 0 {
				t.Errorf("%d of 1000 were taken, most %d", taken, c.most)
			}
		})
	}
}

// What is below a span of ours follows it, whatever the bounds say now.
func TestChildrenFollow(t *testing.T) {
	s := newSampler(Settings{Ratio: 0})
	for flags, want := range map[otel.TraceFlags]sdk.SamplingDecision{otel.FlagsSampled: sdk.RecordAndSample, 0: sdk.Drop} {
		parent := otel.NewSpanContext(otel.SpanContextConfig{TraceID: otel.TraceID{1}, SpanID: otel.SpanID{1}, TraceFlags: flags})
		if got := s.ShouldSample(sdk.SamplingParameters{ParentContext: otel.ContextWithSpanContext(t.Context(), parent)}).Decision; got != want {
			t.Errorf("flags %v: %v", flags, got)
		}
	}
}
