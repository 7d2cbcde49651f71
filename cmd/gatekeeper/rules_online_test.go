package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

const onlineRules = `rules:
  - name: payments
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: [production]
    approval:
      approvers: [slack:S0RELEASE, slack:U0BOB]
      quorum: 9
    notify:
      escalate: {after: 20m, to: [slack:U0NOSUCH]}
    credentials: {deploy: {oidc: {audience: "https://deploy.acme.com"}}}
  - name: several
    match: {repository: acme/web, repository_id: "2"}
    environment: [production]
    approval:
      all_of:
        - {name: team, approvers: [github:acme/release-managers], quorum: 2}
        - {name: gone, approvers: [slack:U0FRANK, slack:U0DAVE, slack:U0ROBOT, slack:U0MALLORY, slack:S0GONE, github:acme/nobody]}
    credentials: {deploy: {oidc: {audience: "https://deploy.acme.com"}}}
freezes:
  - {name: f, environments: [production], from: 2026-12-18T00:00:00Z, to: 2027-01-04T08:00:00Z, effect: {approvers: [slack:S0NOSUCH]}}
break_glass:
  - {environments: [production], approvers: [slack:S0ONCALL], quorum: 2, notify: C0SECURITY}
`

// onStage runs `rules check --online` against the stand-ins.
func onStage(t *testing.T, arrange func(*stage, *githubbox.GitHub), args ...string) outcomeOf {
	t.Helper()
	s := newStaged(t)
	box, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	box.Install("acme")
	box.Team("acme", "release-managers", map[string]string{"bob": "active"})
	if arrange != nil {
		arrange(s, box)
	}
	path, env := s.configFile(t)
	addLine(t, path, "github: {app_id: "+strconv.Itoa(githubbox.AppID)+", private_key_file: app.pem, api_url: "+box.URL()+"}\n")
	for name, body := range map[string]string{"app.pem": string(box.PrivateKey()), "people.yaml": onlineRules} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return command(t.Context(), env, append([]string{"rules", "check", "--online", "--config", path, filepath.Join(s.dir, "people.yaml")}, args...)...)
}

func TestRulesCheckOnline(t *testing.T) {
	got := onStage(t, nil)
	for _, want := range []string{
		"people.yaml:7:15: warning: quorum: 9 have to agree, and only 3 can",
		"people.yaml:9:35: warning: slack:U0NOSUCH is nobody: Slack knows no such user",
		"people.yaml:16:75: warning: quorum: 2 have to agree, and only 1 can",
		"people.yaml:17:36: warning: slack:U0FRANK is nobody: Slack knows no such user, or the account is deactivated",
		"people.yaml:17:51: warning: slack:U0DAVE is a guest",
		"slack:U0ROBOT is a bot",
		"slack:U0MALLORY is of another workspace",
		"slack:S0GONE is nobody: Slack knows no user group S0GONE, or it is disabled",
		"github:acme/nobody is nobody: organisation acme has no team",
		"people.yaml:17:11: warning: quorum: 1 have to agree, and only 0 can",
		"slack:S0NOSUCH is nobody",
		"people.yaml:22:71: warning: quorum: 2 have to agree, and only 1 can",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if got.code != 0 || t.Failed() {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if strict := onStage(t, nil, "--strict"); strict.code != exitFailed {
		t.Errorf("strict: exit %d", strict.code)
	}
}

// A look-up that fails is no answer about people.
func TestRulesCheckOnlineFails(t *testing.T) {
	got := onStage(t, func(s *stage, _ *githubbox.GitHub) { s.slack.Fail(slackbox.Fault{Status: 503, Times: -1}) })
	if got.code != exitFailed || !strings.Contains(got.stderr, "people cannot be looked up") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if without := command(t.Context(), nil, "rules", "check", "--online", "x.yaml"); without.code != exitUsage {
		t.Errorf("without --config: exit %d", without.code)
	}
}

func addLine(t *testing.T, path, text string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(body, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}
