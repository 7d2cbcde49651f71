package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// ours is the gatekeeper with a rule that asks nobody, so that it does what
// the others do; it records each step all the same.
type ours struct {
	*process
	asks   bool // for a decision alone
	url    string
	client *http.Client
	tokens []string
}

func gatekeeperStart(o peerOptions, ci *ciissuer.Issuer, asks bool) func(context.Context, string) (runner, error) {
	return func(ctx context.Context, dir string) (runner, error) {
		listen, admin := free(), free()
		g := &ours{asks: asks, url: "http://" + listen, client: callers(o)}
		config := fmt.Sprintf(`url: %s
listen: %q
admin_listen: %q
database: sqlite:gatekeeper.db
rules: rules.yaml
issuers:
  - {type: github, url: %q, owners: [acme]}
slack: {bot_token: %q, signing_secret: %q, api_url: "http://127.0.0.1:9/", team: T0ACME, channel: C0DEPLOYS}
limits: {pending_per_repository: 10000000}
`, g.url, listen, admin, ci.URL(), slackbox.BotToken, slackbox.SigningSecret)
		rules := `rules:
  - name: production
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: production
    approval: none
    credentials: {cluster: {oidc: {audience: "https://cluster.example.com"}}}
`
		for name, body := range map[string]string{"gatekeeper.yaml": config, "rules.yaml": rules} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
				return nil, err
			}
		}
		if out, err := exec.CommandContext(ctx, o.binary, "keys", "init", "--config", filepath.Join(dir, "gatekeeper.yaml")).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		g.tokens = tokensFor(o, ci, g.url)
		var err error
		g.process, err = begin(ctx, dir, answers("http://"+admin+"/readyz"), o.binary, "serve", "--config", filepath.Join(dir, "gatekeeper.yaml"), "--log-level", "warn")
		return g, err
	}
}

func (g *ours) exchange(ctx context.Context, n int) error {
	if g.asks {
		return post(ctx, g.client, g.url+"/v1/requests", "application/json", g.tokens[n], `{"environment":"production"}`, `"approved"`)
	}
	return post(ctx, g.client, g.url+"/oauth2/token", "application/x-www-form-urlencoded", "", url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":      {g.tokens[n]},
		"scope":              {"environment:production"},
	}.Encode(), `"access_token"`)
}
