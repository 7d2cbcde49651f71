package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/google/go-cmp/cmp"
)

func setOf(t testing.TB, text string) *rules.Rules {
	t.Helper()
	set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(text)}}, rules.Options{})
	if faults.Err() != nil {
		t.Fatal(faults)
	}
	return set
}

const before = `rules:
  - name: production
    match: {repository: acme/payments, repository_id: "1"}
    environment: production
    approval: {approvers: [slack:S0RELEASE, slack:U0ALICE]}
    credentials: {deploy: {aws: {role_arn: "arn:aws:iam::111122223333:role/p", exchange: gatekeeper_token}}}
`

func asking(at time.Time) rules.Asking {
	return rules.Asking{ID: "req_1", At: at, Environment: "production", Workload: gatekeeper.Workload{
		Issuer: "github", IssuerType: "github", Repository: "acme/payments", RepositoryID: "1", Environment: "production", Event: "push",
	}}
}

// Every part of an outcome that can change, and what a reviewer reads of it.
func TestDifferences(t *testing.T) {
	monday := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	replace := func(old, new string) string {
		if !strings.Contains(before, old) {
			t.Fatalf("%q is not in the rules", old)
		}
		return strings.Replace(before, old, new, 1)
	}
	for name, c := range map[string]struct {
		after string
		at    time.Time
		want  []string
	}{
		"nothing":                     {before, monday, nil},
		"the order of approvers":      {replace("slack:S0RELEASE, slack:U0ALICE", "slack:U0ALICE, slack:S0RELEASE"), monday, nil},
		"where people are told":       {replace("    credentials", "    notify: {channel: C0OTHER}\n    credentials"), monday, nil},
		"another rule's":              {before + strings.ReplaceAll(strings.TrimPrefix(before, "rules:\n"), "production", "staging"), monday, nil},
		"renamed":                     {replace("name: production", "name: prod"), monday, []string{"rule: production → prod"}},
		"no longer allowed":           {replace("acme/payments", "acme/web"), monday, []string{"outcome: approve → deny", "rule: production → (none)", "approval: 1 of slack:S0RELEASE, slack:U0ALICE → (none)", "credentials.deploy: aws → (none)"}},
		"nobody is asked":             {replace("{approvers: [slack:S0RELEASE, slack:U0ALICE]}", "none"), monday, []string{"outcome: approve → allow", "approval: 1 of slack:S0RELEASE, slack:U0ALICE → (none)"}},
		"two people":                  {replace("U0ALICE]", "U0ALICE], quorum: 2"), monday, []string{"approval.quorum: 1 → 2"}},
		"self-approval and time":      {replace("U0ALICE]", "U0ALICE], self_approval: true, valid_for: 30m"), monday, []string{"approval.self_approval: false → true", "approval.valid_for: 15m0s → 30m0s"}},
		"another role":                {replace("role/p", "role/admin"), monday, []string{"credentials.deploy.aws.role_arn: arn:aws:iam::111122223333:role/p → arn:aws:iam::111122223333:role/admin"}},
		"a freeze at another time":    {before + "freezes: [{name: f, environments: [production], from: 2026-12-18T00:00:00Z, to: 2026-12-20T00:00:00Z, effect: deny}]\n", monday, nil},
		"a freeze at the time it was": {before + "freezes: [{name: f, environments: [production], from: 2026-03-01T00:00:00Z, to: 2026-03-03T00:00:00Z, effect: deny}]\n", monday, []string{"outcome: approve → deny", "freeze: (none) → f", "approval: 1 of slack:S0RELEASE, slack:U0ALICE → (none)", "credentials.deploy: aws → (none)"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, got := rules.Replay(setOf(t, before), setOf(t, c.after), asking(c.at))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Requests that change alike are one entry, with how many and the first ids.
func TestTally(t *testing.T) {
	old, new := setOf(t, before), setOf(t, strings.Replace(before, "U0ALICE]", "U0ALICE], quorum: 2", 1))
	var tally rules.Tally
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i := range 7 {
		a := asking(at.Add(time.Duration(i) * time.Hour))
		a.ID = fmt.Sprint("req_", i)
		tally.Add(old, new, a)
	}
	other := asking(at)
	other.Workload.Repository = "acme/web"
	if tally.Add(old, new, other) != nil {
		t.Error("what no rule concerns changes")
	}
	shifts := tally.Shifts()
	if tally.Requests != 8 || tally.Changed != 7 || len(shifts) != 1 {
		t.Fatalf("%+v, %d shifts", tally, len(shifts))
	}
	if s := shifts[0]; s.Count != 7 || !s.First.Equal(at) || !s.Last.Equal(at.Add(6*time.Hour)) || cmp.Diff(s.Examples, []string{"req_0", "req_1", "req_2", "req_3", "req_4"}) != "" {
		t.Errorf("%+v", s)
	}
}

// However many ways there are, what is kept is bounded and all is counted.
func TestTallyIsBounded(t *testing.T) {
	const many = 10_100
	rule := strings.NewReplacer("acme/payments", "acme/*", `, repository_id: "1"`, "").Replace(before)
	old, new := setOf(t, rule), setOf(t, strings.Replace(rule, "U0ALICE]", "U0ALICE], quorum: 2", 1))
	var tally rules.Tally
	for i := range many {
		a := asking(time.Unix(1, 0))
		a.Workload.Repository = fmt.Sprint("acme/", i)
		tally.Add(old, new, a)
	}
	if n := len(tally.Shifts()); n+tally.Beyond != many || n > 10_000 || tally.Changed != many {
		t.Errorf("%d told apart, %d beyond, %d changed", n, tally.Beyond, tally.Changed)
	}
}

func BenchmarkReplay(b *testing.B) {
	old, new := setOf(b, before), setOf(b, strings.Replace(before, "U0ALICE]", "U0ALICE], quorum: 2", 1))
	var tally rules.Tally
	a := asking(time.Unix(1, 0))
	b.ReportAllocs()
	for b.Loop() {
		tally.Add(old, new, a)
	}
}
