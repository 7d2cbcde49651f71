package main

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/prometheus/client_golang/prometheus"
)

// What a look at the source of the rules came to.
const (
	outcomeLoaded   = "loaded"
	outcomeRejected = "rejected"
	outcomeUnread   = "unread"
)

// ruleMetrics tell which rules are in force, and whether they are what the
// source holds.
type ruleMetrics struct {
	count, current, since prometheus.Gauge
	info                  *prometheus.GaugeVec
	loads                 *prometheus.CounterVec
}

func newRuleMetrics(r prometheus.Registerer) ruleMetrics {
	m := ruleMetrics{
		count:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatekeeper_rules", Help: "Rules in force."}),
		current: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatekeeper_rules_up_to_date", Help: "1 while what the source holds is in force, 0 while it has faults or cannot be read."}),
		since:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatekeeper_rules_loaded_timestamp_seconds", Help: "When the rules in force were put in force."}),
		info:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatekeeper_rules_info", Help: "1 for the rules in force: where they are from, their commit and their digest."}, []string{"source", "commit", "digest"}),
		loads:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatekeeper_rules_loads_total", Help: "Changes of the rules' source, by what they came to: loaded, rejected for faults, or unread."}, []string{"outcome"}),
	}
	for _, outcome := range []string{outcomeLoaded, outcomeRejected, outcomeUnread} {
		m.loads.WithLabelValues(outcome)
	}
	r.MustRegister(m.count, m.current, m.since, m.info, m.loads)
	return m
}

// inForce replaces the one series of info: there is one set of rules.
func (m *ruleMetrics) inForce(set *rules.Rules, source, commit string) {
	m.count.Set(float64(set.Len()))
	m.since.SetToCurrentTime()
	m.info.Reset()
	m.info.WithLabelValues(source, commit, set.Digest()).Set(1)
}

func (m *ruleMetrics) look(outcome string, upToDate bool) {
	m.loads.WithLabelValues(outcome).Inc()
	m.current.Set(map[bool]float64{true: 1}[upToDate])
}
