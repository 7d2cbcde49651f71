package gatekeeper

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func oncall(quorum int) *BreakGlass {
	return &BreakGlass{Group: Group{Name: "break-glass", Approvers: []Approver{"slack:S0ONCALL"}, Quorum: quorum}, Channel: "C0SECURITY"}
}

// glassCase is a pending request for which the glass can be broken.
func glassCase(t testing.TB, rule Rule, glass *BreakGlass) (Request, Electorate) {
	t.Helper()
	d := needs(rule)
	d.BreakGlass = glass
	r, _, err := NewRequest(Admission{
		ID: "req_1", Workload: workloadOf("alice"), Initiators: Initiators{People: []Account{{Login: "alice"}}, Known: true},
		Ask: Ask{Environment: "production"}, Decision: d, Credentials: rule.Credentials, Now: start(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, Electorate{Current: d, People: everybody()}
}

func glassBallot(user, reason string, as ...Approver) Ballot {
	if as == nil {
		as = []Approver{"slack:S0ONCALL"}
	}
	b := ballotOf(user, Approve, as...)
	b.Vote.BreakGlass, b.Vote.Reason = true, reason
	return b
}

func glassClaim(r Request, current Decision) Claim {
	c := claimOf(r, *current.Rule)
	c.Current = current
	return c
}

func TestBreakGlassApproves(t *testing.T) {
	r, e := glassCase(t, ruleOf(release(2)), oncall(1))
	r, events, err := r.Vote(glassBallot("U0BOB", "the shop is down"), e, start().Add(time.Minute))
	if err != nil || r.State != Approved || !r.BrokenGlass {
		t.Fatalf("got %v, %s, broken: %v", err, r.State, r.BrokenGlass)
	}
	var types []EventType
	for _, event := range events {
		types = append(types, event.Type)
		if event.Data["break_glass"] != true {
			t.Errorf("%s does not say that the glass was broken: %v", event.Type, event.Data)
		}
	}
	if want := []EventType{EventVoteCounted, EventRequestApproved, EventRequestBreakGlass}; !slices.Equal(types, want) {
		t.Errorf("events are %v, want %v", types, want)
	}
	if _, g, _, err := r.Redeem(glassClaim(r, e.Current), start().Add(2*time.Minute)); err != nil || !g.Valid() {
		t.Errorf("it cannot be redeemed: %v", err)
	}
	work := followUp(Request{State: Pending}, r)
	if !slices.ContainsFunc(work, func(w Work) bool { return w.Kind == WorkBreakGlass && w.Key == "req_1" }) {
		t.Errorf("nobody is told: %v", work)
	}
	if again := followUp(r, r); slices.ContainsFunc(again, func(w Work) bool { return w.Kind == WorkBreakGlass }) {
		t.Error("it is told twice")
	}
}

// An emergency takes fewer people, and everything else that an approval takes.
func TestBreakGlassRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Request, *Ballot, *Electorate)
		why    string
	}{
		"no reason":            {func(_ *Request, b *Ballot, _ *Electorate) { b.Vote.Reason = "" }, "takes a reason"},
		"no break glass":       {func(r *Request, _ *Ballot, _ *Electorate) { r.BreakGlass = nil }, "have no break glass"},
		"an ordinary approver": {func(_ *Request, b *Ballot, _ *Electorate) { b.Member = []Approver{"slack:S0RELEASE"} }, "not among those"},
		"left the rules":       {func(_ *Request, _ *Ballot, e *Electorate) { e.Current.BreakGlass = nil }, "no longer among those"},
		"other group now": {func(_ *Request, _ *Ballot, e *Electorate) {
			e.Current.BreakGlass = &BreakGlass{Group: Group{Approvers: []Approver{"slack:S0OTHER"}, Quorum: 1}}
		}, "no longer among those"},
		"frozen now": {func(_ *Request, _ *Ballot, e *Electorate) { e.Current = Decision{Reason: "frozen"} }, "frozen"},
		"self":       {func(_ *Request, b *Ballot, _ *Electorate) { b.Vote.Person.Slack = "U0ALICE" }, "you started this run"},
		"guest":      {func(_ *Request, b *Ballot, _ *Electorate) { b.Standing.Guest = true }, "guests"},
		"author":     {bobWroteIt, "authors may not approve"},
		"lesser proof": {func(r *Request, b *Ballot, _ *Electorate) {
			r.Rule.Approval.StepUp, b.Vote.Proof = StepUpPasskey, StepUpSSO
		}, "proof"},
		"twice":   {func(r *Request, b *Ballot, _ *Electorate) { r.Votes = []Vote{b.Vote} }, "already counted"},
		"expired": {func(r *Request, _ *Ballot, _ *Electorate) { r.ExpiresAt = start() }, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			r, e := glassCase(t, ruleOf(release(1)), oncall(1))
			b := glassBallot("U0BOB", "down")
			c.change(&r, &b, &e)
			after, events, err := r.Vote(b, e, start().Add(time.Minute))
			if CodeOf(err) != CodeVoteRefused || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("got %v, want a refusal that says %q", err, c.why)
			}
			if after.BrokenGlass || after.State != r.State || len(events) != 1 || events[0].Data["break_glass"] != true {
				t.Errorf("got %+v, %v", after, events)
			}
		})
	}
}

// One person's ordinary approval may be repeated in an emergency, and takes
// the first one's place; a person never counts twice.
func TestBreakGlassAfterApproval(t *testing.T) {
	both := []Approver{"slack:S0RELEASE", "slack:S0ONCALL"}
	r, e := glassCase(t, ruleOf(release(2)), oncall(2))
	for _, b := range []Ballot{ballotOf("U0BOB", Approve, both...), glassBallot("U0BOB", "down", both...)} {
		var err error
		if r, _, err = r.Vote(b, e, start().Add(time.Minute)); err != nil || r.State != Pending {
			t.Fatalf("got %v, %s", err, r.State)
		}
	}
	if votes := r.ApprovedBy(); len(votes) != 1 || !votes[0].BreakGlass {
		t.Errorf("votes are %+v", votes)
	}
	if _, _, err := r.Vote(ballotOf("U0BOB", Approve, both...), e, start()); CodeOf(err) != CodeVoteRefused {
		t.Errorf("the same person approved once more: %v", err)
	}
	ordinary, _, err := r.Vote(ballotOf("U0CAROL", Approve, both...), e, start().Add(2*time.Minute))
	if err != nil || ordinary.State != Approved || ordinary.BrokenGlass {
		t.Errorf("two approvals: %v, %s, broken: %v", err, ordinary.State, ordinary.BrokenGlass)
	}
	broken, _, err := r.Vote(glassBallot("U0CAROL", "down"), e, start().Add(2*time.Minute))
	if err != nil || broken.State != Approved || !broken.BrokenGlass {
		t.Errorf("two who broke it: %v, %s, broken: %v", err, broken.State, broken.BrokenGlass)
	}
}

// In a freeze that only an emergency gets through, nobody else approves; they
// can still deny.
func TestBreakGlassOnly(t *testing.T) {
	rule := ruleOf(release(1))
	rule.Approval.BreakGlassOnly = true
	r, e := glassCase(t, rule, oncall(1))
	r.Freeze = "year-end"
	if _, _, err := r.Vote(ballotOf("U0BOB", Approve), e, start()); CodeOf(err) != CodeVoteRefused || !strings.Contains(err.Error(), "frozen by year-end") {
		t.Errorf("an ordinary approval: %v", err)
	}
	if denied, _, err := r.Vote(ballotOf("U0BOB", Deny), e, start()); err != nil || denied.State != Denied {
		t.Errorf("an ordinary denial: %v, %s", err, denied.State)
	}
	if denied, _, err := r.Vote(ballotOf("U0BOB", Deny, "slack:S0ONCALL"), e, start()); err != nil || denied.State != Denied {
		t.Errorf("a denial by who may break it: %v, %s", err, denied.State)
	}
	if got := r.Quorum(); got != 1 {
		t.Errorf("quorum is %d", got)
	}
	broken, _, err := r.Vote(glassBallot("U0BOB", "down"), e, start())
	if err != nil || broken.State != Approved {
		t.Fatalf("got %v, %s", err, broken.State)
	}
	if _, _, _, err := broken.Redeem(glassClaim(broken, e.Current), redeemAt()); err != nil {
		t.Error(err)
	}
}

// What broke the glass has to hold at redemption as well (threats row 34).
func TestBreakGlassIsDecidedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Claim)
		ok     bool
	}{
		"nothing changed":     {func(*Claim) {}, true},
		"asks nobody now":     {func(c *Claim) { c.Current.Outcome, c.Current.BreakGlass = Allow, nil }, true},
		"frozen, with glass":  {func(c *Claim) { c.Current.Rule.Approval.BreakGlassOnly = true }, true},
		"glass removed":       {func(c *Claim) { c.Current.BreakGlass = nil }, false},
		"others may now":      {func(c *Claim) { c.Current.BreakGlass.Group.Approvers = []Approver{"slack:S0OTHER"} }, false},
		"two wanted now":      {func(c *Claim) { c.Current.BreakGlass.Group.Quorum = 2 }, false},
		"refused now":         {func(c *Claim) { c.Current = Decision{Reason: "frozen"} }, false},
		"left the group":      {func(c *Claim) { c.Votes[0].Member = []Approver{"slack:S0RELEASE"} }, false},
		"deactivated since":   {func(c *Claim) { c.Votes[0].Standing = Standing{} }, false},
		"was no break glass":  {func(c *Claim) { c.Votes[0].Vote.BreakGlass = false }, false},
		"initiator by people": {func(c *Claim) { c.People = People{{Slack: "U0BOB", GitHub: "alice"}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, e := glassCase(t, ruleOf(release(2)), oncall(1))
			r, _, err := r.Vote(glassBallot("U0BOB", "down"), e, start().Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			_, fresh := glassCase(t, ruleOf(release(2)), oncall(1))
			claim := glassClaim(r, fresh.Current)
			c.change(&claim)
			if _, g, _, err := r.Redeem(claim, redeemAt()); (err == nil) != c.ok || g.Valid() != c.ok {
				t.Errorf("got %v and grant %v", err, g.Valid())
			}
		})
	}
}

// An ordinary approval does not stand on a freeze that came since and that
// only an emergency gets through.
func TestFreezeAfterOrdinaryApproval(t *testing.T) {
	r, e := glassCase(t, ruleOf(release(1)), oncall(1))
	r, _, err := r.Vote(ballotOf("U0BOB", Approve), e, start())
	if err != nil || r.State != Approved {
		t.Fatal(err, r.State)
	}
	e.Current.Rule.Approval.BreakGlassOnly = true
	if _, _, _, err := r.Redeem(glassClaim(r, e.Current), redeemAt()); CodeOf(err) != CodeAccessDenied {
		t.Errorf("got %v", err)
	}
}

// The approval covers who may break the glass.
func TestDigestCoversBreakGlass(t *testing.T) {
	r, e := glassCase(t, ruleOf(release(1)), oncall(1))
	r, _, err := r.Vote(glassBallot("U0BOB", "down"), e, start())
	if err != nil {
		t.Fatal(err)
	}
	r.BreakGlass = oncall(2)
	if _, _, _, err := r.Redeem(glassClaim(r, e.Current), redeemAt()); CodeOf(err) != CodeNotFound {
		t.Errorf("got %v", err)
	}
}
