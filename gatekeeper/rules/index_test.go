package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"pgregory.net/rapid"
)

// Looking only at rules that can concern a workload decides as looking at all
// of them does, whatever the rules are found by, with freezes, break glass and
// observing rules among them.
func TestIndexDecidesAsLinear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := anyRules(t)
		set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(body)}}, rules.Options{})
		if faults.Err() != nil {
			t.Fatalf("%v\n%s", faults, body)
		}
		for range 8 {
			w, environment, at := anyWorkload(t), rapid.SampledFrom([]string{"production", "PRODUCTION", "staging", "prod-eu"}).Draw(t, "environment"), anyTime(t)
			fast, slow := set.Decide(w, environment, at), set.Explain(w, environment, at)
			if said(fast) != said(slow) {
				t.Fatalf("fast: %s\nslow: %s\n%+v\n%s", said(fast), said(slow), w, body)
			}
		}
	})
}

// said is all that a decision comes to.
func said(d gatekeeper.Decision) string {
	rule, digest := "", ""
	if d.Rule != nil {
		rule, digest = d.Rule.Name, d.Rule.Digest
	}
	return fmt.Sprint(d.Outcome, rule, digest, d.Freeze, d.BreakGlass, d.Observed, d.Reason)
}

func pick(t *rapid.T, what string, from ...string) string {
	return rapid.SampledFrom(from).Draw(t, what)
}

// anyRules draws rules that can be found by each kind of key, or by none.
func anyRules(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i := range rapid.IntRange(1, 12).Draw(t, "rules") {
		var match []string
		for _, key := range []struct {
			name   string
			values []string
		}{
			{"repository", []string{"", "", "acme/a", "Acme/A", "[acme/b, evil/a]", "acme/*", "'**'", "'*/a'", "[acme/*, other/a]", "'acme*'", "ſhop/k"}},
			{"repository_id", []string{"", "", "'1'", "['1', '2']", "'1*'"}},
			{"repository_owner", []string{"", "", "acme", "ACME", "[acme, other]", "'*'"}},
			{"repository_owner_id", []string{"", "", "'9'", "'*'"}},
			{"ref", []string{"", "refs/heads/main", "'refs/**'"}},
			{"event", []string{"", "push", "'*'"}},
			{"when", []string{"", "", `'claims.actor == "alice"'`}},
		} {
			if v := pick(t, key.name, key.values...); v != "" {
				match = append(match, key.name+": "+v)
			}
		}
		if len(match) == 0 {
			match = []string{"issuer: '*'"}
		}
		fmt.Fprintf(&b, "  - {name: r%d, mode: %s, match: {%s}, environment: [%s], approval: %s}\n", i, pick(t, "mode", "enforce", "enforce", "observe"),
			strings.Join(match, ", "), pick(t, "for", "production", "Production, staging", "'prod*'"), pick(t, "approval", "none", "{approvers: [slack:S0R]}"))
	}
	b.WriteString("freezes:\n")
	for i := range rapid.IntRange(1, 3).Draw(t, "freezes") {
		fmt.Fprintf(&b, "  - {name: f%d, environments: [%s], %s, effect: %s}\n", i, pick(t, "frozen", "production", "'*'", "staging"),
			pick(t, "time", "from: 2026-03-01T00:00:00Z, to: 2026-03-03T00:00:00Z", "schedule: {days: [Mon, Sat], from: '22:00', to: '06:00', timezone: Europe/Berlin}"),
			pick(t, "effect", "deny", "{approvers: [slack:S0VP]}"))
	}
	fmt.Fprintf(&b, "break_glass:\n  - {environments: [%s], approvers: [slack:S0O], overrides_freezes: %s}\n", pick(t, "glass", "production", "'*'"), pick(t, "overrides", "true", "false"))
	return b.String()
}

func anyWorkload(t *rapid.T) gatekeeper.Workload {
	w := gatekeeper.Workload{
		Issuer: "any", IssuerType: "oidc", Repository: pick(t, "repository", "acme/a", "ACME/B", "acme/c", "evil/a", "other/a", "acmeX/y", "Shop/K", ""),
		RepositoryID: pick(t, "id", "1", "2", "17", ""), RepositoryOwnerID: pick(t, "owner id", "9", "8", ""),
		Ref: pick(t, "ref", "refs/heads/main", "refs/tags/v1", ""), Event: pick(t, "event", "push", "pull_request", ""),
		Claims: map[string]any{"actor": pick(t, "actor", "alice", "bob", "")},
	}
	w.RepositoryOwner = pick(t, "owner", "acme", "Acme", "evil", "")
	return w
}

func anyTime(t *rapid.T) time.Time {
	return time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 7*24*60).Draw(t, "minutes")) * time.Minute)
}

// A pattern fits exactly what its stars stand for: an independent, slow
// reading of it agrees.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"acme/*", "acme/a"}, {"**", "a/b"}, {"a*b**c", "axb/y/c"}, {"***", "x"}, {"a|b", "a"}, {"(?i)x", "X"}, {"*", "é\n"}, {"[a]", "a"}, {"ſ*", "S"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, glob, value string) {
		body := fmt.Sprintf("rules:\n  - name: r\n    match: {ref: %q}\n    environment: x\n    approval: none\n", glob)
		set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(body)}}, rules.Options{})
		if faults.Err() != nil || len(glob)+len(value) > 200 {
			return
		}
		read := globOf(t, set)
		if read != glob {
			return // YAML has other escapes than Go
		}
		d := set.Decide(gatekeeper.Workload{IssuerType: "oidc", Ref: value}, "x", now())
		if want := value != "" && stars(glob, value); (d.Outcome == gatekeeper.Allow) != want {
			t.Errorf("%q fits %q: %v, want %v", value, glob, !want, want)
		}
	})
}

// globOf is the pattern as the file was read, told by an explanation.
func globOf(t *testing.T, set *rules.Rules) string {
	t.Helper()
	d := set.Explain(gatekeeper.Workload{IssuerType: "oidc"}, "x", now())
	return d.Considered[0].Mismatch.Want
}

func stars(glob, value string) bool {
	if glob == "" {
		return value == ""
	}
	if rest, ok := strings.CutPrefix(glob, "**"); ok {
		return anySuffix(rest, value, false)
	}
	if rest, ok := strings.CutPrefix(glob, "*"); ok {
		return anySuffix(rest, value, true)
	}
	return value != "" && glob[0] == value[0] && stars(glob[1:], value[1:])
}

func anySuffix(rest, value string, stop bool) bool {
	for i := 0; ; i++ {
		if stars(rest, value[i:]) {
			return true
		}
		if i == len(value) || stop && value[i] == '/' {
			return false
		}
	}
}
