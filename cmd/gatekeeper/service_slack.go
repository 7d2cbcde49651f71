package main

import (
	"context"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

func (s *service) slackOptions() slack.Options {
	c := s.cfg.Slack
	return slack.Options{
		APIURL: c.APIURL, BotToken: c.BotToken, SigningSecret: c.SigningSecret, AppToken: c.AppToken, Team: c.Team,
		DefaultChannel: c.Channel, PublicURL: s.cfg.URL, Memory: s.store, People: s.cfg.People, Logger: s.log,
	}
}

// slackDoors are where Slack's callbacks come in. In Socket Mode nothing is
// signed, so there are none.
func (s *service) slackDoors(mux *http.ServeMux) {
	if s.cfg.Slack.SigningSecret == "" {
		return
	}
	mux.Handle("POST /webhook/slack/interactions", s.slack.Interactions())
	mux.Handle("POST /webhook/slack/commands", s.slack.Commands())
	mux.Handle("POST /webhook/slack/events", s.slack.Events())
}

// greetSlack says at the start whether Slack takes our token. Nothing waits
// for it: a gatekeeper starts while Slack is down.
func (s *service) greetSlack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if id, err := s.slack.Check(ctx); err != nil {
		s.log.Warn("Slack does not answer as it should; messages wait", "error", err)
	} else {
		s.log.Info("Slack answers", "as", id)
	}
}
