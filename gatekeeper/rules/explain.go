package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// matches are the keys of a rule that fit, up to the first that does not.
func (r *rule) matches(a asked, c gatekeeper.Considered) []gatekeeper.Match {
	if c.Mismatch != nil && c.Mismatch.Key == "environment" {
		return nil
	}
	all := []gatekeeper.Match{{Key: "environment", Want: sources(r.environments), Got: a.environment}}
	for _, k := range r.match.keys {
		if c.Mismatch != nil && c.Mismatch.Key == k.key {
			return all
		}
		all = append(all, gatekeeper.Match{Key: k.key, Want: sources(k.patterns), Got: k.value(a.workload)})
	}
	if c.Mismatch == nil && r.match.when != nil {
		all = append(all, gatekeeper.Match{Key: "when", Want: r.match.when.source, Got: "it is true"})
	}
	return all
}

// FreezeState is a freeze that concerns an environment, and whether it holds.
type FreezeState struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Holds  bool   `json:"holds"`
	Window string `json:"window"` // when it holds, in words
	Effect string `json:"effect"` // deny, or who has to agree as well
}

// Freezes are those that concern an environment, in the order of the files.
func (r *Rules) Freezes(environment string, now time.Time) []FreezeState {
	states := []FreezeState{}
	for _, f := range r.freezes {
		if !anyMatches(f.patterns, environment) {
			continue
		}
		states = append(states, FreezeState{
			Name: f.Name, File: f.file, Line: f.line, Column: f.column,
			Holds: f.touches(environment, now), Window: f.window(), Effect: f.effect(),
		})
	}
	return states
}

func (f freeze) window() string {
	if f.Weekly == nil {
		return f.From.Format(time.RFC3339) + " to " + f.To.Format(time.RFC3339)
	}
	days := make([]string, len(f.Weekly.Days))
	for i, d := range f.Weekly.Days {
		days[i] = d.String()[:3]
	}
	return fmt.Sprintf("%s %s to %s %s", strings.Join(days, ", "), clockText(f.Weekly.From), clockText(f.Weekly.To), f.Weekly.Zone)
}

func clockText(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func (f freeze) effect() string {
	if f.Deny {
		return "deny"
	}
	names := make([]string, len(f.Group.Approvers))
	for i, a := range f.Group.Approvers {
		names[i] = string(a)
	}
	return fmt.Sprintf("%d of %s as well", f.Group.Quorum, strings.Join(names, ", "))
}
