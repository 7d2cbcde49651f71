package main

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
)

// stage is the outside world on loopback, and the configuration of a real
// gatekeeper in the middle of it. The demo and the tests play on it.
type stage struct {
	ci    *ciissuer.Issuer
	slack *slackbox.Workspace
	sts   *stsbox.STS
	cfg   config
	dir   string
	ears  net.Listener // the gatekeeper's public port, bound before its URL is told to anybody
	doors net.Listener // its admin port
	ahead atomic.Int64 // how far Slack's clock, and the gatekeeper's where it is told so, are ahead
}

// now is the time in Slack.
func (s *stage) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// stageRules are what the platform team of the stage wrote.
const stageRules = `rules:
  - name: payments-production
    match:
      repository: acme/payments
      repository_id: "1234567"
      ref: [refs/heads/main, refs/tags/v*]
    environment: [production]
    approval:
      approvers: [slack:S0RELEASE]
    credentials:
      deploy:
        aws:
          role_arn: arn:aws:iam::111122223333:role/payments-deploy
          exchange: workload_token
          audience: sts.amazonaws.com
`

// stageOptions are what a stage is built from.
type stageOptions struct {
	dir   string          // for the gatekeeper's files
	ciURL string          // the CI issuer's as seen by others, where a proxy with TLS stands before it; "": its own
	ciKey *rsa.PrivateKey // the CI issuer's; nil: a new one
}

// newStage builds the world. Its people are slackbox's cast.
func newStage(ctx context.Context, o stageOptions) (*stage, error) {
	s := &stage{dir: o.dir}
	var err error
	var lc net.ListenConfig
	if s.ears, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if s.doors, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if s.ci, err = ciissuer.Start(ciissuer.Options{URL: o.ciURL, Key: o.ciKey}); err != nil {
		return nil, err
	}
	url := "http://" + s.ears.Addr().String()
	if s.slack, err = slackbox.New(slackbox.Options{
		Clock:           s.now,
		InteractionsURL: url + "/webhook/slack/interactions", CommandsURL: url + "/webhook/slack/commands", EventsURL: url + "/webhook/slack/events",
	}); err != nil {
		return nil, err
	}
	s.sts = stsbox.Start(nil)
	s.sts.Provider(s.ci.URL(), "sts.amazonaws.com")
	s.sts.Role(stsbox.Role{
		ARN: "arn:aws:iam::111122223333:role/payments-deploy", Issuer: s.ci.URL(),
		Claims: map[string]string{"environment": "production", "repository_id": "1234567"},
	})
	if err := os.WriteFile(filepath.Join(s.dir, "rules.yaml"), []byte(stageRules), 0o600); err != nil {
		return nil, err
	}
	s.cfg = s.config(url)
	return s, nil
}

func (s *stage) config(url string) config {
	return config{
		URL: url, Database: filepath.Join(s.dir, "gatekeeper.db"), Rules: filepath.Join(s.dir, "rules.yaml"),
		Issuers: []oidc.Issuer{{Name: "github", Type: "github", URL: s.ci.URL(), Audience: url, Owners: []string{"acme"}}},
		Slack: slackConfig{
			BotToken: slackbox.BotToken, SigningSecret: slackbox.SigningSecret, APIURL: s.slack.APIURL(),
			Team: slackbox.TeamID, Channel: "C0DEPLOYS",
		},
		SigningKey: filepath.Join(s.dir, "signing.pem"), LedgerKey: filepath.Join(s.dir, "ledger.pem"),
		SessionKey: filepath.Join(s.dir, "session.key"),
		People: gatekeeper.People{
			{Name: "Alice", Slack: "U0ALICE", GitHub: "alice"}, {Name: "Bob", Slack: "U0BOB", GitHub: "bob"},
			{Name: "Carol", Slack: "U0CAROL", GitHub: "carol"},
		},
		Clouds: cloudsConfig{AWSRegion: "eu-west-1", STSEndpoint: s.sts.URL()}, Pending: defaultPending,
	}
}

// yaml is the same configuration as the file that an operator would write,
// for a gatekeeper in a process of its own on the given ports.
func (s *stage) yaml(listen, admin string) string {
	return fmt.Sprintf(`url: http://%[1]s
listen: %[1]q
admin_listen: %[2]q
database: sqlite:gatekeeper.db
rules: rules.yaml
issuers:
  - {type: github, url: %[3]q, owners: [acme]}
slack:
  bot_token: ${SLACK_BOT_TOKEN}
  signing_secret: ${SLACK_SIGNING_SECRET}
  api_url: %[4]q
  team: T0ACME
  channel: C0DEPLOYS
people:
  - {name: Alice, slack: U0ALICE, github: alice}
  - {name: Bob, slack: U0BOB, github: bob}
  - {name: Carol, slack: U0CAROL, github: carol}
aws: {region: eu-west-1, sts_endpoint: %[5]q}
`, listen, admin, s.ci.URL(), s.slack.APIURL(), s.sts.URL())
}

// serve starts the real gatekeeper on the stage; stop drains it.
func (s *stage) serve(ctx context.Context, log *slog.Logger) (svc *service, stop func() error, err error) {
	svc, err = newServiceOn(ctx, s.cfg, log, s.ears, s.doors)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- svc.run(ctx) }()
	return svc, func() error { cancel(); return <-done }, nil
}

// jobEnv is the environment of a CI job with these claims.
func (s *stage) jobEnv(claims map[string]any) map[string]string {
	mintURL, mintToken := s.ci.Job(ciissuer.Claims(claims))
	return map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": mintURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": mintToken, "GATEKEEPER_URL": s.cfg.URL,
	}
}

func (s *stage) close() {
	_ = s.ears.Close()
	_ = s.doors.Close()
	if s.ci != nil {
		s.ci.Close()
	}
	if s.slack != nil {
		s.slack.Close()
	}
	if s.sts != nil {
		s.sts.Close()
	}
}
