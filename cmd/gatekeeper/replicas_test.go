package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// second starts one more replica of the stage's gatekeeper, on ports of its
// own; its public URL is the first one's, as behind a balancer.
func (p *played) second(t *testing.T) (svc *service, addr string) {
	t.Helper()
	listen := func() net.Listener {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	ears, doors := listen(), listen()
	svc, err := newServiceOn(t.Context(), p.cfg, newSilent(), ears, doors)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- svc.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("the second replica did not stop well:", err)
		}
	})
	return svc, "http://" + ears.Addr().String()
}

// onPostgres is a stage whose gatekeeper keeps everything in PostgreSQL.
func onPostgres(t *testing.T, changes ...func(*stage)) *played {
	t.Helper()
	return onPostgresAt(t, postgres.Start(t, postgres.Options{}).Database(), changes...)
}

// onPostgresAt is one on that database.
func onPostgresAt(t *testing.T, url string, changes ...func(*stage)) *played {
	t.Helper()
	return play(t, func(s *stage) {
		for _, change := range changes {
			change(s)
		}
		s.cfg.Database = url
		path, env := s.configFile(t)
		if got := command(t.Context(), env, "keys", "init", "--config", path); got.code != 0 {
			t.Fatalf("exit %d\n%s", got.code, got.stderr)
		}
	})
}

// A step waits at one replica, people click at the other, and the ledger that
// both write holds. One message is posted, one session handed out.
func TestTwoReplicas(t *testing.T) {
	t.Parallel() // it mostly waits
	p := onPostgres(t)
	_, addr := p.second(t)
	env := p.jobEnv(nil)
	env["GATEKEEPER_URL"] = addr
	done := make(chan outcomeOf, 1)
	go func() {
		done <- command(t.Context(), env, "request", "--environment", "production", "--audience", p.cfg.URL)
	}()
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages", n)
	}
	if n := len(p.sts.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	p.verified(t)
}

// In Socket Mode Slack gives each click to any connection of any replica; all
// come to the same request.
func TestTwoReplicasInSocketMode(t *testing.T) {
	t.Parallel() // it mostly waits
	p := onPostgres(t, slackWays["socket"])
	p.second(t)
	wait(t, p, func() bool { return p.slack.Sockets() == 4 })
	done := p.step(t, nil)
	m := p.asked(t)
	b, _ := buttonOf(m, "Approve")
	for range 4 { // one for each connection
		d, err := p.slack.Click(t.Context(), slackbox.Click{User: "U0EVE", Channel: m.Channel, TS: m.TS, ActionID: b.ActionID, Value: b.Value})
		if err != nil || !d.Acked() || d.Via != "socket" {
			t.Fatalf("%+v %v", d, err)
		}
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	wait(t, p, func() bool {
		told := 0
		for _, m := range p.slack.Messages("C0DEPLOYS") {
			if m.Ephemeral == "U0EVE" {
				told++
			}
		}
		return told == 4
	})
	p.verified(t)
}

// Replicas that share a database and not their keys do not start.
func TestReplicasWantTheirKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "gatekeeper.yaml")
	body := `url: https://gatekeeper.example.com
database: postgres://gatekeeper@127.0.0.1:1/g
rules: rules.yaml
issuers: [{type: github, owners: [acme]}]
slack: {bot_token: xoxb-1, signing_secret: s, team: T0ACME, channel: C0DEPLOYS}
`
	for name, text := range map[string]string{"gatekeeper.yaml": body, "rules.yaml": stageRules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := command(t.Context(), nil, "serve", "--config", path); got.code != 1 || !strings.Contains(got.stderr, "gatekeeper keys init") {
		t.Errorf("without keys: exit %d\n%s", got.code, got.stderr)
	}
	if got := command(t.Context(), nil, "keys", "init", "--config", path); got.code != 0 || strings.Count(got.stdout, "\n") != 3 {
		t.Errorf("keys init: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	bad := strings.Replace(body, "postgres://gatekeeper@127.0.0.1:1/g", "postgres:gatekeeper", 1)
	if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := command(t.Context(), nil, "config", "check", path); got.code != 1 || !strings.Contains(got.stderr, fmt.Sprintf("%s:2:", path)) {
		t.Errorf("no URL: exit %d\n%s", got.code, got.stderr)
	}
}

// A replica that starts while its database is away is alive and not ready,
// and serves as soon as the database is back. A database that refuses it ends
// the start.
func TestStartsBeforeItsDatabase(t *testing.T) {
	t.Parallel() // it mostly waits
	pg := postgres.Start(t, postgres.Options{})
	url := pg.Database()
	path := parts.Gatekeeper(t)
	s := newPlainStage(t, stageRules)
	p := s.replicas(t, func(int) string { return url }, path)[0]
	pg.Stop()
	p.begin()
	p.ready(http.StatusServiceUnavailable)
	if status, body := p.probe("/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, body)
	}
	if _, body := p.probe("/readyz"); !strings.Contains(body, "waiting for the database") {
		t.Errorf("readyz: %s", body)
	}
	done := s.step(t, nil) // tries again until somebody answers
	pg.Restart()
	p.ready(http.StatusOK)
	if err := s.decide(t.Context(), s.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if log := p.log.String(); !strings.Contains(log, "the database is away") || strings.Count(log, "the database is away") > 20 {
		t.Errorf("the log:\n%s", log)
	}
	p.stop()

	pg.Stop()
	p.begin()
	p.ready(http.StatusServiceUnavailable)
	p.stop() // asked to end while it waits, it ends well
	pg.Restart()
	s.cfg.Database = strings.Replace(url, "/g1", "/nowhere", 1)
	refused, _ := s.configFile(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if got := command(ctx, slackEnv(), "serve", "--config", refused); got.code != 1 || !strings.Contains(got.stderr, "cannot be reached") {
		t.Errorf("no such database: exit %d\n%s", got.code, got.stderr)
	}
}
