package gatekeeper

import "slices"

// Approval of one person, with the approver entries that they belong to.
type agreement struct {
	person string // Slack id
	as     []Approver
}

// seat is one place of a group that one person fills.
type seat struct {
	group int // in the order of the rule
	Group
}

// satisfied says whether the agreements fill every seat of every group, each
// person taking one seat at most: who belongs to two groups cannot agree for
// both. No groups, an empty group or a quorum below one is never satisfied.
func satisfied(groups []Group, agreements []agreement) bool {
	seats := seatsOf(groups)
	if len(seats) == 0 || slices.ContainsFunc(groups, func(g Group) bool { return g.Quorum < 1 }) {
		return false
	}
	return !slices.Contains(seated(seats, agreements), nobody)
}

// Progress is how far one group has come.
type Progress struct {
	Group   Group
	By      []Vote // the approvals that fill its seats, in the order of the votes
	Missing int    // how many more people it takes
}

// Progress tells for each group who agreed and how many are missing, by the
// very distribution of people to seats that decides: who belongs to two
// groups is shown in one of them, and earlier groups are filled first.
func (r Request) Progress() []Progress {
	votes := agreementsOf(r.Votes)
	seats := seatsOf(r.Rule.Approval.Groups)
	holders := seated(seats, votes)
	all := make([]Progress, len(r.Rule.Approval.Groups))
	for i, g := range r.Rule.Approval.Groups {
		all[i] = Progress{Group: g, Missing: max(0, g.Quorum)}
	}
	for person, a := range votes {
		if held := slices.Index(holders, person); held >= 0 {
			p := &all[seats[held].group]
			p.By, p.Missing = append(p.By, r.approvalOf(a.person)), p.Missing-1
		}
	}
	return all
}

func (r Request) approvalOf(slackID string) Vote {
	i := slices.IndexFunc(r.Votes, func(v Vote) bool { return v.Choice == Approve && v.Person.Slack == slackID })
	return r.Votes[i]
}

// Missing is how many more people each group needs, in the order of groups.
func (r Request) Missing() []int {
	missing := make([]int, len(r.Rule.Approval.Groups))
	for i, p := range r.Progress() {
		missing[i] = p.Missing
	}
	return missing
}

func seatsOf(groups []Group) []seat {
	var seats []seat
	for i, g := range groups {
		for range max(0, g.Quorum) {
			seats = append(seats, seat{group: i, Group: g})
		}
	}
	return seats
}

// nobody holds a seat that is empty.
const nobody = -1

// seated is a maximum matching of people to seats (augmenting paths; seats
// are a handful): who holds each seat. A seat once filled stays filled.
func seated(seats []seat, people []agreement) []int {
	holders := slices.Repeat([]int{nobody}, len(seats))
	for i := range seats {
		take(i, seats, people, holders, make([]bool, len(people)))
	}
	return holders
}

// take finds somebody for a seat, moving others to seats that do as well.
func take(i int, seats []seat, people []agreement, holders []int, tried []bool) bool {
	for person, p := range people {
		if tried[person] || !belongs(p, seats[i].Group) {
			continue
		}
		tried[person] = true
		held := slices.Index(holders, person)
		if held < 0 || take(held, seats, people, holders, tried) {
			holders[i] = person
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
