package rules

import (
	"slices"
	"time"
	_ "time/tzdata" // zones are the same on Windows and in images without any

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// freeze is a time in which environments are closed, or take more approval.
type freeze struct {
	Name         string
	Environments []string
	From, To     time.Time // absolute; zero where Weekly is set
	Weekly       *weekly
	Deny         bool
	Group        gatekeeper.Group // who has to agree as well, unless Deny
	patterns     []pattern
	file         string
	line, column int
}

// weekly is a window that comes each week, in the local time of a place: at
// changes to and from summer time it follows the clock on the wall there.
type weekly struct {
	Days     []time.Weekday
	From, To int // minutes since midnight, both included; To < From runs into the next day
	Zone     string
	location *time.Location
}

// touches says whether the freeze holds for an environment at a time.
func (f freeze) touches(environment string, now time.Time) bool {
	if !anyMatches(f.patterns, environment) {
		return false
	}
	if f.Weekly != nil {
		return f.Weekly.holds(now)
	}
	return !now.Before(f.From) && now.Before(f.To)
}

func (w weekly) holds(now time.Time) bool {
	local := now.In(w.location)
	minute := local.Hour()*60 + local.Minute()
	on := func(day time.Weekday) bool { return slices.Contains(w.Days, day) }
	if w.To >= w.From {
		return on(local.Weekday()) && minute >= w.From && minute <= w.To
	}
	yesterday := (local.Weekday() + 6) % 7
	return on(local.Weekday()) && minute >= w.From || on(yesterday) && minute <= w.To
}

// apply makes a decision stricter by every freeze that holds, and says who
// may break the glass.
func (r *Rules) apply(d gatekeeper.Decision, environment string, now time.Time) gatekeeper.Decision {
	glass := r.glassOf(environment)
	for _, f := range r.freezes {
		switch {
		case !f.touches(environment, now):
		case !f.Deny:
			d = f.harden(d)
		case glass != nil && glass.Overrides:
			d = f.close(d, environment)
		default:
			d.Freeze = f.Name
			d.Outcome = gatekeeper.Refuse
			d.Reason = environment + " is frozen by " + f.Name + f.until()
			return d
		}
	}
	return r.emergency(d, environment)
}

func (f freeze) until() string {
	if f.Weekly != nil {
		return ", each " + f.window()
	}
	return " until " + f.To.UTC().Format(time.RFC3339)
}

// harden adds the freeze's group to a copy of the rule.
func (f freeze) harden(d gatekeeper.Decision) gatekeeper.Decision {
	d = f.stricter(d, func(a *gatekeeper.Approval) { a.Groups = append(slices.Clone(a.Groups), f.Group) })
	d.Reason += "; freeze " + f.Name + " wants its own approvers too"
	return d
}

// close leaves the rule to those who may break the glass.
func (f freeze) close(d gatekeeper.Decision, environment string) gatekeeper.Decision {
	d = f.stricter(d, func(a *gatekeeper.Approval) { a.BreakGlassOnly = true })
	d.Reason = environment + " is frozen by " + f.Name + f.until() + "; only those who may break the glass can approve"
	return d
}

// stricter changes a copy of the rule, which then always asks people.
func (f freeze) stricter(d gatekeeper.Decision, change func(*gatekeeper.Approval)) gatekeeper.Decision {
	rule := *d.Rule
	rule.Approval.None = false
	change(&rule.Approval)
	rule.Digest = digest([]string{rule.Digest, digest(f)})
	d.Rule, d.Freeze, d.Outcome = &rule, f.Name, gatekeeper.NeedApproval
	return d
}
