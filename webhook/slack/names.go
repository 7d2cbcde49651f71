package slack

import (
	"context"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// Names of groups and people are for reading only, so they may be old. A
// message never waits for one: it shows the id until the name is known.
const (
	namesFor   = 10 * time.Minute
	namesRetry = time.Minute // after a failure
)

// nameBook is what approvers are called.
type nameBook struct {
	mu    sync.Mutex
	known map[gatekeeper.Approver]string
	again map[gatekeeper.Approver]time.Time // when to ask again
}

// called are the names of a request's approvers. They are not mentions: a
// message that asks notifies the channel, and only reminders name people so.
func (s *Slack) called(ctx context.Context, r gatekeeper.Request) map[gatekeeper.Approver]string {
	all := map[gatekeeper.Approver]string{}
	approvers := r.Rule.Approval.Approvers()
	if r.BreakGlass != nil {
		approvers = append(approvers, r.BreakGlass.Group.Approvers...)
	}
	for _, a := range approvers {
		if name := s.name(ctx, a); name != "" {
			all[a] = name
		}
	}
	return all
}

// remembered are the names that are known already, for answers that cannot
// wait while somebody else asks Slack for them.
func (s *Slack) remembered(r gatekeeper.Request) map[gatekeeper.Approver]string {
	if !s.names.mu.TryLock() {
		return nil
	}
	defer s.names.mu.Unlock()
	all := map[gatekeeper.Approver]string{}
	for _, g := range r.Rule.Approval.Groups {
		for _, a := range g.Approvers {
			if name := s.names.known[a]; name != "" {
				all[a] = name
			}
		}
	}
	return all
}

func (s *Slack) name(ctx context.Context, a gatekeeper.Approver) string {
	if e, known := s.People.BySlack(a.ID()); known && a.Kind() == gatekeeper.ApproverSlackUser && e.Name != "" {
		return e.Name
	}
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	now := s.Clock()
	if now.Before(s.names.again[a]) {
		return s.names.known[a]
	}
	s.names.again[a] = now.Add(namesRetry)
	found, err := s.lookUpNames(ctx, a)
	if err != nil {
		s.Logger.WarnContext(ctx, "slack: an approver's name cannot be looked up", "approver", a, "error", err)
		return s.names.known[a]
	}
	for known, name := range found {
		s.names.known[known], s.names.again[known] = name, now.Add(namesFor)
	}
	return s.names.known[a]
}

// lookUpNames asks for one person, or for all groups at once.
func (s *Slack) lookUpNames(ctx context.Context, a gatekeeper.Approver) (map[gatekeeper.Approver]string, error) {
	switch a.Kind() {
	case gatekeeper.ApproverSlackUser:
		user, err := s.api.GetUserInfoContext(ctx, a.ID())
		if err != nil {
			return nil, s.fault(err, "users.info", a.ID())
		}
		return map[gatekeeper.Approver]string{a: display(*user)}, nil
	case gatekeeper.ApproverSlackGroup:
		groups, err := s.api.GetUserGroupsContext(ctx, slackgo.GetUserGroupsOptionIncludeDisabled(true))
		if err != nil {
			return nil, s.fault(err, "usergroups.list", "")
		}
		found := map[gatekeeper.Approver]string{}
		for _, g := range groups {
			found[gatekeeper.Approver("slack:"+g.ID)] = "@" + line(g.Handle, 60)
		}
		return found, nil
	}
	return nil, nil
}
