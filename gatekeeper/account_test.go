package gatekeeper

import (
	"strings"
	"testing"
	"time"
)

// Threats row 24: one name may be two people's, on two forges.
func TestAccountsOfOtherForges(t *testing.T) {
	named := People{
		{Name: "Alice", Slack: "U0ALICE", GitHub: "alice", GitLab: "a.jones", GitLabID: "7"},
		{Name: "Bob", Slack: "U0BOB", GitHub: "bob", GitLab: "bob"},
		{Name: "Carol", Slack: "U0CAROL", GitHub: "carol"},
	}
	for name, c := range map[string]struct {
		people  People
		starter Account
		voter   string
		why     string // "": the vote counts
	}{
		"her own pipeline":             {named, Account{Login: "a.jones", ID: "7", Forge: "gitlab"}, "U0ALICE", "you started this run"},
		"renamed, by id":               {named, Account{Login: "jones", ID: "7", Forge: "gitlab"}, "U0ALICE", "you started this run"},
		"somebody else's":              {named, Account{Login: "a.jones", ID: "7", Forge: "gitlab"}, "U0BOB", ""},
		"a namesake of GitHub's alice": {named, Account{Login: "alice", ID: "9", Forge: "gitlab"}, "U0CAROL", "cannot be told apart"},
		"GitLab's ids are not GitHub":  {everybody(), Account{Login: "alice", ID: "11", Forge: "gitlab"}, "U0ALICE", "you started this run"},
		"same names are assumed":       {everybody(), Account{Login: "alice", Forge: "gitlab"}, "U0BOB", ""},
		"but not of strangers":         {everybody(), Account{Login: "alice", Forge: "gitlab"}, "U0ZOE", "cannot be told apart"},
		"another issuer's":             {named, Account{Login: "alice", Forge: "oidc"}, "U0ALICE", "you started this run"},
		"GitHub's, of a stranger":      {everybody(), Account{Login: "alice"}, "U0ZOE", ""},
	} {
		t.Run(name, func(t *testing.T) {
			rule := ruleOf(release(1))
			r, b, e := opened(t, rule), ballotOf(c.voter, Approve), electorate(rule)
			r.Initiators.People, e.People = []Account{c.starter}, c.people
			_, _, err := r.Vote(b, e, start().Add(time.Minute))
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
				t.Errorf("got %v, want %q", err, c.why)
			}
		})
	}
}

// Threats row 10, where the CI counts no attempts: who retries or plays a job
// opens a request of their own, and redeems nobody else's.
func TestRetriedBySomebodyElse(t *testing.T) {
	alice := workloadOf("alice")
	alice.IssuerType, alice.RunAttempt, alice.ActorID = "gitlab", "", "1"
	bob := alice
	bob.Actor, bob.ActorID = "bob", "2"
	if Bind(alice, "production", ScopeRun, nil) == Bind(bob, "production", ScopeRun, nil) {
		t.Error("bob's retry finds the request that alice opened")
	}
	r := opened(t, ruleOf(release(1)))
	r.Digest = ApprovalDigest(r, alice)
	if err := r.BelongsTo(bob); CodeOf(err) != CodeNotFound {
		t.Errorf("bob's retry has alice's request: %v", err)
	}
	renamed := alice
	renamed.Actor = "alice-jones"
	if err := r.BelongsTo(renamed); err != nil {
		t.Errorf("alice was renamed: %v", err)
	}
}
