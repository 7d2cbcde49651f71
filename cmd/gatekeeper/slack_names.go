package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

func (c config) slackOptions() slack.Options {
	return slack.Options{
		APIURL: c.Slack.APIURL, BotToken: c.Slack.BotToken, SigningSecret: c.Slack.SigningSecret, AppToken: c.Slack.AppToken, Team: c.Slack.Team,
		DefaultChannel: c.Slack.Channel, PublicURL: c.URL, People: c.People,
	}
}

// slackNames gathers what the configuration and its rules name in Slack.
func (c config) slackNames(ctx context.Context) (slack.Names, error) {
	n := slack.Names{Channels: map[string][]string{}, Groups: map[string][]string{}, Users: map[string][]string{}}
	if c.Slack.Channel != "" {
		note(n.Channels, c.Slack.Channel, "slack.channel")
	}
	for _, p := range c.People {
		if p.Slack != "" {
			note(n.Users, p.Slack, "people")
		}
	}
	source, err := c.rulesSource()
	if err != nil {
		return n, err
	}
	got, err := source.read(ctx)
	if err != nil {
		return n, fmt.Errorf("the rules cannot be read, so it is not known whom they name: %w", err)
	}
	set, faults := rules.Parse(got.Files, rules.Options{})
	if err := faults.Err(); err != nil {
		return n, fmt.Errorf("the rules have faults, so it is not known whom they name:\n%w", err)
	}
	set.EachChannel(func(where, channel string) { note(n.Channels, channel, where) })
	set.EachApprover(func(where string, a gatekeeper.Approver) {
		switch a.Kind() {
		case gatekeeper.ApproverSlackUser:
			note(n.Users, a.ID(), where)
		case gatekeeper.ApproverSlackGroup:
			note(n.Groups, a.ID(), where)
		}
	})
	return n, nil
}

// rulesSource is where the service would read its rules.
func (c config) rulesSource() (rulesSource, error) {
	if c.RulesAt == nil {
		return disk(c.Rules), nil
	}
	client, err := github.New(c.githubOptions())
	if err != nil {
		return nil, err
	}
	return repository{github.NewFiles(client, *c.RulesAt)}, nil
}

func note(m map[string][]string, id, where string) {
	if !slices.Contains(m[id], where) {
		m[id] = append(m[id], where)
	}
}
