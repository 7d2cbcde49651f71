package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger/sink"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/prometheus/client_golang/prometheus"
)

// pages reads the ledger page by page.
type pages struct{ *store.Reader }

// Page implements sink.Source.
func (p pages) Page(ctx context.Context, from int64, n int, visit func(ledger.Leaf) error) error {
	return p.Reader.Page(ctx, from, n, leaves(visit))
}

// openSinks makes what pushes the ledger out. Nobody is dialed yet.
func (s *service) openSinks(context.Context) error {
	for _, c := range s.cfg.Sinks {
		format, err := ledger.NewFormat(c.Format, ledger.FormatOptions{Source: s.cfg.URL, Version: version})
		if err != nil {
			return err
		}
		s.sinks = append(s.sinks, sink.New(sink.Options{
			Name: c.Name, Out: s.out(c), Format: format, Events: c.Events, Source: pages{s.store.Reader()}, Memory: s.store, Logger: s.log,
			Grown:  func() (<-chan struct{}, func()) { return s.store.Watch(store.Ledgers) },
			Failed: func(error) { s.metrics.sinkFailures.WithLabelValues(c.Name).Inc() },
		}))
		s.metrics.sinkFailures.WithLabelValues(c.Name).Add(0)
	}
	s.metrics.registry.MustRegister(lags{s})
	return nil
}

func (s *service) out(c sinkConfig) sink.Out {
	host := ""
	if u, err := url.Parse(s.cfg.URL); err == nil {
		host = u.Hostname()
	}
	switch c.Type {
	case "file":
		return sink.File{Path: c.Path}
	case "syslog":
		return &sink.Syslog{Addr: c.Addr, TLS: c.TLS, Host: host, Version: version}
	case "webhook":
		return sink.Webhook{URL: c.URL, Token: c.Token, Vendor: c.Vendor, Format: c.Format, Host: host, HTTP: sink.Client(http.DefaultTransport)}
	}
	return sink.Writer{W: os.Stdout}
}

// runSinks delivers until ctx ends; of several replicas, one does.
func (s *service) runSinks(ctx context.Context) {
	var wg sync.WaitGroup
	for _, one := range s.sinks {
		wg.Go(func() { s.store.Lead(ctx, "sink "+one.Name(), one.Run) })
	}
	wg.Wait()
}

// lags tells Prometheus how far each sink is behind.
type lags struct{ s *service }

var (
	lagEvents = prometheus.NewDesc("gatekeeper_audit_sink_lag_events", "Events of the ledger that the sink did not take yet.", []string{"sink"}, nil)
	lagAge    = prometheus.NewDesc("gatekeeper_audit_sink_lag_seconds", "Age of the oldest event that the sink did not take yet.", []string{"sink"}, nil)
)

// Describe implements prometheus.Collector.
func (lags) Describe(ch chan<- *prometheus.Desc) { ch <- lagEvents; ch <- lagAge }

// Collect implements prometheus.Collector.
func (l lags) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, one := range l.s.sinks {
		lag, err := one.Lag(ctx, time.Now())
		if err != nil {
			lag.Events = -1 // storage is out of reach; the other metrics still stand
		}
		ch <- prometheus.MustNewConstMetric(lagEvents, prometheus.GaugeValue, float64(lag.Events), one.Name())
		ch <- prometheus.MustNewConstMetric(lagAge, prometheus.GaugeValue, lag.Age.Seconds(), one.Name())
	}
}
