package main

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics tell what people and jobs do. Labels are of our own words and
// of rules' names, which the platform team bounds; never of repositories,
// branches or people.
type requestMetrics struct {
	events   *prometheus.CounterVec
	requests *prometheus.CounterVec
	decided  *prometheus.HistogramVec
	exchange *prometheus.CounterVec
}

func newRequestMetrics(r prometheus.Registerer) requestMetrics {
	m := requestMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatekeeper_events_total", Help: "Events of the ledger that requests caused, by type."}, []string{"type"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatekeeper_requests_total", Help: "Requests by the state that they came to and the rule that admitted them; pending: opened.",
		}, []string{"state", "rule"}),
		decided: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatekeeper_time_to_decision_seconds", Help: "From opening to the decision of people.",
			Buckets: []float64{5, 15, 60, 300, 900, 1800, 3600, 4 * 3600, 24 * 3600},
		}, []string{"state"}),
		exchange: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatekeeper_redemptions_total", Help: "Attempts to obtain a credential, by its type and what came of them: intended, succeeded, failed, unknown.",
		}, []string{"type", "result"}),
	}
	r.MustRegister(m.events, m.requests, m.decided, m.exchange)
	return m
}

// observe is gatekeeper.Options.Observe.
func (m *requestMetrics) observe(_ context.Context, r gatekeeper.Request, events []gatekeeper.Event) {
	for _, e := range events {
		m.events.WithLabelValues(string(e.Type)).Inc()
		switch e.Type {
		case gatekeeper.EventRequestOpened:
			m.requests.WithLabelValues(string(gatekeeper.Pending), r.Rule.Name).Inc()
		case gatekeeper.EventRequestApproved, gatekeeper.EventRequestDenied, gatekeeper.EventRequestExpired, gatekeeper.EventRequestCanceled,
			gatekeeper.EventRequestSuperseded, gatekeeper.EventRequestRevoked:
			m.requests.WithLabelValues(string(e.State), r.Rule.Name).Inc()
			m.waited(r, e)
		case gatekeeper.EventRedemptionIntended, gatekeeper.EventRedemptionSucceeded, gatekeeper.EventRedemptionFailed, gatekeeper.EventRedemptionUnknown:
			m.redeemed(r, e)
		}
	}
}

// waited times what people decided; the clock and rules decide at once or
// never.
func (m *requestMetrics) waited(r gatekeeper.Request, e gatekeeper.Event) {
	if e.Actor.Kind == "person" {
		m.decided.WithLabelValues(string(e.State)).Observe(e.Time.Sub(r.CreatedAt).Seconds())
	}
}

func (m *requestMetrics) redeemed(r gatekeeper.Request, e gatekeeper.Event) {
	name, _ := e.Data["credential"].(string)
	kind := "unknown"
	if spec, ok := r.Credential(name); ok {
		kind = spec.Type
	}
	result := string(e.Type)[len("redemption."):]
	m.exchange.WithLabelValues(kind, result).Inc()
}

// serviceGauges are looked up when Prometheus asks.
func (s *service) serviceGauges() {
	gauge := func(name, help string, value func() float64) {
		s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("gatekeeper_waiting_steps", "CI steps that wait for people at this replica.", func() float64 { return float64(s.store.Watchers()) })
	ages(gauge, s)
	gauge("gatekeeper_ledger_events", "Events in the ledger.", lookedUp(func(ctx context.Context) (float64, error) {
		size, err := s.store.Reader().Size(ctx)
		return float64(size), err
	}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatekeeper_build_info", Help: "1, with the version that runs.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	s.metrics.registry.MustRegister(build)
}
