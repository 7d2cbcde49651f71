package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// link is a way to a server that can be slow, cut and down.
type link struct {
	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

func newLink(t *testing.T, upstream string) *link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	l := &link{proxy: toxiproxy.NewProxy(server, "database", "127.0.0.1:0", upstream)}
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Stop)
	return l
}

func (l *link) addr() string { return l.proxy.Listen }

// slow makes each answer late, until it is healed or slowed otherwise.
func (l *link) slow(t *testing.T, by time.Duration) {
	t.Helper()
	l.heal(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":` + ms(by) + `,"jitter":` + ms(by/2) + `}}`))
	if err != nil {
		t.Error(err)
	}
}

func ms(d time.Duration) string { return strings.TrimSuffix(d.Round(time.Millisecond).String(), "ms") }

// cut ends all connections; new ones are taken.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
	_ = l.proxy.Start()
}

// down takes no connections for a while.
func (l *link) down(t *testing.T, span time.Duration) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
	<-time.After(span) // how long it is down
	if err := l.proxy.Start(); err != nil {
		t.Error(err)
	}
}

func (l *link) heal(*testing.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Toxics.ResetToxics(context.Background())
}
