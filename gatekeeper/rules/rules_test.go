package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

func now() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

func parse(t testing.TB, body string) *rules.Rules {
	t.Helper()
	set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(body)}}, rules.Options{})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

func workload(t testing.TB, changes map[string]any) gatekeeper.Workload {
	t.Helper()
	body, err := json.Marshal(ciissuer.Claims(changes))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := oidc.StrictJSON(body)
	if err != nil {
		t.Fatal(err)
	}
	w, err := oidc.WorkloadFromClaims("github", "", "", claims)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// rule is one rule with a match block for acme/payments' production.
func rule(match string) string {
	return "rules:\n  - name: r\n    match: {" + match + "}\n    environment: [production, qa]\n    approval: {approvers: [slack:S0RELEASE]}\n"
}

// Each operator of the language, with what fits, what does not and what is
// absent (threats rows 2, 4, 5, 8, 9).
func TestMatch(t *testing.T) {
	for name, c := range map[string]struct {
		match  string
		claims map[string]any
		ask    string
		want   string // part of the reason of a refusal; "" fits
	}{
		"repository":                {"repository: acme/payments", nil, "production", ""},
		"repository, other case":    {"repository: Acme/Payments", nil, "production", ""},
		"repository, other":         {"repository: acme/web", nil, "production", `repository is "acme/payments", the rule wants acme/web`},
		"repository, prefix":        {"repository: acme/pay", nil, "production", "acme/pay"},
		"repository, list":          {"repository: [acme/web, acme/payments]", nil, "production", ""},
		"repository, star":          {"repository: acme/*", nil, "production", ""},
		"star within a segment":     {`repository: "acme*"`, nil, "production", "acme*"},
		"two stars across":          {`repository: "acme**"`, nil, "production", ""},
		"alternation is text":       {`repository: "acme/web|acme/payments"`, nil, "production", "|"},
		"dot is text":               {"repository: acme.payments", nil, "production", "acme.payments"},
		"id":                        {`repository_id: "1234567"`, nil, "production", ""},
		"id without quotes":         {"repository_id: 1234567", nil, "production", ""},
		"same name, other id":       {`repository: acme/payments, repository_id: "1234567"`, map[string]any{"repository_id": "7"}, "production", "repository_id"},
		"owner id":                  {`repository_owner_id: "99"`, nil, "production", ""},
		"ref":                       {"repository: acme/payments, ref: refs/heads/main", nil, "production", ""},
		"ref, other":                {"repository: acme/payments, ref: refs/heads/main", map[string]any{"ref": "refs/heads/main2"}, "production", "ref"},
		"ref, case counts":          {"repository: acme/payments, ref: refs/heads/Main", nil, "production", "ref"},
		"ref, tags":                 {"repository: acme/payments, ref: refs/tags/v*", map[string]any{"ref": "refs/tags/v1.2"}, "production", ""},
		"ref, star and slash":       {"repository: acme/payments, ref: refs/heads/*", map[string]any{"ref": "refs/heads/a/b"}, "production", "ref"},
		"ref, two stars":            {"repository: acme/payments, ref: refs/heads/**", map[string]any{"ref": "refs/heads/a/b"}, "production", ""},
		"ref, line break":           {"repository: acme/payments, ref: refs/heads/main", map[string]any{"ref": "refs/heads/main\nx"}, "production", "ref"},
		"ref, absent":               {"repository: acme/payments, ref: '**'", map[string]any{"ref": nil}, "production", "no ref"},
		"workflow":                  {"repository: acme/payments, workflow: acme/payments/.github/workflows/deploy.yml@refs/heads/main", nil, "production", ""},
		"runner":                    {"repository: acme/payments, runner: self-hosted", nil, "production", "runner"},
		"event":                     {"repository: acme/payments, event: [push, workflow_dispatch]", nil, "production", ""},
		"event, other":              {"repository: acme/payments, event: workflow_dispatch", nil, "production", "event"},
		"pull request, not named":   {"repository: acme/payments", map[string]any{"event_name": "pull_request"}, "production", "no pull request"},
		"child pipeline":            {"repository: acme/payments", map[string]any{"event_name": "parent_pipeline"}, "production", "child pipeline"},
		"pull_request_target":       {"repository: acme/payments", map[string]any{"event_name": "pull_request_target"}, "production", "no pull request"},
		"pull request, named":       {"repository: acme/payments, event: pull_request", map[string]any{"event_name": "pull_request"}, "production", ""},
		"claim":                     {`repository: acme/payments, claims: {actor: alice, ref_protected: "true"}`, nil, "production", ""},
		"claim, other":              {"repository: acme/payments, claims: {actor: bob}", nil, "production", `claims.actor is "alice"`},
		"claim, brackets are text":  {`repository: acme/payments, claims: {actor: "github-actions[bot]"}`, map[string]any{"actor": "github-actions[bot]"}, "production", ""},
		"claim, absent":             {`repository: acme/payments, claims: {nothing: "**"}`, nil, "production", "no claims.nothing"},
		"claim, empty":              {`repository: acme/payments, claims: {base_ref: "*"}`, nil, "production", "no claims.base_ref"},
		"when":                      {`repository: acme/payments, when: 'claims.run_attempt == "1"'`, nil, "production", ""},
		"when, false":               {`repository: acme/payments, when: 'claims.run_attempt == "2"'`, nil, "production", "it is false"},
		"when, absent":              {`repository: acme/payments, when: 'claims.nothing == "x"'`, nil, "production", "claim nothing is absent"},
		"when, absent and unequal":  {`repository: acme/payments, when: 'claims.nothing != "x"'`, nil, "production", "claim nothing is absent"},
		"when, absent and not has":  {`repository: acme/payments, when: '!has(claims.nothing)'`, nil, "production", "claim nothing is absent"},
		"when, absent by index":     {`repository: acme/payments, when: '!(claims["nothing"] == "x")'`, nil, "production", "claim nothing is absent"},
		"when, wrong type":          {`repository: acme/payments, when: 'claims.actor > 3'`, nil, "production", "cannot be evaluated"},
		"environment, other case":   {"repository: acme/payments", nil, "PRODUCTION", ""},
		"environment, other":        {"repository: acme/payments", nil, "staging", "environment"},
		"token of another":          {"repository: acme/payments", map[string]any{"environment": "qa"}, "production", `in environment "qa"`},
		"token of the folded same":  {"repository: acme/payments", map[string]any{"environment": "Production"}, "production", ""},
		"token without environment": {"repository: acme/payments", map[string]any{"environment": nil}, "production", "add `environment: production`"},
	} {
		t.Run(name, func(t *testing.T) {
			set := parse(t, rule(c.match))
			w := workload(t, c.claims)
			d := set.Decide(w, c.ask, now())
			if c.want == "" && d.Outcome != gatekeeper.NeedApproval || c.want != "" && (d.Outcome != gatekeeper.Refuse || !strings.Contains(d.Reason, c.want)) {
				t.Errorf("got %s, %q; want %q", d.Outcome, d.Reason, c.want)
			}
			if e := set.Explain(w, c.ask, now()); e.Outcome != d.Outcome || e.Reason != d.Reason {
				t.Errorf("explained otherwise: %s, %q", e.Outcome, e.Reason)
			}
		})
	}
}

const approvalOf = "rules:\n  - name: r\n    match: {repository: acme/payments, repository_id: \"1\"}\n    environment: production\n    approval: "

func credential(aws string) string {
	return approvalOf + "{approvers: [slack:S0R]}\n    credentials:\n      deploy:\n        aws: {" + aws + "}\n"
}

// Every fault is told at its place, with what would be right. Rows 37 and 38
// are among them.
func TestFaults(t *testing.T) {
	const arn = `role_arn: "arn:aws:iam::111122223333:role/x"`
	for name, c := range map[string]struct{ body, want string }{
		"no match":               {"rules:\n  - name: r\n    environment: x\n    approval: none\n", "r.yaml:2:5: error: match: is missing"},
		"empty match":            {"rules:\n  - name: r\n    match: {}\n    environment: x\n    approval: none\n", "match: is empty; say which workloads the rule is for"},
		"no environment":         {"rules:\n  - name: r\n    match: {repository: a/b}\n    approval: none\n", "environment: is missing"},
		"no approval":            {"rules:\n  - name: r\n    match: {repository: a/b}\n    environment: x\n", "approval: is missing"},
		"no name":                {"rules:\n  - match: {repository: a/b}\n    environment: x\n    approval: none\n", "name: is missing"},
		"name twice":             {rule("repository: a/b") + strings.TrimPrefix(rule("repository: a/c"), "rules:\n"), "stands already at r.yaml:2"},
		"unknown key":            {rule("repostory: a/b"), "did you mean repository?"},
		"unknown top key":        {"ruls: []\n", "ruls is no key here; did you mean rules?"},
		"approval word":          {approvalOf + "any\n", `"any" was found; one of none is wanted`},
		"nobody":                 {approvalOf + "{approvers: [bob]}\n", `"bob" is nobody`},
		"no approvers":           {approvalOf + "{quorum: 1}\n", "approvers: is missing"},
		"approver twice":         {approvalOf + "{approvers: [slack:U0B, slack:U0B]}\n", "stands twice"},
		"quorum out of reach":    {approvalOf + "{approvers: [slack:U0B], quorum: 2}\n", "2 people have to agree and only 1 are listed"},
		"quorum 0":               {approvalOf + "{approvers: [slack:S0R], quorum: 0}\n", "a whole number of at least 1"},
		"all_of and approvers":   {approvalOf + "{approvers: [slack:S0R], all_of: [{name: a, approvers: [slack:S0R]}]}\n", "stands beside approvers"},
		"group twice":            {approvalOf + "{all_of: [{name: a, approvers: [slack:S0R]}, {name: a, approvers: [slack:S0S]}]}\n", "a group \"a\" stands already"},
		"scope":                  {approvalOf + "{approvers: [slack:S0R], scope: day}\n", "one of run, job"},
		"step_up":                {approvalOf + "{approvers: [slack:S0R], step_up: sms}\n", "one of none, sso, passkey"},
		"when, syntax":           {rule("repository: a/b, when: 'claims.actor =='"), "when: "},
		"when, type":             {rule("repository: a/b, when: '1 + 1'"), "it has to give true or false"},
		"when, whole map":        {rule(`repository: a/b, when: 'claims.all(c, c != "x")'`), "claims can only be named"},
		"when, in":               {rule(`repository: a/b, when: '!("x" in claims)'`), "claims can only be named"},
		"when, unknown variable": {rule("repository: a/b, when: 'token.x == 1'"), "undeclared reference"},
		"claim without value":    {rule("repository: a/b, claims: {actor: ''}"), "is empty"},
		"channel":                {rule("repository: a/b") + "    notify: {channel: '#deploys'}\n", "is no channel id"},
		"no role":                {credential("exchange: assume_role"), "role_arn: is missing"},
		"role":                   {credential("role_arn: deploy"), "arn:aws:iam::111122223333:role/name is wanted"},
		"exchange":               {credential(arn + ", exchange: magic"), "one of workload_token, gatekeeper_token, assume_role"},
		"session too short":      {credential(arn + ", session_duration: 14m"), "STS takes 15m0s to 12h0m0s"},
		"session too long":       {credential(arn + ", session_duration: 13h"), "STS takes"},
		"chained too long":       {credential(arn + ", exchange: assume_role, session_duration: 2h"), "STS takes 15m0s to 1h0m0s"},
		"policy too long":        {credential(arn + ", session_policy: {Statement: [" + strings.Repeat("x", 2100) + "]}"), "STS takes 2048"},
		"policy without":         {credential(arn + ", session_policy: {Version: x}"), "has no Statement"},
		"external id":            {credential(arn + ", external_id: abc"), "is for exchange: assume_role only"},
		"credential name":        {strings.Replace(credential(arn), "deploy:", "De_ploy:", 1), "is no name"},
		"freeze without time":    {"freezes:\n  - {name: f, environments: [production], effect: deny}\n", "from: is missing; give from and to, or a schedule"},
		"freeze backwards":       {"freezes:\n  - {name: f, environments: [x], from: 2026-02-01T00:00:00Z, to: 2026-01-01T00:00:00Z, effect: deny}\n", "is not after from"},
		"freeze day":             {"freezes:\n  - {name: f, environments: [x], schedule: {days: [Freitag], from: \"16:00\", to: \"18:00\"}, effect: deny}\n", "Mon, Tue"},
		"freeze zone":            {"freezes:\n  - {name: f, environments: [x], schedule: {days: [Fri], from: \"16:00\", to: \"18:00\", timezone: Berlin}, effect: deny}\n", "is no time zone"},
		"freeze effect":          {"freezes:\n  - {name: f, environments: [x], from: 2026-01-01T00:00:00Z, to: 2026-02-01T00:00:00Z, effect: warn}\n", "one of deny"},
		"test without claims":    {"tests:\n  - {name: t, environment: x, want: {outcome: deny}}\n", "claims: is missing"},
		"warns of no id":         {rule("repository: acme/payments"), "warning: repository: names a repository without repository_id"},
		"warns of any owner":     {rule(`repository: "*/payments"`), "matches repositories of any owner"},
		"warns of pull requests": {rule("repository: a/b, event: pull_request_target"), "lets pull requests in"},
		"warns of nobody asked":  {approvalOf + "none\n", "nobody is asked for production"},
		"warns of going around":  {credential(arn), "workload_token can be gone around"},
		"warns of no credential": {approvalOf + "{approvers: [slack:S0R]}\n", "gives no credentials"},
		"break glass nowhere":    {"break_glass:\n  - {approvers: [slack:S0R]}\n", "2:5: error: environments: is missing"},
		"break glass by nobody":  {"break_glass:\n  - {environments: [x]}\n", "2:5: error: approvers: is missing"},
		"break glass by too few": {"break_glass:\n  - {environments: [x], approvers: [slack:U0B], quorum: 2}\n", "2 people have to agree and only 1 are listed"},
		"warns of silent glass":  {"break_glass:\n  - {environments: [x], approvers: [slack:S0R]}\n", "notify: is missing"},
		"warns of reminders":     {rule("repository: a/b") + "    notify: {remind_after: 1h}\n", "so it never happens"},
		"warns of a shadow":      {rule("repository: a/*") + strings.Replace(strings.TrimPrefix(rule("repository: a/b, ref: x"), "rules:\n"), "name: r", "name: s", 1), "rule s can never match: rule r before it"},
	} {
		t.Run(name, func(t *testing.T) {
			set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(c.body)}}, rules.Options{})
			if !strings.Contains(faults.Error(), c.want) {
				t.Errorf("got\n%s\nwant %q", faults, c.want)
			}
			if warns := strings.Contains(name, "warns"); warns != (faults.Err() == nil) || warns != (set != nil) {
				t.Errorf("error: %v", faults.Err())
			}
		})
	}
}

func TestSeveralIssuers(t *testing.T) {
	o := rules.Options{Issuers: []string{"github", "ghes"}}
	for match, want := range map[string]string{
		"repository: a/b": "several issuers are configured", "repository: a/b, issuer: gitlab": `no issuer "gitlab"`, "repository: a/b, issuer: ghes": "",
	} {
		_, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(rule(match))}}, o)
		if err := faults.Errors().Error(); want == "" && err != "" || !strings.Contains(err, want) {
			t.Errorf("%s: %s", match, err)
		}
	}
}

// Freezes hold by the clock on the wall of their place, over midnight and
// over the change to summer time (Europe/Berlin, 2026-03-29).
func TestFreezes(t *testing.T) {
	set := parse(t, `rules:
  - {name: p, match: {repository: acme/payments}, environment: [production, Staging], approval: none}
freezes:
  - {name: year-end, environments: [production], from: 2026-12-18T00:00:00Z, to: 2027-01-04T08:00:00Z, effect: deny}
  - {name: friday, environments: [PRODUCTION], schedule: {days: [Fri], from: "16:00", to: "23:59", timezone: Europe/Berlin}, effect: deny}
  - {name: night, environments: [production], schedule: {days: [Sat], from: "22:00", to: "03:30", timezone: Europe/Berlin}, effect: {quorum: 2, approvers: [slack:S0VP]}}
`)
	for at, want := range map[string]string{
		"2026-12-17T23:59:59Z": "allow", "2026-12-18T00:00:00Z": "deny", "2027-01-04T07:59:59Z": "deny", "2027-01-04T08:00:00Z": "allow",
		"2026-03-27T14:59:59Z": "allow", "2026-03-27T15:00:00Z": "deny", "2026-03-27T22:59:59Z": "deny", "2026-03-27T23:00:00Z": "allow", // winter time
		"2026-04-03T13:59:59Z": "allow", "2026-04-03T14:00:00Z": "deny", // summer time
		"2026-03-28T20:59:59Z": "allow", "2026-03-28T21:00:00Z": "approve", "2026-03-29T01:30:00Z": "approve", "2026-03-29T01:31:00Z": "allow",
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		d := set.Decide(workload(t, nil), "production", when)
		if d.Outcome.String() != want || (want != "allow") != (d.Freeze != "") {
			t.Errorf("%s: %s by %q, want %s (%s)", at, d.Outcome, d.Freeze, want, d.Reason)
		}
		if want == "approve" && (len(d.Rule.Approval.Groups) != 1 || d.Rule.Approval.None) {
			t.Errorf("%s: %+v", at, d.Rule.Approval)
		}
	}
	if d := set.Decide(workload(t, map[string]any{"environment": "staging"}), "staging", time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC)); d.Outcome != gatekeeper.Allow {
		t.Errorf("another environment froze too: %s", d.Reason)
	}
}

func TestFirstMatchAndObserve(t *testing.T) {
	set := parse(t, `rules:
  - {name: shadow, mode: observe, match: {repository: acme/*}, environment: production, approval: none}
  - {name: first, match: {repository: acme/payments}, environment: production, approval: {approvers: [slack:S0R]}}
  - {name: second, match: {repository: acme/*}, environment: production, approval: none}
`)
	d := set.Decide(workload(t, nil), "production", now())
	if d.Rule == nil || d.Rule.Name != "first" || !d.Considered[0].Observed || !d.Considered[0].Matched {
		t.Errorf("%+v", d)
	}
	if d := set.Decide(workload(t, map[string]any{"repository": "acme/web"}), "production", now()); d.Rule == nil || d.Rule.Name != "second" {
		t.Errorf("%+v", d)
	}
}

func TestDigest(t *testing.T) {
	one := parse(t, rule("repository: acme/payments"))
	same := parse(t, "# a comment\n"+rule("repository: acme/payments"))
	other := parse(t, rule("repository: acme/payments, ref: x"))
	if one.Digest() != same.Digest() || one.Digest() == other.Digest() || one.Digest() == "" {
		t.Errorf("digests: %s, %s, %s", one.Digest(), same.Digest(), other.Digest())
	}
}

func TestZeroRefuses(t *testing.T) {
	live := func(w gatekeeper.Workload, environment string, at time.Time) gatekeeper.Decision {
		return new(rules.Live).Decide(t.Context(), w, environment, at)
	}
	for name, decide := range map[string]func(gatekeeper.Workload, string, time.Time) gatekeeper.Decision{"no rules": live, "zero rules": new(rules.Rules).Decide} {
		if got := decide(workload(t, nil), "production", now()); got.Outcome != gatekeeper.Refuse {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(rule("repository: acme/payments"))
	f.Add(many(2))
	f.Add("freezes: [{name: x}]\ntests: [{claims: {}}]\nbreak_glass: [{}]\n")
	f.Fuzz(func(t *testing.T, body string) {
		set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(body)}}, rules.Options{})
		if (set == nil) != (faults.Err() != nil) {
			t.Errorf("rules: %v, faults: %v", set != nil, faults)
		}
	})
}
