package gatekeeper

import (
	"cmp"
	"slices"
	"time"
)

// Inbox is what one person sees of the requests. It decides nothing: a vote
// that comes of it is checked like any other.
type Inbox struct {
	Person  Person      // with their name as looked up
	Waiting []InboxItem // for this person's approval; the first to expire first
	Others  []InboxItem // wait for somebody else
	Recent  []Request   // ended lately, theirs to decide or decided by them; newest first
}

// InboxItem is a pending request as the person sees it.
type InboxItem struct {
	Request Request
	Mine    bool   // they are among its approvers, or those of its break glass
	Why     string // their approval would not count
	Glass   bool   // they may approve in an emergency
}

// ineligible says why an approval by the person would not count, whatever
// reason or proof comes with it; "" when one may count.
func (r Request) ineligible(b Ballot, e Electorate, now time.Time) string {
	b.Vote.Choice = Approve
	if b.Vote.BreakGlass && b.Vote.Reason == "" {
		b.Vote.Reason = "asked for later"
	}
	for _, check := range []func() string{
		func() string { return r.closed(Approve, now) },
		func() string { return b.Standing.refusal() },
		func() string { return r.notAnApprover(b, e.Current) },
		func() string { return r.alreadyVoted(b.Vote) },
	} {
		if why := check(); why != "" {
			return why
		}
	}
	for _, a := range r.approvals(e.Current) {
		if why := r.tooClose(b.Vote.Person, a, e.People); why != "" {
			return why
		}
	}
	return ""
}

// concerns says whether the person is an approver of the request's rule, or
// voted on it.
func (r Request) concerns(b Ballot) bool {
	voted := slices.ContainsFunc(r.Votes, func(v Vote) bool { return v.Person.Slack == b.Vote.Person.Slack })
	groups := append(slices.Clone(r.Rule.Approval.Groups), r.BreakGlass.groups()...)
	return voted || slices.ContainsFunc(groups, func(g Group) bool { return belongs(agreement{as: b.Member}, g) })
}

// waits says whether the person's approval is what the request waits for. A
// break glass beside other approvers is for emergencies, and waits for nobody.
func (i InboxItem) waits() bool {
	return i.Why == "" || i.Glass && i.Request.Rule.Approval.BreakGlassOnly
}

func byDeadline(a, b InboxItem) int {
	return cmp.Or(a.Request.ExpiresAt.Compare(b.Request.ExpiresAt), cmp.Compare(a.Request.ID, b.Request.ID))
}
