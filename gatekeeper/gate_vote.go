package gatekeeper

import (
	"context"
	"sync"
	"time"
)

// Vote counts a person's vote. It is the only way for all doors: Slack's
// buttons, modals, commands, digests, pages. A vote that does not count is
// recorded too and comes back as a [CodeVoteRefused] error. When a look-up
// fails nothing is decided and the error is [CodeUnavailable]: try again.
func (g *Gate) Vote(ctx context.Context, id string, v Vote) (Request, error) {
	r, err := g.Store.Get(ctx, id)
	if err != nil {
		return Request{}, err
	}
	e := Electorate{Current: g.Rules.Decide(ctx, r.Workload, r.Environment, g.Now()), People: g.People}
	b := Ballot{Vote: v, Closed: r.closed(v.Choice, g.Now())}
	initiators, authors := r.Initiators, r.Authors
	if b.Closed == "" {
		if b, err = g.ballot(ctx, v, r.electing(v, e.Current)); err != nil {
			return r, err
		}
		initiators, authors = g.stillUnknown(ctx, r)
	}
	return g.count(ctx, id, func(r Request, now time.Time) (Request, []Event, error) {
		r.Initiators, r.Authors = initiators, authors
		return r.Vote(b, e, now)
	})
}

// stillUnknown asks again who is behind the run where it could not be told
// when the request was opened.
func (g *Gate) stillUnknown(ctx context.Context, r Request) (initiators, authors Initiators) {
	initiators, authors = r.Initiators, r.Authors
	again, authorsAgain := Initiators{}, Initiators{}
	if !initiators.Known || (r.Rule.Approval.ExcludeAuthors && !authors.Known) {
		again, authorsAgain = g.behind(ctx, r.Workload, r.Rule.Approval)
	}
	if !initiators.Known {
		initiators = again
	}
	if !authors.Known {
		authors = authorsAgain
	}
	return initiators, authors
}

// count stores a vote's outcome. A refused vote is stored as well, so its
// error leaves the transaction by the side.
func (g *Gate) count(ctx context.Context, id string, step func(Request, time.Time) (Request, []Event, error)) (Request, error) {
	var refused error
	r, err := g.update(ctx, id, func(r Request, now time.Time) (Request, []Event, error) {
		next, events, err := step(r, now)
		refused = err
		return next, events, nil
	})
	if err != nil {
		return r, err
	}
	return r, refused
}

// ballot looks at the person now: who they are, and to which of the groups'
// approver entries they belong. All look-ups run at once.
func (g *Gate) ballot(ctx context.Context, v Vote, groups []Group) (Ballot, error) {
	entries := approversOf(groups)
	b := Ballot{Vote: v}
	member := make([]bool, len(entries))
	errs := make([]error, len(entries)+1)
	var wg sync.WaitGroup
	wg.Go(func() { b.Standing, errs[len(entries)] = g.Directory.Standing(ctx, v.Person) })
	for i, entry := range entries {
		wg.Go(func() { member[i], errs[i] = g.Directory.Member(ctx, v.Person, entry) })
	}
	wg.Wait()
	for i, entry := range entries {
		if member[i] && errs[i] == nil {
			b.Member = append(b.Member, entry)
		}
	}
	if b.Standing.Name != "" {
		b.Vote.Person.Name = b.Standing.Name
	}
	return b, g.failedLookup(ctx, b, errs)
}

// failedLookup lets a failed membership look-up pass only where it cannot
// matter: another entry already holds the person, and a missing one can only
// make the vote count for less. In an emergency each may be the one wanted.
func (g *Gate) failedLookup(ctx context.Context, b Ballot, errs []error) error {
	last := len(errs) - 1
	for i, err := range errs {
		if err == nil {
			continue
		}
		g.Logger.WarnContext(ctx, "look-up of a person failed", "person", b.Vote.Person.Slack, "error", err)
		if i == last || len(b.Member) == 0 || b.Vote.BreakGlass {
			return &Error{Code: CodeUnavailable, RetryAfter: 2 * time.Second, Err: err,
				Description: "who you are cannot be looked up right now, so the vote is not counted yet"}
		}
	}
	return nil
}
