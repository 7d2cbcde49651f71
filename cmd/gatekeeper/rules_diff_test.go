package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
)

// `rules diff` replays the ledger of a running gatekeeper, and of one that was
// stopped: what was opened and what was refused, with its claims as the token
// carried them.
func TestDiffOfTheLedger(t *testing.T) {
	s := newStaged(t)
	_, stop, err := s.serve(t.Context(), newSilent())
	if err != nil {
		t.Fatal(err)
	}
	open := func(claims map[string]any, want int) {
		status, body := s.call(t, http.MethodPost, "/v1/requests", s.ci.Token(s.cfg.URL, ciissuer.Claims(claims)), `{"environment":"production"}`)
		if status != want {
			t.Fatalf("%v: %d %s", claims, status, body)
		}
	}
	open(map[string]any{"run_id": "1"}, 201)
	open(map[string]any{"run_id": "2", "run_attempt": 2}, 201)
	open(map[string]any{"run_id": "3", "ref": "refs/heads/hotfix/x"}, 403)
	open(map[string]any{"run_id": "4", "repository_id": "666"}, 403)

	path, env := s.configFile(t)
	version := func(name string, replace ...string) string {
		file := filepath.Join(t.TempDir(), name+".yaml")
		if err := os.WriteFile(file, []byte(strings.NewReplacer(replace...).Replace(stageRules)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	same, hotfix, attempt := version("same"), version("hotfix", "refs/tags/v*", "refs/heads/hotfix/*"), version("attempt", "    environment:", "      claims: {run_attempt: \"2\"}\n    environment:")
	diff := func(new string, more ...string) outcomeOf {
		return command(t.Context(), env, append([]string{"rules", "diff", same, new, "--ledger", "--config", path}, more...)...)
	}
	if got := diff(same); got.code != 0 || !strings.Contains(got.stdout, "none of 4 requests") {
		t.Errorf("the same rules: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	got := diff(hotfix, "--output", "json")
	var out struct {
		rules.Tally
		Shifts []rules.Shift
	}
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != 3 || out.Requests != 4 || out.Changed != 1 {
		t.Fatalf("a refused one is let in: exit %d, %v\n%s%s", got.code, err, got.stdout, got.stderr)
	}
	if shift := out.Shifts[0]; shift.Old.Outcome != "deny" || shift.New.Outcome != "approve" || shift.New.Rule != "payments-production" || !strings.HasPrefix(shift.Examples[0], "evt_") {
		t.Errorf("%+v", shift)
	}
	if got := diff(hotfix, "--since", "2999-01-01"); got.code != 0 || !strings.Contains(got.stdout, "no requests") {
		t.Errorf("since: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := diff(attempt); got.code != 3 || !strings.Contains(got.stdout, "1 × acme/payments → production") || !strings.Contains(got.stdout, "e.g. req_") {
		t.Errorf("claims that are numbers, with the service stopped: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// A deployment that GitHub held back is replayed twice: by what GitHub told
// before the job ran, which lacks some claims, and by its token.
func TestDiffOfDeployments(t *testing.T) {
	p, box := stageWithGitHub(t, nil)
	deploys(t, box, 7001)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	told(t, box, 7001, 1)
	if got := <-p.step(t, nil); got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	before, after := filepath.Join(t.TempDir(), "before.yaml"), filepath.Join(t.TempDir(), "after.yaml")
	put(t, before, stageRules)
	put(t, after, strings.Replace(stageRules, "    environment:", "      runner: github-hosted\n    environment:", 1))
	path, env := p.configFile(t)
	got := command(t.Context(), env, "rules", "diff", before, after, "--ledger", "--config", path)
	if got.code != 3 || !strings.Contains(got.stdout, "1 of 2 requests") || !strings.Contains(got.stdout, "the token has no runner") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// Flags are taken behind arguments as well.
func TestFlagsFirst(t *testing.T) {
	all := commands(world{env: func(string) string { return "" }})
	for in, want := range map[string]string{
		"gatekeeper rules diff OLD NEW --ledger --since 24h":       "gatekeeper rules diff --ledger --since 24h OLD NEW",
		"gatekeeper rules test PATH --cover":                       "gatekeeper rules test --cover PATH",
		"gatekeeper audit show req_x --output json":                "gatekeeper audit show --output json req_x",
		"gatekeeper audit show --output=json req_x --config c":     "gatekeeper audit show --output=json --config c req_x",
		"gatekeeper rules diff OLD NEW --claims -":                 "gatekeeper rules diff --claims - OLD NEW",
		"gatekeeper rules check -- --odd":                          "gatekeeper rules check -- --odd",
		"gatekeeper rules check PATH --nope":                       "gatekeeper rules check --nope PATH",
		"gatekeeper --version":                                     "gatekeeper --version",
		"gatekeeper rules":                                         "gatekeeper rules",
		"gatekeeper nonsense --x y":                                "gatekeeper nonsense --x y",
		"gatekeeper request --environment production --timeout 1s": "gatekeeper request --environment production --timeout 1s",
	} {
		if got := fmt.Sprint(strings.Join(flagsFirst(all, strings.Fields(in)), " ")); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}
