package main

import (
	"os"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// emergency are the stage's rules in a freeze, with a way through it, and a
// rule that observes.
const emergency = `freezes:
  - {name: freeze, environments: [production], from: 2020-01-01T00:00:00Z, to: 2120-01-01T00:00:00Z, effect: deny}
break_glass:
  - {environments: [production], approvers: [slack:S0ONCALL], notify: C0SECURITY, overrides_freezes: true}
`

// In a freeze one of those on call breaks the glass: the job gets its
// credentials, the channel hears of it, and the ledger says so. Nobody else
// can approve.
func TestBreakGlassInAFreeze(t *testing.T) {
	p := play(t, func(s *stage) {
		observing := strings.Replace(stageRules, "rules:\n", "rules:\n  - {name: wider, mode: observe, match: {repository_owner_id: \"99\"}, environment: production, approval: none}\n", 1)
		if err := os.WriteFile(s.cfg.Rules, []byte(observing+emergency), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	done := p.step(t, nil)
	if _, err := p.slack.WaitMessage(t.Context(), func(m slackbox.Message) bool { return m.Channel == "C0DEPLOYS" }); err != nil {
		t.Fatal(err)
	}
	id := p.pendingRequest(t)
	vote := func(user, reason string, glass bool) error {
		_, err := p.svc.gate.Vote(t.Context(), id, gatekeeper.Vote{
			Person: gatekeeper.Person{Slack: user, Team: slackbox.TeamID}, Choice: gatekeeper.Approve, Reason: reason, Via: "slack.modal", BreakGlass: glass,
		})
		return err
	}
	for name, err := range map[string]error{
		"an ordinary approval": vote("U0BOB", "", false), "somebody not on call": vote("U0BOB", "down", true), "no reason": vote("U0CAROL", "", true),
	} {
		if gatekeeper.CodeOf(err) != gatekeeper.CodeVoteRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := vote("U0CAROL", "the shop is down", true); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if _, err := p.slack.WaitMessage(t.Context(), func(m slackbox.Message) bool { return m.Channel == "C0SECURITY" }); err != nil {
		t.Error("nobody was told aloud:", err)
	}
	p.emergencyRecorded(t)
}

func (p *played) emergencyRecorded(t *testing.T) {
	t.Helper()
	if n := p.recorded(t, gatekeeper.EventRequestBreakGlass); n != 1 {
		t.Errorf("%d events say that the glass was broken", n)
	}
	var opened string
	for line := range strings.Lines(p.exported(t)) {
		if strings.Contains(line, `"`+string(gatekeeper.EventRequestOpened)+`"`) {
			opened = line
		}
	}
	for _, want := range []string{`"observed":[{`, `"rule":"wider"`, `"outcome":"approve"`, `"freeze":"freeze"`} {
		if !strings.Contains(opened, want) {
			t.Errorf("the ledger does not say %s of\n%s", want, opened)
		}
	}
}
