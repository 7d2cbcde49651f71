package main

import (
	"net/http"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// githubSide is what a configured GitHub App adds to the service. Without one
// every part of it is empty.
type githubSide struct {
	client  *github.Client
	webhook *github.Webhook // nil: no webhook_secret, so none are taken
}

// openGitHub makes the client; it asks nobody yet.
func (s *service) openGitHub() error {
	c := s.cfg.GitHub
	if c == nil {
		return nil
	}
	client, err := github.New(github.Options{APIURL: c.APIURL, AppID: c.AppID, PrivateKey: c.PrivateKey})
	if err != nil {
		return err
	}
	s.github.client = client
	return nil
}

// runs is nil, not a nil pointer, where no GitHub App is configured.
func (s *service) runs() gatekeeper.Runs {
	if s.github.client == nil {
		return nil
	}
	return s.github.client
}

// openWebhook begins to take webhooks, where they can be told from forged
// ones.
func (s *service) openWebhook() (map[string]gatekeeper.WorkHandler, error) {
	if s.cfg.GitHub == nil || s.cfg.GitHub.WebhookSecret == "" {
		return nil, nil
	}
	hook, err := github.NewWebhook(github.WebhookOptions{
		Secret: s.cfg.GitHub.WebhookSecret, Inbox: s.store, Subscriptions: s.subscriptions(), Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	s.github.webhook = hook
	return hook.Handlers(), nil
}

// subscriptions are the events that something is done about, a line each.
func (s *service) subscriptions() github.Subscriptions {
	return github.Subscriptions{}
}

// handleGitHub serves the webhook on the public port.
func (s *service) handleGitHub(mux *http.ServeMux) {
	if s.github.webhook != nil {
		mux.Handle("POST /webhook/github", s.github.webhook)
	}
}
