package rules

import (
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// Test is one entry of a tests block: claims in, rule and outcome out.
type Test struct {
	Name, File    string
	Line          int
	Issuer        string
	Environment   string
	Claims        map[string]any
	At            time.Time // zero: now
	Outcome, Rule string    // wanted; an empty Rule is not compared
}

func (p *parser) test(v conf.Value) {
	o := v.Object()
	t := Test{
		Name: o.Get("name").Required(), File: v.File(), Line: v.Line(), Issuer: o.Get("issuer").String("github"),
		Environment: o.Get("environment").Required(), At: o.Get("at").Time(),
	}
	t.Claims, _ = o.Get("claims").Any().(map[string]any)
	if t.Claims == nil {
		o.Get("claims").Fault("is missing; give the token's claims")
	}
	want := o.Get("want").Object()
	t.Outcome = want.Get("outcome").Enum("", "approve", "allow", "deny")
	t.Rule = want.Get("rule").String("")
	if t.Outcome == "" && t.Rule == "" {
		want.Fault("is missing; say the outcome (approve, allow or deny), the rule, or both")
	}
	want.Close()
	o.Close()
	p.rules.tests = append(p.rules.tests, t)
}

// TestResult is how one test came out.
type TestResult struct {
	Test
	Got  gatekeeper.Decision
	Diff []string // what differs, a line each; empty: it passed
}

// RunTests decides every test's claims. read maps them to a workload as the
// issuer's tokens are mapped.
func (r *Rules) RunTests(read func(issuer string, claims map[string]any) (gatekeeper.Workload, error), now time.Time) []TestResult {
	var results []TestResult
	for _, t := range r.tests {
		result := TestResult{Test: t}
		at := t.At
		if at.IsZero() {
			at = now
		}
		w, err := read(t.Issuer, t.Claims)
		if err != nil {
			result.Diff = []string{err.Error()}
			results = append(results, result)
			continue
		}
		result.Got = r.Explain(w, t.Environment, at)
		result.Diff = t.differs(result.Got)
		results = append(results, result)
	}
	return results
}

func (t Test) differs(d gatekeeper.Decision) []string {
	var diff []string
	name := ""
	if d.Rule != nil {
		name = d.Rule.Name
	}
	if t.Outcome != "" && t.Outcome != d.Outcome.String() {
		diff = append(diff, fmt.Sprintf("outcome: got %s, want %s", d.Outcome, t.Outcome))
	}
	if t.Rule != "" && t.Rule != name {
		diff = append(diff, fmt.Sprintf("rule: got %q, want %q", name, t.Rule))
	}
	if len(diff) > 0 {
		diff = append(diff, "because "+d.Reason)
	}
	return diff
}
