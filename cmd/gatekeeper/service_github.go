package main

import (
	"context"
	"maps"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// githubSide is what a configured GitHub App adds to the service. Without one
// every part of it is empty.
type githubSide struct {
	client     *github.Client
	enrich     *github.Enrich
	checks     *github.OnCommit
	protection *github.Protection
	webhook    *github.Webhook // nil: no webhook_secret, so none are taken
}

// openGitHub makes the client; it asks nobody yet.
func (s *service) openGitHub() error {
	if s.cfg.GitHub == nil || s.github.client != nil {
		return nil
	}
	o := s.cfg.githubOptions()
	o.Logger = s.log
	o.HTTP = s.tracing.Outgoing("github", http.DefaultTransport)
	client, err := github.New(o)
	if err != nil {
		return err
	}
	s.github.client = client
	s.github.enrich = &github.Enrich{Client: client, Memory: s.store, Logger: s.log, Clock: time.Now}
	s.github.checks = &github.OnCommit{Client: client, Memory: s.store, PublicURL: s.cfg.URL, Logger: s.log}
	return nil
}

// runs is nil, not a nil pointer, where no GitHub App is configured.
func (s *service) runs() gatekeeper.Runs {
	if s.github.client == nil {
		return nil
	}
	return s.github.client
}

// deployments is nil where nothing can wait for us.
func (s *service) deployments() gatekeeper.Deployments {
	if s.github.client == nil {
		return nil
	}
	return s.github.client
}

// githubWork is the durable work that a GitHub App causes.
func (s *service) githubWork(ctx context.Context) (map[string]gatekeeper.WorkHandler, error) {
	if s.github.client == nil {
		return nil, nil
	}
	handlers, err := s.openWebhook(ctx)
	if handlers == nil {
		handlers = map[string]gatekeeper.WorkHandler{}
	}
	maps.Copy(handlers, s.github.enrich.Handlers())
	maps.Copy(handlers, s.github.checks.Handlers())
	hands := make(chan struct{}, githubHands)
	for kind, handler := range handlers {
		handlers[kind] = few(hands, handler)
	}
	return handlers, err
}

// githubHands is how much of what waits for GitHub runs at once: half of the
// runner's hands at most, so that Slack and the clock never wait for GitHub.
const githubHands = 8

// few runs a handler where a hand is free, and later otherwise.
func few(hands chan struct{}, next gatekeeper.WorkHandler) gatekeeper.WorkHandler {
	return func(ctx context.Context, w gatekeeper.Work) error {
		select {
		case hands <- struct{}{}:
			defer func() { <-hands }()
			return next(ctx, w)
		default:
			return &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: 2 * time.Second, Description: "enough is being asked of GitHub right now"}
		}
	}
}

// openWebhook begins to take webhooks, where they can be told from forged
// ones, and looks for what waited while none were taken.
func (s *service) openWebhook(ctx context.Context) (map[string]gatekeeper.WorkHandler, error) {
	if s.cfg.GitHub.WebhookSecret == "" {
		return nil, nil
	}
	var err error
	s.github.protection, err = github.NewProtection(github.ProtectionOptions{
		Client: s.github.client, Gate: s.gate, Memory: s.store, PublicURL: s.cfg.URL, Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	s.github.webhook, err = github.NewWebhook(github.WebhookOptions{
		Secret: s.cfg.GitHub.WebhookSecret, Inbox: s.store, Subscriptions: s.subscriptions(), Logger: s.log,
	})
	if err != nil {
		return nil, err
	}
	handlers := s.github.webhook.Handlers()
	maps.Copy(handlers, s.github.protection.Handlers())
	return handlers, s.github.protection.SweepNow(ctx)
}

// subscriptions are the events that something is done about, a line each.
func (s *service) subscriptions() github.Subscriptions {
	all := github.Subscriptions{
		"deployment_protection_rule": s.github.protection.Subscription(),
	}
	maps.Copy(all, s.rulesSubscriptions())
	return all
}

// handleGitHub serves the webhook on the public port.
func (s *service) handleGitHub(mux *http.ServeMux) {
	if s.github.webhook != nil {
		mux.Handle("POST /webhook/github", s.github.webhook)
	}
}

// shownOnCommit has each change of a request shown on its commit as well,
// where an App is configured: what makes a message stale makes a check run so.
func (s *service) shownOnCommit(next gatekeeper.WorkHandler) gatekeeper.WorkHandler {
	if s.github.checks == nil {
		return next
	}
	return func(ctx context.Context, w gatekeeper.Work) error {
		if err := s.github.checks.Want(ctx, w.Key); err != nil && gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
			s.log.WarnContext(ctx, "a request is not shown on its commit", "request", w.Key, "error", err)
		}
		return next(ctx, w)
	}
}
