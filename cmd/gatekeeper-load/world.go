package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ports"
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
	first  int64 // number of a run: a gatekeeper that runs already may know those before

	work, others float64 // what it had to do, and who waited there, before us

	*process // nil: it ran already
}

func build(ctx context.Context, o options) (*world, error) {
	w := &world{o: o, first: time.Now().UnixMilli(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * (o.waiting + o.workers), MaxIdleConns: 0}}}
	var err error
	if w.dir, err = os.MkdirTemp("", "gatekeeper-load-"); err != nil {
		return nil, err
	}
	listen, admin := free(), free()
	w.url, w.admin = "http://"+listen, "http://"+admin
	if o.url != "" {
		w.url, w.admin = o.url, o.admin
	}
	if err := w.standIns(); err != nil {
		return nil, err
	}
	if o.url != "" {
		return w, w.there(ctx)
	}
	if err := w.files(w.dir, listen, admin); err != nil {
		return nil, err
	}
	return w, w.start(ctx)
}

// standIns are the outside world, at the addresses that a gatekeeper that runs
// already was given, or anywhere on loopback.
func (w *world) standIns() error {
	at, err := w.o.places()
	if err != nil {
		return err
	}
	key, err := issuerKey(w.o.key)
	if err != nil {
		return err
	}
	if w.ci, err = ciissuer.Start(ciissuer.Options{Addr: at[0], URL: w.o.issuer, Key: key}); err != nil {
		return err
	}
	if w.slack, err = slackbox.New(slackbox.Options{Addr: at[1], NoRateLimits: true, InteractionsURL: w.url + "/webhook/slack/interactions"}); err != nil {
		return err
	}
	for i := range channels {
		w.slack.SetChannel(slackbox.Channel{ID: channel(i), Name: fmt.Sprintf("load-%03d", i), Member: true})
	}
	if w.sts, err = stsbox.StartAt(at[2]); err != nil {
		return err
	}
	w.sts.Provider(w.ci.URL(), "sts.amazonaws.com")
	w.sts.Role(stsbox.Role{ARN: role, Issuer: w.ci.URL()})
	return nil
}

// there says whether the gatekeeper that runs already is ready to be driven.
func (w *world) there(ctx context.Context) error {
	if !answers(w.admin + "/readyz")(ctx) {
		return fmt.Errorf("no gatekeeper is ready at %s, or its admin listener is not at %s", w.url, w.admin)
	}
	w.work, w.others = max(w.gauge("gatekeeper_work_waiting"), 0), max(w.gauge("gatekeeper_waiting_steps"), 0)
	return nil
}

func channel(i int) string { return fmt.Sprintf("C0LOAD%03d", i) }

// free is an address that a server can have at once.
func free() string {
	addr, release, err := ports.Hold(1)
	if err != nil {
		return "127.0.0.1:0"
	}
	release()
	return addr
}

// files are a configuration and rules under which the stand-ins are the
// outside world.
func (w *world) files(dir, listen, admin string) error {
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
    match: {repository: "acme/service-*", repository_owner_id: "99"}
    environment: load-%03d
    approval: {approvers: [slack:U0BOB], valid_for: 1h}
    notify: {channel: %s}
    credentials: {deploy: {aws: {role_arn: %q, exchange: workload_token}}}
`, i, i, channel(i), role)
	}
	for name, body := range map[string]string{"gatekeeper.yaml": config, "rules.yaml": rules.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
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

// rss is the gatekeeper's resident memory in bytes; 0 where it is not told.
func (w *world) rss() int64 {
	if w.process != nil {
		return w.process.rss()
	}
	return int64(max(w.gauge("process_resident_memory_bytes"), 0))
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
