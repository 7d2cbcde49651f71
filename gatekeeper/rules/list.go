package rules

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Listed is a rule as people read it.
type Listed struct {
	gatekeeper.Rule
	File         string
	Line         int
	Observe      bool
	Environments string
	Match        []string // a line for each key
}

// List gives the rules in the order in which they are looked at.
func (r *Rules) List() []Listed {
	all := make([]Listed, len(r.rules))
	for i, rule := range r.rules {
		all[i] = Listed{Rule: rule.Rule, File: rule.file, Line: rule.line, Observe: rule.observe, Environments: sources(rule.environments)}
		for _, k := range rule.match.keys {
			all[i].Match = append(all[i].Match, k.key+": "+sources(k.patterns))
		}
		if rule.match.when != nil {
			all[i].Match = append(all[i].Match, "when: "+rule.match.when.source)
		}
	}
	return all
}

// Words says whose approval it takes.
func (l Listed) Words() string {
	a := l.Approval
	if a.None {
		return "nobody is asked"
	}
	var parts []string
	for _, g := range a.Groups {
		who := make([]string, len(g.Approvers))
		for i, entry := range g.Approvers {
			who[i] = string(entry)
		}
		text := fmt.Sprintf("%d of %s", g.Quorum, strings.Join(who, ", "))
		if g.Name != "" {
			text = g.Name + ": " + text
		}
		parts = append(parts, text)
	}
	words := strings.Join(parts, " and ")
	if a.StepUp != gatekeeper.StepUpNone {
		words += ", each by " + string(a.StepUp)
	}
	return words
}
