package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// halted is a stage whose service ran, took one request to its end, and was
// stopped.
func halted(t *testing.T) (s *stage, id string) {
	t.Helper()
	s = newStaged(t)
	svc, stop, err := s.serve(t.Context(), newSilent())
	if err != nil {
		t.Fatal(err)
	}
	p := &played{stage: s, log: &buffer{}, svc: svc}
	id = p.approved(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return s, id
}

// An operator rotates the ledger's key, with the service running and without:
// whoever holds the first public key verifies everything, and is told of the
// next ones.
func TestRotateLedgerKey(t *testing.T) {
	t.Parallel() // it mostly waits
	p := play(t, nil)
	id := p.approved(t)
	first := strings.TrimSpace(p.mustAudit(t, "key"))
	second := strings.TrimSpace(p.mustAudit(t, "rotate-key"))
	if second == first || second != strings.TrimSpace(p.mustAudit(t, "key")) {
		t.Fatalf("rotated from %s to %s", first, second)
	}
	if _, err := os.Stat(p.cfg.LedgerKey + ".next"); err == nil {
		t.Error("the next key still waits beside")
	}
	for _, key := range []string{first, second} {
		if out := p.mustAudit(t, "verify", "--key", key); !strings.Contains(out, "key "+first+" signed ") || !strings.Contains(out, "key "+second+" signed ") {
			t.Error(out)
		}
	}
	p.mustAudit(t, "rotate-key") // after its own event only the third key signs
	bundle := filepath.Join(t.TempDir(), "bundle.json")
	p.mustAudit(t, "prove", id, "--out", bundle)
	if got := command(t.Context(), nil, "audit", "verify", "--bundle", bundle, "--key", first); got.code != 0 || !strings.Contains(got.stdout, "rotated to "+second) {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

func TestRotateLedgerKeyOfAStoppedService(t *testing.T) {
	s, _ := halted(t)
	first := strings.TrimSpace(s.mustAudit(t, "key"))
	second := strings.TrimSpace(s.mustAudit(t, "rotate-key"))
	third := strings.TrimSpace(s.mustAudit(t, "rotate-key"))
	out := s.mustAudit(t, "verify", "--key", first)
	for _, key := range []string{first, second, third} {
		if !strings.Contains(out, key) {
			t.Errorf("%s is missing in\n%s", key, out)
		}
	}
}

// A crash after the rotation was recorded, and before the file was replaced:
// the next start ends it. A key that the ledger does not know signs nothing.
func TestKeyInForce(t *testing.T) {
	s, _ := halted(t)
	before, err := os.ReadFile(s.cfg.LedgerKey)
	if err != nil {
		t.Fatal(err)
	}
	s.mustAudit(t, "rotate-key")
	after, err := os.ReadFile(s.cfg.LedgerKey)
	if err != nil {
		t.Fatal(err)
	}
	for path, key := range map[string][]byte{s.cfg.LedgerKey: before, s.cfg.LedgerKey + ".next": after} {
		if err := os.WriteFile(path, key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k, err := openKeeper(t.Context(), s.cfg, newSilent())
	if err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(s.cfg.LedgerKey); err != nil || string(now) != string(after) {
		t.Errorf("the rotation was not ended: %v", err)
	}
	// The order is not carried out twice.
	old, err := ledger.LoadKey(keep(t, "old.pem", string(before)))
	if err != nil {
		t.Fatal(err)
	}
	from, err := ledger.VerifierKey(s.cfg.origin(), old)
	if err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(rotateOrder{From: from})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.rotate(t.Context(), gatekeeper.Work{Payload: order}); err != nil {
		t.Fatal(err)
	}
	if err := k.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.mustAudit(t, "verify", "--key", from)
	if err := os.WriteFile(s.cfg.LedgerKey, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openKeeper(t.Context(), s.cfg, newSilent()); err == nil || !strings.Contains(err.Error(), "is not the key that signs") {
		t.Errorf("a retired key: %v", err)
	}
	if err := os.WriteFile(s.cfg.LedgerKey, after, 0o600); err != nil {
		t.Fatal(err)
	}
	s.cfg.URL = "https://elsewhere.example.com"
	if _, err := openKeeper(t.Context(), s.cfg, newSilent()); err == nil || !strings.Contains(err.Error(), "audit: {origin: 127.0.0.1/ledger}") {
		t.Errorf("under another name: %v", err)
	}
	s.cfg.Origin = "127.0.0.1/ledger"
	if k, err = openKeeper(t.Context(), s.cfg, newSilent()); err != nil {
		t.Fatal(err)
	}
	_ = k.store.Close()
}

// Pruning takes what is personal out of the database, keeps the tree
// verifiable, and leaves what is not over alone; with the service running
// and without.
func TestPrune(t *testing.T) {
	t.Parallel() // it mostly waits
	p := play(t, nil)
	done := p.step(t, nil, "--output", "json", "--reason", "Canary reason")
	first := p.asked(t)
	if err := p.decide(t.Context(), first, "U0BOB", "deny"); err != nil {
		t.Fatal(err)
	}
	<-done
	kept := keep(t, "checkpoint", p.mustAudit(t, "checkpoint"))
	pending := p.step(t, runClaims(2), "--reason", "Pending reason")
	m, err := p.slack.WaitMessage(t.Context(), func(m slackbox.Message) bool {
		_, open := buttonOf(m, "Approve")
		return open && m.TS != first.TS && m.Channel == "C0DEPLOYS"
	})
	if err != nil {
		t.Fatal(err)
	}
	export := p.mustAudit(t, "export")
	if !strings.Contains(export, "Canary reason") {
		t.Fatal(export)
	}
	out := p.mustAudit(t, "prune", "--before", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if !strings.HasPrefix(out, "pruned ") {
		t.Error(out)
	}
	verified := p.mustAudit(t, "verify", "--checkpoint", kept)
	if !strings.Contains(verified, "events are pruned") {
		t.Error(verified)
	}
	if export := p.mustAudit(t, "export"); strings.Contains(export, "Canary reason") || !strings.Contains(export, `"pruned":true`) || !strings.Contains(export, "Pending reason") {
		t.Error(export)
	}
	for _, f := range []string{"gatekeeper.db", "gatekeeper.db-wal"} {
		if strings.Contains(fileOf(filepath.Join(p.dir, f)), "Canary reason") {
			t.Errorf("%s still holds what was pruned", f)
		}
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil { // what is not over goes on
		t.Fatal(err)
	}
	if got := <-pending; got.code != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	p.mustAudit(t, "verify", "--checkpoint", kept)
}

func TestPruneOfAStoppedService(t *testing.T) {
	s, id := halted(t)
	out := s.mustAudit(t, "prune", "--before", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if !strings.HasPrefix(out, "pruned ") {
		t.Error(out)
	}
	s.verified(t)
	if out := s.mustAudit(t, "show", id); !strings.Contains(out, "request.approved") {
		t.Errorf("its session is still alive, so it is kept:\n%s", out)
	}
	if got := s.audit(t, "prune", "--before", "yesterday"); got.code != 2 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
}
