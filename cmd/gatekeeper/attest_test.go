package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// A step keeps what was approved; whoever deploys demands it with the public
// key alone, and the operator can have it again.
func TestAttestation(t *testing.T) {
	p := play(t, nil)
	file := filepath.Join(t.TempDir(), "approved.intoto.json")
	image := "registry.example.com/payments@sha256:" + strings.Repeat("a1", 32)
	done := p.step(t, nil, "--output", "env", "--attestation", file, "--artifacts", image)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	note := keep(t, "ledger.pub", p.mustAudit(t, "key"))
	pem := keep(t, "ledger.pem", p.mustAudit(t, "key", "--format", "pem"))
	claims := defaultClaims()
	demand := []string{"--commit", claims["sha"].(string), "--repository", "acme/payments", "--environment", "production", "--approvers", "1", "--no-break-glass", "--artifact", image}
	for _, key := range []string{note, pem} {
		got := command(t.Context(), nil, append([]string{"attest", "verify", file, "--key", key}, demand...)...)
		if got.code != 0 || !strings.Contains(got.stdout, "is approved for production") || !strings.Contains(got.stdout, "Bob (slack:U0BOB)") {
			t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
		}
	}
	for _, other := range [][]string{{"--commit", strings.Repeat("0", 40)}, {"--environment", "staging"}, {"--approvers", "2"}, {"--artifact", "x@sha256:" + strings.Repeat("00", 32)}} {
		if got := command(t.Context(), nil, append([]string{"attest", "verify", file, "--key", note}, other...)...); got.code != 1 || !strings.Contains(got.stderr, "does not attest") {
			t.Errorf("%v: exit %d\n%s", other, got.code, got.stderr)
		}
	}
	path, env := p.configFile(t)
	story := p.mustAudit(t, "export")
	at := strings.Index(story, "req_")
	again := command(t.Context(), env, "attest", story[at:at+30], "--config", path)
	if again.code != 0 {
		t.Fatalf("exit %d\n%s", again.code, again.stderr)
	}
	if got := command(t.Context(), nil, "attest", "verify", keep(t, "again", again.stdout), "--key", note, "--commit", claims["sha"].(string)); got.code != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if !strings.Contains(story, "request.attested") || !strings.Contains(story, image) {
		t.Error("what was attested is not in the ledger")
	}
	p.verified(t)
}

// A job that asks again is answered again, and grows the ledger once; it
// cannot fill it.
func TestAttestationsAreBounded(t *testing.T) {
	p := play(t, nil)
	id := p.approved(t)
	r, err := p.svc.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(i int) error {
		_, err := p.svc.keeper.attest(t.Context(), r, []string{fmt.Sprintf("x@sha256:%064x", i)})
		return err
	}
	for i := range maxAttested {
		for range 2 {
			if err := ask(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := ask(0); err != nil {
		t.Error("what was attested before:", err)
	}
	if err := ask(maxAttested); gatekeeper.CodeOf(err) != gatekeeper.CodeExpired {
		t.Errorf("one too many: %v", err)
	}
	if n := strings.Count(p.mustAudit(t, "export"), `"type":"request.attested","subject"`); n != maxAttested {
		t.Errorf("%d events", n)
	}
	p.verified(t)
}

// What is no artifact is refused before anybody is asked.
func TestArtifactsAreChecked(t *testing.T) {
	for _, args := range [][]string{{"--artifacts", "payments:latest", "--attestation", "x"}, {"--artifacts", "p@sha256:" + strings.Repeat("a1", 32)}} {
		got := command(t.Context(), nil, append([]string{"request", "--url", "https://gatekeeper.example.com", "--environment", "production", "--token-file", "x"}, args...)...)
		if got.code != 2 {
			t.Errorf("%v: exit %d\n%s", args, got.code, got.stderr)
		}
	}
}

// A workflow's step leaves it beside, unasked; a denied request has none.
func TestAttestationInAWorkflow(t *testing.T) {
	p := play(t, nil)
	dir := t.TempDir()
	env := p.jobEnv(nil)
	for name, value := range map[string]string{"RUNNER_TEMP": dir, "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": filepath.Join(dir, "output"), "GITHUB_ENV": filepath.Join(dir, "env"), "GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary")} {
		env[name] = value
	}
	done := make(chan outcomeOf, 1)
	go func() { done <- command(t.Context(), env, "request", "--environment", "production") }()
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	found, err := filepath.Glob(filepath.Join(dir, "gatekeeper-req_*.intoto.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if outputs, err := os.ReadFile(filepath.Join(dir, "output")); err != nil || !strings.Contains(string(outputs), found[0]) {
		t.Errorf("%s, %v", outputs, err)
	}
}

func TestNoAttestationOfWhatIsDenied(t *testing.T) {
	p := play(t, nil)
	done := p.step(t, nil, "--attestation", filepath.Join(t.TempDir(), "x"))
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "deny"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 3 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	path, env := p.configFile(t)
	story := p.mustAudit(t, "export")
	at := strings.Index(story, "req_")
	if got := command(t.Context(), env, "attest", story[at:at+30], "--config", path); got.code != 1 || !strings.Contains(got.stderr, "denied") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}
