package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

var tellRules = strings.Replace(stageRules, "    credentials:", `    notify: {remind_after: 10m, escalate: {after: 20m, to: [slack:S0ONCALL, slack:U0SAM]}}
    credentials:`, 1) + `  - name: payments-staging
    match: {repository: acme/payments, repository_id: "1234567"}
    environment: [staging]
    approval: {approvers: [slack:S0RELEASE]}
    notify: {urgency: digest, digest_every: 15m}
    credentials: {}
break_glass:
  - {environments: [production], approvers: [slack:S0ONCALL], notify: C0SECURITY}
`

// playClock is a stage whose time the test moves.
func playClock(t *testing.T, rules string) *played {
	t.Helper()
	return play(t, func(s *stage) {
		s.cfg.clock = s.now
		if err := os.WriteFile(s.cfg.Rules, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

// later moves the clock; work that is due begins.
func (p *played) later(t *testing.T, d time.Duration) {
	t.Helper()
	p.ahead.Add(int64(d))
	wake := gatekeeper.Change{Work: []gatekeeper.Work{{Kind: gatekeeper.WorkExpire, Key: "req_none"}}}
	if err := p.svc.store.Record(t.Context(), wake); err != nil {
		t.Fatal(err)
	}
}

func (p *played) says(t *testing.T, channel, text string) slackbox.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m, err := p.slack.WaitMessage(ctx, func(m slackbox.Message) bool {
		return m.Channel == channel && m.Ephemeral == "" && strings.Contains(m.Text+m.Words(), text)
	})
	if err != nil {
		var said []string
		for _, m := range p.slack.Messages(channel) {
			said = append(said, m.Text)
		}
		t.Fatalf("%s: nobody says %q but %q: %v\n%s", channel, text, said, err, p.log)
	}
	return m
}

// Requests of low risk are collected for a quarter of an hour; Approve all is
// one vote on each that the person may approve.
func TestDigest(t *testing.T) {
	p := playClock(t, tellRules)
	for run, actor := range map[string]string{"9001": "alice", "9002": "alice", "9003": "bob"} {
		claims := defaultClaims()
		claims["run_id"], claims["environment"], claims["actor"] = run, "staging", actor
		if status, body := p.call(t, http.MethodPost, "/v1/requests", p.ci.Token(p.cfg.URL, claims), `{"environment":"staging"}`); status != http.StatusCreated {
			t.Fatal(status, body)
		}
	}
	p.later(t, 14*time.Minute)
	if n := len(p.slack.Messages("C0DEPLOYS")); n != 0 {
		t.Fatalf("%d messages before the digest", n)
	}
	p.later(t, time.Minute)
	m := p.says(t, "C0DEPLOYS", "3 requests")
	all, ok := m.Button("gatekeeper_approve_all")
	if !ok {
		t.Fatalf("no Approve all in %s", m.Words())
	}
	if _, err := p.slack.Click(t.Context(), slackbox.Click{User: "U0BOB", Channel: m.Channel, TS: m.TS, ActionID: all.ActionID, Value: all.Value}); err != nil {
		t.Fatal(err)
	}
	p.told(t, "U0BOB", "counts on 2 of 3")
	p.says(t, "C0DEPLOYS", "1 of 3 requests")
	if _, err := p.slack.Click(t.Context(), slackbox.Click{User: "U0CAROL", Channel: m.Channel, TS: m.TS, ActionID: "gatekeeper_approve"}); err != nil {
		t.Fatal(err)
	}
	p.says(t, "C0DEPLOYS", "Nothing left to decide: 3 requests")
	found, err := p.svc.store.Find(t.Context(), gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Approved}})
	if err != nil || len(found) != 3 {
		t.Errorf("%d are approved, %v", len(found), err)
	}
	p.direct(t, "U0ALICE", "Approved")
	p.verified(t)
}

// Nobody decides: those who are needed are reminded in the thread, then those
// whom the rule names hear of it; one on call breaks the glass, which is said
// aloud, and everybody who was asked learns that it is settled.
func TestRemindEscalateBreakGlass(t *testing.T) {
	p := playClock(t, tellRules)
	done := p.step(t, nil, "--reason", "Release 1.2")
	m := p.asked(t)
	p.later(t, 10*time.Minute)
	if r := p.says(t, "C0DEPLOYS", "Still waiting for 1 more of <!subteam^S0RELEASE>"); r.ThreadTS != m.TS {
		t.Error("the reminder is not in the thread")
	}
	p.later(t, 10*time.Minute)
	if e := p.says(t, "C0DEPLOYS", "Escalated to <!subteam^S0ONCALL>, <@U0SAM>"); e.ThreadTS != m.TS || !e.Broadcast {
		t.Error("the escalation is not shown in thread and channel")
	}
	p.direct(t, "U0SAM", "Escalated to you")
	glass, ok := m.Button("gatekeeper_break_glass")
	if !ok {
		t.Fatalf("no way to break the glass: %s", m.Words())
	}
	if _, err := p.slack.Click(t.Context(), slackbox.Click{User: "U0CAROL", Channel: m.Channel, TS: m.TS, ActionID: glass.ActionID, Value: glass.Value}); err != nil {
		t.Fatal(err)
	}
	wait(t, p, func() bool { _, open := p.slack.Modal("U0CAROL"); return open })
	if err := p.giveReason(t.Context(), "U0CAROL", "Checkout is down"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	p.says(t, "C0SECURITY", "Checkout is down")
	p.says(t, "C0DEPLOYS", "Nobody is needed any more")
	p.direct(t, "U0SAM", "Settled")
	p.direct(t, "U0ALICE", "Approved by break glass")
	p.verified(t)
}

// What does not work in Slack is told to operators in words, and stops
// nothing: the step is approved elsewhere.
func TestSlackTroubleIsShown(t *testing.T) {
	p := play(t, nil)
	p.slack.Fail(slackbox.Fault{Method: "chat.postMessage", Times: 100, Error: "channel_not_found"})
	done := p.step(t, nil)
	var body string
	eventually(t, func() bool {
		resp, err := http.Get("http://" + p.doors.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		read, _ := io.ReadAll(resp.Body)
		body = string(read)
		return resp.StatusCode == http.StatusOK && strings.Contains(body, "invite the app there")
	})
	found, err := p.svc.store.Find(t.Context(), gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Pending}})
	if err != nil || len(found) != 1 {
		t.Fatal(err, len(found))
	}
	vote := gatekeeper.Vote{Person: gatekeeper.Person{Slack: "U0BOB", Team: slackbox.TeamID}, Choice: gatekeeper.Approve, Via: "web"}
	if _, err := p.svc.gate.Vote(t.Context(), found[0].ID, vote); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if metrics := p.metricsText(t); !strings.Contains(metrics, `gatekeeper_slack_errors_total{error="channel_not_found",method="chat.postMessage"}`) || strings.Contains(metrics, "gatekeeper_slack_faults 0") {
		t.Errorf("metrics do not tell of it")
	}
}

// eventually asks again and again: nothing tells of a change in readiness.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never was so")
		}
	}
}

func (p *played) metricsText(t *testing.T) string {
	t.Helper()
	resp, err := http.Get("http://" + p.doors.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
