package rules

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
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
	Diff []string // what was wanted (-) and what came (+), a line each; empty: it passed
}

// Because is why it came out so.
func (r TestResult) Because() string { return r.Got.Reason }

// RunTests decides every test's claims. read maps them to a workload as the
// issuer's tokens are mapped; now is the time of those without one.
func (r *Rules) RunTests(read func(issuer string, claims map[string]any) (gatekeeper.Workload, error), now time.Time) []TestResult {
	var results []TestResult
	for _, t := range r.tests {
		if t.At.IsZero() {
			t.At = now
		}
		result := TestResult{Test: t}
		switch w, err := read(t.Issuer, t.Claims); {
		case gatekeeper.CodeOf(err) == gatekeeper.CodeInvalidToken: // refused before any rule is looked at
			result.Got.Reason = err.Error()
			result.Diff = t.diff(result.Got)
		case err != nil:
			result.Diff, result.Got.Reason = []string{"- a token", "+ no token"}, err.Error()
		default:
			result.Got = r.Explain(w, t.Environment, t.At)
			result.Diff = t.diff(result.Got)
		}
		results = append(results, result)
	}
	return results
}

// diff compares what is wanted with the decision; without a difference it is
// empty.
func (t Test) diff(d gatekeeper.Decision) []string {
	name, observed := "", []string{}
	if d.Rule != nil {
		name = d.Rule.Name
	}
	for _, o := range d.Observed {
		observed = append(observed, o.Rule)
	}
	var lines differ
	lines.compare("outcome", t.Outcome, d.Outcome.String())
	lines.compare("rule", t.Rule, name)
	lines.compare("freeze", t.Freeze, d.Freeze)
	lines.compare("observed", strings.Join(t.Observed, ", "), strings.Join(observed, ", "))
	if t.BreakGlass != nil {
		lines.compare("break_glass", strconv.FormatBool(*t.BreakGlass), strconv.FormatBool(d.BreakGlass != nil))
	}
	if !lines.differs {
		return nil
	}
	return lines.lines
}

type differ struct {
	lines   []string
	differs bool
}

// compare skips what is not wanted.
func (d *differ) compare(key, want, got string) {
	switch want {
	case "":
	case got:
		d.lines = append(d.lines, "  "+key+": "+got)
	default:
		d.differs = true
		if got == "" {
			got = "none"
		}
		d.lines = append(d.lines, "- "+key+": "+want, "+ "+key+": "+got)
	}
}
