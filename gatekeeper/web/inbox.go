package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// lookTime bounds what an inbox waits for Slack and GitHub to say who is who.
const lookTime = 2 * time.Second

// most is how many requests a list shows.
const most = 200

// inboxView is what waits for the person, and what was.
type inboxView struct {
	Mine, Others []gatekeeper.Request // pending
	Unsure       bool                 // memberships could not be looked up: Mine holds all
	History      []gatekeeper.Request
	Filter       filter
	States       []gatekeeper.State
	More         bool
	Now          time.Time
}

// filter is the history's form.
type filter struct{ State, Environment, Repository, Rule string }

func (p *pages) inbox(w http.ResponseWriter, r *http.Request, s session) error {
	pending, err := p.Books.Find(r.Context(), gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Pending}, Limit: most})
	if err != nil {
		return err
	}
	v := inboxView{Now: p.Now(), States: []gatekeeper.State{gatekeeper.Pending, gatekeeper.Approved, gatekeeper.Denied, gatekeeper.Expired, gatekeeper.Canceled, gatekeeper.Superseded, gatekeeper.Revoked}}
	v.Mine, v.Others, v.Unsure = p.split(r.Context(), s, pending)
	q := r.URL.Query()
	v.Filter = filter{q.Get("state"), strings.TrimSpace(q.Get("environment")), strings.TrimSpace(q.Get("repository")), strings.TrimSpace(q.Get("rule"))}
	if v.History, v.More, err = p.history(r.Context(), v.Filter); err != nil {
		return err
	}
	p.views.show(w, http.StatusOK, "inbox", view{Title: "Requests", Me: s, At: "requests", Body: v})
	return nil
}

// history reads the newest requests and keeps those that fit. What a person
// types is compared as text within names, without regard to case.
func (p *pages) history(ctx context.Context, f filter) ([]gatekeeper.Request, bool, error) {
	look := gatekeeper.Filter{Rule: f.Rule, Limit: 5 * most}
	if f.State != "" {
		look.States = []gatekeeper.State{gatekeeper.State(f.State)}
	}
	found, err := p.Books.Find(ctx, look)
	has := func(in, part string) bool {
		return strings.Contains(gatekeeper.FoldEnvironment(in), gatekeeper.FoldEnvironment(part))
	}
	found = slices.DeleteFunc(found, func(r gatekeeper.Request) bool {
		return !has(r.Environment, f.Environment) || !has(r.Workload.Repository, f.Repository)
	})
	more := len(found) > most
	return found[:min(len(found), most)], more, err
}

// split tells what this person may approve from the rest. It is a help to
// find things: whether a vote counts is decided at the vote.
func (p *pages) split(ctx context.Context, s session, all []gatekeeper.Request) (mine, others []gatekeeper.Request, unsure bool) {
	member, err := p.memberships(ctx, s, all)
	if err != nil {
		p.Logger.WarnContext(ctx, "web: memberships cannot be looked up", "person", s.Slack, "error", err)
		return all, nil, true
	}
	for _, r := range all {
		voted := slices.ContainsFunc(r.Votes, func(v gatekeeper.Vote) bool { return v.Person.Slack == s.Slack })
		if !voted && slices.ContainsFunc(asked(r), func(a gatekeeper.Approver) bool { return member[a] }) {
			mine = append(mine, r)
		} else {
			others = append(others, r)
		}
	}
	return mine, others, false
}

// asked are all who may decide a request.
func asked(r gatekeeper.Request) []gatekeeper.Approver {
	all := r.Rule.Approval.Approvers()
	if r.BreakGlass != nil {
		all = append(all, r.BreakGlass.Group.Approvers...)
	}
	return all
}

// memberships looks each entry up once, all at once.
func (p *pages) memberships(ctx context.Context, s session, all []gatekeeper.Request) (map[gatekeeper.Approver]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	member := map[gatekeeper.Approver]bool{}
	for _, r := range all {
		for _, a := range asked(r) {
			member[a] = false
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	for _, a := range slices.Collect(maps.Keys(member)) { // the map is written below
		wg.Go(func() {
			yes, err := p.Directory.Member(ctx, s.person(), a)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			}
			member[a] = yes && err == nil
		})
	}
	wg.Wait()
	return member, failed
}
