package main

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chromium"
)

// walkRules are those of the walk: two people for production, and one for
// staging, which is of low risk.
var walkRules = strings.Replace(stageRules, "[slack:S0RELEASE]", "[slack:S0RELEASE]\n      quorum: 2", 1)

// The whole of Slack by clicking in a browser, against the real service: who
// is refused, two who approve, a denial with its reason, the home tab, and
// the slash command, by each way in.
func TestSlackWalk(t *testing.T) {
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
