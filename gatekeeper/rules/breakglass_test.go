package rules_test

import (
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

func glassRules(overrides string) string {
	return `rules:
  - {name: p, match: {repository: acme/payments}, environment: production, approval: {approvers: [slack:S0RELEASE], quorum: 2}}
  - {name: s, match: {repository: acme/payments}, environment: staging, approval: none}
freezes:
  - {name: year-end, environments: ["*"], from: 2026-12-18T00:00:00Z, to: 2027-01-04T08:00:00Z, effect: deny}
break_glass:
  - {environments: [Production, staging], approvers: [slack:S0ONCALL], notify: C0SECURITY` + overrides + `}
  - {environments: ["**"], approvers: [slack:S0OTHER], notify: C0SECURITY}
`
}

func TestBreakGlass(t *testing.T) {
	frozen := time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		overrides, environment string
		at                     time.Time
		want                   gatekeeper.Outcome
		glass, only            bool
	}{
		"offered beside the rule":              {"", "production", now(), gatekeeper.NeedApproval, true, false},
		"nobody is asked, so nobody breaks it": {"", "staging", now(), gatekeeper.Allow, false, false},
		"a freeze denies all the same":         {"", "production", frozen, gatekeeper.Refuse, false, false},
		"it gets through where it may":         {", overrides_freezes: true", "production", frozen, gatekeeper.NeedApproval, true, true},
		"and then asks where nobody was asked": {", overrides_freezes: true", "staging", frozen, gatekeeper.NeedApproval, true, true},
		"outside the freeze nothing changes":   {", overrides_freezes: true", "production", now(), gatekeeper.NeedApproval, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			set := parse(t, glassRules(c.overrides))
			d := set.Decide(workload(t, map[string]any{"environment": c.environment}), c.environment, c.at)
			if d.Outcome != c.want || (d.BreakGlass != nil) != c.glass {
				t.Fatalf("%s, break glass %+v: %s", d.Outcome, d.BreakGlass, d.Reason)
			}
			if c.glass && (d.BreakGlass.Group.Approvers[0] != "slack:S0ONCALL" || d.BreakGlass.Channel != "C0SECURITY") {
				t.Errorf("not the first entry: %+v", d.BreakGlass)
			}
			if d.Rule.Approval.BreakGlassOnly != c.only || c.only && (d.Freeze != "year-end" || d.Rule.Approval.None) {
				t.Errorf("%+v, freeze %q", d.Rule.Approval, d.Freeze)
			}
		})
	}
}
