package main

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

func slackErrors() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatekeeper_slack_errors_total", Help: "Calls of Slack's API that failed, by method and by Slack's error code.",
	}, []string{"method", "error"})
}

func (m *metrics) slackFailed(method, code string) { m.slack.WithLabelValues(method, code).Inc() }

// watchSlack tells Prometheus how many channels, people or methods do not
// work in Slack now. What works again counts no more.
func (s *service) watchSlack() {
	s.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatekeeper_slack_faults", Help: "Channels, people and methods for which Slack fails now; /readyz says how.",
	}, func() float64 { return float64(len(s.slack.Faults())) }))
}

// slackTrouble says in words what does not work in Slack now, "" when all
// does. It never makes the gatekeeper unready: decisions go on elsewhere.
func (s *service) slackTrouble() string {
	const most = 5
	faults := s.slack.Faults()
	var said []string
	for _, f := range faults[:min(len(faults), most)] {
		said = append(said, fmt.Sprintf("since %s: %s", f.Since.UTC().Format("15:04:05 MST"), f.What))
	}
	if more := len(faults) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; ")
}
