package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/limit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what Prometheus reads. Labels are bounded: routes, not paths.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
	slack    *prometheus.CounterVec
	ruleMetrics
	requestMetrics

	sinkFailures *prometheus.CounterVec
	limited      *prometheus.CounterVec
	issuers      *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatekeeper_http_request_duration_seconds", Help: "Time to answer a call of a CI step; waiting for people included.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 30, 60},
		}, []string{"route", "status"}),
		sinkFailures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatekeeper_audit_sink_failures_total", Help: "Tries to deliver events that failed."}, []string{"sink"}),
	}
	m.limited = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatekeeper_limited_total", Help: "Calls and connections that were refused, by whose limit: address, issuer, repository, connections, or pending: requests that wait for people.",
	}, []string{"limit"})
	for _, name := range []string{limit.Address, limit.Issuer, limit.Repository, limit.Connections, pending} {
		m.limited.WithLabelValues(name) // there from the start, so that a rise can be seen
	}
	m.issuers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatekeeper_issuer_key_fetches_total", Help: "Fetches of an issuer's keys, by the issuer's name and what came of them: ok, failed.",
	}, []string{"issuer", "result"})
	m.slack = slackErrors()
	m.ruleMetrics = newRuleMetrics(m.registry)
	m.requestMetrics = newRequestMetrics(m.registry)
	m.registry.MustRegister(m.sinkFailures, m.limited, m.issuers, m.calls, m.slack, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) call(route string, status int, d time.Duration) {
	m.calls.WithLabelValues(route, strconv.Itoa(status)).Observe(d.Seconds())
}

// pending is the limit on requests that wait for people.
const pending = "pending"

// refused counts what a limit refused.
func (m *metrics) refused(name string) { m.limited.WithLabelValues(name).Inc() }

func (m *metrics) crowded() { m.refused(pending) }

// fetched counts fetches of an issuer's keys: without them none of its tokens
// can be verified.
func (m *metrics) fetched(issuer string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.issuers.WithLabelValues(issuer, result).Inc()
}

// adminHandler is for operators: liveness, readiness, metrics.
func (s *service) adminHandler() http.Handler {
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatekeeper_work_waiting", Help: "Work that is due or in hand: messages, clicks, verdicts, reminders.",
	}, s.waitingWork))
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatekeeper_slack_way_in", Help: "1 while clicks in Slack can reach the gatekeeper, 0 while Socket Mode has no connection.",
	}, s.slackWayIn))
	s.watchSlack()
	s.serviceGauges()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("POST /orders", s.orders)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

func (s *service) waitingWork() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	due, err := s.store.Due(ctx)
	if err != nil {
		return -1
	}
	return float64(due)
}

// ready says whether requests can be taken: storage, signing key, rules. Slack
// and clouds are not asked: their outages are waited out.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	parts := map[string]string{"storage": "ok", "signing_key": "ok"}
	status := http.StatusOK
	if err := s.store.Ping(ctx); err != nil {
		parts["storage"], status = "out of reach", http.StatusServiceUnavailable
	}
	if s.issuer.Ready(ctx) != nil {
		parts["signing_key"], status = "out of reach", http.StatusServiceUnavailable
	}
	if s.drain.Err() != nil {
		parts["service"], status = "draining", http.StatusServiceUnavailable
	}
	maps.Copy(parts, s.rulesDetail()) // with a fault, the rules in force still serve
	if s.slack != nil {               // its outages are waited out, so they make nobody unready
		parts["slack"], _ = s.slack.WaysIn()
		if trouble := s.slackTrouble(); trouble != "" {
			parts["slack"] += "; " + trouble
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(parts)
}
