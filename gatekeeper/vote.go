package gatekeeper

import (
	"cmp"
	"slices"
	"time"
)

// Ballot is a vote with what a live look at its person told.
type Ballot struct {
	Vote     Vote
	Standing Standing
	Closed   string     // why nobody's vote counts any more by our own clock; empty: they do
	Member   []Approver // the entries, of all rules that matter, the person belongs to now
}

// Electorate is what a ballot is measured against beside the request itself.
type Electorate struct {
	Current Decision // what the rules in force say now
	People  People
}

// Vote counts a ballot or refuses it. A refused one leaves the request as it
// is and still gives an event, beside a [CodeVoteRefused] error whose
// description is the answer to the person. An approval that lacks nothing but
// the proof which its rule wants (step_up) is neither: it gives no event, and
// a [CodeStepUp] error. It is the one check for all doors (threats row 25).
func (r Request) Vote(b Ballot, e Electorate, now time.Time) (Request, []Event, error) {
	b.Vote.At = now.UTC()
	b.Vote.BreakGlass = b.Vote.BreakGlass && b.Vote.Choice == Approve
	if why := r.refusal(b, e, now); why != "" {
		return r, []Event{r.voteEvent(EventVoteRefused, b.Vote, why)}, Errorf(CodeVoteRefused, "%s", why)
	}
	if why, given := r.unproven(b.Vote, e.Current); why != "" {
		if !given {
			return r, nil, Errorf(CodeStepUp, "%s", why)
		}
		return r, []Event{r.voteEvent(EventVoteRefused, b.Vote, why)}, Errorf(CodeVoteRefused, "%s", why)
	}
	b.Vote.As = b.Member
	r.Votes = append(r.withoutApprovalOf(b.Vote), b.Vote)
	switch b.Vote.Choice {
	case Approve:
		return r.counted(b.Vote, e, now)
	case RevokeCredentials:
		return r.takenBack(b.Vote, now)
	}
	return r.turnedDown(b.Vote, now)
}

// withoutApprovalOf are the votes but for the person's own earlier approval,
// which an approval in an emergency replaces: a person counts once.
func (r Request) withoutApprovalOf(v Vote) []Vote {
	return slices.DeleteFunc(slices.Clone(r.Votes), func(had Vote) bool {
		return v.Choice == Approve && had.Choice == Approve && had.Person.Slack == v.Person.Slack
	})
}

// counted adds an approval; the last one that was missing approves. Rules
// that got stricter since the opening must be satisfied too (row 34).
func (r Request) counted(v Vote, e Electorate, now time.Time) (Request, []Event, error) {
	counted := r.voteEvent(EventVoteCounted, v, "")
	enough, broken := r.approvedNow(e.Current)
	if !enough {
		return r, []Event{counted}, nil
	}
	r.BrokenGlass = broken
	r, approved := r.approve(now, personActor(v.Person))
	events := []Event{counted, approved}
	if broken {
		events = append(events, r.event(EventRequestBreakGlass, now, personActor(v.Person), map[string]any{
			"break_glass": true, "reason": v.Reason, "channel": r.BreakGlass.Channel, "approvers": approverIDs(r), "freeze": r.Freeze,
		}))
	}
	return r, events, nil
}

func satisfiesCurrent(d Decision, votes []agreement) bool {
	switch d.Outcome {
	case Allow:
		return true
	case NeedApproval:
		return d.Rule != nil && d.Rule.Approval.agreed(votes)
	}
	return false
}

// turnedDown ends the request: a denial wins over approvals that came before,
// and takes an approval back until it is redeemed (row 33).
func (r Request) turnedDown(v Vote, now time.Time) (Request, []Event, error) {
	counted := r.voteEvent(EventVoteCounted, v, "")
	end, name := Denied, EventRequestDenied
	if r.State == Approved {
		end, name = Revoked, EventRequestRevoked
	}
	r.State = end
	r.DenyReason = v.Reason
	r.DecidedAt = now
	ended := r.event(name, now, personActor(v.Person), map[string]any{"reason": v.Reason})
	return r, []Event{counted, ended}, nil
}

// refusal says why a ballot does not count, "" when it does.
func (r Request) refusal(b Ballot, e Electorate, now time.Time) string {
	checks := []func() string{
		func() string { return cmp.Or(r.closed(b.Vote.Choice, now), b.Closed) },
		func() string { return b.Standing.refusal() },
		func() string { return r.notAnApprover(b, e.Current) },
		func() string { return r.alreadyVoted(b.Vote) },
	}
	if b.Vote.Choice == Approve {
		checks = append(checks, func() string { return r.unfit(b.Vote, e) })
	}
	for _, check := range checks {
		if why := check(); why != "" {
			return why
		}
	}
	return ""
}

// closed says why nobody can make that choice any more.
func (r Request) closed(c Choice, now time.Time) string {
	switch {
	case c == RevokeCredentials:
		return r.nothingToTake(now)
	case c != Approve && c != Deny && c != Revoke:
		return "that is neither an approval nor a denial"
	case r.State == Pending && c == Revoke:
		return "there is no approval to revoke yet; deny the request instead"
	case r.State == Pending && !now.Before(r.ExpiresAt):
		return "the request expired: nobody decided in time"
	case r.State == Pending:
		return ""
	case r.State != Approved || c == Approve:
		return "the request is already " + string(r.State)
	case r.Redeemed():
		return "the approval was already redeemed, so it cannot be revoked; its credentials can"
	}
	return ""
}

func (s Standing) refusal() string {
	switch {
	case s.Foreign:
		return "you belong to another workspace, and only members of ours may decide"
	case s.Bot:
		return "bots and apps may not decide"
	case s.Guest:
		return "guests may not decide"
	case !s.Active:
		return "your account is deactivated or unknown"
	}
	return ""
}

// notAnApprover wants the person in a group of the rule as admitted, and for
// an approval in one of the rules in force as well. Who may break the glass
// may deny: a denial needs no emergency.
func (r Request) notAnApprover(b Ballot, current Decision) string {
	if b.Vote.BreakGlass && b.Vote.Choice == Approve {
		return r.cannotBreakGlass(b, current)
	}
	me := agreement{as: b.Member}
	in := func(g Group) bool { return belongs(me, g) }
	mine := slices.ContainsFunc(r.Rule.Approval.Groups, in)
	if b.Vote.Choice != Approve {
		mine = mine || slices.ContainsFunc(r.BreakGlass.groups(), in)
	}
	if !mine {
		return "you are not among the approvers of rule " + r.Rule.Name
	}
	if b.Vote.Choice != Approve {
		return ""
	}
	return r.outOfForce(me, current)
}

// outOfForce says why the rules in force take no ordinary approval of me.
func (r Request) outOfForce(me agreement, current Decision) string {
	in := func(g Group) bool { return belongs(me, g) }
	switch {
	case r.Rule.Approval.BreakGlassOnly:
		return r.Environment + " is frozen by " + r.Freeze + "; only those who may break the glass can approve"
	case current.Outcome == Allow:
		return ""
	case current.Outcome == Refuse || current.Rule == nil:
		return "the rules in force no longer allow this: " + current.Reason
	case current.Rule.Approval.BreakGlassOnly:
		return r.Environment + " is frozen by " + current.Freeze + "; only those who may break the glass can approve"
	}
	if !slices.ContainsFunc(current.Rule.Approval.Groups, in) {
		return "you are no longer among the approvers of rule " + current.Rule.Name
	}
	return ""
}

func (r Request) alreadyVoted(v Vote) string {
	for _, had := range r.Votes {
		again := had.BreakGlass || !v.BreakGlass       // an ordinary approval may be repeated in an emergency
		again = again && v.Choice != RevokeCredentials // what failed may be asked for once more
		if had.Person.Slack == v.Person.Slack && had.Choice == v.Choice && again {
			return "your vote is already counted"
		}
	}
	return ""
}

// approvals are the rule as admitted and the rule in force where it asks for
// approval.
func (r Request) approvals(current Decision) []Approval {
	all := []Approval{r.Rule.Approval}
	if current.Outcome == NeedApproval && current.Rule != nil {
		all = append(all, current.Rule.Approval)
	}
	return all
}

// electing are the groups that matter for a vote. Those of the break glass
// matter to nobody's ordinary approval, so their look-up cannot fail it.
func (r Request) electing(v Vote, current Decision) []Group {
	var all []Group
	for _, a := range r.approvals(current) {
		all = append(all, a.Groups...)
	}
	if v.BreakGlass || v.Choice != Approve {
		all = append(all, r.BreakGlass.groups()...)
		all = append(all, current.BreakGlass.groups()...)
	}
	return all
}

func (r Request) voteEvent(t EventType, v Vote, why string) Event {
	data := map[string]any{"choice": v.Choice, "via": v.Via, "team": v.Person.Team}
	for key, value := range map[string]string{"reason": v.Reason, "refused": why, "proof": string(v.Proof)} {
		if value != "" {
			data[key] = value
		}
	}
	if len(v.As) > 0 {
		data["as"] = v.As
	}
	if len(v.Evidence) > 0 {
		data["evidence"], data["digest"] = v.Evidence, r.Digest
	}
	if v.BreakGlass {
		data["break_glass"] = true
	}
	return r.event(t, v.At, personActor(v.Person), data)
}
