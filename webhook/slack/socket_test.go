package slack

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// Whether Slack announces it or cuts the line, clicks come in again.
func TestSocketsReconnect(t *testing.T) {
	b, box := ways["socket"](t, slackbox.Options{NoRateLimits: true})
	b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 9 })
	for _, reason := range []string{"warning", "refresh_requested", "link_disabled", ""} {
		if n := box.DropSockets(reason); n != connections {
			t.Fatalf("%q: %d connections were open", reason, n)
		}
		connected(t, box, connections)
		votes := b.gate.votes
		press(t, b, box, "U0BOB", actionApprove)
		if b.gate.votes == votes {
			t.Errorf("%q: the click was lost: %s", reason, b.log)
		}
		b.now = b.now.Add(time.Second)
	}
	text, up := b.WaysIn() // Slack's end counts a socket before ours does
	for end := time.Now().Add(10 * time.Second); (!up || !strings.Contains(text, "2 of 2")) && time.Now().Before(end); runtime.Gosched() {
		text, up = b.WaysIn()
	}
	if !up || !strings.Contains(text, "2 of 2") {
		t.Errorf("%q %t", text, up)
	}
}

// A click goes to any process that is connected, and one of them is enough.
func TestAnyReplicaTakesTheClick(t *testing.T) {
	b, box := ways["socket"](t, slackbox.Options{})
	other, err := New(b.Options)
	if err != nil {
		t.Fatal(err)
	}
	listening(t, other)
	connected(t, box, 2*connections)
	b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 9 })
	for range 2 * connections {
		press(t, b, box, "U0BOB", actionApprove)
		b.now = b.now.Add(time.Second)
	}
	if b.gate.votes != 2*connections {
		t.Errorf("%d of %d clicks came in", b.gate.votes, 2*connections)
	}
}

// What is in hand when the process stops is acknowledged; nothing new is read.
func TestSocketsDrain(t *testing.T) {
	b, box := sandboxedWith(t, slackbox.Options{}, func(o *Options) { o.SigningSecret, o.AppToken = "", slackbox.AppToken })
	box.SetCallbacks("", "", "")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { b.Listen(ctx); close(done) }()
	connected(t, box, connections)
	b.open("req_1")
	b.mem.after = func(gatekeeper.Change) {
		stop()
		// The connection's end is decided before this click is acknowledged.
		<-ctx.Done()
	}
	if d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: actionApprove}); err != nil || !d.Acked() {
		t.Errorf("a recorded click is not acknowledged: %+v %v", d, err)
	}
	<-done
	if box.Wait(t.Context(), func() bool { return box.Sockets() == 0 }) != nil {
		t.Error("connections stay open")
	}
}

// However many clicks come at once, no more than the door lets in are in hand.
func TestSocketsAreBounded(t *testing.T) {
	b, box := ways["socket"](t, slackbox.Options{NoRateLimits: true})
	b.open("req_1")
	hold, crowd := make(chan struct{}), make(chan struct{}, 1000)
	b.mem.after = func(gatekeeper.Change) { crowd <- struct{}{}; <-hold }
	var clicks sync.WaitGroup
	for range roomAtDoor + 20 {
		clicks.Go(func() { _, _ = box.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: actionApprove}) })
	}
	for range roomAtDoor {
		<-crowd
	}
	if b.enter(t.Context(), false) || len(crowd) > 0 {
		t.Error("more are in hand than the door lets in")
	}
	close(hold)
	clicks.Wait()
	for range 20 { // those who waited at the door came in
		<-crowd
	}
}

func TestSocketTroubleIsTold(t *testing.T) {
	for code, want := range map[string]string{
		"invalid_auth": "does not accept slack.app_token", "not_allowed_token_type": "no app-level token", "missing_scope": "connections:write",
		"too_many_websockets": "ten Socket Mode connections", "internal_error": "internal_error",
	} {
		b, box := sandboxedWith(t, slackbox.Options{}, func(o *Options) { o.SigningSecret, o.AppToken = "", slackbox.AppToken })
		box.Fail(slackbox.Fault{Method: "apps.connections.open", Error: code})
		_, err := b.connect(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", code, err)
		}
		if d := backoff(1, err); d < time.Second/2 || d > time.Second {
			t.Errorf("%s: tried again after %s", code, d)
		}
	}
	slow := &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: 90 * time.Second}
	if d := backoff(1, slow); d != 90*time.Second {
		t.Errorf("Retry-After is not obeyed: %s", d)
	}
	if d := backoff(1000, errors.New("down")); d < maxBackoff/2 || d > maxBackoff {
		t.Errorf("after many failures: %s", d)
	}
}

// The app token is a canary, and so is the ticket in a connection's address
// (threats rows 22 and 40).
func TestAppTokenIsNeverTold(t *testing.T) {
	const token = "xapp-1-canary"
	b, box := sandboxedWith(t, slackbox.Options{AppToken: token}, func(o *Options) { o.SigningSecret, o.AppToken = "", token })
	ctx, stop := context.WithCancel(t.Context())
	for _, f := range []slackbox.Fault{{Status: 500, Body: token}, {Error: token}, {Reset: true}, {Error: "ratelimited"}} {
		f.Method = "apps.connections.open"
		box.Fail(f)
		if _, err := b.connect(ctx); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%+v: %v", f, err)
		} else {
			b.sockets.failed(err)
			b.Logger.Warn("no connection", "error", err)
		}
	}
	done := make(chan struct{})
	go func() { b.Listen(ctx); close(done) }()
	connected(t, box, connections)
	box.DropSockets("")
	connected(t, box, connections)
	stop()
	<-done
	text, _ := b.WaysIn()
	for _, secret := range []string{token, "ticket"} {
		if strings.Contains(b.log.String()+text, secret) {
			t.Errorf("%s is told: %s %s", secret, text, b.log)
		}
	}
}

func TestUnsafeSocketsAreRefused(t *testing.T) {
	for address, safe := range map[string]bool{
		"wss://wss-primary.slack.com/link/?ticket=1": true, "ws://127.0.0.1:8080/link": true, "ws://wss-primary.slack.com/link": false,
		"https://wss-primary.slack.com": false, "wss://user@slack.com/": false, "": false, "wss:": false,
	} {
		if safeSocket(address) != safe {
			t.Errorf("%q: want %t", address, safe)
		}
	}
}

// The SDK's client carries the app token for this one method alone.
func TestBotTokenIsUsedForEverythingElse(t *testing.T) {
	b, _ := sandboxedWith(t, slackbox.Options{}, func(o *Options) { o.AppToken = slackbox.AppToken })
	if _, err := b.api.AuthTestContext(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := b.api.StartSocketModeContext(t.Context()); err != nil {
		t.Error(err)
	}
}

// In Socket Mode nothing is signed: whatever is posted is refused, also what
// is signed with an empty secret (threats row 21).
func TestNothingIsSignedInSocketMode(t *testing.T) {
	b := newBench(t, func(o *Options) { o.SigningSecret, o.AppToken = "", "xapp-1" })
	for _, secret := range []string{"", testSecret} {
		if w := b.post(callback(b.now, secret, "payload="+someClick)); w.Code != http.StatusUnauthorized {
			t.Errorf("signed with %q: %d", secret, w.Code)
		}
	}
	if text, up := b.WaysIn(); up || text == "" {
		t.Errorf("before the first connection: %q %t", text, up)
	}
}
