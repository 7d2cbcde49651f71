package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// link is a way to a server that can be slow, cut and down, and lead elsewhere.
type link struct {
	mu       sync.Mutex
	proxy    *toxiproxy.Proxy
	upstream string // where it leads when all is well
}

func newLink(t *testing.T, upstream string) *link {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	l := &link{proxy: toxiproxy.NewProxy(server, "link", parts.Addr(t), upstream), upstream: upstream}
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

// off takes no connections until it is healed.
func (l *link) off() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
}

// toxic is one of toxiproxy's, until it is healed.
func (l *link) toxic(t *testing.T, kind, stream string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"` + kind + stream + `","type":"` + kind + `","stream":"` + stream + `","attributes":{"timeout":0}}`)); err != nil {
		t.Error(err)
	}
}

// hangs lets connections be and carries nothing, as a firewall that drops does.
func (l *link) hangs(t *testing.T) {
	t.Helper()
	l.toxic(t, "timeout", "upstream")
	l.toxic(t, "timeout", "downstream")
}

// resets answers with a TCP reset.
func (l *link) resets(t *testing.T) {
	t.Helper()
	l.cut()
	l.toxic(t, "reset_peer", "upstream")
}

// leads ends all connections and leads new ones there.
func (l *link) leads(t *testing.T, upstream string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxy.Stop()
	l.proxy.Upstream = upstream
	if err := l.proxy.Start(); err != nil {
		t.Error(err)
	}
}

func (l *link) heal(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	l.proxy.Toxics.ResetToxics(context.Background())
	whole := l.proxy.Enabled && l.proxy.Upstream == l.upstream
	l.mu.Unlock()
	if !whole {
		l.leads(t, l.upstream)
	}
}
