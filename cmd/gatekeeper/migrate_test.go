package main

import (
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
)

// A running installation moves: what was approved on SQLite is shown and
// verified on PostgreSQL, the next request goes on there, and the ledger is
// one.
func TestMigrate(t *testing.T) {
	t.Parallel() // it mostly waits
	pg := postgres.Start(t, postgres.Options{})
	to := pg.Database()
	s := newStaged(t)
	path, env := s.configFile(t)
	_, stop, err := s.serve(t.Context(), newSilent())
	if err != nil {
		t.Fatal(err)
	}
	done := s.step(t, nil)
	if err := s.decide(t.Context(), s.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	id := s.slack.Messages("C0DEPLOYS")[0].Metadata.EventPayload["request_id"].(string)
	if got := command(t.Context(), env, "migrate", "sqlite-to-postgres", "--config", path, "--to", to); got.code != 1 || !strings.Contains(got.stderr, "in use") {
		t.Errorf("beside the running service: exit %d\n%s", got.code, got.stderr)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := command(t.Context(), env, "migrate", "sqlite-to-postgres", "--config", path, "--to", to)
	if got.code != 0 || !strings.Contains(got.stdout, "verified: ") || !strings.Contains(got.stdout, "requests             1\n") {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if again := command(t.Context(), env, "migrate", "sqlite-to-postgres", "--config", path, "--to", to); again.code != 1 || !strings.Contains(again.stderr, "not empty") {
		t.Errorf("twice: exit %d\n%s", again.code, again.stderr)
	}

	p := play(t, func(next *stage) {
		next.cfg.Database, next.cfg.LedgerKey, next.cfg.SigningKey, next.cfg.SessionKey = to, s.cfg.LedgerKey, s.cfg.SigningKey, s.cfg.SessionKey
		next.cfg.Origin = s.cfg.origin()
	})
	if r, err := p.svc.gate.Lookup(t.Context(), id); err != nil || r.State != "approved" || len(r.Redemptions) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	done = p.step(t, map[string]any{"run_id": "7002"})
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
}
