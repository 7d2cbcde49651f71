package gatekeeper

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Threats row 33: whatever people, jobs and the clock do in whatever order,
// no request leaves a state it may not leave, no credential is given without
// a standing approval, and every change has its event.
func TestRequestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := ruleOf(release(rapid.IntRange(1, 3).Draw(t, "quorum")))
		rule.Approval.Redemptions = rapid.IntRange(1, 2).Draw(t, "redemptions")
		rule.Approval.BreakGlassOnly = rapid.IntRange(0, 4).Draw(t, "frozen") == 0
		m := &machine{rule: rule, now: start(), glass: rapid.SampledFrom([]*BreakGlass{nil, oncall(1), oncall(2)}).Draw(t, "glass")}
		m.r = mustOpen(t, m.current())
		t.Repeat(map[string]func(*rapid.T){
			"vote":   m.vote,
			"break":  m.breakGlass,
			"redeem": m.redeem,
			"settle": m.settle,
			"cancel": m.cancel,
			"expire": m.expire,
			"wait": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 1200).Draw(t, "seconds")) * time.Second)
			},
			"": m.check,
		})
	})
}

type machine struct {
	rule      Rule
	glass     *BreakGlass
	now       time.Time
	r         Request
	tokens    int
	successes int
	lastEnd   time.Time // of the last session
}

// current are the rules in force; they stay the same here.
func (m *machine) current() Decision {
	d := needs(m.rule)
	d.BreakGlass = m.glass
	return d
}

func mustOpen(t *rapid.T, d Decision) Request {
	r, _, err := NewRequest(Admission{
		ID: "req_1", Workload: workloadOf("alice"), Initiators: Initiators{People: []Account{{Login: "alice"}}, Known: true},
		Ask: Ask{Environment: "production"}, Decision: d, Credentials: d.Rule.Credentials, Now: start(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// step takes the next request if it is allowed to follow the last one.
func (m *machine) step(t *rapid.T, next Request, events []Event) {
	old := m.r
	if old.State != next.State {
		may := map[State][]State{Pending: {Approved, Denied, Expired, Canceled}, Approved: {Revoked}}
		if !slices.Contains(may[old.State], next.State) {
			t.Fatalf("%s became %s", old.State, next.State)
		}
		if !slices.ContainsFunc(events, func(e Event) bool { return e.State == next.State }) {
			t.Fatalf("%s became %s without an event", old.State, next.State)
		}
	}
	if old.Redeemed() && next.State == Revoked {
		t.Fatal("a redeemed approval was revoked")
	}
	if fmt.Sprint(old) != fmt.Sprint(next) && len(events) == 0 {
		t.Fatal("a change without an event")
	}
	m.r = next
}

func (m *machine) vote(t *rapid.T) {
	user := rapid.SampledFrom([]string{"U0ALICE", "U0BOB", "U0CAROL", "U0DAVE", "U0EVE"}).Draw(t, "user")
	b := ballotOf(user, rapid.SampledFrom([]Choice{Approve, Approve, Deny, Revoke, RevokeCredentials}).Draw(t, "choice"))
	if user == "U0EVE" {
		b.Member = []Approver{}
	}
	m.cast(t, b)
}

// breakGlass is an approval in an emergency; carol is not on call.
func (m *machine) breakGlass(t *rapid.T) {
	user := rapid.SampledFrom([]string{"U0ALICE", "U0BOB", "U0CAROL", "U0DAVE"}).Draw(t, "user")
	b := glassBallot(user, rapid.SampledFrom([]string{"", "down"}).Draw(t, "why"), "slack:S0ONCALL", "slack:S0RELEASE")
	if user == "U0CAROL" {
		b.Member = []Approver{"slack:S0RELEASE"}
	}
	m.cast(t, b)
}

func (m *machine) cast(t *rapid.T, b Ballot) {
	e := Electorate{Current: m.current(), People: append(everybody(), PersonEntry{Slack: "U0DAVE", GitHub: "dave"})}
	next, events, _ := m.r.Vote(b, e, m.now)
	if told := slices.ContainsFunc(events, func(e Event) bool { return e.Type == EventRequestBreakGlass }); told != (next.BrokenGlass && !m.r.BrokenGlass) {
		t.Fatalf("broken: %v, told: %v", next.BrokenGlass, told)
	}
	m.step(t, next, events)
}

func (m *machine) redeem(t *rapid.T) {
	c := glassClaim(m.r, m.current())
	m.tokens++
	c.ID, c.Workload.Token.ID = fmt.Sprint("red_", m.tokens), fmt.Sprint("jti-", m.tokens)
	c.People = append(c.People, PersonEntry{Slack: "U0DAVE", GitHub: "dave"})
	c.SettleBy = m.now.Add(15 * time.Second)
	next, grant, events, err := m.r.Redeem(c, m.now)
	if err != nil {
		if grant.Valid() {
			t.Fatal("a refusal came with a grant")
		}
		return
	}
	if m.r.State != Approved || m.r.TakenBack != nil {
		t.Fatalf("a grant for a request that is %s, taken back: %v", m.r.State, m.r.TakenBack)
	}
	if m.r.Lapsed(m.now) && !m.now.Before(m.lastEnd.Add(m.rule.Approval.ValidFor)) {
		t.Fatal("a grant for an approval that lapsed, to a job without a session")
	}
	m.enough(t)
	m.step(t, next, events)
}

// enough people agreed: the rule's, or those who may in an emergency.
func (m *machine) enough(t *rapid.T) {
	if people := agreementsOf(m.r.Votes); !m.r.BrokenGlass && (len(people) < m.rule.Approval.Groups[0].Quorum || m.rule.Approval.BreakGlassOnly) {
		t.Fatalf("a grant with %d of %d approvals", len(people), m.rule.Approval.Groups[0].Quorum)
	}
	if broke := agreementsOf(glassVotes(m.r.Votes)); m.r.BrokenGlass && (m.glass == nil || len(broke) < m.glass.Group.Quorum) {
		t.Fatalf("the glass was broken by %d", len(broke))
	}
}

func (m *machine) settle(t *rapid.T) {
	if len(m.r.Redemptions) == 0 {
		return
	}
	id := rapid.SampledFrom(m.r.Redemptions).Draw(t, "redemption").ID
	state := rapid.SampledFrom([]RedemptionState{RedemptionSucceeded, RedemptionFailed, RedemptionUnknown}).Draw(t, "result")
	end := m.now.Add(time.Duration(rapid.IntRange(900, 3600).Draw(t, "session")) * time.Second)
	next, events, err := m.r.Settle(id, Result{State: state, ExpiresAt: end}, m.now)
	if err == nil && state == RedemptionSucceeded {
		m.successes++
		m.lastEnd = end
	}
	m.step(t, next, events)
}

func (m *machine) cancel(t *rapid.T) {
	next, events, _ := m.r.Cancel(workloadOf("alice"), m.now)
	m.step(t, next, events)
}

func (m *machine) expire(t *rapid.T) {
	next, events, _ := m.r.Expire(m.now)
	if next.State == Expired && m.now.Before(next.ExpiresAt) {
		t.Fatal("expired before its time")
	}
	m.step(t, next, events)
}

func (m *machine) check(t *rapid.T) {
	if m.successes > m.rule.Approval.Redemptions {
		t.Fatalf("%d credentials were given, %d were allowed", m.successes, m.rule.Approval.Redemptions)
	}
	open := 0
	for _, d := range m.r.Redemptions {
		if d.State == RedemptionIntended {
			open++
		}
	}
	if open > 1 {
		t.Fatalf("%d attempts of one job are under way at once", open)
	}
	seen := map[string]bool{}
	for _, v := range m.r.ApprovedBy() {
		if seen[v.Person.Slack] {
			t.Fatalf("%s counts twice", v.Person.Slack)
		}
		seen[v.Person.Slack] = true
		if v.BreakGlass && (v.Reason == "" || v.Person.Slack == "U0CAROL") {
			t.Fatalf("%s broke the glass for %q", v.Person.Slack, v.Reason)
		}
		if v.Person.Slack == "U0ALICE" || v.Person.Slack == "U0EVE" {
			t.Fatalf("%s approved", v.Person.Slack)
		}
	}
}
