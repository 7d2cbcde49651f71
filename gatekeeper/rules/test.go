package rules

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// Test is one entry of a tests block: claims in, rule and outcome out.
type Test struct {
	Name, File   string
	Line, Column int
	Issuer       string
	Environment  string
	Claims       map[string]any
	At           time.Time // zero: now

	// What is wanted; what is empty is not compared.
	Outcome, Rule, Freeze string
	Observed              []string // the rules in mode: observe that would have decided
	BreakGlass            *bool    // whether the glass can be broken
}

func (p *parser) test(v conf.Value) {
	o := v.Object()
	name, environment, claims := o.Get("name"), o.Get("environment"), o.Get("claims")
	t := Test{
		Name: name.Required(), File: v.File(), Line: v.Line(), Column: v.Column(), Issuer: o.Get("issuer").String("github"),
		Environment: environment.Required(), At: o.Get("at").Time(), Claims: asToken(claims.Map()).(map[string]any),
	}
	claims.Need("give the token's claims")
	o.Get("want").Need("say the outcome (approve, allow or deny), the rule, or both")
	want := o.Get("want").Object()
	t.Outcome = want.Get("outcome").Enum("", "approve", "allow", "deny")
	t.Rule = want.Get("rule").String("")
	t.Freeze = want.Get("freeze").String("")
	t.Observed = want.Get("observed").Strings()
	if glass := want.Get("break_glass"); glass.Present() {
		can := glass.Bool(false)
		t.BreakGlass = &can
	}
	p.other.tests = append(p.other.tests, places{rule: v, wanted: want.Get("rule")})
	want.Close()
	o.Close()
	p.rules.tests = append(p.rules.tests, t)
}

// asToken gives claims as the decoder of tokens does: numbers by their digits.
func asToken(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[name] = asToken(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = asToken(value)
		}
		return out
	case string, bool, nil:
		return v
	}
	return json.Number(fmt.Sprint(v))
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
