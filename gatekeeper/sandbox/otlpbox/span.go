package otlpbox

import (
	"encoding/hex"
	"fmt"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Span is one span, in words that tests compare. Ids are in hex.
type Span struct {
	Service    string // the resource's service.name
	Name       string
	Kind       string // SERVER, CLIENT, INTERNAL, CONSUMER
	Trace, ID  string
	Parent     string // "": none
	State      string // W3C tracestate
	Links      []Link
	Attributes map[string]string
	Failed     bool
	Message    string // of the status
	Events     int
}

// Link is another span that it names.
type Link struct{ Trace, ID string }

func spansOf(batch *wire.TracesData) (all []Span) {
	for _, r := range batch.GetResourceSpans() {
		service := words(r.GetResource().GetAttributes())["service.name"]
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				all = append(all, spanOf(service, span))
			}
		}
	}
	return all
}

func spanOf(service string, s *wire.Span) Span {
	out := Span{
		Service: service, Name: s.GetName(), Kind: s.GetKind().String()[len("SPAN_KIND_"):],
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		State: s.GetTraceState(), Attributes: words(s.GetAttributes()),
		Failed: s.GetStatus().GetCode() == wire.Status_STATUS_CODE_ERROR, Message: s.GetStatus().GetMessage(), Events: len(s.GetEvents()),
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, Link{hex.EncodeToString(l.GetTraceId()), hex.EncodeToString(l.GetSpanId())})
	}
	return out
}

func words(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			all[a.GetKey()] = fmt.Sprint(v.IntValue)
		default:
			all[a.GetKey()] = a.GetValue().String()
		}
	}
	return all
}
