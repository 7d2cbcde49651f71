package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
)

// text prints a tree that a person reads from top to bottom: the rules in
// order, the deciding one last, and what it takes.
func (e explanation) text(w world) {
	fmt.Fprintf(w.stdout, "%s asks for %s\n", oneLine(e.workload.Repository), oneLine(e.environment))
	fmt.Fprintf(w.stdout, "  %s, decided as of %s\n\n", oneLine(e.seen()), e.at.Format(time.RFC3339))
	t := tree{w: w}
	for i, c := range e.decision.Considered {
		t.branch(i == len(e.decision.Considered)-1, fmt.Sprintf("%s  %-24s %s:%d:%d", mark(c), c.Rule, c.File, c.Line, c.Column), e.leaves(c))
	}
	if len(e.decision.Considered) == 0 {
		t.line("", "there are no rules")
	}
	fmt.Fprintf(w.stdout, "\n%s: %s\n", outcome(e.decision), oneLine(e.decision.Reason))
	t.twigs("  ", e.terms())
}

// seen is what tells workloads apart, as far as the claims say it.
func (e explanation) seen() string {
	w := e.workload
	parts := []string{"issuer " + w.Issuer}
	for _, p := range [][2]string{{"ref", w.Ref}, {"event", w.Event}, {"actor", w.Actor}, {"token for", w.Environment}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	return strings.Join(parts, ", ")
}

func mark(c gatekeeper.Considered) string {
	switch {
	case c.Matched && c.Observed:
		return "obs"
	case c.Matched:
		return "YES"
	}
	return "no "
}

// leaves are what was found at one rule: the first thing that did not match,
// or all that did.
func (e explanation) leaves(c gatekeeper.Considered) []string {
	if c.Mismatch != nil {
		return []string{rules.Say(*c.Mismatch)}
	}
	var all []string
	for _, m := range c.Matches {
		all = append(all, fits(m))
	}
	for _, o := range e.decision.Observed {
		if c.Observed && o.Rule == c.Rule {
			all = append(all, "mode: observe, so it decides nothing; it would have said "+o.Outcome+": "+o.Reason)
		}
	}
	return all
}

func fits(m gatekeeper.Match) string {
	if m.Key == "when" {
		return "when " + m.Want + " holds"
	}
	return fmt.Sprintf("%s %q fits %s", m.Key, clipped(m.Got), m.Want)
}

func clipped(s string) string {
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}

// terms are what the decision takes and gives.
func (e explanation) terms() []string {
	var all []string
	for _, f := range e.freezes {
		state := "does not hold"
		if f.Holds {
			state = "holds"
		}
		all = append(all, fmt.Sprintf("freeze %s (%s:%d:%d) %s: %s, %s", f.Name, f.File, f.Line, f.Column, state, f.Window, f.Effect))
	}
	d := e.decision
	if d.Outcome == gatekeeper.Refuse {
		return all
	}
	if d.Outcome == gatekeeper.NeedApproval {
		all = append(all, approvalTerms(d)...)
	}
	for _, c := range d.Rule.Credentials {
		all = append(all, "gives "+c.Name+" ("+c.Type+")")
	}
	return all
}

func approvalTerms(d gatekeeper.Decision) []string {
	var all []string
	if !d.Rule.Approval.BreakGlassOnly {
		for _, g := range d.Rule.Approval.Groups {
			all = append(all, fmt.Sprintf("%d of %s%s", g.Quorum, groupName(g), list(g.Approvers)))
		}
	}
	if g := d.BreakGlass; g != nil {
		all = append(all, fmt.Sprintf("in an emergency %d of %s, said aloud in %s", g.Group.Quorum, list(g.Group.Approvers), aloud(*g)))
	}
	return append(all, conditions(d.Rule.Approval)...)
}

// conditions are the terms that differ from what a rule says by itself.
func conditions(a gatekeeper.Approval) []string {
	var all []string
	for text, holds := range map[string]bool{
		"who started the run may approve it": a.SelfApproval, "authors of the commits may not approve": a.ExcludeAuthors,
		"each approval needs a reason": a.RequireReason, "a newer run replaces the pending one": a.Supersede,
		"an approval serves one job": a.Scope == gatekeeper.ScopeJob, "step_up: " + string(a.StepUp): a.StepUp != gatekeeper.StepUpNone,
	} {
		if holds {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return append(all, fmt.Sprintf("may be pending for %s, redeemed for %s", brief(a.ExpiresAfter), brief(a.ValidFor)))
}

// brief is a duration without its zeros: 1h, not 1h0m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func aloud(g gatekeeper.BreakGlass) string {
	if g.Channel == "" {
		return "the request's channel"
	}
	return g.Channel
}

func groupName(g gatekeeper.Group) string {
	if g.Name == "" {
		return ""
	}
	return g.Name + ": "
}

// tree draws lines.
type tree struct{ w world }

func (t tree) line(prefix, text string) { fmt.Fprintf(t.w.stdout, "%s%s\n", prefix, oneLine(text)) }

func (t tree) branch(last bool, head string, leaves []string) {
	knot, trunk := "├─ ", "│  "
	if last {
		knot, trunk = "└─ ", "   "
	}
	t.line(knot, strings.TrimRight(head, " "))
	t.twigs(trunk+"     ", leaves)
}

func (t tree) twigs(prefix string, leaves []string) {
	for i, leaf := range leaves {
		knot := "├─ "
		if i == len(leaves)-1 {
			knot = "└─ "
		}
		t.line(prefix+knot, leaf)
	}
}
