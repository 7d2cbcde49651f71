package rules

import (
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Decide is the answer of the first rule that fits. It looks only at rules
// that can concern the workload; a refusal also names the closest one.
func (r *Rules) Decide(w gatekeeper.Workload, environment string, now time.Time) gatekeeper.Decision {
	return r.decide(asked{&w, environment, now, false}, r.index.candidates(&w))
}

// Explain decides by looking at every rule up to the one that fits, and keeps
// why each earlier one does not.
func (r *Rules) Explain(w gatekeeper.Workload, environment string, now time.Time) gatekeeper.Decision {
	all := make([]int, len(r.rules))
	for i := range all {
		all[i] = i
	}
	return r.decide(asked{&w, environment, now, true}, all)
}

// asked is what is decided.
type asked struct {
	workload    *gatekeeper.Workload
	environment string
	now         time.Time
	explain     bool // tell what fits as well
}

func (r *Rules) decide(a asked, candidates []int) gatekeeper.Decision {
	d := r.first(a, candidates)
	switch {
	case d.Rule == nil:
		d = r.nearest(a, d)
	case d.Outcome != gatekeeper.Refuse:
		d = r.apply(d, a.environment, a.now)
	}
	d.RulesDigest = r.digest
	return d
}

func (r *Rules) first(a asked, candidates []int) gatekeeper.Decision {
	var d gatekeeper.Decision
	for _, i := range candidates {
		rule := r.rules[i]
		c := rule.consider(a.workload, a.environment)
		if a.explain {
			c.Matches = rule.matches(a, c)
		}
		d.Considered = append(d.Considered, c)
		switch {
		case !c.Matched:
		case rule.observe:
			d.Observed = append(d.Observed, r.observation(rule, a))
		default:
			return rule.decide(a, d)
		}
	}
	return d
}

// observation is what a rule in mode: observe would have decided, freezes
// included.
func (r *Rules) observation(rule *rule, a asked) gatekeeper.Observation {
	d := rule.decide(a, gatekeeper.Decision{})
	if d.Outcome != gatekeeper.Refuse {
		d = r.apply(d, a.environment, a.now)
	}
	return gatekeeper.Observation{
		Rule: rule.Name, File: rule.file, Line: rule.line, Column: rule.column,
		Outcome: d.Outcome.String(), Reason: d.Reason, Freeze: d.Freeze, Digest: d.Rule.Digest,
	}
}

// consider looks at one rule; the environment is its cheapest key.
func (r *rule) consider(w *gatekeeper.Workload, environment string) gatekeeper.Considered {
	c := gatekeeper.Considered{Rule: r.Name, File: r.file, Line: r.line, Column: r.column, Observed: r.observe}
	if !anyMatches(r.environments, environment) {
		c.Mismatch = &gatekeeper.Mismatch{Key: "environment", Want: sources(r.environments), Got: environment}
		// A rule for another environment that fits otherwise is close.
		if miss, fits := r.match.mismatch(w); miss == nil {
			c.Fits = fits
		}
		return c
	}
	c.Mismatch, c.Fits = r.match.mismatch(w)
	c.Fits++
	c.Matched = c.Mismatch == nil
	return c
}

func (r *rule) decide(a asked, d gatekeeper.Decision) gatekeeper.Decision {
	copied := r.Rule
	d.Rule = &copied
	if why := tokenEnvironment(a.workload, a.environment); why != "" {
		d.Outcome, d.Reason = gatekeeper.Refuse, why
		return d
	}
	d.Outcome, d.Reason = gatekeeper.NeedApproval, "rule "+r.Name+" asks for approval"
	if r.Approval.None {
		d.Outcome, d.Reason = gatekeeper.Allow, "rule "+r.Name+" allows it without approval"
	}
	return d
}

// tokenEnvironment wants the token to be for the environment that is asked
// for: a job that GitHub let into staging must not ask for production
// (threats row 9). GitHub tells each job's environment; other CIs may not.
func tokenEnvironment(w *gatekeeper.Workload, environment string) string {
	switch {
	case w.Environment == "" && w.IssuerType == "github":
		return fmt.Sprintf("the token is of a job without an environment; add `environment: %s` to the job", environment)
	case w.Environment != "" && gatekeeper.FoldEnvironment(w.Environment) != gatekeeper.FoldEnvironment(environment):
		return fmt.Sprintf("the token is of a job in environment %q, and %q is asked for", w.Environment, environment)
	}
	return ""
}

// nearest says which rule came closest to fitting: of those that can concern
// the workload the one with most keys that do, the first of equals; where
// there is none, the first for the environment.
func (r *Rules) nearest(a asked, d gatekeeper.Decision) gatekeeper.Decision {
	d.Outcome = gatekeeper.Refuse
	who := a.workload.Repository
	if who == "" {
		who = a.workload.Subject
	}
	d.Reason = fmt.Sprintf("no rule allows %s to reach %s", who, a.environment)
	best := r.closest(a, r.index.candidates(a.workload))
	if best.Rule == "" {
		best = r.closest(a, r.index.first)
	}
	if best.Mismatch != nil {
		d.Reason += fmt.Sprintf("; %q came closest: %s", best.Rule, Say(*best.Mismatch))
	}
	return d
}

func (r *Rules) closest(a asked, among []int) (best gatekeeper.Considered) {
	for _, i := range among {
		rule := r.rules[i]
		if c := rule.consider(a.workload, a.environment); !rule.observe && (best.Rule == "" || c.Fits > best.Fits) {
			best = c
		}
	}
	return best
}

// Say tells a mismatch to a person.
func Say(m gatekeeper.Mismatch) string {
	switch {
	case m.Key == "when":
		return "its condition `" + m.Want + "` does not hold: " + m.Got
	case m.Absent:
		return "the token has no " + m.Key + ", the rule wants " + m.Want
	}
	return fmt.Sprintf("%s is %q, the rule wants %s", m.Key, gatekeeper.Shorten(m.Got, gatekeeper.MaxShown), m.Want)
}
