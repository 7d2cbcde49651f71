package slack

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

func message(id string, attempt int) gatekeeper.Work {
	return gatekeeper.Work{Kind: gatekeeper.WorkMessage, Key: id, Attempt: attempt}
}

func TestMessageIsPostedOnceThenUpdatedOnlyOnChange(t *testing.T) {
	b := newBench(t)
	r := b.open("req_1")
	b.show("req_1", 1)
	if posts, updates := b.ws.count("chat.postMessage"), b.ws.count("chat.update"); posts != 1 || updates != 0 {
		t.Fatalf("an unchanged request made %d posts and %d updates", posts, updates)
	}
	r.State, r.DecidedAt = gatekeeper.Expired, start().Add(time.Hour)
	b.gate.put(r)
	b.show("req_1", 1)
	b.show("req_1", 1)
	if n := b.ws.count("chat.update"); n != 1 {
		t.Fatalf("one change made %d updates", n)
	}
	form := b.ws.last(t, "chat.update").form
	if form.Get("ts") != b.ref("req_1").TS || strings.Contains(form.Get("blocks"), actionApprove) {
		t.Errorf("the update is not of the message, or still offers to approve: %v", form)
	}
	post := b.ws.last(t, "chat.postMessage").form
	if post.Get("channel") != "C0DEPLOYS" || post.Get("metadata") != `{"event_type":"gatekeeper_request","event_payload":{"request_id":"req_1"}}` {
		t.Errorf("channel %q, metadata %q", post.Get("channel"), post.Get("metadata"))
	}
}

// A crash, a broken connection or an answer that never came leave a message
// that nobody noted: it is found, not posted again.
func TestMessageIsNotPostedTwice(t *testing.T) {
	for name, f := range map[string]fault{
		"connection cut after the post": {cut: true, after: true},
		"502 after the post":            {http: 502, after: true},
		"internal_error after the post": {code: "internal_error", after: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.gate.put(pending("req_1"))
			b.ws.fail("chat.postMessage", f)
			if err := b.deliver(context.Background(), message("req_1", 1)); err == nil {
				t.Fatal("a lost answer is no success")
			}
			b.show("req_1", 2)
			if n := b.ws.count("chat.postMessage"); n != 1 {
				t.Fatalf("posted %d times", n)
			}
			if !b.ref("req_1").posted() {
				t.Error("the message was not found again")
			}
		})
	}
}

// The process is killed between Slack's answer and our note. Work that was
// merged meanwhile starts at attempt 1 again.
func TestMessageIsNotPostedTwiceAfterKill(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	at := b.ref("req_1")
	if err := b.remember(context.Background(), gatekeeper.WorkMessage, "req_1", reference{Channel: "C0DEPLOYS", Posting: true}); err != nil {
		t.Fatal(err)
	}
	b.show("req_1", 1)
	if n := b.ws.count("chat.postMessage"); n != 1 {
		t.Fatalf("posted %d times", n)
	}
	if got := b.ref("req_1"); got.TS != at.TS || got.Posting {
		t.Errorf("found %+v, want %s", got, at.TS)
	}
}

func TestMessageIsPostedOnceWhenSlackIsBack(t *testing.T) {
	b := newBench(t)
	b.gate.put(pending("req_1"))
	down := []fault{{http: 503}, {cut: true}, {code: "channel_not_found"}, {retry: "7"}, {http: 500}}
	b.ws.fail("chat.postMessage", down...)
	for attempt := range down {
		b.now = b.now.Add(time.Minute)
		if err := b.deliver(context.Background(), message("req_1", attempt+1)); err == nil {
			t.Fatalf("attempt %d: Slack is down, yet delivered", attempt+1)
		}
	}
	b.now = b.now.Add(time.Minute)
	b.show("req_1", len(down)+1)
	if len(b.ws.posts) != 1 {
		t.Errorf("%d messages in the channel", len(b.ws.posts))
	}
}

func TestMessageOfStorageThatFailsIsFoundAgain(t *testing.T) {
	b := newBench(t)
	b.gate.put(pending("req_1"))
	b.mem.down = errors.New("disk full")
	if err := b.deliver(context.Background(), message("req_1", 1)); err == nil || b.ws.count("chat.postMessage") != 0 {
		t.Fatalf("posted without a note that it is about to: %v", err)
	}
}

func TestMessageNotForEverybody(t *testing.T) {
	for name, change := range map[string]func(*gatekeeper.Request){
		"approval none": func(r *gatekeeper.Request) { r.Rule.Approval.None, r.State = true, gatekeeper.Approved },
		"over before":   func(r *gatekeeper.Request) { r.State = gatekeeper.Expired },
		"canceled":      func(r *gatekeeper.Request) { r.State = gatekeeper.Canceled },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.open("req_1", change)
			if n := b.ws.count("chat.postMessage"); n != 0 {
				t.Errorf("posted %d times", n)
			}
		})
	}
	b := newBench(t)
	if err := b.deliver(context.Background(), message("req_gone", 1)); err != nil {
		t.Errorf("an unknown request is tried for ever: %v", err)
	}
}

func TestDeletedMessageIsPostedAgainWhilePending(t *testing.T) {
	b := newBench(t)
	r := b.open("req_1")
	b.ws.fail("chat.update", fault{code: "message_not_found"}, fault{code: "message_not_found"})
	r.Reason = "changed"
	b.gate.put(r)
	b.show("req_1", 1)
	if n := b.ws.count("chat.postMessage"); n != 2 {
		t.Fatalf("%d posts, want the second one for the deleted message", n)
	}
	r.State = gatekeeper.Canceled
	b.gate.put(r)
	b.show("req_1", 1)
	if n := b.ws.count("chat.postMessage"); n != 2 {
		t.Errorf("a final request was posted anew")
	}
}

// Threats row 29.
func TestTooLongMessageIsSentShorter(t *testing.T) {
	b := newBench(t)
	b.ws.fail("chat.postMessage", fault{code: "msg_blocks_too_long"})
	b.open("req_1", func(r *gatekeeper.Request) { r.Reason = strings.Repeat("long ", 300) })
	form := b.ws.last(t, "chat.postMessage").form
	if b.ws.count("chat.postMessage") != 2 || strings.Count(form.Get("blocks"), "long") > 50 || !strings.Contains(form.Get("blocks"), actionApprove) {
		t.Errorf("not a shorter form: %s", form.Get("blocks"))
	}
	b.show("req_1", 1)
	if n := b.ws.count("chat.update"); n != 0 {
		t.Errorf("the short form is updated again and again: %d", n)
	}
}

// Threats row 29.
func TestRetryAfterIsObeyed(t *testing.T) {
	b := newBench(t)
	b.gate.put(pending("req_1"))
	b.gate.put(pending("req_2"))
	b.ws.fail("chat.postMessage", fault{retry: "30"})
	err := b.deliver(context.Background(), message("req_1", 1))
	var coded *gatekeeper.Error
	if !errors.As(err, &coded) || coded.RetryAfter != 30*time.Second || coded.Code != gatekeeper.CodeSlowDown {
		t.Fatalf("got %v, want Retry-After of 30 s", err)
	}
	b.now = b.now.Add(10 * time.Second)
	err = b.deliver(context.Background(), message("req_2", 1))
	if !errors.As(err, &coded) || coded.RetryAfter != 20*time.Second {
		t.Fatalf("got %v, want 20 s more", err)
	}
	if n := b.ws.count("chat.postMessage"); n != 1 {
		t.Errorf("Slack was asked %d times", n)
	}
	b.now = b.now.Add(20 * time.Second)
	b.show("req_2", 2)
}

// Threats row 29: one message a second a channel.
func TestChannelIsNotFlooded(t *testing.T) {
	b := newBench(t)
	var waits int
	for i := range 8 {
		id := "req_" + string(rune('a'+i))
		b.gate.put(pending(id))
		var coded *gatekeeper.Error
		if err := b.deliver(context.Background(), message(id, 1)); errors.As(err, &coded) {
			waits++
			if want := time.Duration(waits) * time.Second; coded.RetryAfter != want {
				t.Errorf("waits %s, and its turn is in %s", coded.RetryAfter, want)
			}
		}
	}
	if posted := b.ws.count("chat.postMessage"); posted != burst || waits != 8-burst {
		t.Errorf("%d posted at once, %d wait", posted, waits)
	}
	if err := b.deliver(context.Background(), message("req_h", 2)); err == nil {
		t.Error("came early, and went before others")
	}
	b.now = b.now.Add(time.Duration(waits) * time.Second)
	b.show("req_h", 3)
	r := pending("req_elsewhere")
	r.Rule.Notify.Channel = "C0OTHER"
	b.gate.put(r)
	b.show("req_elsewhere", 1)
}

func TestOperatorIsToldInWords(t *testing.T) {
	for f, want := range map[fault]string{
		{code: "channel_not_found"}:   "invite the app",
		{code: "not_in_channel"}:      "/invite",
		{code: "is_archived"}:         "archived",
		{code: "token_revoked"}:       "install the app again",
		{code: "invalid_auth"}:        "slack.bot_token",
		{code: "missing_scope"}:       "gatekeeper slack manifest",
		{code: "some_new_error"}:      "some_new_error",
		{http: 503}:                   "HTTP 503",
		{cut: true}:                   "cannot be reached",
		{retry: "2"}:                  "slow down",
		{code: "restricted_action"}:   "posting permissions",
		{code: "invalid_blocks"}:      "malformed",
		{http: 307}:                   "HTTP 307", // a redirect would take the token elsewhere
		{code: "internal_error"}:      "internal_error",
		{code: "ekm_access_denied"}:   "administrators",
		{code: "ratelimited"}:         "slow down",
		{code: "account_inactive"}:    "bot token",
		{code: "no_such_subteam"}:     "user group",
		{code: "service_unavailable"}: "service_unavailable",
	} {
		b := newBench(t)
		b.gate.put(pending("req_1"))
		b.ws.fail("chat.postMessage", f)
		err := b.deliver(context.Background(), message("req_1", 1))
		var coded *gatekeeper.Error
		if !errors.As(err, &coded) || !strings.Contains(coded.Description, want) {
			t.Errorf("%+v: %v, want %q in it", f, err, want)
		}
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("%+v: the log does not say %q", f, want)
		}
	}
}

func TestRuleWithoutChannelIsTold(t *testing.T) {
	b := newBench(t, func(o *Options) { o.DefaultChannel = "" })
	b.gate.put(pending("req_1"))
	if err := b.deliver(context.Background(), message("req_1", 1)); err == nil || !strings.Contains(err.Error(), "payments-production") {
		t.Errorf("got %v", err)
	}
}

func TestMetadataOfAnotherAppIsNotTaken(t *testing.T) {
	b := newBench(t)
	if _, err := b.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.ws.posts = append(b.ws.posts, map[string]any{"ts": "1772445600.000001", "channel": "C0DEPLOYS", "bot_id": "B0EVIL",
		"metadata": map[string]any{"event_type": EventType, "event_payload": map[string]any{"request_id": "req_1"}}})
	b.gate.put(pending("req_1"))
	b.ws.fail("chat.postMessage", fault{cut: true})
	_ = b.deliver(context.Background(), message("req_1", 1))
	b.show("req_1", 2)
	if f := b.ref("req_1"); f.TS == "1772445600.000001" || b.ws.count("chat.postMessage") != 2 {
		t.Errorf("took another app's message: %+v", f)
	}
}

func TestMessageShowsContextWhereThereIsSome(t *testing.T) {
	answer, fails := Context{Title: "Round refunds"}, error(nil)
	b := newBench(t, func(o *Options) {
		o.Context = func(context.Context, gatekeeper.Request) (Context, error) { return answer, fails }
	})
	b.open("req_1")
	if !strings.Contains(b.ws.last(t, "chat.postMessage").form.Get("blocks"), "Round refunds") {
		t.Error("the title is not shown")
	}
	fails = errors.New("GitHub is down")
	b.open("req_2")
	if n := len(b.ws.posts); n != 2 {
		t.Errorf("%d posts: people have to be asked without GitHub, too", n)
	}
}
