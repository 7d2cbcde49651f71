package gatekeeper

// BreakGlass says who may approve an environment's requests in an emergency,
// in the place of the rule's own groups and of those that a freeze adds. It
// takes fewer people and no less proof: self-approval, authors, step_up and
// standing are looked at as ever, and a reason is always wanted.
type BreakGlass struct {
	Group   Group  `json:"group"`
	Channel string `json:"channel,omitempty"` // where it is said aloud; empty: where the request is asked
}

// opens says whether the votes that broke the glass are enough. The zero
// value, and nil, never open.
func (g *BreakGlass) opens(votes []agreement) bool {
	return g != nil && satisfied([]Group{g.Group}, votes)
}

func (g *BreakGlass) groups() []Group {
	if g == nil {
		return nil
	}
	return []Group{g.Group}
}

// agreed says whether the votes are enough under an approval's own groups. In
// a freeze that only an emergency gets through they never are.
func (a Approval) agreed(votes []agreement) bool {
	return !a.BreakGlassOnly && satisfied(a.Groups, votes)
}

// approvedNow says whether the request has what it takes, and whether that is
// because the glass was broken. Both the rule that admitted the request and
// those in force have to be satisfied (row 34).
func (r Request) approvedNow(current Decision) (approved, broken bool) {
	if votes := agreementsOf(glassVotes(r.Votes)); r.glassOpens(current, votes) {
		return true, true
	}
	votes := agreementsOf(r.Votes)
	return r.Rule.Approval.agreed(votes) && satisfiesCurrent(current, votes), false
}

// glassOpens wants the break glass as admitted and the one in force; rules
// that meanwhile ask nobody have none.
func (r Request) glassOpens(current Decision, votes []agreement) bool {
	if !r.BreakGlass.opens(votes) {
		return false
	}
	return current.Outcome == Allow || current.Outcome == NeedApproval && current.BreakGlass.opens(votes)
}

// cannotBreakGlass says why an approval is none in an emergency.
func (r Request) cannotBreakGlass(b Ballot, current Decision) string {
	me := agreement{as: b.Member}
	switch {
	case r.BreakGlass == nil:
		return "the rules have no break glass for " + r.Environment
	case !belongs(me, r.BreakGlass.Group):
		return "you are not among those who may break the glass for " + r.Environment
	case current.Outcome == Refuse:
		return "the rules in force no longer allow this: " + current.Reason
	case current.Outcome == NeedApproval && (current.BreakGlass == nil || !belongs(me, current.BreakGlass.Group)):
		return "you are no longer among those who may break the glass for " + r.Environment
	case b.Vote.Reason == "":
		return "breaking the glass takes a reason, which everybody will see"
	}
	return ""
}

func glassVotes(votes []Vote) []Vote {
	var broke []Vote
	for _, v := range votes {
		if v.BreakGlass {
			broke = append(broke, v)
		}
	}
	return broke
}
