package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chromium"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

var updateScreenshots = flag.Bool("update-screenshots", false, "make the pictures of docs/slack.md anew, by the real service and the sandbox's Slack")

const (
	pictures   = "../../docs/images"
	maxPicture = 150 << 10 // bytes: a page is read on a train, too
)

// The pictures of the documentation are there, small, and of what the service
// shows: -update-screenshots makes them.
func TestScreenshots(t *testing.T) {
	if *updateScreenshots {
		takePictures(t)
	}
	page, err := os.ReadFile("../../docs/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`\(images/([a-z0-9-]+\.png)\)`).FindAllStringSubmatch(string(page), -1)
	if len(shown) < 6 {
		t.Errorf("docs/slack.md shows %d pictures", len(shown))
	}
	for _, m := range shown {
		if info, err := os.Stat(filepath.Join(pictures, m[1])); err != nil || info.Size() > maxPicture || info.Size() < 1000 {
			t.Errorf("%s: %v, %v", m[1], info, err)
		}
	}
}

// studio is a browser before the stage.
type studio struct {
	*played
	t   *testing.T
	ctx context.Context
}

// visit shows the page of somebody in some place, as wide and high as asked.
func (s *studio) visit(user, in string, width, height int64) {
	s.t.Helper()
	look(s.t, s.ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1)),
		chromedp.Navigate(s.slack.PageURL(user, in)), chromedp.WaitReady("#app"))
}

// shoot keeps a picture of what is on the screen.
func (s *studio) shoot(name string) {
	s.t.Helper()
	png, err := chromedp.Run(s.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pictures, name+".png"), png, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func takePictures(t *testing.T) {
	s := &studio{t: t, ctx: chromium.Start(t), played: play(t, func(s *stage) {
		if err := os.WriteFile(s.cfg.Rules, []byte(walkRules), 0o600); err != nil {
			t.Fatal(err)
		}
	})}
	s.request()
	w := &walk{*s}
	w.digestPicture()
	w.escalationPicture()
}

// request is one request, from the question to how it ended.
func (s *studio) request() {
	done := s.step(s.t, nil, "--reason", "Release 1.2: the new checkout, and refunds in local currency")
	m := s.asked(s.t)
	s.visit("U0BOB", "C0DEPLOYS", 1000, 620)
	look(s.t, s.ctx, chromedp.WaitVisible(approveButton))
	s.shoot("slack-request")
	s.visit("U0EVE", "C0DEPLOYS", 1000, 620)
	look(s.t, s.ctx, chromedp.Click(approveButton), chromedp.WaitVisible("[data-ephemeral]"))
	s.shoot("slack-refused")
	s.visit("U0BOB", "home", 1000, 480)
	look(s.t, s.ctx, chromedp.WaitVisible("#home "+approveButton))
	s.shoot("slack-home")
	s.visit("U0BOB", "C0DEPLOYS", 390, 760)
	look(s.t, s.ctx, chromedp.Click(denyButton), chromedp.WaitVisible("#modal"),
		chromedp.SendKeys("#modal textarea", "Not on a Friday: the on-call engineer is on a train"))
	s.shoot("slack-deny")
	look(s.t, s.ctx, chromedp.Click("[data-close]"), chromedp.WaitNotPresent("#modal"))
	s.decided(m, "U0BOB")
	s.visit("U0CAROL", "C0PAYMENTS", 1000, 620)
	look(s.t, s.ctx, chromedp.SendKeys(".composer textarea", "/gatekeeper pending"), chromedp.Click(".composer .send"), chromedp.WaitVisible("[data-ephemeral]"))
	s.shoot("slack-pending")
	s.decided(m, "U0CAROL")
	if got := <-done; got.code != 0 {
		s.t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	s.visit("U0BOB", "C0DEPLOYS", 1000, 760)
	look(s.t, s.ctx, chromedp.WaitNotPresent(approveButton))
	s.shoot("slack-approved")
}

func (s *studio) decided(m slackbox.Message, user string) {
	s.t.Helper()
	if err := s.decide(s.t.Context(), m, user, "approve"); err != nil {
		s.t.Fatal(err)
	}
}

func (w *walk) digestPicture() {
	for i, reason := range []string{"Nightly build of the shop", "Nightly build of the back office"} {
		w.step(w.t, map[string]any{"run_id": fmt.Sprint(9001 + i), "environment": "staging"}, "--environment", "staging", "--reason", reason)
	}
	w.saying("C0PAYMENTS", "2 requests")
	w.visit("U0BOB", "C0PAYMENTS", 1000, 700)
	look(w.t, w.ctx, chromedp.WaitVisible(approveAllButton))
	w.shoot("slack-digest")
}

func (w *walk) escalationPicture() {
	w.step(w.t, map[string]any{"run_id": "9003", "environment": "canary"}, "--environment", "canary", "--reason", "Try the new build")
	root := w.asked(w.t)
	w.saying("C0DEPLOYS", "Still waiting for")
	w.saying("C0DEPLOYS", "Escalated to")
	look(w.t, w.ctx, chromedp.EmulateViewport(1180, 640, chromedp.EmulateScale(1)),
		chromedp.Navigate(w.slack.PageURL("U0CAROL", "C0DEPLOYS")+"&thread="+root.TS), chromedp.WaitVisible("#replies"))
	w.reads("#replies", "Escalated to")
	w.shoot("slack-escalation")
}
