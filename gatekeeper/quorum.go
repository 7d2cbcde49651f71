package gatekeeper

import "slices"

// Approval of one person, with the approver entries that they belong to.
type agreement struct {
	person string // Slack id
	as     []Approver
}

// satisfied says whether the agreements fill every seat of every group, each
// person taking one seat at most: who belongs to two groups cannot agree for
// both. No groups, an empty group or a quorum below one is never satisfied.
func satisfied(groups []Group, agreements []agreement) bool {
	seats := seatsOf(groups)
	if len(seats) == 0 {
		return false
	}
	return filled(seats, agreements) == len(seats)
}

// Missing is how many more people each group needs, in the order of groups,
// given the best distribution of those who agreed already.
func (r Request) Missing() []int {
	votes := agreementsOf(r.ApprovedBy())
	missing := make([]int, len(r.Rule.Approval.Groups))
	for i, g := range r.Rule.Approval.Groups {
		have := 0
		for _, v := range votes {
			if belongs(v, g) {
				have++
			}
		}
		missing[i] = max(0, g.Quorum-have)
	}
	return missing
}

func seatsOf(groups []Group) []Group {
	var seats []Group
	for _, g := range groups {
		if g.Quorum < 1 {
			return nil
		}
		for range g.Quorum {
			seats = append(seats, g)
		}
	}
	return seats
}

// filled is the size of a maximum matching of people to seats (augmenting
// paths; seats are a handful).
func filled(seats []Group, people []agreement) int {
	holder := make([]int, len(people)) // the seat each person holds, -1: none
	for i := range holder {
		holder[i] = -1
	}
	count := 0
	for seat := range seats {
		if take(seat, seats, people, holder, make([]bool, len(people))) {
			count++
		}
	}
	return count
}

func take(seat int, seats []Group, people []agreement, holder []int, tried []bool) bool {
	for i, p := range people {
		if tried[i] || !belongs(p, seats[seat]) {
			continue
		}
		tried[i] = true
		if holder[i] < 0 || take(holder[i], seats, people, holder, tried) {
			holder[i] = seat
			return true
		}
	}
	return false
}

func belongs(a agreement, g Group) bool {
	return slices.ContainsFunc(g.Approvers, func(want Approver) bool { return slices.Contains(a.as, want) })
}

// agreementsOf are the approvals among votes, one for each person.
func agreementsOf(votes []Vote) []agreement {
	var out []agreement
	for _, v := range votes {
		known := slices.ContainsFunc(out, func(a agreement) bool { return a.person == v.Person.Slack })
		if v.Choice == Approve && !known {
			out = append(out, agreement{person: v.Person.Slack, as: v.As})
		}
	}
	return out
}

// Approvers are all entries of all groups, each once, in order.
func (a Approval) Approvers() []Approver { return approversOf(a.Groups) }

func approversOf(groups []Group) []Approver {
	var all []Approver
	for _, g := range groups {
		for _, entry := range g.Approvers {
			if !slices.Contains(all, entry) {
				all = append(all, entry)
			}
		}
	}
	return all
}
