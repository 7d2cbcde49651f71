package main

import (
	"context"
	"net/http"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/prometheus/client_golang/prometheus"
)

// openTracing begins to export traces where a collector is named; nobody is
// dialed yet, and nothing that is wrong with it stops a start. From here on lines of the log name their span.
func (s *service) openTracing(ctx context.Context) error {
	for _, trouble := range s.cfg.troubles {
		s.log.WarnContext(ctx, "a variable for traces cannot be used", "why", trouble)
	}
	lost := prometheus.NewCounter(prometheus.CounterOpts{Name: "gatekeeper_trace_spans_lost_total", Help: "Spans that the collector did not take."})
	s.metrics.registry.MustRegister(lost)
	tracing, err := trace.New(trace.Options{
		Settings: s.cfg.Traces, Service: "gatekeeper", Version: version, Logger: s.log, Failed: func(n int) { lost.Add(float64(n)) },
	})
	if err != nil {
		s.log.WarnContext(ctx, "no traces are exported", "error", err)
	}
	s.tracing = tracing
	s.log = s.tracing.Logger(s.log)
	return nil
}

// watched is what exchangers ask one cloud with; nil: their own.
func (s *service) watched(cloud string) http.RoundTripper {
	if s.tracing == nil {
		return nil
	}
	return s.tracing.Outgoing(cloud, sts.Transport())
}

func (s *service) watchAWS() func(http.RoundTripper) http.RoundTripper {
	if s.tracing == nil {
		return nil
	}
	return func(next http.RoundTripper) http.RoundTripper { return s.tracing.Outgoing("aws", next) }
}
