package main

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chromium"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// walkRules are those of the walk: two people for production; one for staging,
// which is of low risk and collected; and one for the canary, whom somebody
// has to remind.
var walkRules = strings.Replace(stageRules, "[slack:S0RELEASE]", "[slack:S0RELEASE]\n      quorum: 2", 1) + `  - name: payments-staging
    match: {repository: acme/payments, repository_id: "1234567", ref: [refs/heads/main]}
    environment: [staging]
    approval: {approvers: [slack:S0RELEASE]}
    notify: {channel: C0PAYMENTS, urgency: digest, digest_every: 15s}
    credentials: {}
  - name: payments-canary
    match: {repository: acme/payments, repository_id: "1234567", ref: [refs/heads/main]}
    environment: [canary]
    approval: {approvers: [slack:S0RELEASE]}
    notify: {remind_after: 1s, escalate: {after: 2s, to: [slack:S0ONCALL]}}
    credentials: {}
`

// The whole of Slack by clicking in a browser, against the real service: who
// is refused, two who approve, a denial with its reason, the home tab, the
// slash command, a digest with Approve all, a reminder, and an escalation, by
// each way in.
func TestSlackWalk(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, way := range slackWays {
		t.Run(name, func(t *testing.T) {
			p := play(t, func(s *stage) {
				way(s)
				if err := os.WriteFile(s.cfg.Rules, []byte(walkRules), 0o600); err != nil {
					t.Fatal(err)
				}
			})
			if name == "socket" {
				wait(t, p, func() bool { return p.slack.Sockets() == 2 })
			}
			w := &walk{studio{played: p, t: t, ctx: chromium.Start(t)}}
			w.twoApprove()
			w.oneDenies()
			w.homeAndCommand()
			w.digest()
			w.reminded()
			if n := len(p.slack.Notices()); n > 0 {
				t.Errorf("Slack complained %d times: %+v", n, p.slack.Notices())
			}
			p.verified(t)
		})
	}
}

// walk is people at their browsers.
type walk struct{ studio }

const (
	approveButton = `[data-action-id=gatekeeper_approve]`
	denyButton    = `[data-action-id=gatekeeper_deny]`

	approveAllButton = `[data-action-id=gatekeeper_approve_all]`
)

// at is somebody looking at a place.
func (w *walk) at(user, in string, steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	w.visit(user, in, 1000, 700)
	look(w.t, w.ctx, steps...)
}

// reads wants the text to be on the screen, and waits for it.
func (w *walk) reads(selector, text string) {
	w.t.Helper()
	found := `[...document.querySelectorAll(` + quoted(selector) + `)].some(e => e.textContent.replace(/\s+/g, " ").includes(` + quoted(text) + `))`
	if _, err := chromedp.Run(w.ctx, chromedp.Poll[bool](found)); err != nil {
		body, _ := chromedp.Run(w.ctx, chromedp.TextContent("body"))
		w.t.Fatalf("%s does not show %q, %v: %s", selector, text, err, strings.Join(strings.Fields(body), " "))
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

func (w *walk) ended(done <-chan outcomeOf, code int, says string) {
	w.t.Helper()
	if got := <-done; got.code != code || !strings.Contains(got.stderr+got.stdout, says) {
		w.t.Fatalf("the step ended with %d, want %d and %q\n%s", got.code, code, says, got.stderr)
	}
}

// message selects the request's message by its timestamp.
func message(ts string) string { return `article[data-ts="` + ts + `"]` }

func (w *walk) twoApprove() {
	done := w.step(w.t, map[string]any{"run_id": "8001"}, "--reason", "Release 1.2: the new checkout")
	m := message(w.asked(w.t).TS)
	w.at("U0EVE", "C0DEPLOYS", chromedp.Click(m+" "+approveButton))
	w.reads("[data-ephemeral]", "Your approval does not count: you are not among the approvers")
	w.at("U0BOB", "C0DEPLOYS", chromedp.Click(m+" "+approveButton))
	w.reads(m, "1 of 2")
	w.at("U0CAROL", "C0DEPLOYS", chromedp.Click(m+" "+approveButton), chromedp.WaitNotPresent(m+" "+approveButton))
	w.ended(done, 0, "")
	w.reads(m, "Approved")
}

func (w *walk) oneDenies() {
	done := w.step(w.t, map[string]any{"run_id": "8002"}, "--reason", "Release 1.3")
	m := message(w.asked(w.t).TS)
	w.at("U0BOB", "C0DEPLOYS", chromedp.Click(m+" "+denyButton), chromedp.WaitVisible("#modal"), chromedp.Click("#modal-submit"))
	w.reads("#modal .error", "Please complete this required field")
	look(w.t, w.ctx, chromedp.SendKeys("#modal textarea", "Not on a Friday"), chromedp.Click("#modal-submit"), chromedp.WaitNotPresent("#modal"))
	w.ended(done, 3, "Not on a Friday")
	w.reads(m, "Denied")
	w.reads(m, "Not on a Friday")
}

func (w *walk) homeAndCommand() {
	done := w.step(w.t, map[string]any{"run_id": "8003"}, "--reason", "Release 1.4")
	w.asked(w.t)
	w.at("U0CAROL", "home")
	w.reads("#home", "Release 1.4")
	look(w.t, w.ctx, chromedp.Click("#home "+approveButton), chromedp.WaitNotPresent("#home "+approveButton))
	w.reads("#home", "Nothing waits for you")
	w.at("U0BOB", "C0PAYMENTS", chromedp.SendKeys(".composer textarea", "/gatekeeper pending"), chromedp.Click(".composer .send"))
	w.reads("[data-ephemeral]", "1 request waits for you")
	look(w.t, w.ctx, chromedp.Click("[data-ephemeral] "+approveButton))
	w.reads("[data-ephemeral]", "Your vote counts")
	w.ended(done, 0, "")
	w.at("U0CAROL", "home")
	w.reads("#home", "Decided lately")
}

// digest collects two requests of low risk into one message, of which Bob
// approves all.
func (w *walk) digest() {
	first := w.step(w.t, map[string]any{"run_id": "8004", "environment": "staging"}, "--environment", "staging", "--reason", "Nightly one")
	second := w.step(w.t, map[string]any{"run_id": "8005", "environment": "staging"}, "--environment", "staging", "--reason", "Nightly two")
	m := message(w.saying("C0PAYMENTS", "2 requests").TS)
	w.at("U0BOB", "C0PAYMENTS", chromedp.WaitVisible(m+" "+approveAllButton))
	w.reads(m, "Nightly one")
	w.reads(m, "Nightly two")
	look(w.t, w.ctx, chromedp.Click(m+" "+approveAllButton), chromedp.WaitVisible("#confirm"), chromedp.Click("#confirm-yes"))
	w.ended(first, 0, "")
	w.ended(second, 0, "")
	look(w.t, w.ctx, chromedp.WaitNotPresent(m+" "+approveAllButton))
	w.reads(m, "Nothing left to decide")
}

// reminded is a request that nobody decides for a while: those who are needed
// are reminded in its thread, then the on-call people hear of it in the
// channel, and one of them approves.
func (w *walk) reminded() {
	done := w.step(w.t, map[string]any{"run_id": "8006", "environment": "canary"}, "--environment", "canary", "--reason", "Try the new build")
	root := w.asked(w.t)
	w.saying("C0DEPLOYS", "Still waiting for")
	w.saying("C0DEPLOYS", "Escalated to")
	w.at("U0CAROL", "C0DEPLOYS")
	w.reads("article", "replied to a thread: ")
	w.reads("article", "Escalated to @on-call")
	look(w.t, w.ctx, chromedp.Click(message(root.TS)+" .replies"), chromedp.WaitVisible("#replies"))
	w.reads("#replies", "Still waiting for 1 more of @release-managers")
	w.reads("#replies", "Also sent to the channel")
	look(w.t, w.ctx, chromedp.Click("#messages "+message(root.TS)+" "+approveButton))
	w.ended(done, 0, "")
}

// saying waits for a message of the channel that says so.
func (w *walk) saying(channel, text string) slackbox.Message {
	w.t.Helper()
	m, err := w.slack.WaitMessage(w.t.Context(), func(m slackbox.Message) bool {
		return m.Channel == channel && strings.Contains(m.Text+m.Words(), text)
	})
	if err != nil {
		w.t.Fatalf("%s: nobody says %q: %v", channel, text, err)
	}
	return m
}
