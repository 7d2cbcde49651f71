package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
)

// channels are many, since the gatekeeper posts once a second in each, as
// Slack wants it.
const channels = 200

const sqliteFile = "gatekeeper.db"

const role = "arn:aws:iam::111122223333:role/load"

// world is a gatekeeper in a process of its own, with stand-ins around it.
type world struct {
	o      options
	dir    string
	ci     *ciissuer.Issuer
	slack  *slackbox.Workspace
	sts    *stsbox.STS
	url    string
	admin  string
	client *http.Client

	*process
}

func build(ctx context.Context, o options) (*world, error) {
	w := &world{o: o, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * (o.waiting + o.workers), MaxIdleConns: 0}}}
	var err error
	if w.dir, err = os.MkdirTemp("", "gatekeeper-load-"); err != nil {
		return nil, err
	}
	listen, admin := free(), free()
	w.url, w.admin = "http://"+listen, "http://"+admin
	if w.ci, err = ciissuer.Start(ciissuer.Options{}); err != nil {
		return nil, err
	}
	if w.slack, err = slackbox.New(slackbox.Options{NoRateLimits: true, InteractionsURL: w.url + "/webhook/slack/interactions"}); err != nil {
		return nil, err
	}
	for i := range channels {
		w.slack.SetChannel(slackbox.Channel{ID: channel(i), Name: fmt.Sprintf("load-%03d", i), Member: true})
	}
	w.sts = stsbox.Start(nil)
	w.sts.Provider(w.ci.URL(), "sts.amazonaws.com")
	w.sts.Role(stsbox.Role{ARN: role, Issuer: w.ci.URL()})
	if err := w.files(listen, admin); err != nil {
		return nil, err
	}
	return w, w.start(ctx)
}

func channel(i int) string { return fmt.Sprintf("C0LOAD%03d", i) }

// free is an address that nobody listens on.
func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends here
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}

func (w *world) files(listen, admin string) error {
	database := w.o.database
	if database == "" {
		database = "sqlite:" + sqliteFile
	}
	config := fmt.Sprintf(`url: %s
listen: %q
admin_listen: %q
database: %s
rules: rules.yaml
issuers:
  - {type: github, url: %q, owners: [acme]}
slack: {bot_token: %q, signing_secret: %q, api_url: %q, team: T0ACME, channel: C0DEPLOYS}
people:
  - {name: Alice, slack: U0ALICE, github: alice}
  - {name: Bob, slack: U0BOB, github: bob}
aws: {region: eu-west-1, sts_endpoint: %q}
limits: {pending_per_repository: 10000000}
`, w.url, listen, admin, database, w.ci.URL(), slackbox.BotToken, slackbox.SigningSecret, w.slack.APIURL(), w.sts.URL())
	var rules strings.Builder
	rules.WriteString("rules:\n")
	for i := range channels {
		fmt.Fprintf(&rules, `  - name: load-%03d
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: load-%03d
    approval: {approvers: [slack:U0BOB], valid_for: 1h}
    notify: {channel: %s}
    credentials: {deploy: {aws: {role_arn: %q, exchange: workload_token}}}
`, i, i, channel(i), role)
	}
	for name, body := range map[string]string{"gatekeeper.yaml": config, "rules.yaml": rules.String()} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(body), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) start(ctx context.Context) (err error) {
	config := filepath.Join(w.dir, "gatekeeper.yaml")
	if out, err := exec.CommandContext(ctx, w.o.binary, "keys", "init", "--config", config).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if err := w.remember(ctx); err != nil {
		return fmt.Errorf("its history: %w", err)
	}
	w.process, err = begin(ctx, w.dir, answers(w.admin+"/readyz"), w.o.binary, "serve", "--config", config, "--log-level", "warn")
	return err
}

func (w *world) close() {
	w.end()
	w.ci.Close()
	w.slack.Close()
	w.sts.Close()
	_ = os.RemoveAll(w.dir)
}

// gauge reads a metric of the gatekeeper's.
func (w *world) gauge(name string) float64 {
	r, err := w.client.Get(w.admin + "/metrics") //nolint:noctx // loopback
	if err != nil {
		return -1
	}
	defer r.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	for line := range strings.SplitSeq(body.String(), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			f, _ := strconv.ParseFloat(value, 64)
			return f
		}
	}
	return -1
}
