package slack

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// do runs one piece of work as a queue would.
func (b *bench) do(kind, id string) error {
	return b.Handlers()[kind](context.Background(), gatekeeper.Work{Kind: kind, Key: id, Attempt: 1})
}

// must is do where it has to work.
func (b *bench) must(kind, id string) {
	b.t.Helper()
	b.now = b.now.Add(10 * time.Second) // the channel's next turns
	if err := b.do(kind, id); err != nil {
		b.t.Fatalf("%s %s: %v", kind, id, err)
	}
}

// in are the answers in the thread of the request's message.
func in(box *slackbox.Workspace, m slackbox.Message) []slackbox.Message {
	return slices.DeleteFunc(box.Messages(m.Channel), func(r slackbox.Message) bool { return r.ThreadTS != m.TS || r.Ephemeral != "" })
}

func insistent(r *gatekeeper.Request) {
	r.Rule.Approval.Groups = []gatekeeper.Group{
		{Name: "release", Approvers: []gatekeeper.Approver{"slack:S0RELEASE"}, Quorum: 1},
		{Name: "security", Approvers: []gatekeeper.Approver{"slack:U0SAM", "slack:U0BOB", "github:acme/sec"}, Quorum: 2},
	}
	r.Rule.Notify.RemindAfter, r.Rule.Notify.EscalateAfter = 10*time.Minute, 20*time.Minute
	r.Rule.Notify.EscalateTo = []gatekeeper.Approver{"slack:S0ONCALL", "slack:U0EVE"}
}

// A reminder is one message in the thread; it names the groups that are
// missing and nobody who voted. An escalation is shown in the channel and told
// to single people. Both say when they are settled, without a ping.
func TestRemindersAndEscalations(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{NoRateLimits: true})
	b.open("req_1", insistent)
	m := asked(box, "req_1")[0]
	r := b.gate.requests["req_1"]
	v := vote("U0BOB", "Bob", gatekeeper.Approve, time.Minute)
	v.As = []gatekeeper.Approver{"slack:S0RELEASE", "slack:U0BOB"}
	r.Votes = []gatekeeper.Vote{v}
	b.gate.put(r)
	for range 2 {
		b.must(gatekeeper.WorkRemind, "req_1")
		b.must(gatekeeper.WorkEscalate, "req_1")
	}
	thread := in(box, m)
	if len(thread) != 2 || thread[0].Broadcast || !thread[1].Broadcast {
		t.Fatalf("%d messages in the thread", len(thread))
	}
	if words := thread[0].Words(); !strings.Contains(words, "2 more of <@U0SAM>, acme/sec") || strings.Contains(words, "S0RELEASE") || strings.Contains(words, "U0BOB") {
		t.Errorf("the reminder says %s", words)
	}
	if words := thread[1].Words(); !strings.Contains(words, "Escalated to <!subteam^S0ONCALL>, <@U0EVE>") || strings.Contains(words, "<@U0SAM>") {
		t.Errorf("the escalation says %s", words)
	}
	if direct := box.Direct("U0EVE"); len(direct) != 1 || !strings.Contains(direct[0].Words(), "acme/payments → production") {
		t.Fatalf("Eve is told %+v", direct)
	}
	if press(t, b, box, "U0EVE", actionApprove); b.state("req_1") != gatekeeper.Pending || len(b.gate.requests["req_1"].Votes) != 1 {
		t.Error("an escalation lets somebody approve who could not before")
	}
	r.State, r.DecidedAt = gatekeeper.Approved, start().Add(30*time.Minute)
	b.gate.put(r)
	for range 2 {
		b.must(gatekeeper.WorkThread, "req_1")
	}
	thread = in(box, m)
	if len(thread) != 3 || !strings.Contains(thread[2].Words(), "Approved by <@U0BOB>. Nobody is needed") {
		t.Fatalf("those who were asked are not told: %d messages", len(thread))
	}
	for _, ping := range append(thread[:2], box.Direct("U0EVE")...) {
		if words := ping.Words(); !strings.Contains(words, "Settled") || strings.Contains(words, "subteam") {
			t.Errorf("left behind: %s", words)
		}
	}
}

// Nobody is pinged for what is over, nor about what they were never shown.
func TestNoPingWithoutNeed(t *testing.T) {
	for _, s := range []gatekeeper.State{gatekeeper.Approved, gatekeeper.Denied, gatekeeper.Expired, gatekeeper.Canceled, gatekeeper.Superseded} {
		b, box := sandboxed(t, slackbox.Options{})
		r := b.open("req_1", insistent)
		r.State = s
		b.gate.put(r)
		b.must(gatekeeper.WorkRemind, "req_1")
		b.must(gatekeeper.WorkEscalate, "req_1")
		b.must(gatekeeper.WorkThread, "req_1")
		if n := len(box.Messages("")); n != 1 {
			t.Errorf("%s: %d messages", s, n)
		}
	}
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a", insistent))
	b.must(gatekeeper.WorkRemind, "req_a")
	queued := b.mem.queued(gatekeeper.WorkRemind)
	if len(box.Messages("")) != 0 || len(queued) != 1 || !queued[0].RunAt.Equal(b.now.Add(10*time.Minute)) {
		t.Errorf("reminded of what nobody was asked yet: %+v", queued)
	}
}

// A newer run replaces the request: what pinged people says so, and that is
// all.
func TestSupersededIsQuiet(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	r := b.open("req_1", insistent)
	b.must(gatekeeper.WorkRemind, "req_1")
	before := len(box.Messages(""))
	r.State, r.DecidedAt = gatekeeper.Superseded, start().Add(30*time.Minute)
	b.gate.put(r)
	b.show("req_1", 1)
	b.must(gatekeeper.WorkThread, "req_1")
	b.must(gatekeeper.WorkDirect, "req_1")
	if n := len(box.Messages("")); n != before {
		t.Errorf("%d messages more", n-before)
	}
	if words := in(box, asked(box, "req_1")[0])[0].Words(); !strings.Contains(words, "Settled") {
		t.Errorf("the reminder still says %s", words)
	}
}

// Who asked is told how it ended, once, and not of what they did themselves.
func TestWhoAskedIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gatekeeper.Request)
		want   string
	}{
		"approved": {func(r *gatekeeper.Request) { *r = approved() }, "Approved"},
		"expired":  {func(r *gatekeeper.Request) { r.State = gatekeeper.Expired }, "Expired"},
		"canceled": {func(r *gatekeeper.Request) { r.State = gatekeeper.Canceled }, ""},
		"a bot's": {func(r *gatekeeper.Request) {
			r.State, r.Workload.Actor, r.Initiators.People = gatekeeper.Denied, "dependabot[bot]", nil
		}, ""},
		"a denial": {func(r *gatekeeper.Request) {
			r.State, r.DenyReason, r.Votes = gatekeeper.Denied, "Not <!channel> *now*", []gatekeeper.Vote{vote("U0CAROL", "Carol", gatekeeper.Deny, time.Minute)}
		}, "Not <!channel> *now*"},
		"their own denial": {func(r *gatekeeper.Request) {
			r.State, r.Votes = gatekeeper.Denied, []gatekeeper.Vote{vote("U0ALICE", "Alice", gatekeeper.Deny, time.Minute)}
		}, ""},
		"long ago": {func(r *gatekeeper.Request) { r.State, r.DecidedAt = gatekeeper.Expired, start().Add(-48*time.Hour) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, box := sandboxed(t, slackbox.Options{})
			r := pending("req_1")
			r.DecidedAt = start()
			c.change(&r)
			b.gate.put(r)
			b.must(gatekeeper.WorkDirect, "req_1")
			b.must(gatekeeper.WorkDirect, "req_1")
			direct := box.Direct("U0ALICE")
			if c.want == "" {
				if len(direct) != 0 {
					t.Errorf("told %s", direct[0].Words())
				}
				return
			}
			if len(direct) != 1 || !strings.Contains(direct[0].Words(), c.want) {
				t.Fatalf("told %+v", direct)
			}
		})
	}
}

// A direct message that reaches nobody is told to the operator, and is not
// tried for ever; one whose answer is lost is found again.
func TestDirectMessagesThatFail(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(approved())
	box.SetScopes("chat:write", "users:read")
	b.must(gatekeeper.WorkDirect, "req_1")
	if !strings.Contains(b.log.String(), "gatekeeper slack manifest") || len(b.Faults()) == 0 {
		t.Errorf("the operator is not told: %s", b.log)
	}
	b, box = sandboxed(t, slackbox.Options{})
	b.gate.put(approved())
	box.Fail(slackbox.Fault{Method: "chat.postMessage", Reset: true, After: true})
	if err := b.do(gatekeeper.WorkDirect, "req_1"); err == nil {
		t.Fatal("a lost answer is no success")
	}
	b.must(gatekeeper.WorkDirect, "req_1")
	if n := len(box.Direct("U0ALICE")); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// What became of the approval is told where it was asked: one answer for each
// job, brought up to date.
func TestThreadTellsWhatBecameOfIt(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.open("req_1")
	r := approved()
	at := start().Add(5 * time.Minute)
	r.Redemptions = []gatekeeper.Redemption{
		{ID: "red_1", Job: "job:501", Credential: "deploy", State: gatekeeper.RedemptionFailed, Detail: "AccessDenied <!here>", At: at},
		{ID: "red_2", Job: "job:501", Credential: "registry", State: gatekeeper.RedemptionIntended, At: at},
		{ID: "red_3", Job: "job:502", Credential: "deploy", State: gatekeeper.RedemptionUnknown, At: at},
	}
	b.gate.put(r)
	b.must(gatekeeper.WorkThread, "req_1")
	thread := in(box, asked(box, "req_1")[0])
	if len(thread) != 2 || !strings.Contains(thread[0].Words(), "refused credentials: deploy (AccessDenied &lt;!here&gt;)") || !strings.Contains(thread[1].Words(), "unknown") {
		t.Fatalf("%d answers: %s", len(thread), thread[0].Words())
	}
	r.Redemptions[1].State = gatekeeper.RedemptionSucceeded
	r.Redemptions = append(r.Redemptions, gatekeeper.Redemption{ID: "red_4", Job: "job:501", Credential: "deploy", State: gatekeeper.RedemptionSucceeded, At: at})
	b.gate.put(r)
	b.must(gatekeeper.WorkThread, "req_1")
	thread = in(box, asked(box, "req_1")[0])
	if words := thread[0].Words(); len(thread) != 2 || !strings.Contains(words, "taken: deploy") || !strings.Contains(words, "taken: registry") || strings.Contains(words, "refused") {
		t.Errorf("%d answers: %s", len(thread), words)
	}
}

// Several requests of one run are one conversation, and the channel shows each.
func TestRequestsOfOneRunShareAThread(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{NoRateLimits: true})
	for _, id := range []string{"req_1", "req_2", "req_3"} {
		b.now = b.now.Add(10 * time.Second)
		b.open(id, func(r *gatekeeper.Request) { r.Workload.RunID = "7001" })
	}
	b.now = b.now.Add(10 * time.Second)
	b.open("req_other")
	first := asked(box, "req_1")[0]
	for _, id := range []string{"req_2", "req_3"} {
		if m := asked(box, id)[0]; m.ThreadTS != first.TS || !m.Broadcast {
			t.Errorf("%s is in thread %q, shown in the channel: %v", id, m.ThreadTS, m.Broadcast)
		}
	}
	if asked(box, "req_other")[0].ThreadTS != "" {
		t.Error("another run's request is in the thread")
	}
	if d, err := box.Click(context.Background(), slackbox.Click{User: "U0BOB", ActionID: actionApprove, Value: "req_3"}); err != nil || !d.Acked() {
		t.Fatal(d, err)
	}
	b.settle(3)
	b.show("req_3", 1)
	if b.state("req_3") != gatekeeper.Approved || !strings.Contains(asked(box, "req_3")[0].Text, "Approved") {
		t.Errorf("a button in the thread: %s", b.state("req_3"))
	}
	box.Fail(slackbox.Fault{Method: "chat.postMessage", Reset: true, After: true})
	b.gate.put(func() gatekeeper.Request { r := pending("req_4"); r.Workload.RunID = "7001"; return r }())
	if err := b.deliver(context.Background(), message("req_4", 1)); err == nil {
		t.Fatal("a lost answer is no success")
	}
	b.show("req_4", 2)
	if n := len(asked(box, "req_4")); n != 1 {
		t.Errorf("posted %d times in the thread", n)
	}
}

// An emergency is said aloud where the rules say, once, with who and why.
func TestBreakGlassInTheSandbox(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.open("req_1", func(r *gatekeeper.Request) {
		r.Rule.Approval.Groups[0].Quorum = 2
		r.BreakGlass = &gatekeeper.BreakGlass{Group: gatekeeper.Group{Name: "break-glass", Approvers: []gatekeeper.Approver{"slack:S0ONCALL"}, Quorum: 1}, Channel: "C0SECURITY"}
	})
	press(t, b, box, "U0CAROL", actionBreakGlass)
	form, open := box.Modal("U0CAROL")
	if !open || !strings.Contains(form.PrivateMetadata, `"break_glass":true`) || b.gate.votes != 0 {
		t.Fatalf("no form first: %+v, %d votes", form, b.gate.votes)
	}
	b.send(submission(b.AppID, "U0CAROL", form.ID, form.PrivateMetadata, "Checkout <!channel> is down"))
	b.settle(3)
	if r := b.gate.requests["req_1"]; r.State != gatekeeper.Approved || !r.BrokenGlass {
		t.Fatalf("%s, %s", r.State, whispered(box, "U0CAROL"))
	}
	for range 2 {
		b.must(gatekeeper.WorkBreakGlass, "req_1")
	}
	b.show("req_1", 1)
	loud := box.Messages("C0SECURITY")
	if len(loud) != 1 || !strings.Contains(loud[0].Words(), "<@U0CAROL>") || !strings.Contains(loud[0].Words(), "“Checkout <!channel> is down”") {
		t.Fatalf("said aloud %d times: %+v", len(loud), loud)
	}
	if strings.Contains(loud[0].Text, "<!channel>") {
		t.Error("the reason mentions everybody")
	}
	if m := asked(box, "req_1")[0]; !strings.Contains(m.Text, "break glass") || !strings.Contains(m.Words(), "broke the glass") {
		t.Errorf("the request's message does not say so: %s", m.Words())
	}
	quiet := pending("req_2")
	quiet.State, quiet.BrokenGlass, quiet.BreakGlass, quiet.Votes = gatekeeper.Approved, true, &gatekeeper.BreakGlass{}, approved().Votes
	b.gate.put(quiet)
	b.show("req_2", 1)
	b.must(gatekeeper.WorkBreakGlass, "req_2")
	if thread := in(box, asked(box, "req_2")[0]); len(thread) != 1 || !thread[0].Broadcast {
		t.Errorf("without a channel it is said in %d answers", len(thread))
	}
}

// Requests that nobody had to approve are told of only where a rule asks.
func TestAutoApproved(t *testing.T) {
	for _, want := range []bool{false, true} {
		b, box := sandboxed(t, slackbox.Options{})
		b.open("req_1", func(r *gatekeeper.Request) {
			r.Rule.Approval, r.Rule.Notify.AutoApproved = gatekeeper.Approval{None: true, StepUp: gatekeeper.StepUpNone}, want
			r.State = gatekeeper.Approved
		})
		if got := len(box.Messages("")) == 1; got != want {
			t.Errorf("auto_approved: %v, told: %v", want, got)
		}
	}
}

// Threats row 28: in digests, threads, direct messages and loud ones, too,
// strangers' text cannot mention, link or format.
func TestNaughtyStringsStayTextEverywhere(t *testing.T) {
	b, _ := sandboxed(t, slackbox.Options{NoRateLimits: true})
	for _, s := range append(naughty(), strings.Repeat("漢字😀*", 500)) {
		r, v := haunted(s)
		r.ID, r.Environment = "req_1", gatekeeper.Shorten(r.Environment, 255)
		r.Rule.Notify.RemindAfter, r.Rule.Notify.EscalateAfter, r.Rule.Notify.EscalateTo = 1, 1, []gatekeeper.Approver{"slack:S0ONCALL"}
		r.BreakGlass = &gatekeeper.BreakGlass{Channel: "C0SECURITY"}
		d := digest{ID: "dig_1", Channel: "C0DEPLOYS", Requests: []string{"req_1", "req_1"}}
		f := reference{Channel: "C0DEPLOYS", TS: "1.2", Digest: "dig_1"}
		var all []Message
		for _, state := range []gatekeeper.State{gatekeeper.Pending, gatekeeper.Approved, gatekeeper.Denied} {
			r.State, r.BrokenGlass = state, state == gatekeeper.Approved
			all = append(all, digestMessage(d, []item{{r, v}}, false), b.directCard(r, "U0ALICE").render(false), glassMessage(r, "https://g"))
			for _, c := range append(b.answers(r, f), b.pings(context.Background(), r, f)...) {
				all = append(all, c.render(false))
			}
		}
		for _, m := range all {
			within(t, m)
			harmless(t, m, s)
		}
	}
}
