package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// slackWays are the two ways in of the real service.
var slackWays = map[string]func(*stage){
	"http": func(*stage) {},
	"socket": func(s *stage) {
		s.cfg.Slack.SigningSecret, s.cfg.Slack.AppToken = "", slackbox.AppToken
		s.slack.SetCallbacks("", "", "")
	},
}

// An approval through the home tab and one refused there, by each way, with
// the step getting its session; and no secret anywhere.
func TestWaysIn(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, way := range slackWays {
		t.Run(name, func(t *testing.T) {
			p := play(t, way)
			if name == "socket" {
				wait(t, p, func() bool { return p.slack.Sockets() == 2 })
				eventually(t, func() bool { // Slack's end of a connection is open a moment before ours
					status, body := p.admin(t, "/readyz")
					return status == 200 && strings.Contains(body, "Socket Mode, 2 of 2 connections")
				})
				if _, body := p.admin(t, "/metrics"); !strings.Contains(body, "gatekeeper_slack_way_in 1") {
					t.Error("metrics do not tell that the way in is open")
				}
			}
			for _, user := range []string{"U0BOB", "U0CAROL"} {
				if _, err := p.slack.OpenHome(t.Context(), user); err != nil {
					t.Fatal(err)
				}
			}
			done := p.step(t, nil, "--output", "json", "--reason", "Release 1.2")
			m := p.asked(t)
			sees(t, p, "U0BOB", "Release 1.2")
			sees(t, p, "U0CAROL", "Release 1.2")
			p.command(t, "U0BOB", "/gatekeeper pending", "1 request waits for you")
			p.command(t, "U0ALICE", "/gatekeeper pending", "you started this run")
			p.command(t, "U0DAVE", "/gatekeeper pending", "guests may not decide")
			b, _ := buttonOf(m, "Approve")
			d, err := p.slack.Click(t.Context(), slackbox.Click{User: "U0BOB", View: "home", ActionID: b.ActionID, Value: b.Value})
			if err != nil || !d.Acked() || d.Via != name {
				t.Fatalf("%+v %v", d, err)
			}
			if got := <-done; got.code != 0 {
				t.Fatalf("exit %d\n%s", got.code, got.stderr)
			}
			sees(t, p, "U0CAROL", "Decided lately")
			if name == "socket" { // no port of ours takes anything
				if status, _ := p.call(t, http.MethodPost, "/webhook/slack/interactions", "x", ""); status != 404 {
					t.Errorf("in Socket Mode the HTTP door answers %d", status)
				}
			}
			p.noSecrets(t, slackbox.BotToken, slackbox.SigningSecret, slackbox.AppToken)
			p.verified(t)
		})
	}
}

func wait(t *testing.T, p *played, until func() bool) {
	t.Helper()
	if err := p.slack.Wait(t.Context(), until); err != nil {
		t.Fatal(err)
	}
}

// sees waits until somebody's home tab says so.
func sees(t *testing.T, p *played, user, text string) {
	t.Helper()
	wait(t, p, func() bool { v, _ := p.slack.Home(user); return strings.Contains(v.Words(), text) })
}

// command types a command and wants the private answer to say so.
func (p *played) command(t *testing.T, user, text, want string) {
	t.Helper()
	d, err := p.slack.Command(t.Context(), slackbox.Typed{User: user, Channel: "C0DEPLOYS", Text: text})
	if err != nil || !d.Acked() || !strings.Contains(d.Response, want) || !strings.Contains(d.Response, `"ephemeral"`) {
		t.Errorf("%s %s: %+v %v", user, text, d, err)
	}
}
