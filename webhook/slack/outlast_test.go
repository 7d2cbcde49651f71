package slack

import (
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// everyWork is each kind of work that posts, with what has to be there first.
func everyWork() map[string]func(*bench) string {
	told := func(b *bench, r gatekeeper.Request) string {
		b.gate.put(pending("req_1"))
		b.must(gatekeeper.WorkMessage, "req_1")
		b.gate.put(r)
		return "req_1"
	}
	return map[string]func(*bench) string{
		gatekeeper.WorkMessage: func(b *bench) string { b.gate.put(pending("req_1")); return "req_1" },
		gatekeeper.WorkDigest:  func(b *bench) string { b.gate.put(collected("req_1")); return "C0DEPLOYS" },
		gatekeeper.WorkRemind: func(b *bench) string {
			r := pending("req_1")
			r.Rule.Notify.RemindAfter = time.Minute
			return told(b, r)
		},
		gatekeeper.WorkEscalate: func(b *bench) string {
			r := pending("req_1")
			r.Rule.Notify.EscalateAfter, r.Rule.Notify.EscalateTo = time.Minute, []gatekeeper.Approver{"slack:S0ONCALL"}
			return told(b, r)
		},
		gatekeeper.WorkThread: func(b *bench) string {
			r := approved()
			r.Redemptions = []gatekeeper.Redemption{{ID: "red_1", Job: "job:1", Credential: "deploy", State: gatekeeper.RedemptionSucceeded, At: start()}}
			return told(b, r)
		},
		gatekeeper.WorkDirect: func(b *bench) string { b.gate.put(approved()); return "req_1" },
		gatekeeper.WorkBreakGlass: func(b *bench) string {
			r := approved()
			r.BrokenGlass, r.BreakGlass = true, &gatekeeper.BreakGlass{Channel: "C0SECURITY"}
			b.gate.put(r)
			return "req_1"
		},
	}
}

// Whatever Slack does to a post, the work comes back, is done in the end and
// once, and the operator reads what was wrong until it is not.
func TestEveryKindOfWorkOutlastsSlack(t *testing.T) {
	for name, f := range map[string]slackbox.Fault{
		"down":               {Status: 503},
		"cut before":         {Reset: true},
		"cut after":          {Reset: true, After: true},
		"5xx after the post": {Status: 502, After: true},
		"429":                {Status: 429, RetryAfter: 7},
		"ratelimited":        {Error: "ratelimited"},
		"channel_not_found":  {Error: "channel_not_found"},
		"not_in_channel":     {Error: "not_in_channel"},
		"token_revoked":      {Error: "token_revoked"},
		"too long":           {Error: "msg_blocks_too_long", Times: 2},
		"internal_error":     {Error: "internal_error", After: true},
	} {
		for kind, prepare := range everyWork() {
			t.Run(name+"/"+kind, func(t *testing.T) {
				b, box := sandboxed(t, slackbox.Options{NoRateLimits: true})
				key := prepare(b)
				before := len(box.Messages(""))
				f.Method = "chat.postMessage"
				box.Fail(f)
				b.now = b.now.Add(10 * time.Second)
				err := b.do(kind, key)
				gaveUp := kind == gatekeeper.WorkDirect && strings.HasPrefix(f.Error, "channel_")
				if err == nil && !gaveUp {
					t.Fatal("a failure is no success")
				}
				if faults := b.Faults(); len(faults) != 1 || faults[0].What == "" {
					t.Errorf("the operator reads %+v", faults)
				}
				for range 2 {
					b.now = b.now.Add(time.Minute)
					b.must(kind, key)
				}
				if n := len(box.Messages("")) - before; n != 1 {
					t.Errorf("posted %d times", n)
				}
				if faults := b.Faults(); len(faults) != 0 {
					t.Errorf("it works again, and the operator reads %+v", faults)
				}
			})
		}
	}
}

// Three seconds for each call are slow, and everything still counts: the
// person is looked up, the form opens, the message follows.
func TestSlowSlack(t *testing.T) {
	if lookTime < 6*time.Second || callTimeout < 6*time.Second {
		t.Errorf("a look at a person has %s, a call %s: two slow calls do not fit", lookTime, callTimeout)
	}
	b, box := sandboxed(t, slackbox.Options{})
	b.open("req_1")
	box.Fail(slackbox.Fault{Method: "views.open", Delay: slackbox.Duration(triggerTime + 200*time.Millisecond)})
	press(t, b, box, "U0BOB", actionDeny)
	if _, open := box.Modal("U0BOB"); !open || strings.Contains(whispered(box, "U0BOB"), "could not be opened") {
		t.Errorf("the form opened late: %v, and Bob is told %q", open, whispered(box, "U0BOB"))
	}
}
