package rules

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Live holds the rules in force and swaps them whole. Its zero value refuses.
type Live struct{ current atomic.Pointer[Rules] }

// Swap puts rules in force and gives those that were.
func (l *Live) Swap(r *Rules) (old *Rules) { return l.current.Swap(r) }

// Current are the rules in force, nil before the first Swap.
func (l *Live) Current() *Rules { return l.current.Load() }

// Decide implements gatekeeper.Decider.
func (l *Live) Decide(_ context.Context, w gatekeeper.Workload, environment string, now time.Time) gatekeeper.Decision {
	r := l.current.Load()
	if r == nil {
		return gatekeeper.Decision{Reason: "no rules are in force"}
	}
	return r.Decide(w, environment, now)
}
