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
	at := places{rule: v, environment: o.Get("environments"), notify: o.Get("notify")}
	g.Environments, g.patterns = environments(at.environment, "name the environments that it is for")
	o.Get("approvers").Need("name who may approve in an emergency")
	g.Group = gatekeeper.Group{Name: "break-glass", Approvers: approvers(o.Get("approvers")), Quorum: o.Get("quorum").Int(1, 1)}
	enough(o.Get("quorum"), g.Group)
	g.Overrides = o.Get("overrides_freezes").Bool(false)
	o.Close()
	p.rules.glass = append(p.rules.glass, g)
	p.other.glass = append(p.other.glass, at)
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
