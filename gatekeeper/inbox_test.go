package gatekeeper

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// office is everything that a gate's inbox asks.
type office struct {
	requests []Request
	rule     Rule
	members  map[Approver][]string
	standing map[string]Standing
	down     bool // memberships cannot be looked up
	asked    int
}

func (o *office) Find(_ context.Context, f Filter) ([]Request, error) {
	return slices.DeleteFunc(slices.Clone(o.requests), func(r Request) bool {
		return len(f.States) > 0 && !slices.Contains(f.States, r.State)
	}), nil
}

func (o *office) Decide(context.Context, Workload, string, time.Time) Decision { return needs(o.rule) }

func (o *office) Standing(_ context.Context, p Person) (Standing, error) {
	if s, ok := o.standing[p.Slack]; ok {
		return s, nil
	}
	return Standing{Active: true, Name: strings.ToLower(p.Slack)}, nil
}

func (o *office) Member(_ context.Context, p Person, a Approver) (bool, error) {
	o.asked++
	if o.down {
		return false, errors.New("Slack is down")
	}
	return slices.Contains(o.members[a], p.Slack), nil
}

func (o *office) gate() *Gate {
	g := &Gate{Options{Rules: o, Directory: o, Finder: o, People: everybody(), Now: func() time.Time { return start().Add(time.Minute) }}}
	g.Logger = discard()
	return g
}

func TestInbox(t *testing.T) {
	rule := ruleOf(release(2))
	o := &office{rule: rule, members: map[Approver][]string{"slack:S0RELEASE": {"U0ALICE", "U0BOB", "U0CAROL"}}}
	late := opened(t, rule)
	late.ID, late.ExpiresAt = "req_late", start().Add(2*time.Hour)
	over := opened(t, rule)
	over.ID, over.ExpiresAt = "req_over", start()
	voted := opened(t, rule)
	voted.ID = "req_voted"
	voted, _, _ = voted.Vote(ballotOf("U0BOB", Approve), electorate(rule), start())
	denied := opened(t, rule)
	denied.ID = "req_denied"
	denied, _, _ = denied.Vote(ballotOf("U0CAROL", Deny), electorate(rule), start())
	nobody := opened(t, rule)
	nobody.ID, nobody.State, nobody.Rule.Approval.None = "req_auto", Approved, true
	o.requests = []Request{late, opened(t, rule), over, voted, denied, nobody}
	ids := func(rs []Request) (out []string) {
		for _, r := range rs {
			out = append(out, r.ID)
		}
		return out
	}
	requests := func(items []InboxItem) (out []Request) {
		for _, i := range items {
			out = append(out, i.Request)
		}
		return out
	}
	for user, want := range map[string]struct {
		waiting, recent []string
		others          map[string]string
	}{
		"U0CAROL": {[]string{"req_1", "req_voted", "req_late"}, []string{"req_denied"}, map[string]string{}},
		"U0BOB":   {[]string{"req_1", "req_late"}, []string{"req_denied"}, map[string]string{"req_voted": "already counted"}},
		"U0ALICE": {nil, []string{"req_denied"}, map[string]string{"req_1": "you started this run", "req_voted": "you started", "req_late": "you started"}},
		"U0EVE":   {nil, nil, map[string]string{"req_1": "not among the approvers", "req_voted": "not among", "req_late": "not among"}},
	} {
		o.asked = 0
		in, err := o.gate().Inbox(t.Context(), Person{Slack: user, Team: "T0ACME"})
		if err != nil || !slices.Equal(ids(requests(in.Waiting)), want.waiting) || !slices.Equal(ids(in.Recent), want.recent) || in.Person.Name != strings.ToLower(user) {
			t.Errorf("%s: waiting %v, recent %v, %v", user, ids(requests(in.Waiting)), ids(in.Recent), err)
		}
		if len(in.Others) != len(want.others) {
			t.Errorf("%s: %d others", user, len(in.Others))
		}
		for _, e := range in.Others {
			if why, ok := want.others[e.Request.ID]; !ok || !strings.Contains(e.Why, why) || e.Mine == (user == "U0EVE") {
				t.Errorf("%s: %s waits for others: %q, mine %t", user, e.Request.ID, e.Why, e.Mine)
			}
		}
		if o.asked != 1 {
			t.Errorf("%s: the same group was looked up %d times", user, o.asked)
		}
	}
}

// Threats row 23: who may not decide sees nothing; and a look-up that fails
// offers nothing.
func TestInboxOfWhoMayNotDecide(t *testing.T) {
	rule := ruleOf(release(1))
	o := &office{rule: rule, requests: []Request{opened(t, rule)}, members: map[Approver][]string{"slack:S0RELEASE": {"U0BOB"}}}
	o.standing = map[string]Standing{"U0GUEST": {Active: true, Guest: true}, "U0BOT": {Active: true, Bot: true}, "U0FOREIGN": {Active: true, Foreign: true}, "U0GONE": {}}
	for user := range o.standing {
		if _, err := o.gate().Inbox(t.Context(), Person{Slack: user}); CodeOf(err) != CodeAccessDenied {
			t.Errorf("%s: %v", user, err)
		}
		if _, err := o.gate().Sight(t.Context(), Person{Slack: user}, o.requests[0]); CodeOf(err) != CodeAccessDenied {
			t.Errorf("%s: %v", user, err)
		}
	}
	o.down = true
	in, err := o.gate().Inbox(t.Context(), Person{Slack: "U0BOB"})
	if err != nil || len(in.Waiting) != 0 || len(in.Others) != 1 || !strings.Contains(in.Others[0].Why, "cannot be looked up") {
		t.Errorf("%+v %v", in, err)
	}
}

// What waits for somebody is what their vote counts on, whatever the request
// and the person are: the inbox has no rules of its own (threats row 25).
func TestInboxIsTheVote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := ruleOf(release(2))
		rule.Approval.SelfApproval = rapid.Bool().Draw(t, "self")
		rule.Approval.ExcludeAuthors = rapid.Bool().Draw(t, "authors")
		rule.Approval.RequireReason = rapid.Bool().Draw(t, "reason")
		rule.Approval.StepUp = rapid.SampledFrom([]StepUp{StepUpNone, StepUpSSO, StepUpPasskey}).Draw(t, "step up")
		r := mustOpen(t, needs(rule))
		glass := rapid.SampledFrom([]*BreakGlass{nil, oncall(1)}).Draw(t, "glass")
		r.BreakGlass, r.Rule.Approval.BreakGlassOnly = glass, rapid.Bool().Draw(t, "glass only")
		r.Authors = Initiators{People: []Account{{Login: "carol"}}, Known: rapid.Bool().Draw(t, "known")}
		r.State = rapid.SampledFrom([]State{Pending, Pending, Pending, Approved, Denied}).Draw(t, "state")
		if rapid.Bool().Draw(t, "bob voted") {
			r.Votes = []Vote{{Person: Person{Slack: "U0BOB"}, Choice: Approve, As: []Approver{"slack:S0RELEASE"}}}
		}
		b := ballotOf(rapid.SampledFrom([]string{"U0ALICE", "U0BOB", "U0CAROL", "U0DAVE"}).Draw(t, "user"), Approve)
		b.Standing = Standing{Active: rapid.Bool().Draw(t, "active"), Guest: rapid.Bool().Draw(t, "guest"), Foreign: rapid.Bool().Draw(t, "foreign")}
		if rapid.Bool().Draw(t, "outsider") {
			b.Member = []Approver{}
		}
		if rapid.Bool().Draw(t, "on call") {
			b.Member = append(b.Member, "slack:S0ONCALL")
		}
		b.Vote.BreakGlass = rapid.Bool().Draw(t, "emergency")
		e := electorate(rule)
		e.Current.BreakGlass = glass
		e.Current.Outcome = rapid.SampledFrom([]Outcome{NeedApproval, Allow, Refuse}).Draw(t, "now")
		now := start().Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
		may := r.ineligible(b, e, now)
		b.Vote.Reason, b.Vote.Proof = "because", rule.Approval.StepUp
		if _, _, err := r.Vote(b, e, now); (err == nil) != (may == "") {
			t.Fatalf("the inbox says %q, the vote %v", may, err)
		}
	})
}
