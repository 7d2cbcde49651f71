package gatekeeper

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Threats rows 10, 11, 23, 25: whoever may not decide is told why, and the
// ledger says so; the request stays as it was.
func TestVotesThatDoNotCount(t *testing.T) {
	rule := ruleOf(release(1))
	with := func(change func(*Request, *Ballot, *Electorate)) (Request, Ballot, Electorate) {
		r, b, e := opened(t, rule), ballotOf("U0BOB", Approve), electorate(rule)
		change(&r, &b, &e)
		return r, b, e
	}
	cases := map[string]struct {
		change func(*Request, *Ballot, *Electorate)
		why    string
	}{
		"not an approver":    {func(_ *Request, b *Ballot, _ *Electorate) { b.Member = nil }, "not among the approvers"},
		"of another group":   {func(_ *Request, b *Ballot, _ *Electorate) { b.Member = []Approver{"slack:S0OTHER"} }, "not among the approvers"},
		"deactivated":        {func(_ *Request, b *Ballot, _ *Electorate) { b.Standing = Standing{} }, "deactivated"},
		"guest":              {func(_ *Request, b *Ballot, _ *Electorate) { b.Standing.Guest = true }, "guests"},
		"bot":                {func(_ *Request, b *Ballot, _ *Electorate) { b.Standing.Bot = true }, "bots"},
		"stranger":           {func(_ *Request, b *Ballot, _ *Electorate) { b.Standing.Foreign = true }, "another workspace"},
		"self":               {func(_ *Request, b *Ballot, _ *Electorate) { b.Vote.Person.Slack = "U0ALICE" }, "you started this run"},
		"self by id":         {selfByID, "you started this run"},
		"unknown to people":  {func(_ *Request, _ *Ballot, e *Electorate) { e.People = nil }, "cannot be told apart"},
		"ambiguous identity": {func(_ *Request, _ *Ballot, e *Electorate) { e.People = append(e.People, e.People...) }, "cannot be told apart"},
		"a bot's run":        {func(r *Request, _ *Ballot, _ *Electorate) { r.Initiators.People[0].Login = "github-actions[bot]" }, "no person stands behind"},
		"re-run by whom": {func(r *Request, _ *Ballot, _ *Electorate) {
			r.Initiators = Initiators{Why: "nobody knows who re-ran it"}
		}, "nobody knows"},
		"re-run by approver": {reRunByBob, "you started this run"},
		"expired":            {func(r *Request, _ *Ballot, _ *Electorate) { r.ExpiresAt = start() }, "expired"},
		"already approved":   {func(r *Request, _ *Ballot, _ *Electorate) { r.State = Approved }, "already approved"},
		"denied":             {func(r *Request, _ *Ballot, _ *Electorate) { r.State = Denied }, "already denied"},
		"no state":           {func(r *Request, _ *Ballot, _ *Electorate) { r.State = "" }, "already"},
		"no choice":          {func(_ *Request, b *Ballot, _ *Electorate) { b.Vote.Choice = "" }, "neither"},
		"revoke of pending":  {func(_ *Request, b *Ballot, _ *Electorate) { b.Vote.Choice = Revoke }, "no approval to revoke"},
		"voted already":      {func(r *Request, b *Ballot, _ *Electorate) { r.Votes = []Vote{b.Vote} }, "already counted"},
		"removed from rules": {removedFromRules, "no longer among"},
		"rules refuse now":   {func(_ *Request, _ *Ballot, e *Electorate) { e.Current = Decision{Reason: "frozen"} }, "frozen"},
		"reason wanted":      {func(r *Request, _ *Ballot, _ *Electorate) { r.Rule.Approval.RequireReason = true }, "reason"},
		"lesser proof": {func(r *Request, b *Ballot, _ *Electorate) {
			r.Rule.Approval.StepUp, b.Vote.Proof = StepUpPasskey, StepUpSSO
		}, "proof"},
		"proof of a lesser class": {func(r *Request, b *Ballot, _ *Electorate) {
			r.Rule.Approval.StepUp, r.Rule.Approval.ACR, b.Vote.Proof, b.Vote.ACR = StepUpSSO, []string{"phr"}, StepUpSSO, "pwd"
		}, "class phr, and yours was of class pwd"},
		"proof undefined": {func(r *Request, _ *Ballot, _ *Electorate) { r.Rule.Approval.StepUp = "" }, "proof"},
		"author":          {bobWroteIt, "authors may not approve"},
		"authors unknown": {func(r *Request, _ *Ballot, _ *Electorate) {
			r.Rule.Approval.ExcludeAuthors = true
			r.Authors.Why = "who knows"
		}, "who knows"},
		"no group": {func(r *Request, _ *Ballot, _ *Electorate) { r.Rule.Approval.Groups = nil }, "not among"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, b, e := with(c.change)
			after, events, err := r.Vote(b, e, start().Add(time.Minute))
			if CodeOf(err) != CodeVoteRefused || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("got %v, want a refusal that says %q", err, c.why)
			}
			if after.State != r.State || len(after.Votes) != len(r.Votes) {
				t.Errorf("a vote that does not count changed the request: %+v", after)
			}
			if len(events) != 1 || events[0].Type != EventVoteRefused {
				t.Errorf("events are %v, want one vote.refused", events)
			}
		})
	}
}

func selfByID(r *Request, b *Ballot, e *Electorate) {
	r.Initiators.People = []Account{{Login: "alice-renamed", ID: "42"}}
	e.People = People{{Slack: "U0ALICE", GitHub: "alice", GitHubID: "42"}}
	b.Vote.Person.Slack = "U0ALICE"
}

func reRunByBob(r *Request, _ *Ballot, _ *Electorate) {
	r.Initiators.People = append(r.Initiators.People, Account{Login: "Bob"})
}

func removedFromRules(_ *Request, _ *Ballot, e *Electorate) {
	e.Current = needs(ruleOf(Group{Approvers: []Approver{"slack:S0SECURITY"}, Quorum: 1}))
}

func bobWroteIt(r *Request, _ *Ballot, _ *Electorate) {
	r.Rule.Approval.ExcludeAuthors = true
	r.Authors = Initiators{People: []Account{{Login: "bob"}}, Known: true}
}

func TestVotesThatCount(t *testing.T) {
	two := ruleOf(release(2))
	t.Run("quorum of two", func(t *testing.T) {
		r := opened(t, two)
		r, events, err := r.Vote(ballotOf("U0BOB", Approve), electorate(two), start().Add(time.Minute))
		if err != nil || r.State != Pending || len(events) != 1 {
			t.Fatalf("first approval: %v, %s, %v", err, r.State, events)
		}
		at := start().Add(2 * time.Minute)
		r, events, err = r.Vote(ballotOf("U0CAROL", Approve), electorate(two), at)
		if err != nil || r.State != Approved || len(events) != 2 || events[1].Type != EventRequestApproved {
			t.Fatalf("second approval: %v, %s, %v", err, r.State, events)
		}
		if want := at.Add(15 * time.Minute); !r.RedeemBefore.Equal(want) {
			t.Errorf("redeem before %v, want %v", r.RedeemBefore, want)
		}
	})
	t.Run("a denial wins over an approval", func(t *testing.T) {
		r := opened(t, two)
		r, _, _ = r.Vote(ballotOf("U0BOB", Approve), electorate(two), start())
		deny := ballotOf("U0CAROL", Deny)
		deny.Vote.Reason = "not on a Friday"
		r, _, err := r.Vote(deny, electorate(two), start())
		if err != nil || r.State != Denied || r.DenyReason != "not on a Friday" {
			t.Fatalf("got %v, %s, %q", err, r.State, r.DenyReason)
		}
	})
	t.Run("who started it may deny it", func(t *testing.T) {
		r, _, err := opened(t, two).Vote(ballotOf("U0ALICE", Deny), electorate(two), start())
		if err != nil || r.State != Denied {
			t.Fatalf("got %v, %s", err, r.State)
		}
	})
	t.Run("self-approval where the rule allows it", func(t *testing.T) {
		rule := ruleOf(release(1))
		rule.Approval.SelfApproval = true
		r, _, err := opened(t, rule).Vote(ballotOf("U0ALICE", Approve), electorate(rule), start())
		if err != nil || r.State != Approved {
			t.Fatalf("got %v, %s", err, r.State)
		}
	})
	t.Run("rules that got stricter meanwhile", func(t *testing.T) {
		r, _, err := opened(t, ruleOf(release(1))).Vote(ballotOf("U0BOB", Approve), electorate(two), start())
		if err != nil || r.State != Pending {
			t.Fatalf("one approval under rules that now want two: %v, %s", err, r.State)
		}
	})
	for _, c := range []Choice{Revoke, Deny} {
		t.Run(string(c)+" takes an approval back", func(t *testing.T) {
			rule := ruleOf(release(1))
			r, _, err := approvedBy(t, rule, "U0BOB").Vote(ballotOf("U0CAROL", c), electorate(rule), start().Add(2*time.Minute))
			if err != nil || r.State != Revoked {
				t.Fatalf("got %v, %s", err, r.State)
			}
		})
	}
	t.Run("nothing takes a redeemed approval back", func(t *testing.T) {
		rule := ruleOf(release(1))
		r := approvedBy(t, rule, "U0BOB")
		r, _, _, err := r.Redeem(claimOf(r, rule), start().Add(2*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Vote(ballotOf("U0CAROL", Revoke), electorate(rule), start().Add(3*time.Minute)); CodeOf(err) != CodeVoteRefused {
			t.Fatalf("got %v", err)
		}
	})
}

// Every group must agree, and a person takes one seat only.
func TestGroups(t *testing.T) {
	groups := []Group{
		{Name: "release", Approvers: []Approver{"slack:S0RELEASE"}, Quorum: 1},
		{Name: "security", Approvers: []Approver{"slack:S0SEC", "slack:U0EVE"}, Quorum: 2},
	}
	as := func(person string, in ...Approver) agreement { return agreement{person: person, as: in} }
	cases := map[string]struct {
		votes []agreement
		want  bool
	}{
		"nobody":                      {nil, false},
		"one in both":                 {[]agreement{as("b", "slack:S0RELEASE", "slack:S0SEC")}, false},
		"two, one in both":            {[]agreement{as("b", "slack:S0RELEASE", "slack:S0SEC"), as("c", "slack:S0SEC")}, false},
		"three fill all seats":        {[]agreement{as("b", "slack:S0RELEASE", "slack:S0SEC"), as("c", "slack:S0SEC"), as("e", "slack:U0EVE")}, true},
		"seats are shifted to fit":    {[]agreement{as("b", "slack:S0SEC", "slack:S0RELEASE"), as("c", "slack:S0SEC", "slack:S0RELEASE"), as("d", "slack:S0SEC")}, true},
		"three of the same group":     {[]agreement{as("c", "slack:S0SEC"), as("d", "slack:S0SEC"), as("e", "slack:S0SEC")}, false},
		"somebody of no group at all": {[]agreement{as("c", "slack:S0SEC"), as("d", "slack:S0SEC"), as("e", "slack:S0NONE")}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := satisfied(groups, c.votes); got != c.want {
				t.Errorf("satisfied is %v, want %v", got, c.want)
			}
		})
	}
	for name, none := range map[string][]Group{"no groups": nil, "quorum 0": {{Approvers: []Approver{"slack:S0SEC"}}}} {
		if satisfied(none, []agreement{as("b", "slack:S0SEC")}) {
			t.Errorf("%s is satisfied; the zero value has to refuse", name)
		}
	}
}

// A click on Approve is the way to the proof and no refused vote. Whoever
// would not count with the proof either is refused before they give it.
func TestApprovalThatLacksOnlyItsProof(t *testing.T) {
	r, b, e := opened(t, ruleOf(release(1))), ballotOf("U0BOB", Approve), electorate(ruleOf(release(1)))
	r.Rule.Approval.StepUp = StepUpPasskey
	after, events, err := r.Vote(b, e, start().Add(time.Minute))
	if CodeOf(err) != CodeStepUp || len(events) != 0 || len(after.Votes) != 0 {
		t.Errorf("got %v, %d events", err, len(events))
	}
	stranger := b
	stranger.Member = []Approver{}
	if _, events, err := r.Vote(stranger, e, start().Add(time.Minute)); CodeOf(err) != CodeVoteRefused || len(events) != 1 {
		t.Errorf("not an approver: %v, %d events", err, len(events))
	}
	b.Vote.Choice = Deny
	if after, _, err := r.Vote(b, e, start().Add(time.Minute)); err != nil || after.State != Denied {
		t.Errorf("a denial wants a proof: %v", err)
	}
}

// Bob is in both groups and holds one seat: what is shown is what decides.
func TestProgressAgreesWithWhatDecides(t *testing.T) {
	r, b := opened(t, ruleOf(release(1))), ballotOf("U0BOB", Approve)
	both := []Approver{"slack:S0RELEASE", "slack:S0SEC"}
	r.Rule.Approval.Groups = []Group{{Name: "release", Approvers: both[:1], Quorum: 1}, {Name: "security", Approvers: both[1:], Quorum: 1}}
	b.Vote.As = both
	r.Votes = []Vote{b.Vote}
	if got := r.Missing(); !slices.Equal(got, []int{0, 1}) {
		t.Fatalf("missing %v, want one of security", got)
	}
	carol := b.Vote
	carol.Person.Slack, carol.As = "U0CAROL", both[:1]
	r.Votes = append(r.Votes, carol)
	p := r.Progress()
	if p[0].Missing+p[1].Missing != 0 || p[0].By[0].Person.Slack != "U0CAROL" || p[1].By[0].Person.Slack != "U0BOB" {
		t.Errorf("Carol takes the seat that only she can take, so Bob moves: %+v", p)
	}
}

// Whatever the groups and votes are, nothing missing and satisfied are one.
func TestProgressIsTheQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := []Approver{"slack:S0A", "slack:S0B", "slack:S0C"}
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(entries), 1, 3, rapid.ID)
		var r Request
		for range rapid.IntRange(1, 3).Draw(t, "groups") {
			r.Rule.Approval.Groups = append(r.Rule.Approval.Groups, Group{Approvers: some.Draw(t, "group"), Quorum: rapid.IntRange(1, 3).Draw(t, "quorum")})
		}
		for i := range rapid.IntRange(0, 6).Draw(t, "votes") {
			r.Votes = append(r.Votes, Vote{Choice: Approve, Person: Person{Slack: string(rune('A' + i))}, As: some.Draw(t, "as")})
		}
		missing, shown := 0, 0
		for i, p := range r.Progress() {
			missing, shown = missing+p.Missing, shown+len(p.By)
			if len(p.By)+p.Missing != r.Rule.Approval.Groups[i].Quorum {
				t.Fatalf("group %d: %d of %d and %d missing", i, len(p.By), r.Rule.Approval.Groups[i].Quorum, p.Missing)
			}
		}
		if enough := satisfied(r.Rule.Approval.Groups, agreementsOf(r.Votes)); enough != (missing == 0) || shown > len(r.Votes) {
			t.Fatalf("satisfied: %v, missing: %d, shown: %d of %d", enough, missing, shown, len(r.Votes))
		}
	})
}
