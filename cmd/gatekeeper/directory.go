package main

import (
	"context"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// teamsKept is how old what an inbox shows of GitHub's teams may be. Votes
// are never counted on it.
const teamsKept = time.Minute

// directory is Slack's for people and groups, and GitHub's for teams.
type directory struct {
	gatekeeper.Directory
	teams github.Teams
}

// withTeams adds GitHub's teams to Slack's directory, where there is an App to
// ask as.
func (s *service) withTeams(slack gatekeeper.Directory) gatekeeper.Directory {
	if s.github.client == nil {
		return slack
	}
	return directory{slack, github.Teams{Client: s.github.client, People: s.cfg.People}}
}

// Member implements gatekeeper.Directory.
func (d directory) Member(ctx context.Context, p gatekeeper.Person, a gatekeeper.Approver) (bool, error) {
	if a.Kind() == gatekeeper.ApproverGitHubTeam {
		return d.teams.Member(ctx, p, a)
	}
	return d.Directory.Member(ctx, p, a)
}

// withTeamsKept is withTeams for showing: answers about teams are kept for a
// little, so that inboxes do not use up the calls that votes need.
func (s *service) withTeamsKept(slack gatekeeper.Directory) gatekeeper.Directory {
	if s.github.client == nil {
		return slack
	}
	return &keptTeams{Directory: s.withTeams(slack), answers: map[string]keptTeam{}}
}

type keptTeams struct {
	gatekeeper.Directory
	mu      sync.Mutex
	answers map[string]keptTeam
}

type keptTeam struct {
	member bool
	at     time.Time
}

// Member implements gatekeeper.Directory.
func (k *keptTeams) Member(ctx context.Context, p gatekeeper.Person, a gatekeeper.Approver) (bool, error) {
	if a.Kind() != gatekeeper.ApproverGitHubTeam {
		return k.Directory.Member(ctx, p, a)
	}
	key := p.Slack + " " + string(a)
	k.mu.Lock()
	had, ok := k.answers[key]
	k.mu.Unlock()
	if ok && time.Since(had.at) < teamsKept {
		return had.member, nil
	}
	member, err := k.Directory.Member(ctx, p, a)
	if err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.answers) > 2000 {
		clear(k.answers)
	}
	k.answers[key] = keptTeam{member, time.Now()}
	return member, nil
}
