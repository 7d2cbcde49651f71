package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// The action, run by a real runner of GitHub workflows on this host: the
// credentials reach the next step, as variables or outputs, no log shows a
// secret, and no input runs as a script.
func TestAction(t *testing.T) {
	t.Parallel() // it mostly waits
	act := parts.Find(t, "act", "go install github.com/nektos/act@latest")
	path := parts.Gatekeeper(t)
	for _, export := range []string{"env", "outputs"} {
		t.Run(export, func(t *testing.T) {
			p := play(t, func(s *stage) { s.rules(stageRules + "      cluster: {oidc: {audience: kubernetes}}\n") })
			result := filepath.Join(t.TempDir(), "result")
			done := make(chan outcomeOf, 1)
			running, ended := context.WithCancel(t.Context())
			go func() {
				defer ended()
				done <- p.act(t, act, path, export, result)
			}()
			m, err := p.slack.WaitMessage(running, func(m slackbox.Message) bool { _, ok := buttonOf(m, "Approve"); return ok })
			if err == nil {
				err = p.decide(t.Context(), m, "U0BOB", "approve")
			}
			if err != nil {
				t.Errorf("nobody was asked: %v", err)
			}
			p.checkAct(t, <-done, export, result)
		})
	}
}

func (p *played) act(t *testing.T, act, path, export, result string) outcomeOf {
	repo := t.TempDir()
	for from, to := range map[string]string{
		"../../action.yml": "action.yml", "../../testdata/act/.github/workflows/deploy.yml": ".github/workflows/deploy.yml",
	} {
		body, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(repo, to)), 0o750)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(repo, to), body, 0o600)
		}
		if err != nil {
			return outcomeOf{code: -1, stderr: err.Error()}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	defer cancel()
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "t"}} {
		if out, err := exec.CommandContext(ctx, "git", append([]string{"-C", repo}, args...)...).CombinedOutput(); err != nil {
			return outcomeOf{code: -1, stderr: string(out)}
		}
	}
	env := p.jobEnv(nil)
	cmd := exec.CommandContext(ctx, act, "push", "-P", "ubuntu-latest=-self-hosted", "--pull=false",
		"--env", "GATEKEEPER_BINARY="+path, "--env", "TEST_URL="+p.cfg.URL, "--env", "TEST_EXPORT="+export, "--env", "TEST_RESULT="+result,
		"--env", "ACTIONS_ID_TOKEN_REQUEST_URL="+env["ACTIONS_ID_TOKEN_REQUEST_URL"],
		"--env", "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
	cmd.Dir = repo
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home)
	out, err := cmd.CombinedOutput()
	code := cmd.ProcessState.ExitCode()
	if err != nil && code == 0 {
		code = -1
	}
	return outcomeOf{code: code, stdout: string(out)}
}

func (p *played) checkAct(t *testing.T, got outcomeOf, export, result string) {
	t.Helper()
	if got.code != 0 {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	body, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	key, secret, _ := strings.Cut(string(body), " ")
	sessions := p.sts.Sessions()
	if len(sessions) != 1 || key != sessions[0].AccessKeyID || len(secret) < 20 {
		t.Fatalf("the next step got key %q of %d sessions", key, len(sessions))
	}
	if strings.Contains(got.stdout, secret) {
		t.Error("the log shows the secret")
	}
	inEnv := map[string]string{"env": "env has key: yes; region: eu-west-1; outputs have key:", "outputs": "env has key: ; region: ; outputs have key: yes"}[export]
	for _, want := range []string{"state=approved by=Bob url=" + p.cfg.URL + "/requests/req_", inEnv, "the secret is ***", "the file is -rw-------, its token is ***", "Approved by Bob.", `attested: "payloadType":"application/vnd.in-toto+json"`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the log lacks %q\n%s", want, got.stdout)
		}
	}
}
