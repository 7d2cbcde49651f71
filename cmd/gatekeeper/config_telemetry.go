package main

import (
	"net/url"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/trace"
)

// telemetry is where traces go. What stands here stands above the standard
// OTEL_… variables, which say the rest.
func (r *configReader) telemetry(v conf.Value) {
	o := v.Object()
	endpoint := collectorURL(o.Get("endpoint"))
	perSecond := o.Get("traces_per_second").Int(trace.DefaultPerSecond, 1)
	o.Close()
	r.c.Traces, r.c.troubles = trace.Environment(r.env, endpoint)
	r.c.Traces.PerSecond = perSecond
}

// collectorURL takes http as well: collectors stand beside what they collect
// from, and spans hold no secret.
func collectorURL(v conf.Value) string {
	s := v.String("")
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https"):
		v.Fault("%q is no URL of a collector; http://otel-collector:4318 is one", s)
		return ""
	case u.Scheme == "http" && !gatekeeper.Loopback(u.Hostname()):
		v.Warn("sends who deploys what in the clear; https keeps it from being read on the way")
	}
	return s
}
