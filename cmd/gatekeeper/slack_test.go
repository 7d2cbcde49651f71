package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

// checkRules name each kind of thing that Slack has to have.
const checkRules = `rules:
  - name: payments
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: [production]
    approval: {approvers: [slack:S0RELEASE, slack:U0BOB]}
    notify:
      channel: C0PAYMENTS
      escalate: {after: 20m, to: [slack:S0ONCALL]}
    credentials: {}
break_glass:
  - {environments: [production], approvers: [slack:S0ONCALL], quorum: 1, notify: C0SECURITY}
`

// checked runs `slack check` on the stage, and gives its exit code and what
// it says.
func (s *stage) checked(t *testing.T, rules string, change func(string) string) (int, string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	path, env := s.configFile(t)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(change(string(body))), 0o600); err != nil {
		t.Fatal(err)
	}
	env["SLACK_APP_TOKEN"] = slackbox.AppToken
	var out bytes.Buffer
	code := run(world{args: []string{"gatekeeper", "slack", "check", "--config", path}, env: func(n string) string { return env[n] },
		stdout: &out, stderr: &out, interrupt: t.Context()})
	for _, secret := range []string{slackbox.BotToken, slackbox.SigningSecret, slackbox.AppToken} {
		if strings.Contains(out.String(), secret) {
			t.Error("a secret is told")
		}
	}
	return code, out.String()
}

func TestSlackCheck(t *testing.T) {
	t.Parallel() // it mostly waits
	socket := func(yaml string) string {
		return strings.Replace(yaml, "signing_secret: ${SLACK_SIGNING_SECRET}", "app_token: ${SLACK_APP_TOKEN}", 1)
	}
	named := func(old, name string) func(*stage) string {
		return func(*stage) string { return strings.ReplaceAll(checkRules, old, name) }
	}
	for name, c := range map[string]struct {
		arrange func(*stage) string // gives the rules; nil: checkRules
		change  func(string) string
		missing bool
		want    []string
	}{
		"all is there": {want: []string{"Everything is there", "workspace Acme (T0ACME)", "scopes: all 8", "signed callbacks",
			"channel C0DEPLOYS (slack.channel)", "channel C0SECURITY (break_glass)", "user group S0ONCALL (escalation of rule payments, break_glass), @on-call, 1 member",
			"person U0BOB, Bob (people, rule payments)"}},
		"socket mode": {change: socket, want: []string{"ways in: Socket Mode", "Everything is there"}},
		"more scopes": {arrange: func(s *stage) string {
			s.slack.SetScopes(append(slack.Scopes(), "channels:read", "groups:read", "admin")...)
			return checkRules
		}, want: []string{"#payments", "could take away: channels:read, groups:read, admin"}},
		"revoked token": {arrange: func(s *stage) string { s.slack.SetBotToken("xoxb-new"); return checkRules }, missing: true, want: []string{"install the app again", "one thing is missing"}},
		"no app token": {arrange: func(s *stage) string {
			s.slack.Fail(slackbox.Fault{Method: "apps.connections.open", Error: "missing_scope"})
			return checkRules
		}, change: socket, missing: true, want: []string{"lacks the scope connections:write"}},
		"other team": {change: func(y string) string { return strings.Replace(y, "T0ACME", "T0OTHER", 1) }, missing: true, want: []string{"slack.team is T0OTHER, and the token belongs to T0ACME"}},
		"few scopes": {arrange: func(s *stage) string {
			s.slack.SetScopes("chat:write", "users:read", "channels:history", "groups:history")
			return checkRules
		}, missing: true, want: []string{"scope usergroups:read: approving as a member", "scope commands: /gatekeeper does not work", "Reinstall to Workspace", "user groups cannot be looked up"}},
		"not invited": {arrange: named("C0PAYMENTS", "C0RANDOM"), missing: true, want: []string{"channel C0RANDOM (rule payments): the app is not in it", "/invite @gatekeeper"}},
		"not invited, with scope": {arrange: func(s *stage) string {
			s.slack.SetScopes(append(slack.Scopes(), "channels:read")...)
			return strings.ReplaceAll(checkRules, "C0PAYMENTS", "C0RANDOM")
		}, missing: true, want: []string{"the app is not in #random"}},
		"archived": {arrange: func(s *stage) string {
			s.slack.SetScopes(append(slack.Scopes(), "channels:read")...)
			return strings.ReplaceAll(checkRules, "C0PAYMENTS", "C0OLD")
		}, missing: true, want: []string{"#old, is archived"}},
		"private":         {arrange: named("C0PAYMENTS", "C0SECRET"), missing: true, want: []string{"If it is private, open it and type /invite"}},
		"no such channel": {arrange: named("C0PAYMENTS", "C0NOSUCH"), missing: true, want: []string{"Slack shows the app no such channel"}},
		"disabled group":  {arrange: named("S0RELEASE", "S0GONE"), missing: true, want: []string{"user group S0GONE (rule payments), @gone, is disabled"}},
		"no such group":   {arrange: named("S0RELEASE", "S0NOSUCH"), missing: true, want: []string{"the workspace has none with this id"}},
		"empty group": {arrange: func(s *stage) string {
			s.slack.SetGroup(slackbox.Group{ID: "S0RELEASE", Handle: "release-managers"})
			return checkRules
		}, missing: true, want: []string{"@release-managers, has no members"}},
		"left":          {arrange: named("U0BOB", "U0FRANK"), missing: true, want: []string{"person U0FRANK", "is deactivated"}},
		"guest":         {arrange: named("U0BOB", "U0DAVE"), missing: true, want: []string{"is a guest"}},
		"stranger":      {arrange: named("U0BOB", "U0MALLORY"), missing: true, want: []string{"another workspace"}},
		"bot":           {arrange: named("U0BOB", "U0ROBOT"), missing: true, want: []string{"is a bot"}},
		"nobody":        {arrange: named("U0BOB", "U0NOSUCH"), missing: true, want: []string{"nobody with this id"}},
		"slack is down": {arrange: func(s *stage) string { s.slack.Fail(slackbox.Fault{Status: 503, Times: -1}); return checkRules }, missing: true, want: []string{"Slack answered HTTP 503"}},
		"slow down": {arrange: func(s *stage) string {
			s.slack.Fail(slackbox.Fault{Method: "users.info", Error: "ratelimited", RetryAfter: 1})
			return checkRules
		}, want: []string{"Everything is there"}},
		"faulty rules": {arrange: func(*stage) string { return "rules: [{}]" }, missing: true, want: []string{"the rules have faults"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStaged(t)
			s.slack.SetScopes(slack.Scopes()...)
			rules := checkRules
			if c.arrange != nil {
				rules = c.arrange(s)
			}
			if c.change == nil {
				c.change = func(y string) string { return y }
			}
			code, said := s.checked(t, rules, c.change)
			if (code == 1) != c.missing || (code != 0 && code != 1) || strings.Contains(said, "MISSING") && !c.missing {
				t.Errorf("exit %d\n%s", code, said)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("it does not say %q:\n%s", w, said)
				}
			}
		})
	}
}
