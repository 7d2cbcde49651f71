package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

// audit runs an audit command on the stage's ledger, flags last.
func (s *stage) audit(t testing.TB, args ...string) outcomeOf {
	t.Helper()
	path, env := s.configFile(t)
	return command(t.Context(), env, append(append([]string{"audit"}, args...), "--config", path)...)
}

// mustAudit is its output.
func (s *stage) mustAudit(t testing.TB, args ...string) string {
	t.Helper()
	got := s.audit(t, args...)
	if got.code != 0 {
		t.Fatalf("audit %v: exit %d\n%s%s", args, got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

// approved takes one request to its end and gives its id.
func (p *played) approved(t testing.TB) string {
	t.Helper()
	done := p.step(t, nil, "--output", "json", "--reason", "Release 1.2")
	m := p.asked(t)
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	p.closed(t, m)
	var out struct{ Request api.Request }
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != 0 {
		t.Fatalf("exit %d, %v\n%s", got.code, err, got.stderr)
	}
	return out.Request.ID
}

func keep(t testing.TB, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An auditor verifies a request with the public key alone: no configuration,
// no database, no server.
func TestAuditProve(t *testing.T) {
	p := play(t, nil)
	id := p.approved(t)
	key := keep(t, "ledger.pub", p.mustAudit(t, "key"))
	bundle := filepath.Join(t.TempDir(), "bundle.json")
	p.mustAudit(t, "prove", id, "--out", bundle)
	got := command(t.Context(), nil, "audit", "verify", "--bundle", bundle, "--key", key)
	if got.code != 0 || !strings.HasPrefix(got.stdout, "verified: ") || !strings.Contains(got.stdout, "vote.counted") || !strings.Contains(got.stdout, "Bob (slack:U0BOB)") {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	body, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	forged := keep(t, "forged.json", strings.Replace(string(body), "U0BOB", "U0EVE", 1))
	if got := command(t.Context(), nil, "audit", "verify", "--bundle", forged, "--key", key); got.code != 1 || !strings.Contains(got.stderr, "the bundle does not hold: event ") {
		t.Errorf("forged: exit %d\n%s", got.code, got.stderr)
	}
	if got := command(t.Context(), nil, "audit", "verify", "--bundle", bundle); got.code != 2 || !strings.Contains(got.stderr, "--key") {
		t.Errorf("without a key: exit %d\n%s", got.code, got.stderr)
	}
	if got := p.audit(t, "prove", "req_x"); got.code != 1 || !strings.Contains(got.stderr, "knows no request") {
		t.Errorf("unknown: exit %d\n%s", got.code, got.stderr)
	}
}

// A checkpoint kept outside finds a history that was put in its place.
func TestAuditCheckpoint(t *testing.T) {
	p := play(t, nil)
	p.approved(t)
	kept := keep(t, "checkpoint", p.mustAudit(t, "checkpoint"))
	if out := p.mustAudit(t, "verify", "--checkpoint", kept); !strings.Contains(out, " signed ") {
		t.Error(out)
	}
	key, err := os.ReadFile(p.cfg.LedgerKey)
	if err != nil {
		t.Fatal(err)
	}
	other := play(t, func(s *stage) { // whoever stole the key writes a history of their own
		if err := os.WriteFile(s.cfg.LedgerKey, key, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	other.approved(t)
	other.verified(t)
	if got := other.audit(t, "verify", "--checkpoint", kept); got.code != 1 || !strings.Contains(got.stderr, "kept outside") {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if got := p.audit(t, "verify", "--checkpoint", keep(t, "nothing", "hello\n")); got.code != 2 {
		t.Errorf("a file without one: exit %d\n%s", got.code, got.stderr)
	}
}
