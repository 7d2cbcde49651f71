package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

// crowd asks Slack and GitHub who the people of rules are right now.
type crowd struct {
	slack interface {
		Standing(ctx context.Context, p gatekeeper.Person) (gatekeeper.Standing, error)
		Group(ctx context.Context, id string) ([]string, error)
	}
	teams interface { // nil: no GitHub App is configured
		TeamSize(ctx context.Context, a gatekeeper.Approver) (int, error)
	}
	asked map[gatekeeper.Approver]answer
	known map[string]string // user → why they cannot decide, "" if they can
}

// answer is what is known of an approver: the people of Slack who can decide,
// how many more there are on GitHub, and what is wrong.
type answer struct {
	people []string
	more   int
	wrong  string
}

func newCrowd(cfg config) (*crowd, error) {
	directory, err := slack.NewDirectory(cfg.slackOptions())
	if err != nil {
		return nil, err
	}
	c := &crowd{slack: directory, asked: map[gatekeeper.Approver]answer{}, known: map[string]string{}}
	if cfg.GitHub != nil {
		client, err := github.New(cfg.githubOptions())
		if err != nil {
			return nil, err
		}
		c.teams = github.Teams{Client: client, People: cfg.People}
	}
	return c, nil
}

// check looks at every group that rules name: whether its people are there,
// and whether they are enough.
func (c *crowd) check(ctx context.Context, groups []rules.PlacedGroup) (conf.Faults, error) {
	var faults conf.Faults
	for _, g := range groups {
		var people []string
		more := 0
		for i, a := range g.Approvers {
			found, err := c.ask(ctx, a)
			if err != nil {
				return faults, err
			}
			if found.wrong != "" {
				faults = append(faults, g.At[i].Warn(found.wrong))
			}
			people, more = append(people, found.people...), more+found.more
		}
		slices.Sort(people)
		if n := len(slices.Compact(people)) + more; g.Quorum > n {
			faults = append(faults, g.QuorumAt.Warn(fmt.Sprintf("quorum: %d have to agree, and only %d can", g.Quorum, n)))
		}
	}
	return faults, nil
}

// ask looks an approver up, each once.
func (c *crowd) ask(ctx context.Context, a gatekeeper.Approver) (answer, error) {
	if had, ok := c.asked[a]; ok {
		return had, nil
	}
	var found answer
	var err error
	switch a.Kind() {
	case gatekeeper.ApproverSlackUser:
		found, err = c.user(ctx, a)
	case gatekeeper.ApproverSlackGroup:
		found, err = c.group(ctx, a)
	case gatekeeper.ApproverGitHubTeam:
		found, err = c.team(ctx, a)
	}
	if err == nil {
		c.asked[a] = found
	}
	return found, err
}

func (c *crowd) user(ctx context.Context, a gatekeeper.Approver) (answer, error) {
	why, err := c.unable(ctx, a.ID())
	if err != nil {
		return answer{}, err
	}
	if why != "" {
		return answer{wrong: fmt.Sprintf("%s %s", a, why)}, nil
	}
	return answer{people: []string{a.ID()}}, nil
}

// unable says why a person of Slack cannot decide, "" if they can.
func (c *crowd) unable(ctx context.Context, user string) (string, error) {
	if why, ok := c.known[user]; ok {
		return why, nil
	}
	s, err := c.slack.Standing(ctx, gatekeeper.Person{Slack: user})
	if err != nil {
		return "", err
	}
	why := ""
	switch {
	case s.Foreign:
		why = "is of another workspace, and only members of ours decide"
	case s.Bot:
		why = "is a bot, and bots do not decide"
	case s.Guest:
		why = "is a guest, and guests do not decide"
	case !s.Active:
		why = "is nobody: Slack knows no such user, or the account is deactivated"
	}
	c.known[user] = why
	return why, nil
}

func (c *crowd) group(ctx context.Context, a gatekeeper.Approver) (answer, error) {
	members, err := c.slack.Group(ctx, a.ID())
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		return answer{wrong: fmt.Sprintf("%s is nobody: %s", a, said(err))}, nil
	}
	if err != nil {
		return answer{}, err
	}
	var found answer
	for _, user := range members {
		why, err := c.unable(ctx, user)
		if err != nil {
			return answer{}, err
		}
		if why == "" {
			found.people = append(found.people, user)
		}
	}
	if len(found.people) == 0 {
		found.wrong = fmt.Sprintf("%s has nobody who can decide among its %d members", a, len(members))
	}
	return found, nil
}

func (c *crowd) team(ctx context.Context, a gatekeeper.Approver) (answer, error) {
	if c.teams == nil {
		return answer{wrong: fmt.Sprintf("%s is nobody: gatekeeper.yaml has no `github:` to ask", a)}, nil
	}
	n, err := c.teams.TeamSize(ctx, a)
	switch {
	case gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound:
		return answer{wrong: fmt.Sprintf("%s is nobody: %s", a, said(err))}, nil
	case err != nil:
		return answer{}, err
	case n == 0:
		return answer{wrong: fmt.Sprintf("%s has no members", a)}, nil
	}
	return answer{more: n}, nil
}
