package main

import (
	"context"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

func (s *service) slackOptions() slack.Options {
	o := s.cfg.slackOptions()
	o.Memory, o.Logger, o.Context = s.store, s.log, s.deployed
	o.Finder, o.StepUpURL, o.Count, o.Clock = s.store, s.confirmPage, s.metrics.slackFailed, s.cfg.clock
	o.Transport = s.tracing.Outgoing("slack", http.DefaultTransport)
	return o
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

func (s *service) slackWayIn() float64 {
	if _, up := s.slack.WaysIn(); up {
		return 1
	}
	return 0
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
