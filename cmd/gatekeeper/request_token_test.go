package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// onPath are programs by name, with what they print.
type onPath map[string]func(args []string) (string, error)

func (p onPath) find(name string) bool { return p[name] != nil }

func (p onPath) run(_ context.Context, name string, args ...string) (string, error) {
	return p[name](args)
}

func echo(args []string) (string, error) { return "a.b." + strings.Join(args, "_") + "\n", nil }

// Each CI's token is found, in the order that docs/ci.md tells, and where the
// CI can mint, each call gets one for its own audience.
func TestTokenOrder(t *testing.T) {
	dir := t.TempDir()
	file := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	runner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"value":"github:` + r.URL.Query().Get("audience") + `"}`))
	}))
	t.Cleanup(runner.Close)
	all := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": runner.URL + "/t?x=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer", "GATEKEEPER_TOKEN": "given",
		"BUILDKITE": "true", "CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": "circle", "BITBUCKET_STEP_OIDC_TOKEN": "bitbucket",
		"GATEKEEPER_TOKEN_FILE": file("projected", "projected"), "GATEKEEPER_SUBJECT_TOKEN": "subject",
	}
	programs := onPath{"buildkite-agent": echo, "circleci": echo}
	tokenFile, subjectFile := file("token", "file"), file("subject", "subject file")
	take := func(names ...string) { // away what was found first
		for _, name := range names {
			delete(all, name)
			delete(programs, name)
		}
	}
	for _, step := range []struct {
		take         []string
		ours, clouds string
	}{
		{nil, "github:us", "github:sts"},
		{[]string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN"}, "file", "subject file"},
		{[]string{"--token-file", "--subject-token-file"}, "given", "subject"},
		{[]string{"GATEKEEPER_TOKEN", "GATEKEEPER_SUBJECT_TOKEN"}, "a.b.oidc_request-token_--audience_us_--claim_organization_id,pipeline_id", "a.b.oidc_request-token_--audience_sts_--claim_organization_id,pipeline_id"},
		{[]string{"BUILDKITE"}, `a.b.run_oidc_get_--claims_{"aud":"us"}`, `a.b.run_oidc_get_--claims_{"aud":"sts"}`},
		{[]string{"circleci"}, "circle", ""},
		{[]string{"CIRCLE_OIDC_TOKEN_V2"}, "bitbucket", ""},
		{[]string{"BITBUCKET_STEP_OIDC_TOKEN"}, "projected", ""},
	} {
		take(step.take...)
		if len(step.take) > 0 && step.take[0] == "--token-file" {
			tokenFile, subjectFile = "", ""
		}
		got, err := newTokens(world{env: func(name string) string { return all[name] }, programs: programs}, "us", "https://x", tokenFile, subjectFile)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := got.gatekeeper(t.Context())
		if err != nil || ours != step.ours {
			t.Errorf("after %v: got %q, %v; want %q", step.take, ours, err, step.ours)
		}
		clouds, err := got.subject(t.Context(), "sts")
		if clouds != step.clouds || (step.clouds == "") != (gatekeeper.CodeOf(err) == gatekeeper.CodeInvalidRequest) {
			t.Errorf("for clouds after %v: got %q, %v; want %q", step.take, clouds, err, step.clouds)
		}
	}
}

// Without a token the step ends with 2 and says what to add, in the CI that
// it runs in.
func TestWithoutAToken(t *testing.T) {
	for name, c := range map[string]struct{ says, not string }{
		"GITHUB_ACTIONS": {"id-token: write", "GitLab"}, "GITLAB_CI": {`id_tokens: {GATEKEEPER_TOKEN: {aud: "https://gate.example"}}`, "Buildkite"},
		"BUILDKITE": {"buildkite-agent", "GitLab"}, "CIRCLECI": {"CIRCLE_OIDC_TOKEN_V2", "GitLab"},
		"BITBUCKET_BUILD_NUMBER": {`oidc: {audiences: ["https://gate.example"]}`, "GitLab"}, "KUBERNETES_SERVICE_HOST": {"projected", "GitLab"},
		"NOTHING": {"GATEKEEPER_TOKEN or --token-file", "nothing"},
	} {
		env := map[string]string{name: "true"}
		got := commandOf(t.Context(), world{env: func(name string) string { return env[name] }, programs: onPath{}}, "request", "--url", "https://gate.example", "--environment", "production")
		if got.code != 2 || !strings.Contains(got.stderr, c.says) || strings.Contains(got.stderr, c.not) {
			t.Errorf("%s: exit %d\n%s", name, got.code, got.stderr)
		}
	}
}

// What a CI's agent prints when it fails is told by its last line, never as a
// token.
func TestAgentFails(t *testing.T) {
	env := func(name string) string { return map[string]string{"BUILDKITE": "true"}[name] }
	for name, c := range map[string]struct {
		agent func([]string) (string, error)
		says  string
	}{
		"refused":  {func([]string) (string, error) { return "", errors.New("401 Unauthorized") }, "401 Unauthorized"},
		"no token": {func([]string) (string, error) { return "Usage: buildkite-agent …", nil }, "no token"},
		"two":      {func([]string) (string, error) { return "a.b.c\na.b.c", nil }, "no token"},
	} {
		got, err := newTokens(world{env: env, programs: onPath{"buildkite-agent": c.agent}}, "", "https://x", "", "")
		if err != nil {
			t.Fatal(err)
		}
		if token, err := got.gatekeeper(t.Context()); token != "" || gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %q, %v", name, token, err)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	var m machine
	if out, err := m.run(t.Context(), "sh", "-c", "echo a; echo b >&2"); out != "a\n" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := m.run(t.Context(), "sh", "-c", "echo first >&2; echo last >&2; exit 3"); err == nil || err.Error() != "last" {
		t.Errorf("got %v", err)
	}
	if m.find("no-such-program-anywhere") || !m.find("sh") {
		t.Error("PATH is not looked at")
	}
}

// What `gatekeeper request` adds to a step where nobody is asked: a token for
// each call, the request, and its credential.
func BenchmarkRequest(b *testing.B) {
	p := play(b, func(s *stage) {
		if err := os.WriteFile(s.cfg.Rules, []byte(strings.Replace(stageRules, "approval:\n      approvers: [slack:S0RELEASE]", "approval: none", 1)), 0o600); err != nil {
			b.Fatal(err)
		}
	})
	run := 0
	for b.Loop() {
		run++
		env := p.jobEnv(runClaims(run))
		if got := command(b.Context(), env, "request", "--environment", "production", "--output", "json"); got.code != 0 {
			b.Fatalf("exit %d\n%s", got.code, got.stderr)
		}
	}
}
