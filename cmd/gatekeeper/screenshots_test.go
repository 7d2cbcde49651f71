package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chromium"
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
		rules := strings.Replace(stageRules, "[slack:S0RELEASE]", "[slack:S0RELEASE]\n      quorum: 2", 1)
		if err := os.WriteFile(s.cfg.Rules, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	})}
	done := s.step(t, nil, "--reason", "Release 1.2: the new checkout, and refunds in local currency")
	m := s.asked(t)
	s.visit("U0BOB", "C0DEPLOYS", 1000, 640)
	look(t, s.ctx, chromedp.WaitVisible(`[data-action-id=gatekeeper_approve]`))
	s.shoot("slack-request")
	s.visit("U0EVE", "C0DEPLOYS", 1000, 640)
	look(t, s.ctx, chromedp.Click(`[data-action-id=gatekeeper_approve]`), chromedp.WaitVisible("[data-ephemeral]"))
	s.shoot("slack-refused")
	s.visit("U0BOB", "home", 1000, 640)
	look(t, s.ctx, chromedp.WaitVisible(`#home [data-action-id=gatekeeper_approve]`))
	s.shoot("slack-home")
	s.visit("U0BOB", "C0DEPLOYS", 390, 760)
	look(t, s.ctx, chromedp.Click(`[data-action-id=gatekeeper_deny]`), chromedp.WaitVisible("#modal"),
		chromedp.SendKeys("#modal textarea", "Not on a Friday: the on-call engineer is on a train"))
	s.shoot("slack-deny")
	look(t, s.ctx, chromedp.Click("[data-close]"), chromedp.WaitNotPresent("#modal"))
	if err := s.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	s.visit("U0CAROL", "C0PAYMENTS", 1000, 640)
	look(t, s.ctx, chromedp.SendKeys(".composer textarea", "/gatekeeper pending"), chromedp.Click(".composer .send"), chromedp.WaitVisible("[data-ephemeral]"))
	s.shoot("slack-pending")
	if err := s.decide(t.Context(), m, "U0CAROL", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	s.visit("U0BOB", "C0DEPLOYS", 1000, 640)
	look(t, s.ctx, chromedp.WaitNotPresent(`[data-action-id=gatekeeper_approve]`))
	s.shoot("slack-approved")
}
