package main

import (
	"net/netip"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// limitsConfig is what one of many may take, beside pending requests. Zero
// means what complete says.
type limitsConfig struct {
	FailuresPerAddress, CallsPerRepository, CallsPerIssuer       int // a second
	Connections, ConnectionsPerAddress, ConnectionsPerRepository int
	bodies                                                       int // bytes; tests lower it
}

const (
	defaultFailures    = 10
	defaultIssuerCalls = 2000
	defaultConnections = 20_000
	leastConnections   = 100
	defaultBodies      = 64 << 20
)

func (r *configReader) limits(v conf.Value) {
	o := v.Object()
	r.c.Pending = o.Get("pending_per_repository").Int(defaultPending, 1)
	r.c.Limits = limitsConfig{
		FailuresPerAddress: o.Get("failures_per_address").Int(0, 1),
		CallsPerRepository: o.Get("calls_per_repository").Int(0, 1), CallsPerIssuer: o.Get("calls_per_issuer").Int(0, 1),
		Connections: o.Get("connections").Int(0, leastConnections), ConnectionsPerAddress: o.Get("connections_per_address").Int(0, 1),
		ConnectionsPerRepository: o.Get("connections_per_repository").Int(0, 1),
	}
	o.Close()
}

// complete sets what the file leaves out. A repository's jobs call as often,
// and wait as many at once, as it may have pending requests: one of a large
// matrix may be waited for by hundreds of jobs.
func (l limitsConfig) complete(pending int) limitsConfig {
	pending = min(pending, 1_000_000)
	unless(&l.FailuresPerAddress, defaultFailures)
	unless(&l.CallsPerRepository, 10*pending)
	unless(&l.CallsPerIssuer, max(defaultIssuerCalls, l.CallsPerRepository))
	unless(&l.Connections, defaultConnections)
	unless(&l.ConnectionsPerAddress, max(1, l.Connections/4))
	unless(&l.ConnectionsPerRepository, max(l.Connections/2, min(l.Connections, 500*pending)))
	unless(&l.bodies, defaultBodies)
	return l
}

func unless(set *int, def int) {
	if *set == 0 {
		*set = def
	}
}

// proxies reads addresses and networks, as a list or one alone.
func proxies(v conf.Value) []netip.Prefix {
	var all []netip.Prefix
	for _, item := range v.Items() {
		if p, ok := proxy(item.Required()); ok {
			all = append(all, p)
		} else if item.Present() {
			item.Fault("%q was found; a proxy's address or network such as 10.0.0.0/8 is wanted", item.String(""))
		}
	}
	return all
}

func proxy(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}
