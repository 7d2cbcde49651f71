package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Decide is the answer of the first rule that fits. It looks only at rules
// that can concern the repository; a refusal also names the closest one.
func (r *Rules) Decide(w gatekeeper.Workload, environment string, now time.Time) gatekeeper.Decision {
	d := r.first(&w, environment, r.candidates(w.Repository))
	if d.Rule == nil {
		d = r.nearest(&w, environment, d)
	} else if d.Outcome != gatekeeper.Refuse {
		d = r.apply(d, environment, now)
	}
	d.RulesDigest = r.digest
	return d
}

// Explain decides by looking at every rule up to the one that fits, and keeps
// why each earlier one does not.
func (r *Rules) Explain(w gatekeeper.Workload, environment string, now time.Time) gatekeeper.Decision {
	all := make([]int, len(r.rules))
	for i := range all {
		all[i] = i
	}
	d := r.first(&w, environment, all)
	if d.Rule == nil {
		d = r.nearest(&w, environment, d)
	} else if d.Outcome != gatekeeper.Refuse {
		d = r.apply(d, environment, now)
	}
	d.RulesDigest = r.digest
	return d
}

// candidates merges the rules that name the repository with those that name
// none or a pattern, in the order of the files.
func (r *Rules) candidates(repository string) []int {
	named := r.byRepository[strings.ToLower(repository)]
	if len(r.anywhere) == 0 {
		return named
	}
	merged := make([]int, 0, len(named)+len(r.anywhere))
	i, j := 0, 0
	for i < len(named) || j < len(r.anywhere) {
		if j == len(r.anywhere) || (i < len(named) && named[i] < r.anywhere[j]) {
			merged, i = append(merged, named[i]), i+1
		} else {
			merged, j = append(merged, r.anywhere[j]), j+1
		}
	}
	return merged
}

func (r *Rules) first(w *gatekeeper.Workload, environment string, candidates []int) gatekeeper.Decision {
	var d gatekeeper.Decision
	for _, i := range candidates {
		rule := r.rules[i]
		c := rule.consider(w, environment)
		d.Considered = append(d.Considered, c)
		if !c.Matched || rule.observe {
			continue
		}
		return rule.decide(w, environment, d)
	}
	return d
}

// consider looks at one rule; the environment is its cheapest key.
func (r *rule) consider(w *gatekeeper.Workload, environment string) gatekeeper.Considered {
	c := gatekeeper.Considered{Rule: r.Name, File: r.file, Line: r.line, Observed: r.observe}
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

func (r *rule) decide(w *gatekeeper.Workload, environment string, d gatekeeper.Decision) gatekeeper.Decision {
	copied := r.Rule
	d.Rule = &copied
	if why := tokenEnvironment(w, environment); why != "" {
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

// nearest says which rule came closest to fitting: the one with most keys
// that do, the first of equals.
func (r *Rules) nearest(w *gatekeeper.Workload, environment string, d gatekeeper.Decision) gatekeeper.Decision {
	d.Outcome = gatekeeper.Refuse
	who := w.Repository
	if who == "" {
		who = w.Subject
	}
	d.Reason = fmt.Sprintf("no rule allows %s to reach %s", who, environment)
	var best gatekeeper.Considered
	for _, rule := range r.rules {
		if c := rule.consider(w, environment); !rule.observe && (best.Rule == "" || c.Fits > best.Fits) {
			best = c
		}
	}
	if best.Mismatch != nil {
		d.Reason += fmt.Sprintf("; %q came closest: %s", best.Rule, Say(*best.Mismatch))
	}
	return d
}

// Say tells a mismatch to a person.
func Say(m gatekeeper.Mismatch) string {
	switch {
	case m.Key == "when":
		return "its condition `" + m.Want + "` does not hold: " + m.Got
	case m.Absent:
		return "the token has no " + m.Key + ", the rule wants " + m.Want
	}
	return fmt.Sprintf("%s is %q, the rule wants %s", m.Key, clip(m.Got), m.Want)
}

func clip(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
