package slackbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	slackgo "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

// connected runs the SDK's Socket Mode client, which hands clicks to got.
func connected(t *testing.T, b *bench) (got chan slackgo.InteractionCallback, hellos chan struct{}) {
	api := slackgo.New(slackbox.BotToken, slackgo.OptionAPIURL(b.APIURL()), slackgo.OptionAppLevelToken(slackbox.AppToken))
	client := socketmode.New(api)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	got, hellos = make(chan slackgo.InteractionCallback, 10), make(chan struct{}, 10)
	go func() {
		defer close(done)
		_ = client.RunContext(ctx) // ends with the test
	}()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case event := <-client.Events:
				switch event.Type {
				case socketmode.EventTypeHello:
					hellos <- struct{}{}
				case socketmode.EventTypeInteractive:
					callback, _ := event.Data.(slackgo.InteractionCallback)
					got <- callback
					_ = client.Ack(*event.Request)
				case socketmode.EventTypeSlashCommand:
					_ = client.Ack(*event.Request, map[string]any{"text": "by socket"})
				}
			}
		}
	}()
	return got, hellos
}

// await fails the test where nothing comes.
func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func TestSocketMode(t *testing.T) {
	b := start(t, nil)
	got, hellos := connected(t, b)
	await(t, hellos)
	b.must("chat.postMessage", deployment("req_1"))
	d, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve"})
	if err != nil || !d.Acked() || d.Via != "socket" {
		t.Fatalf("%+v, %v", d, err)
	}
	if c := await(t, got); c.User.ID != "U0BOB" || c.ActionCallback.BlockActions[0].Value != "req_1" || c.Message.Metadata.EventPayload["request_id"] != "req_1" {
		t.Errorf("callback %+v", c)
	}
	if _, err := b.Command(t.Context(), slackbox.Typed{User: "U0BOB", Channel: "C0DEPLOYS", Text: "/gatekeeper help"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WaitMessage(t.Context(), func(m slackbox.Message) bool { return m.Text == "by socket" && m.Ephemeral == "U0BOB" }); err != nil {
		t.Error(err)
	}
	if len(b.got) != 0 {
		t.Error("callbacks went by HTTP, too")
	}
}

// Slack ends connections every few hours, and says so; networks do not.
func TestSocketModeIsDropped(t *testing.T) {
	b := start(t, nil)
	_, hellos := connected(t, b)
	await(t, hellos)
	for _, reason := range []string{"refresh_requested", ""} {
		if n := b.DropSockets(reason); n != 1 {
			t.Fatalf("%d connections", n)
		}
		await(t, hellos)
	}
}

func TestSocketModeIsNotAcknowledged(t *testing.T) {
	b := start(t, func(o *slackbox.Options) { o.InteractionsURL = "" })
	b.must("chat.postMessage", deployment("req_1"))
	d, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve"})
	if err != nil || d.Acked() || len(b.Notices()) != 1 {
		t.Errorf("nowhere to send it: %+v, %v, %+v", d, err, b.Notices())
	}
	r := b.post(b.APIURL()+"apps.connections.open", slackbox.AppToken, m{})
	if r.body["ok"] != true {
		t.Fatal(r.body)
	}
	if status, _ := b.get("/link/?ticket=wrong", nil); status != 403 {
		t.Errorf("a wrong ticket: %d", status)
	}
}
