package slackbox_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/chromium"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// app answers clicks as a small gatekeeper would: Approve ends the message,
// Deny asks why first.
func (b *bench) app(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		b.t.Error(err)
	}
	var p struct {
		Type    string
		Trigger string `json:"trigger_id"`
		User    struct{ ID string }
		Actions []struct {
			ID string `json:"action_id"`
		}
		Message struct{ TS string }
		View    struct {
			Metadata string `json:"private_metadata"`
			State    struct {
				Values map[string]map[string]struct{ Value string }
			}
		}
	}
	if err := json.Unmarshal([]byte(r.Form.Get("payload")), &p); err != nil {
		b.t.Error(err)
		return
	}
	end := func(ts, how string) {
		b.must("chat.update", m{"channel": "C0DEPLOYS", "ts": ts, "text": how, "blocks": []any{section(how)}})
	}
	reason := p.View.State.Values["reason"]["reason"].Value
	switch {
	case p.Type == "view_submission" && reason == "no":
		fmt.Fprint(w, `{"response_action":"errors","errors":{"reason":"say more"}}`)
	case p.Type == "view_submission":
		end(p.View.Metadata, "*Denied* by <@"+p.User.ID+">: "+reason)
	case p.Actions[0].ID == "approve":
		end(p.Message.TS, "*Approved* by <@"+p.User.ID+">")
	default:
		b.must("views.open", m{"trigger_id": p.Trigger, "view": modal(m{"private_metadata": p.Message.TS})})
	}
}

func TestApproveInTheBrowser(t *testing.T) {
	b := start(t, nil)
	b.answers(b.app)
	ctx := chromium.Start(t)
	at := b.URL() + "?" + url.Values{"as": {"U0BOB"}, "in": {"C0DEPLOYS"}}.Encode()
	if err := chromedp.Do(ctx, chromedp.Navigate(at), chromedp.WaitReady("#messages")); err != nil {
		t.Fatal(err)
	}
	ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
	message := `article[data-ts="` + ts + `"]`
	// The message appears without a reload, and changes after the click.
	if err := chromedp.Do(ctx, chromedp.Click(message+` [data-action-id=approve]`), chromedp.WaitNotPresent(message+` [data-action-id]`)); err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.TextContent(message+" .blocks"))
	if err != nil || !strings.Contains(text, "Approved by @Bob") {
		t.Errorf("the message says %q, %v", text, err)
	}
	if d := b.Deliveries(); len(d) != 1 || !d[0].Acked() {
		t.Errorf("deliveries: %+v", d)
	}
}

func TestDenyInTheBrowser(t *testing.T) {
	b := start(t, nil)
	b.answers(b.app)
	ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
	ctx := chromium.Start(t)
	message := `article[data-ts="` + ts + `"]`
	err := chromedp.Do(ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile),
		chromedp.Navigate(b.URL()+"?as=U0CAROL&in=C0DEPLOYS"),
		chromedp.Click(message+` [data-action-id=deny]`), chromedp.WaitVisible("#modal"),
		chromedp.Click("#modal-submit"), chromedp.WaitVisible("#modal .error.shown"), // required
		chromedp.SendKeys("#modal textarea", "no"), chromedp.Click("#modal-submit"), chromedp.WaitVisible("[data-error-for=reason]"),
		chromedp.SendKeys("#modal textarea", "t before the freeze ends"), chromedp.Click("#modal-submit"), chromedp.WaitNotPresent("#modal"),
		chromedp.WaitNotPresent(message+` [data-action-id]`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.TextContent(message+" .blocks"))
	if err != nil || !strings.Contains(text, "Denied by @Carol: not before the freeze ends") {
		t.Errorf("the message says %q, %v", text, err)
	}
	for _, d := range b.Deliveries() {
		if !d.Acked() {
			t.Errorf("delivery %+v", d)
		}
	}
	if n := len(b.Deliveries()); n != 3 {
		t.Errorf("%d deliveries, want the click and two submissions", n)
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[int]("document.documentElement.scrollWidth"))
	if err != nil || wide > 390 {
		t.Errorf("the page is %d wide on a phone, %v", wide, err)
	}
}

// What the app does not acknowledge, people see.
func TestFailureInTheBrowser(t *testing.T) {
	b := start(t, nil)
	b.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
	ctx := chromium.Start(t)
	message := `article[data-ts="` + ts + `"]`
	text, err := slackNotice(ctx, b, message)
	if err != nil || !strings.Contains(text, "status code 500") {
		t.Errorf("Eve sees %q, %v", text, err)
	}
	b.answers(nil)
	err = chromedp.Do(ctx, chromedp.SendKeys(".composer textarea", "/gatekeeper help\r"), chromedp.SendKeys(".composer textarea", "hello <b>\r"),
		chromedp.WaitVisible("article:last-of-type .text"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.WaitMessage(ctx, func(m slackbox.Message) bool { return m.User == "U0EVE" && m.Text == "hello &lt;b&gt;" }); err != nil {
		t.Error(err)
	}
	if err := b.Wait(ctx, func() bool { return len(b.Deliveries()) == 2 && b.Deliveries()[1].Kind == "slash_commands" }); err != nil {
		t.Error(err)
	}
}

func slackNotice(ctx context.Context, b *bench, message string) (string, error) {
	err := chromedp.Do(ctx, chromedp.Navigate(b.URL()+"?as=U0EVE&in=C0DEPLOYS"), chromedp.Click(message+` [data-action-id=approve]`), chromedp.WaitVisible(message+" .notice"))
	if err != nil {
		return "", err
	}
	return chromedp.Run(ctx, chromedp.TextContent(message+" .notice"))
}
