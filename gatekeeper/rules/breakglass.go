package rules

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// glass is an entry of break_glass: who may approve in an emergency.
type glass struct {
	gatekeeper.BreakGlass
	Environments []string
	Overrides    bool // overrides_freezes: gets through freezes that deny
	patterns     []pattern
}

func (p *parser) breakGlass(v conf.Value) {
	o := v.Object()
	g := glass{BreakGlass: gatekeeper.BreakGlass{Channel: channel(o.Get("notify"))}}
	g.Environments, g.patterns = environments(o.Get("environments"), "name the environments that it is for")
	g.Group = gatekeeper.Group{Name: "break-glass", Approvers: approvers(o.Get("approvers")), Quorum: o.Get("quorum").Int(1, 1)}
	enough(o.Get("quorum"), g.Group)
	g.Overrides = o.Get("overrides_freezes").Bool(false)
	if g.Channel == "" && v.Present() {
		o.Get("notify").Warn("is missing; that the glass was broken is said in the request's own channel only")
	}
	o.Close()
	p.rules.glass = append(p.rules.glass, g)
}

// environments are names or patterns, compared without regard to case.
func environments(v conf.Value, hint string) (names []string, patterns []pattern) {
	names = v.Strings()
	for _, name := range names {
		patterns = append(patterns, compile(name, true))
	}
	switch {
	case !v.Present():
		v.Fault("is missing; %s", hint)
	case len(v.Items()) == 0:
		v.Fault("is empty; %s", hint)
	}
	return names, patterns
}

// glassOf is the first entry for an environment, nil when there is none.
func (r *Rules) glassOf(environment string) *glass {
	for i, g := range r.glass {
		if anyMatches(g.patterns, environment) {
			return &r.glass[i]
		}
	}
	return nil
}

// emergency adds to a decision that asks people who may approve in their
// place.
func (r *Rules) emergency(d gatekeeper.Decision, environment string) gatekeeper.Decision {
	if g := r.glassOf(environment); g != nil && d.Outcome == gatekeeper.NeedApproval {
		open := g.BreakGlass
		d.BreakGlass = &open
	}
	return d
}
