package slack

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// ways are the ways in. What people do has to come out the same by each.
var ways = map[string]func(t *testing.T, o slackbox.Options) (*bench, *slackbox.Workspace){
	"http": func(t *testing.T, o slackbox.Options) (*bench, *slackbox.Workspace) {
		b, box := sandboxed(t, o)
		server := httptest.NewServer(doors(b.Slack))
		t.Cleanup(server.Close)
		box.SetCallbacks(server.URL+"/interactions", server.URL+"/commands", server.URL+"/events")
		return b, box
	},
	"socket": func(t *testing.T, o slackbox.Options) (*bench, *slackbox.Workspace) {
		b, box := sandboxedWith(t, o, func(o *Options) { o.SigningSecret, o.AppToken = "", slackbox.AppToken })
		box.SetCallbacks("", "", "")
		listening(t, b.Slack)
		connected(t, box, connections)
		return b, box
	},
}

func doors(s *Slack) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/interactions", s.Interactions())
	mux.Handle("/commands", s.Commands())
	mux.Handle("/events", s.Events())
	return mux
}

// listening holds sockets open until the test ends.
func listening(t *testing.T, s *Slack) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Listen(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}

func connected(t *testing.T, box *slackbox.Workspace, n int) {
	t.Helper()
	if err := box.Wait(t.Context(), func() bool { return box.Sockets() == n }); err != nil {
		t.Fatal(err)
	}
}

func everyWay(t *testing.T, test func(t *testing.T, b *bench, box *slackbox.Workspace)) {
	everyWayWith(t, slackbox.Options{}, test)
}

// impatient is a Slack that waits a moment for acknowledgements, for tests in
// which none may come.
var impatient = slackbox.Options{AckTimeout: 100 * time.Millisecond}

func everyWayWith(t *testing.T, o slackbox.Options, test func(t *testing.T, b *bench, box *slackbox.Workspace)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			b, box := way(t, o)
			test(t, b, box)
			for _, d := range box.Deliveries() {
				if d.Via != name {
					t.Errorf("a delivery came by %s", d.Via)
				}
			}
		})
	}
}

func TestClicksByEachWay(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
		press(t, b, box, "U0EVE", actionApprove)
		if !strings.Contains(whispered(box, "U0EVE"), "not among the approvers") {
			t.Errorf("U0EVE is told %q", whispered(box, "U0EVE"))
		}
		press(t, b, box, "U0BOB", actionApprove)
		b.now = b.now.Add(time.Second)
		press(t, b, box, "U0BOB", actionApprove)
		if !strings.Contains(whispered(box, "U0BOB"), "already counted") || b.state("req_1") != gatekeeper.Pending {
			t.Errorf("the second click: %q, %s", whispered(box, "U0BOB"), b.state("req_1"))
		}
		press(t, b, box, "U0CAROL", actionApprove)
		if b.state("req_1") != gatekeeper.Approved {
			t.Errorf("%s: %s", b.state("req_1"), b.log)
		}
	})
}

func TestFormsByEachWay(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1")
		press(t, b, box, "U0BOB", actionDeny)
		if _, err := box.SubmitModal(t.Context(), slackbox.Submission{User: "U0BOB", Values: map[string]string{blockInput: " "}, Forge: &slackbox.Forge{}}); err != nil {
			t.Fatal(err)
		}
		if form, open := box.Modal("U0BOB"); !open || !strings.Contains(form.Errors[blockInput], "say why") {
			t.Errorf("a form without a reason: open %t, %v", open, form.Errors)
		}
		if _, err := box.SubmitModal(t.Context(), slackbox.Submission{User: "U0BOB", Values: map[string]string{blockInput: "Not on a Friday"}}); err != nil {
			t.Fatal(err)
		}
		if _, open := box.Modal("U0BOB"); open {
			t.Error("the form does not close")
		}
		b.settle(2)
		if r := b.gate.requests["req_1"]; r.State != gatekeeper.Denied || r.DenyReason != "Not on a Friday" {
			t.Errorf("%s %q: %s", r.State, r.DenyReason, b.log)
		}
	})
}

// Threats rows 21 and 27: what Slack or somebody sends twice is one vote.
func TestRepeatsByEachWay(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
		if _, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: actionApprove, Forge: &slackbox.Forge{Times: 3}}); err != nil {
			t.Fatal(err)
		}
		b.settle(2)
		if b.gate.votes != 1 || whispered(box, "U0BOB") != "" {
			t.Errorf("%d votes, told %q", b.gate.votes, whispered(box, "U0BOB"))
		}
	})
}

// Threats row 27: stopped after the click was recorded and before Slack heard
// of it. The person sees a failure, clicks again, and has one vote.
func TestStoppedBetweenRecordAndAcknowledgement(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
		b.mem.after = func(gatekeeper.Change) {
			b.mem.after = nil
			if box.DropSockets("") == 0 {
				panic(http.ErrAbortHandler)
			}
		}
		d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: actionApprove})
		if err != nil || d.Acked() {
			t.Fatalf("%+v %v", d, err)
		}
		if n := len(b.mem.queued(WorkClick)); n != 1 || len(box.Notices()) != 1 {
			t.Errorf("%d clicks are recorded, and the person is told %+v", n, box.Notices())
		}
		if b.AppToken != "" {
			connected(t, box, connections)
		}
		b.settle(2)
		b.now = b.now.Add(time.Second)
		press(t, b, box, "U0BOB", actionApprove)
		if len(b.gate.requests["req_1"].ApprovedBy()) != 1 || !strings.Contains(whispered(box, "U0BOB"), "already counted") {
			t.Errorf("%d approvals, told %q", len(b.gate.requests["req_1"].ApprovedBy()), whispered(box, "U0BOB"))
		}
	})
}

// What is not recorded is not acknowledged, and an event comes again.
func TestNothingIsAcknowledgedUnrecorded(t *testing.T) {
	everyWayWith(t, impatient, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1")
		b.mem.down = context.DeadlineExceeded
		if d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: actionApprove}); err != nil || d.Acked() {
			t.Errorf("%+v %v", d, err)
		}
		if d, err := box.OpenHome(t.Context(), "U0BOB"); err != nil || d.Acked() {
			t.Errorf("%+v %v", d, err)
		}
	})
}

// Others' apps, and what no message of ours causes, come to nothing by any way.
func TestForeignDeliveriesByEachWay(t *testing.T) {
	everyWayWith(t, impatient, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1")
		for name, payload := range map[string]map[string]any{
			"another app":  {"api_app_id": "A0EVIL"},
			"another type": {"type": "shortcut"},
			"no request":   {"actions": map[string]any{"value": "../req"}},
			"no action":    {"actions": map[string]any{"action_id": "gatekeeper_redeem"}},
		} {
			d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: actionApprove, Forge: &slackbox.Forge{Payload: payload}})
			if err != nil || d.Acked() {
				t.Errorf("%s: %+v %v", name, d, err)
			}
		}
		for name, payload := range map[string]map[string]any{
			"another app": {"api_app_id": "A0EVIL"}, "no user": {"user_id": "bob"}, "no team": {"team_id": ""}, "another command": {"command": "/deploy"}, "no channel": {"channel_id": "#x"},
		} {
			d, err := box.Command(t.Context(), slackbox.Typed{User: "U0BOB", Channel: "C0DEPLOYS", Text: "/gatekeeper pending", Forge: &slackbox.Forge{Payload: payload}})
			if err != nil || d.Acked() {
				t.Errorf("%s: %+v %v", name, d, err)
			}
		}
		if n := len(b.mem.queued(WorkClick)); n != 0 {
			t.Errorf("%d clicks are recorded", n)
		}
	})
}
