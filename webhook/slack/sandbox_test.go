package slack

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// sandboxed is a bench whose Slack enforces the vendor's limits and scopes,
// with a token that has no more than the manifest asks for.
func sandboxed(t *testing.T, o slackbox.Options) (*bench, *slackbox.Workspace) {
	t.Helper()
	return sandboxedWith(t, o, func(*Options) {})
}

func sandboxedWith(t *testing.T, o slackbox.Options, change func(*Options)) (*bench, *slackbox.Workspace) {
	t.Helper()
	o.Clock, o.Scopes = start, Scopes()
	box, err := slackbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	b := newBench(t, func(o *Options) {
		o.APIURL, o.BotToken, o.SigningSecret, o.Team, o.AppID = box.APIURL(), slackbox.BotToken, slackbox.SigningSecret, slackbox.TeamID, slackbox.AppID
		change(o)
	})
	if b.gate.dir, err = NewDirectory(b.Options); err != nil {
		t.Fatal(err)
	}
	if id, err := b.Check(context.Background()); err != nil || len(id.Missing) > 0 {
		t.Fatalf("%+v %v", id, err)
	}
	server := httptest.NewServer(b.Interactions())
	t.Cleanup(server.Close)
	box.SetCallbacks(server.URL, "", "")
	return b, box
}

// asked are the messages of the channel that ask for the request.
func asked(box *slackbox.Workspace, id string) []slackbox.Message {
	var found []slackbox.Message
	for _, m := range box.Messages("C0DEPLOYS") {
		if m.Metadata != nil && m.Metadata.EventPayload["request_id"] == id {
			found = append(found, m)
		}
	}
	return found
}

func press(t *testing.T, b *bench, box *slackbox.Workspace, user, actionID string) {
	t.Helper()
	d, err := box.Click(context.Background(), slackbox.Click{User: user, Channel: "C0DEPLOYS", ActionID: actionID})
	if err != nil || !d.Acked() {
		t.Fatalf("%s: %+v %v", actionID, d, err)
	}
	if err := b.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.settle(3)
}

func whispered(box *slackbox.Workspace, user string) string {
	var all []string
	for _, m := range box.Messages("") {
		if m.Ephemeral == user {
			all = append(all, m.Text)
		}
	}
	return strings.Join(all, "\n")
}

func TestWholeWayInTheSandbox(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.gate.put(pending("req_1"))
	box.Fail(slackbox.Fault{Method: "chat.postMessage", Reset: true, After: true})
	if err := b.deliver(context.Background(), message("req_1", 1)); err == nil {
		t.Fatal("a lost answer is no success")
	}
	b.show("req_1", 2)
	if n := len(asked(box, "req_1")); n != 1 {
		t.Fatalf("%d messages", n)
	}
	for user, want := range map[string]string{
		"U0EVE": "not among the approvers", "U0ALICE": "you started this run", "U0BOB2": "not among the approvers", "U0FRANK": "deactivated",
		"U0DAVE": "guests", "U0MALLORY": "another workspace", "U0ROBOT": "bots",
	} {
		press(t, b, box, user, actionApprove)
		if got := whispered(box, user); b.state("req_1") != gatekeeper.Pending || !strings.Contains(got, want) && user != "U0FRANK" && user != "U0ROBOT" {
			t.Errorf("%s is told %q, want %q; %s", user, got, want, b.log)
		}
	}
	press(t, b, box, "U0CAROL", actionDeny)
	form, open := box.Modal("U0CAROL")
	if !open || form.CallbackID != formReason {
		t.Fatalf("no form: %+v", form)
	}
	answer := b.send(submission(b.AppID, "U0CAROL", form.ID, form.PrivateMetadata, "Not on a Friday"))
	if answer.Code != http.StatusOK || answer.Body.Len() != 0 {
		t.Fatalf("the form does not close: %d %s", answer.Code, answer.Body)
	}
	b.settle(3)
	b.show("req_1", 1)
	m := asked(box, "req_1")[0]
	if body := toJSON(t, m.Blocks); b.state("req_1") != gatekeeper.Denied || !strings.Contains(body, "Not on a Friday") || strings.Contains(body, actionDeny) {
		t.Errorf("%s: %s", b.state("req_1"), body)
	}
}

func TestApproveThenRevokeInTheSandbox(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.open("req_1")
	press(t, b, box, "U0BOB", actionApprove)
	b.show("req_1", 1)
	press(t, b, box, "U0CAROL", actionRevoke)
	b.show("req_1", 1)
	if got := b.state("req_1"); got != gatekeeper.Revoked || !strings.Contains(asked(box, "req_1")[0].Text, "Revoked") {
		t.Errorf("%s: %s", got, whispered(box, "U0CAROL"))
	}
	if len(box.Notices()) != 0 {
		t.Errorf("Slack complains: %+v", box.Notices())
	}
}

// A replayed delivery, byte for byte, changes nothing (threats row 21).
func TestReplayInTheSandbox(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{})
	b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
	press(t, b, box, "U0BOB", actionApprove)
	for range 3 {
		if d := box.Redeliver(context.Background(), box.Deliveries()[0]); !d.Acked() {
			t.Errorf("%+v", d)
		}
		b.settle(1)
	}
	if b.gate.votes != 1 {
		t.Errorf("%d votes reached the gate", b.gate.votes)
	}
}

// The stand-in holds every message to Block Kit's schema and to the limits
// (threats rows 28 and 29).
func TestSlackTakesEveryMessage(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{NoRateLimits: true})
	for name, m := range messages() {
		if _, _, err := b.api.PostMessageContext(context.Background(), "C0DEPLOYS", Render(m.r, m.v).options()...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := append(naughty(), strings.Repeat("漢字😀*", 500), "")
	for i, s := range long {
		for _, state := range []gatekeeper.State{gatekeeper.Pending, gatekeeper.Approved, gatekeeper.Denied} {
			r, v := haunted(s)
			r.ID, r.State, r.Environment = fmt.Sprintf("req_%d", i), state, gatekeeper.Shorten(r.Environment, 255)
			m := Render(r, v)
			_, ts, err := b.api.PostMessageContext(context.Background(), "C0DEPLOYS", m.options()...)
			if err == nil {
				_, _, _, err = b.api.UpdateMessageContext(context.Background(), "C0DEPLOYS", ts, m.options()...)
			}
			if err != nil {
				t.Errorf("%.20q %s: %v", s, state, err)
			}
		}
	}
	for _, c := range box.Calls() {
		if c.Error != "" {
			t.Errorf("%s: %s", c.Method, c.Error)
		}
	}
}

// Slack's own limit of messages a channel is met and obeyed, and in the end
// everybody was asked once.
func TestManyRequestsInTheSandbox(t *testing.T) {
	b, box := sandboxed(t, slackbox.Options{Burst: 1})
	for i := range 5 {
		b.gate.put(pending(fmt.Sprintf("req_%d", i)))
		_ = b.deliver(context.Background(), message(fmt.Sprintf("req_%d", i), 1))
	}
	if n := len(box.Messages("C0DEPLOYS")); n == 0 || n == 5 {
		t.Fatalf("%d of 5 posted at once", n)
	}
}
