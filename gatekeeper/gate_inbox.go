package gatekeeper

import (
	"context"
	"slices"
	"time"
)

// What an inbox looks at and holds: more than one person reads.
const (
	inboxPending = 200 // pending requests looked at
	inboxEnded   = 100 // newest requests looked at for those that ended
	inboxRecent  = 10  // ended ones shown
)

// homesPause lets changes that come together refresh inboxes once.
const homesPause = time.Second

// homesWork brings the inboxes that people have open up to date.
func homesWork(now time.Time) Work {
	return Work{Kind: WorkHomes, Key: "all", RunAt: now.Add(homesPause)}
}

// Inbox is what waits for the person, looked up as they are now. Who may not
// decide sees nothing: that is a [CodeAccessDenied] error. A membership that
// cannot be looked up moves its requests to the others.
func (g *Gate) Inbox(ctx context.Context, p Person) (Inbox, error) {
	if g.Finder == nil {
		return Inbox{}, Errorf(CodeInternal, "this gatekeeper keeps no inboxes")
	}
	s, err := g.sight(ctx, p)
	if err != nil {
		return Inbox{}, err
	}
	pending, err := g.Finder.Find(ctx, Filter{States: []State{Pending}, Limit: inboxPending})
	if err != nil {
		return Inbox{}, err
	}
	ended, err := g.Finder.Find(ctx, Filter{Limit: inboxEnded})
	if err != nil {
		return Inbox{}, err
	}
	return s.sort(ctx, pending, ended), nil
}

// Sight says why the person's approval of the request would not count, ""
// when it may; for showing alone. The error is as Inbox's.
func (g *Gate) Sight(ctx context.Context, p Person, r Request) (InboxItem, error) {
	s, err := g.sight(ctx, p)
	if err != nil {
		return InboxItem{}, err
	}
	return s.of(ctx, r), nil
}

// sight is one person's eyes: each membership is looked up once.
type sight struct {
	g        *Gate
	look     Directory
	person   Person
	standing Standing
	member   map[Approver]membership
	now      time.Time
}

type membership struct{ yes, known bool }

func (g *Gate) sight(ctx context.Context, p Person) (*sight, error) {
	s := &sight{g: g, look: g.Glance, person: p, member: map[Approver]membership{}, now: g.Now()}
	if s.look == nil {
		s.look = g.Directory
	}
	var err error
	if s.standing, err = s.look.Standing(ctx, p); err != nil {
		return nil, &Error{Code: CodeUnavailable, RetryAfter: 2 * time.Second, Err: err, Description: "who you are cannot be looked up right now"}
	}
	if why := s.standing.refusal(); why != "" {
		return nil, Errorf(CodeAccessDenied, "%s", why)
	}
	if s.standing.Name != "" {
		s.person.Name = s.standing.Name
	}
	return s, nil
}

func (s *sight) sort(ctx context.Context, pending, newest []Request) Inbox {
	in := Inbox{Person: s.person}
	for _, r := range pending {
		if e := s.of(ctx, r); e.waits() {
			in.Waiting = append(in.Waiting, e)
		} else if r.closed(Approve, s.now) == "" {
			in.Others = append(in.Others, e)
		}
	}
	slices.SortFunc(in.Waiting, byDeadline)
	for _, r := range newest {
		if len(in.Recent) == inboxRecent {
			break
		}
		if r.State == Pending || r.Rule.Approval.None {
			continue
		}
		if b, _ := s.ballot(ctx, r.electing(Vote{BreakGlass: true}, Decision{})); r.concerns(b) {
			in.Recent = append(in.Recent, r)
		}
	}
	return in
}

// of is the request as the person sees it.
func (s *sight) of(ctx context.Context, r Request) InboxItem {
	e := Electorate{Current: s.g.Rules.Decide(ctx, r.Workload, r.Environment, s.now), People: s.g.People}
	b, known := s.ballot(ctx, r.electing(Vote{BreakGlass: true}, e.Current))
	out := InboxItem{Request: r, Mine: r.concerns(b), Why: r.ineligible(b, e, s.now)}
	b.Vote.BreakGlass = true
	out.Glass = r.BreakGlass != nil && r.ineligible(b, e, s.now) == ""
	if out.Why != "" && !known && r.closed(Approve, s.now) == "" {
		out.Why = "whether you may approve this cannot be looked up right now"
	}
	return out
}

// ballot is the person with the entries that they belong to; known is false
// when a look-up failed.
func (s *sight) ballot(ctx context.Context, groups []Group) (b Ballot, known bool) {
	b, known = Ballot{Vote: Vote{Person: s.person}, Standing: s.standing}, true
	for _, g := range groups {
		for _, entry := range g.Approvers {
			m := s.belongs(ctx, entry)
			known = known && m.known
			if m.yes && !slices.Contains(b.Member, entry) {
				b.Member = append(b.Member, entry)
			}
		}
	}
	return b, known
}

func (s *sight) belongs(ctx context.Context, entry Approver) membership {
	if m, seen := s.member[entry]; seen {
		return m
	}
	yes, err := s.look.Member(ctx, s.person, entry)
	if err != nil {
		s.g.Logger.DebugContext(ctx, "membership for an inbox cannot be looked up", "approver", string(entry), "error", err)
	}
	m := membership{yes: yes && err == nil, known: err == nil}
	s.member[entry] = m
	return m
}
