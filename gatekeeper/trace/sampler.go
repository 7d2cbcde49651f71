package trace

import (
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// sampler follows the pipeline's word not to sample, and trusts its word to
// sample no further than our own ratio: anybody can send a traceparent, before
// they proved who they are. The ratio is of the trace's id, so that the step,
// the replicas and the pipeline come to the same answer; who picks the id
// passes the ratio, so traces that begin at our doors are also bounded by
// their number in a second.
type sampler struct {
	ratio       sdk.Sampler
	parentBased bool
	doors       *rate.Limiter
}

func newSampler(s Settings) sdk.Sampler {
	perSecond := s.PerSecond
	if perSecond <= 0 {
		perSecond = DefaultPerSecond
	}
	return sampler{ratio: sdk.TraceIDRatioBased(s.Ratio), parentBased: s.ParentBased, doors: rate.NewLimiter(rate.Limit(perSecond), perSecond)}
}

// ShouldSample implements sdk.Sampler.
func (s sampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	parent := otel.SpanContextFromContext(p.ParentContext)
	result := sdk.SamplingResult{Decision: sdk.Drop, Tracestate: parent.TraceState()}
	if parent.IsValid() && !parent.IsRemote() { // a span below one of ours
		if parent.IsSampled() {
			result.Decision = sdk.RecordAndSample
		}
		return result
	}
	if parent.IsValid() && !parent.IsSampled() && s.parentBased {
		return result
	}
	result.Decision = s.ratio.ShouldSample(p).Decision
	if result.Decision == sdk.RecordAndSample && p.Kind == otel.SpanKindServer && !s.doors.Allow() {
		result.Decision = sdk.Drop
	}
	return result
}

// Description implements sdk.Sampler.
func (s sampler) Description() string { return "gatekeeper{" + s.ratio.Description() + "}" }
