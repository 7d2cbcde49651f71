package gatekeeper

import (
	"strings"
	"testing"
	"time"
)

// Approvers take back what a redeemed request handed out: it stays approved,
// and nothing more comes of it.
func TestTakeBack(t *testing.T) {
	rule := ruleOf(release(1))
	rule.Approval.Redemptions = 2
	approved := approvedBy(t, rule, "U0BOB")
	redeemed := got(t, approved, rule, "1", "501", redeemAt(), start().Add(time.Hour))
	at := start().Add(5 * time.Minute)
	vote := func(r Request, b Ballot, at time.Time) (Request, []Event, error) {
		return r.Vote(b, electorate(rule), at)
	}
	for name, c := range map[string]struct {
		r    Request
		who  Ballot
		at   time.Time
		says string
	}{
		"pending":          {opened(t, rule), ballotOf("U0CAROL", RevokeCredentials), at, "no credentials were handed out"},
		"not redeemed":     {approved, ballotOf("U0CAROL", RevokeCredentials), at, "no credentials were handed out"},
		"no approver":      {redeemed, ballotOf("U0EVE", RevokeCredentials, "slack:S0OTHER"), at, "not among the approvers"},
		"over":             {redeemed, ballotOf("U0CAROL", RevokeCredentials), start().Add(time.Hour), "ended by themselves"},
		"deactivated":      {redeemed, Ballot{Vote: Vote{Person: Person{Slack: "U0CAROL"}, Choice: RevokeCredentials}, Member: []Approver{"slack:S0RELEASE"}}, at, "deactivated"},
		"by who approved":  {redeemed, ballotOf("U0BOB", RevokeCredentials), at, ""},
		"by who requested": {redeemed, ballotOf("U0ALICE", RevokeCredentials), at, ""},
	} {
		t.Run(name, func(t *testing.T) {
			next, events, err := vote(c.r, c.who, c.at)
			if c.says != "" {
				if CodeOf(err) != CodeVoteRefused || !strings.Contains(err.Error(), c.says) || next.TakenBack != nil || events[0].Type != EventVoteRefused {
					t.Fatalf("got %v, want %q", err, c.says)
				}
				return
			}
			if err != nil || next.State != Approved || next.TakenBack == nil || events[1].Type != EventRevocationRequested || !next.owed() {
				t.Fatalf("%v, %v", err, events)
			}
			if _, err := tryRedeem(next, rule, "2", "501", c.at); CodeOf(err) != CodeExpired {
				t.Errorf("it still gives: %v", err)
			}
			if !next.Serves(start().Add(24 * time.Hour)) {
				t.Error("the same run may ask people again")
			}
			if _, _, err := vote(next, ballotOf("U0CAROL", RevokeCredentials), c.at); CodeOf(err) != CodeVoteRefused || !strings.Contains(err.Error(), "already") {
				t.Errorf("twice: %v", err)
			}
			if by := next.ApprovedBy(); len(by) != 1 || next.DeniedBy() != nil {
				t.Errorf("approved by %v, denied by %v", by, next.DeniedBy())
			}
		})
	}
}

// What a cloud answered is recorded once, and what failed may be asked for
// once more, by the same person too.
func TestTaken(t *testing.T) {
	rule := ruleOf(release(1))
	at := start().Add(5 * time.Minute)
	r := got(t, approvedBy(t, rule, "U0BOB"), rule, "1", "501", redeemAt(), start().Add(time.Hour))
	ask := func(r Request) Request {
		t.Helper()
		r, _, err := r.Vote(ballotOf("U0BOB", RevokeCredentials), electorate(rule), at)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r = ask(r)
	r, events, err := r.Taken("red_1", Taken{State: RevocationFailed, Detail: "AWS revokes no sessions", Todo: "{policy}"}, at)
	if err != nil || len(events) != 1 || events[0].Type != EventRevocationFailed || events[0].Data["todo"] != "{policy}" || r.owed() {
		t.Fatalf("%v %v", events, err)
	}
	if _, events, _ = r.Taken("red_1", Taken{State: RevocationDone}, at); len(events) != 0 {
		t.Fatalf("recorded twice: %v", events)
	}
	r, events, err = ask(r).Taken("red_1", Taken{State: RevocationDone}, at)
	if err != nil || events[0].Type != EventCredentialRevoked || r.Redemptions[0].Taken.State != RevocationDone || r.CredentialsRevocable(at) {
		t.Fatalf("%v %v", events, err)
	}
}

// A redemption under way when its request is taken back is taken back as soon
// as the cloud answered.
func TestTakeBackDuringTheExchange(t *testing.T) {
	rule := ruleOf(release(1))
	at := redeemAt().Add(time.Second)
	r, err := tryRedeem(approvedBy(t, rule, "U0BOB"), rule, "1", "501", redeemAt())
	if err != nil {
		t.Fatal(err)
	}
	r, _, err = r.TakeBack(Actor{Kind: "operator", ID: "root"}, "leaked", at)
	if err != nil || r.owed() {
		t.Fatalf("%v, owed before the cloud answered: %v", err, r.owed())
	}
	r, _, err = r.Settle("red_1", Result{State: RedemptionSucceeded, ExpiresAt: start().Add(time.Hour), Handle: "h"}, at)
	if err != nil || !r.owed() || r.Redemptions[0].Taken == nil {
		t.Fatalf("%v, owed: %v", err, r.owed())
	}
}
