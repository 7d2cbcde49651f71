package main

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/limit"
)

// ownFiles are the descriptors that the database, the rules, Slack and clouds
// need beside the callers' connections.
const ownFiles = 256

// openLimits sets what each caller may take. Signed callbacks are not counted
// by calls: their senders are few, and a signature costs less than a bucket
// saves.
func (s *service) openLimits(ctx context.Context) error {
	c := s.cfg.Limits
	if most := openFiles() - ownFiles; most > 0 && c.complete(s.cfg.Pending).Connections > most {
		s.log.WarnContext(ctx, "the system lets us open fewer files than limits.connections says; raise RLIMIT_NOFILE", "connections", max(leastConnections, most))
		c.Connections = max(leastConnections, most)
	}
	c = c.complete(s.cfg.Pending)
	s.limits = limit.New(limit.Options{
		FailuresPerAddress: c.FailuresPerAddress, CallsPerIssuer: c.CallsPerIssuer, CallsPerRepository: c.CallsPerRepository,
		Connections: c.Connections, ConnectionsPerAddress: c.ConnectionsPerAddress, ConnectionsPerRepository: c.ConnectionsPerRepository, Bodies: c.bodies,
		Proxies: s.cfg.Proxies, Free: []string{"/webhook/"}, Limited: s.metrics.refused, Refuse: api.Refuse, Logger: s.log, Now: s.cfg.ticks,
	})
	return nil
}
