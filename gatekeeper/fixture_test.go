package gatekeeper

import (
	"log/slog"
	"testing"
	"time"
)

// start is a fixed point in time; tests move from it in plain steps.
func start() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

func workloadOf(actor string) Workload {
	return Workload{
		Issuer: "github", IssuerType: "github", IssuerURL: "https://token.actions.githubusercontent.com",
		Subject:    "repo:acme/payments:environment:production",
		Repository: "acme/payments", RepositoryID: "1234567", RepositoryOwner: "acme", RepositoryOwnerID: "99",
		Ref: "refs/heads/main", SHA: "4f2c1e0b9a", Workflow: "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
		WorkflowSHA: "4f2c1e0b9a", RunID: "7001", RunAttempt: "1", Job: "501", Environment: "production",
		Event: "push", Actor: actor, Token: Token{ID: "jti-1", Hash: "h1"},
	}
}

func deploy() CredentialSpec {
	return CredentialSpec{Name: "deploy", Type: "aws", AWS: &AWSSpec{
		RoleARN: "arn:aws:iam::111122223333:role/deploy", Exchange: ExchangeWorkloadToken,
		Audience: "sts.amazonaws.com", SessionDuration: 15 * time.Minute,
	}}
}

func ruleOf(groups ...Group) Rule {
	return Rule{Name: "payments-production", Digest: "r1", Credentials: []CredentialSpec{deploy()}, Approval: Approval{
		Groups: groups, ExpiresAfter: time.Hour, ValidFor: 15 * time.Minute, Redemptions: 1, Scope: ScopeRun, StepUp: StepUpNone,
	}}
}

func needs(rule Rule) Decision {
	return Decision{Outcome: NeedApproval, Rule: &rule, RulesDigest: "d1"}
}

func release(quorum int) Group {
	return Group{Name: "release", Approvers: []Approver{"slack:S0RELEASE"}, Quorum: quorum}
}

// opened is a pending request of alice's run under the rule.
func opened(t testing.TB, rule Rule) Request {
	t.Helper()
	r, _, err := NewRequest(Admission{
		ID: "req_1", Workload: workloadOf("alice"), Initiators: Initiators{People: []Account{{Login: "alice"}}, Known: true},
		Ask: Ask{Environment: "production"}, Decision: needs(rule), Credentials: rule.Credentials, Now: start(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func everybody() People {
	return People{
		{Name: "Alice", Slack: "U0ALICE", GitHub: "alice"},
		{Name: "Bob", Slack: "U0BOB", GitHub: "bob"},
		{Name: "Carol", Slack: "U0CAROL", GitHub: "carol"},
	}
}

func ballotOf(user string, c Choice, as ...Approver) Ballot {
	if as == nil {
		as = []Approver{"slack:S0RELEASE"}
	}
	return Ballot{Vote: Vote{Person: Person{Slack: user}, Choice: c, Via: "slack.button"}, Standing: Standing{Active: true}, Member: as}
}

func electorate(rule Rule) Electorate { return Electorate{Current: needs(rule), People: everybody()} }

// approvedBy is the request after each of the users approved it.
func approvedBy(t testing.TB, rule Rule, users ...string) Request {
	t.Helper()
	r := opened(t, rule)
	for _, u := range users {
		var err error
		if r, _, err = r.Vote(ballotOf(u, Approve), electorate(rule), start().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if r.State != Approved {
		t.Fatalf("request is %s after %v approved", r.State, users)
	}
	return r
}

func claimOf(r Request, rule Rule) Claim {
	c := Claim{ID: "red_1", Workload: workloadOf("alice"), Credential: "deploy", Current: needs(rule), People: everybody(),
		SettleBy: start().Add(2 * time.Minute)}
	for _, v := range r.ApprovedBy() {
		c.Votes = append(c.Votes, Ballot{Vote: v, Standing: Standing{Active: true}, Member: v.As})
	}
	return c
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
