package slack

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// collected is a pending request of a rule with urgency: digest.
func collected(id string, change ...func(*gatekeeper.Request)) gatekeeper.Request {
	r := pending(id)
	r.Rule.Notify.Digest, r.Rule.Notify.DigestEvery = true, 15*time.Minute
	r.Workload.Repository = "acme/" + strings.TrimPrefix(id, "req_")
	for _, f := range change {
		f(&r)
	}
	return r
}

func digestWork(attempt int) gatekeeper.Work {
	return gatekeeper.Work{Kind: gatekeeper.WorkDigest, Key: "C0DEPLOYS", Attempt: attempt}
}

// digest lets the digest of the channel go out, and follows it.
func (b *bench) digest(attempt int) {
	b.t.Helper()
	if err := b.sendDigest(context.Background(), digestWork(attempt)); err != nil {
		b.t.Fatal(err)
	}
	b.settle(3)
}

func digests(box *slackbox.Workspace) []slackbox.Message {
	var found []slackbox.Message
	for _, m := range box.Messages("C0DEPLOYS") {
		if m.Metadata != nil && m.Metadata.EventType == eventDigest {
			found = append(found, m)
		}
	}
	return found
}

func TestDigestListsWhatWasCollected(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	for _, id := range []string{"req_a", "req_b", "req_c"} {
		b.gate.put(collected(id))
		b.show(id, 1)
	}
	b.gate.put(pending("req_now"))
	b.gate.put(collected("req_elsewhere", func(r *gatekeeper.Request) { r.Rule.Notify.Channel = "C0PAYMENTS" }))
	b.gate.put(collected("req_frozen", func(r *gatekeeper.Request) { r.Freeze = "year-end" }))
	if n := len(box.Messages("C0DEPLOYS")); n != 0 {
		t.Fatalf("%d messages before the digest is due", n)
	}
	if err := b.sendDigest(context.Background(), gatekeeper.Work{Kind: gatekeeper.WorkDigest, Key: gatekeeper.DigestDefault, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	b.settle(3)
	all := digests(box)
	if len(all) != 1 || len(box.Messages("C0DEPLOYS")) != 1 {
		t.Fatalf("%d digests of %d messages", len(all), len(box.Messages("C0DEPLOYS")))
	}
	m := all[0]
	var approve []string
	for _, button := range m.Buttons() {
		if button.ActionID == actionApprove {
			approve = append(approve, button.Value)
		}
	}
	if got := strings.Join(approve, " "); got != "req_a req_b req_c" {
		t.Errorf("buttons for %s", got)
	}
	if _, ok := m.Button(actionApproveAll); !ok || !strings.Contains(m.Text, "3 requests") {
		t.Errorf("no Approve all: %s", m.Text)
	}
	b.digest(1)
	if n := len(digests(box)); n != 1 {
		t.Errorf("what was shown is collected again: %d digests", n)
	}
}

// One button of a digest is as good as the one of a message of its own, and
// the digest follows what happens.
func TestDigestFollowsItsRequests(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a"))
	b.gate.put(collected("req_b"))
	b.digest(1)
	if d, err := box.Click(context.Background(), slackbox.Click{User: "U0BOB", ActionID: actionApprove, Value: "req_b"}); err != nil || !d.Acked() {
		t.Fatal(d, err)
	}
	b.settle(3)
	if b.state("req_b") != gatekeeper.Approved || b.state("req_a") != gatekeeper.Pending {
		t.Fatalf("a is %s, b is %s: %s", b.state("req_a"), b.state("req_b"), whispered(box, "U0BOB"))
	}
	b.show("req_b", 1)
	b.settle(3)
	m := digests(box)[0]
	if !strings.Contains(m.Words(), "Approved by <@U0BOB>") || !strings.Contains(m.Text, "1 of 2 requests") {
		t.Errorf("the digest says %s", m.Words())
	}
	if _, ok := m.Button(actionApproveAll); ok {
		t.Error("Approve all for one request")
	}
	if d, err := box.Click(context.Background(), slackbox.Click{User: "U0CAROL", ActionID: actionRevoke, Value: "req_b"}); err != nil || !d.Acked() {
		t.Fatal(d, err)
	}
	b.settle(3)
	if b.state("req_b") != gatekeeper.Revoked {
		t.Errorf("b is %s", b.state("req_b"))
	}
}

// Each vote of Approve all is one on its request, and counts only where the
// person may (contract 6, threats row 25); they are told which counted.
func TestApproveAll(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a"))
	b.gate.put(collected("req_b", func(r *gatekeeper.Request) {
		r.Initiators.People = []gatekeeper.Account{{Login: "bob"}}
		r.Workload.Actor = "bob"
	}))
	b.gate.put(collected("req_c", func(r *gatekeeper.Request) {
		r.Rule.Approval.Groups[0].Approvers = []gatekeeper.Approver{"slack:S0SEC"}
	}))
	b.gate.put(collected("req_d", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 }))
	b.digest(1)
	d, err := box.Click(context.Background(), slackbox.Click{User: "U0BOB", ActionID: actionApproveAll})
	if err != nil || !d.Acked() {
		t.Fatal(d, err)
	}
	b.settle(3)
	for id, want := range map[string]gatekeeper.State{"req_a": gatekeeper.Approved, "req_b": gatekeeper.Pending, "req_c": gatekeeper.Pending, "req_d": gatekeeper.Pending} {
		if got := b.state(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	told := whispered(box, "U0BOB")
	for _, want := range []string{"counts on 2 of 4", "✓ acme/a", "✗ acme/b", "you started this run", "✗ acme/c", "not among the approvers", "✓ acme/d"} {
		if !strings.Contains(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	}
	votes := b.gate.votes
	for range 2 { // Slack's retries, byte for byte
		if again := box.Redeliver(context.Background(), d); !again.Acked() {
			t.Errorf("%+v", again)
		}
		b.settle(3)
	}
	if b.gate.votes != votes {
		t.Errorf("a retry voted %d times more", b.gate.votes-votes)
	}
	if len(b.gate.requests["req_d"].ApprovedBy()) != 1 {
		t.Errorf("votes on d: %+v", b.gate.requests["req_d"].Votes)
	}
}

// Killed in the middle of Approve all: nothing counts, or is refused, twice.
func TestApproveAllGoesOnAfterAStop(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	for _, id := range []string{"req_a", "req_b", "req_c"} {
		b.gate.put(collected(id, func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 }))
	}
	b.digest(1)
	m := digests(box)[0]
	c := click{Digest: m.Metadata.EventPayload["digest_id"].(string), Choice: gatekeeper.Approve, Via: viaDigest, Channel: m.Channel, TS: m.TS,
		Person: gatekeeper.Person{Slack: "U0BOB", Team: slackbox.TeamID}, Once: "1", At: b.now}
	if _, err := b.countOne(context.Background(), "key", "req_a", c, false); err != nil {
		t.Fatal(err)
	}
	told, err := b.countAll(context.Background(), "key", c, true)
	if err != nil || !strings.Contains(told.text, "counts on 3 of 3") || b.gate.votes != 3 {
		t.Errorf("%v: %q after %d votes", err, told.text, b.gate.votes)
	}
}

// A forged value, or a click on another message (threats row 26).
func TestApproveAllOfAnotherMessage(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a"))
	b.gate.put(collected("req_b"))
	b.digest(1)
	b.open("req_1")
	id := digests(box)[0].Metadata.EventPayload["digest_id"].(string)
	for _, c := range []click{
		{Digest: "dig_unknown", Channel: "C0DEPLOYS", TS: digests(box)[0].TS},
		{Digest: id, Channel: "C0DEPLOYS", TS: asked(box, "req_1")[0].TS},
	} {
		c.Choice, c.Via, c.Person, c.At = gatekeeper.Approve, viaDigest, gatekeeper.Person{Slack: "U0BOB", Team: slackbox.TeamID}, b.now
		if told, err := b.countAll(context.Background(), "key", c, false); err != nil || !strings.Contains(told.text, "nothing that you could approve") {
			t.Errorf("%v %q", err, told.text)
		}
	}
	if b.gate.votes != 0 || len(b.mem.events) != 2 {
		t.Errorf("%d votes, %d refusals recorded", b.gate.votes, len(b.mem.events))
	}
}

// More than one message holds goes out at once in another one.
func TestLargeDigests(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{NoRateLimits: true})
	long := strings.Repeat("漢字😀*", 300)
	for i := range 2*maxListed + 3 {
		b.gate.put(collected(fmt.Sprintf("req_%02d", i), func(r *gatekeeper.Request) {
			r.Reason, r.Workload.Ref, r.Workload.Actor, r.Workload.Repository, r.Rule.Name, r.Environment = long, long, long, "acme/"+long, long, strings.Repeat("e", 255)
		}))
	}
	b.digest(1)
	all := digests(box)
	if len(all) != 3 || len(b.mem.queued(gatekeeper.WorkDigest)) != 0 {
		t.Fatalf("%d digests: %s", len(all), b.log)
	}
	for _, c := range box.Calls() {
		if c.Error != "" && c.Error != "msg_blocks_too_long" { // which is answered by a shorter form
			t.Errorf("%s: %s", c.Method, c.Error)
		}
	}
}

// A crash at any point between the first note and the last leaves one digest,
// and its buttons work (threats row 27).
func TestDigestIsNotPostedTwice(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a"))
	b.gate.put(collected("req_b"))
	box.Fail(slackbox.Fault{Method: "chat.postMessage", Reset: true, After: true})
	if err := b.sendDigest(context.Background(), digestWork(1)); err == nil {
		t.Fatal("a lost answer is no success")
	}
	b.gate.put(collected("req_c")) // it waits for the next one
	if d, err := box.Click(context.Background(), slackbox.Click{User: "U0BOB", ActionID: actionApprove, Value: "req_a"}); err != nil || !d.Acked() {
		t.Fatal(d, err)
	}
	b.settle(3)
	if b.state("req_a") != gatekeeper.Approved {
		t.Errorf("a click before the note: %s, %s", b.state("req_a"), whispered(box, "U0BOB"))
	}
	b.digest(2)
	if n := len(digests(box)); n != 1 {
		t.Fatalf("%d digests", n)
	}
	if f := b.ref("req_b"); !f.posted() || f.Digest == "" {
		t.Errorf("where b is shown is not noted: %+v", f)
	}
	if m := digests(box)[0]; !strings.Contains(m.Words(), "Approved by <@U0BOB>") {
		t.Errorf("the digest does not follow: %s", m.Words())
	}
	b.digest(1)
	if all := digests(box); len(all) != 2 || !strings.Contains(all[1].Words(), "acme/c") {
		t.Errorf("%d digests", len(all))
	}
}

func TestDigestThatIsDeletedIsPostedAgain(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a"))
	b.digest(1)
	box.DeleteMessage("C0DEPLOYS", digests(box)[0].TS)
	r := b.gate.requests["req_a"]
	r.Reason = "changed"
	b.gate.put(r)
	b.show("req_a", 1)
	b.settle(3)
	all := digests(box)
	if last := all[len(all)-1]; len(all) != 2 || b.ref("req_a").TS != last.TS {
		t.Fatalf("%d digests, and its button is looked for at %s", len(all), b.ref("req_a").TS)
	}
}

// Everything was decided elsewhere before Slack was back: nobody is asked.
func TestDigestOfNothingIsNotSent(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(collected("req_a"))
	box.Fail(slackbox.Fault{Method: "chat.postMessage", Status: 503})
	if err := b.sendDigest(context.Background(), digestWork(1)); err == nil {
		t.Fatal("Slack is down, yet sent")
	}
	r := b.gate.requests["req_a"]
	r.State = gatekeeper.Canceled
	b.gate.put(r)
	b.digest(2)
	b.gate.put(collected("req_b"))
	b.digest(1)
	if all := digests(box); len(all) != 1 || strings.Contains(all[0].Words(), "acme/a") {
		t.Errorf("%d digests", len(all))
	}
}
