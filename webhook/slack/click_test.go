package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// submit sends the form for a reason as Slack does.
func (b *bench) submit(user string, c gatekeeper.Choice, id string, f reference, reason, view string) *httptest.ResponseRecorder {
	b.t.Helper()
	back, err := json.Marshal(carried{Request: id, Choice: c, Channel: f.Channel, TS: f.TS})
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(submission(b.AppID, user, view, string(back), reason))
}

func submission(app, user, view, metadata, reason string) map[string]any {
	return map[string]any{
		"type": "view_submission", "api_app_id": app, "team": map[string]any{"id": "T0ACME"}, "user": map[string]any{"id": user, "team_id": "T0ACME"},
		"view": map[string]any{
			"id": view, "callback_id": formReason, "private_metadata": metadata,
			"state": map[string]any{"values": map[string]any{blockInput: map[string]any{blockInput: map[string]any{"value": reason}}}},
		},
	}
}

func (b *bench) state(id string) gatekeeper.State {
	b.t.Helper()
	r, err := b.gate.Lookup(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.State
}

func TestApprove(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	if answer := b.press("U0BOB", actionApprove, "req_1"); answer.Code != http.StatusOK || answer.Body.Len() != 0 {
		t.Fatalf("answered %d %q", answer.Code, answer.Body)
	}
	if b.gate.votes != 0 {
		t.Fatal("the vote was looked at before the acknowledgement")
	}
	b.settle(1)
	if got := b.state("req_1"); got != gatekeeper.Approved {
		t.Fatalf("%s: %s", got, b.told("U0BOB"))
	}
	b.show("req_1", 1)
	blocks := b.ws.last(t, "chat.update").form.Get("blocks")
	if strings.Contains(blocks, actionApprove) || strings.Contains(blocks, actionDeny) || !strings.Contains(blocks, actionRevoke) || !strings.Contains(blocks, "U0BOB") {
		t.Errorf("after the approval the message is %s", blocks)
	}
	if b.told("U0BOB") != "" {
		t.Errorf("who counted is told %s", b.told("U0BOB"))
	}
}

func TestDenyAsksForAReason(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	if answer := b.press("U0BOB", actionDeny, "req_1"); answer.Code != http.StatusOK {
		t.Fatalf("answered %d", answer.Code)
	}
	if b.settle(1); b.gate.votes != 0 || b.state("req_1") != gatekeeper.Pending {
		t.Fatal("a denial counted before its reason")
	}
	view := b.ws.last(t, "views.open").body["view"].(map[string]any)
	if !strings.Contains(toJSON(t, view), "acme/payments → production") || view["callback_id"] != formReason {
		t.Errorf("the form does not say what is denied: %v", view)
	}
	for reason, wrong := range map[string]string{"": "say why", " \n ": "say why", strings.Repeat("ä", maxModal+1): "1,000"} {
		answer := b.submit("U0BOB", gatekeeper.Deny, "req_1", b.ref("req_1"), reason, "V1")
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), `"response_action":"errors"`) || !strings.Contains(answer.Body.String(), wrong) {
			t.Errorf("reason %.10q: %d %s", reason, answer.Code, answer.Body)
		}
	}
	answer := b.submit("U0BOB", gatekeeper.Deny, "req_1", b.ref("req_1"), " Not on a Friday ", "V1")
	if answer.Code != http.StatusOK || answer.Body.Len() != 0 {
		t.Fatalf("the form does not close: %d %s", answer.Code, answer.Body)
	}
	b.settle(1)
	if r := b.gate.requests["req_1"]; r.State != gatekeeper.Denied || r.DenyReason != "Not on a Friday" || r.DeniedBy().Via != "slack.modal" {
		t.Errorf("%s %q", r.State, r.DenyReason)
	}
}

func TestFormThatDoesNotOpenIsTold(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.ws.fail("views.open", fault{code: "expired_trigger_id"})
	b.press("U0BOB", actionDeny, "req_1")
	b.settle(1)
	if !strings.Contains(b.told("U0BOB"), "nothing is decided") {
		t.Errorf("told %q", b.told("U0BOB"))
	}
}

func TestRuleThatWantsAReasonAsksBeforeApproving(t *testing.T) {
	b := newBench(t)
	b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.RequireReason = true })
	if !strings.Contains(b.ws.last(t, "chat.postMessage").form.Get("blocks"), actionApproveReason) {
		t.Fatal("the button does not ask")
	}
	b.press("U0BOB", actionApproveReason, "req_1")
	b.ws.last(t, "views.open")
	b.submit("U0BOB", gatekeeper.Approve, "req_1", b.ref("req_1"), "reviewed", "V1")
	b.settle(1)
	if r := b.gate.requests["req_1"]; r.State != gatekeeper.Approved || r.Votes[0].Reason != "reviewed" {
		t.Errorf("%s %+v", r.State, r.Votes)
	}
}

func TestRevoke(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.press("U0BOB", actionApprove, "req_1")
	b.settle(1)
	b.press("U0CAROL", actionRevoke, "req_1")
	b.settle(1)
	if got := b.state("req_1"); got != gatekeeper.Revoked {
		t.Errorf("%s: %s", got, b.told("U0CAROL"))
	}
}

// Threats rows 23, 24, 25: who may not decide is told so, privately, and the
// gate records it.
func TestClicksThatDoNotCount(t *testing.T) {
	set := func(id, key string, value any) func(*bench) {
		return func(b *bench) { b.ws.users[id][key] = value }
	}
	nothing := func(*bench) {}
	for name, tc := range map[string]struct {
		user   string
		setup  func(*bench)
		change func(map[string]any)
		want   string
	}{
		"not an approver":     {"U0MALLORY", nothing, nil, "not among the approvers"},
		"self":                {"U0ALICE", nothing, nil, "you started this run"},
		"guest":               {"U0BOB", set("U0BOB", "is_restricted", true), nil, "guests"},
		"single-channel":      {"U0BOB", set("U0BOB", "is_ultra_restricted", true), nil, "guests"},
		"deactivated":         {"U0BOB", set("U0BOB", "deleted", true), nil, "deactivated"},
		"bot":                 {"U0BOB", set("U0BOB", "is_bot", true), nil, "bots"},
		"stranger":            {"U0BOB", set("U0BOB", "is_stranger", true), nil, "another workspace"},
		"account elsewhere":   {"U0BOB", set("U0BOB", "team_id", "T0OTHER"), nil, "another workspace"},
		"unknown":             {"U0NOBODY", nothing, nil, "deactivated or unknown"},
		"click elsewhere":     {"U0BOB", nothing, func(p map[string]any) { p["team"] = map[string]any{"id": "T0OTHER"} }, "another workspace"},
		"person of elsewhere": {"U0BOB", nothing, func(p map[string]any) { p["user"] = map[string]any{"id": "U0BOB", "team_id": "T0OTHER"} }, "another workspace"},
		"same name and email": {"U0MALLORY", func(b *bench) {
			b.ws.users["U0MALLORY"]["real_name"], b.ws.users["U0MALLORY"]["name"] = "Bob", "bob"
			b.ws.users["U0MALLORY"]["profile"] = map[string]any{"email": "bob@acme.com"}
		}, nil, "not among the approvers"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.open("req_1")
			tc.setup(b)
			change := func(map[string]any) {}
			if tc.change != nil {
				change = tc.change
			}
			if answer := b.press(tc.user, actionApprove, "req_1", change); answer.Code != http.StatusOK {
				t.Fatalf("answered %d: %s", answer.Code, answer.Body)
			}
			b.settle(3)
			if got := b.state("req_1"); got != gatekeeper.Pending {
				t.Fatalf("it counted: %s", got)
			}
			if !strings.Contains(b.told(tc.user), tc.want) {
				t.Errorf("told %s, want %q", b.told(tc.user), tc.want)
			}
			if len(b.gate.events) != 1 || b.gate.events[0].Type != gatekeeper.EventVoteRefused {
				t.Errorf("recorded %+v", b.gate.events)
			}
		})
	}
}

// Threats row 23: a look-up that fails denies, for as long as it fails.
func TestFailedLookUpDoesNotCount(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.press("U0BOB", actionApprove, "req_1")
	for range 3 {
		b.ws.fail("users.info", fault{http: 503})
	}
	b.settle(2)
	if got := b.state("req_1"); got != gatekeeper.Pending || !strings.Contains(b.told("U0BOB"), "not counted yet") {
		t.Errorf("%s, told %s", got, b.told("U0BOB"))
	}
}

func TestClickThatCannotBeCheckedEndsAndIsTold(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.press("U0BOB", actionApprove, "req_1")
	b.now = b.now.Add(patience)
	b.ws.fail("users.info", fault{http: 503})
	b.settle(1)
	if b.state("req_1") != gatekeeper.Pending || !strings.Contains(b.told("U0BOB"), "click again") {
		t.Errorf("told %s", b.told("U0BOB"))
	}
}

// Threats row 26.
func TestClickOfAnotherMessageIsRefusedAndRecorded(t *testing.T) {
	value := func(id string) func(map[string]any) {
		return func(p map[string]any) { p["actions"].([]any)[0].(map[string]any)["value"] = id }
	}
	for name, tc := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"value of another request": {value("req_2"), "does not belong"},
		"value of no request":      {value("req_3"), "no such request"},
		"another channel": {func(p map[string]any) {
			p["channel"], p["container"] = map[string]any{"id": "C0OTHER"}, map[string]any{}
		}, "does not belong"},
		"another message": {func(p map[string]any) {
			p["message"], p["container"] = map[string]any{"ts": "1772445999.000100"}, map[string]any{}
		}, "does not belong"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.open("req_1")
			b.open("req_2")
			b.press("U0BOB", actionApprove, "req_1", tc.change)
			b.settle(1)
			if b.gate.votes != 0 {
				t.Error("it reached the gate")
			}
			if !strings.Contains(b.told("U0BOB"), tc.want) {
				t.Errorf("told %s", b.told("U0BOB"))
			}
			if len(b.mem.events) != 1 || b.mem.events[0].Type != gatekeeper.EventVoteRefused || !strings.HasPrefix(b.mem.events[0].ID, "evt_") {
				t.Errorf("recorded %+v", b.mem.events)
			}
		})
	}
}

// Threats rows 21 and 27.
func TestRepeatedClickIsOneClick(t *testing.T) {
	b := newBench(t)
	b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
	b.press("U0BOB", actionApprove, "req_1")
	b.press("U0BOB", actionApprove, "req_1")
	b.settle(1)
	b.press("U0BOB", actionApprove, "req_1") // Slack's retry, after all is done
	b.settle(1)
	if b.gate.votes != 1 || len(b.gate.requests["req_1"].Votes) != 1 || b.told("U0BOB") != "" {
		t.Fatalf("%d votes, told %s", b.gate.votes, b.told("U0BOB"))
	}
	again := func(p map[string]any) { p["actions"].([]any)[0].(map[string]any)["action_ts"] = "1772445800.000200" }
	b.now = b.now.Add(time.Second)
	b.press("U0BOB", actionApprove, "req_1", again) // a new click of the same person
	b.settle(1)
	if len(b.gate.requests["req_1"].Votes) != 1 || !strings.Contains(b.told("U0BOB"), "already counted") {
		t.Errorf("told %s", b.told("U0BOB"))
	}
}

// Threats row 27: killed right after the acknowledgement, and right after the
// vote counted.
func TestClickSurvivesARestart(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.press("U0BOB", actionApprove, "req_1")
	restarted, err := New(b.Options) // nothing of the old process but what is stored
	if err != nil {
		t.Fatal(err)
	}
	b.Slack = restarted
	recorded := b.mem.queued(WorkClick)
	b.settle(1)
	if got := b.state("req_1"); got != gatekeeper.Approved {
		t.Fatal(got)
	}
	delete(b.mem.notes, WorkClick+" "+recorded[0].Key) // the note that it is done was not written
	recorded[0].Attempt = 2
	if err := b.process(context.Background(), recorded[0]); err != nil {
		t.Fatal(err)
	}
	if b.settle(1); b.gate.votes != 1 || b.told("U0BOB") != "" {
		t.Errorf("%d votes, told %s", b.gate.votes, b.told("U0BOB"))
	}
}

// Threats row 27: people click before a restarted process noted where the
// message is.
func TestClickOnAMessageThatIsNotNotedYet(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	f := b.ref("req_1")
	press := func(p map[string]any) {
		p["channel"], p["message"], p["container"] = map[string]any{"id": f.Channel}, map[string]any{"ts": f.TS}, map[string]any{}
	}
	if err := b.remember(context.Background(), gatekeeper.WorkMessage, "req_1", reference{Channel: f.Channel, Posting: true}); err != nil {
		t.Fatal(err)
	}
	b.press("U0BOB", actionApprove, "req_1", press)
	b.settle(1)
	if got := b.state("req_1"); got != gatekeeper.Approved {
		t.Errorf("%s: %s", got, b.told("U0BOB"))
	}
}

func TestLatePrivateAnswerIsDropped(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.press("U0MALLORY", actionApprove, "req_1")
	b.ws.fail("chat.postEphemeral", fault{http: 503})
	b.settle(1)
	late := gatekeeper.Work{Kind: WorkReply, Attempt: 2, Payload: json.RawMessage(toJSON(t, private{Channel: "C0DEPLOYS", User: "U0MALLORY", Text: "x", Until: b.now}))}
	if err := b.reply(context.Background(), late); err != nil || b.ws.count("chat.postEphemeral") != 1 {
		t.Errorf("%v, %d answers", err, b.ws.count("chat.postEphemeral"))
	}
}

func TestPrivateAnswerGoesToDirectMessagesWhereTheChannelIsClosed(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.ws.fail("chat.postEphemeral", fault{code: "user_not_in_channel"})
	b.press("U0MALLORY", actionApprove, "req_1")
	b.settle(1)
	if form := b.ws.last(t, "chat.postMessage").form; form.Get("channel") != "U0MALLORY" {
		t.Errorf("went to %s", form.Get("channel"))
	}
}

func TestStepUpIsAnsweredWithThePage(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.StepUpURL = func(id string) string { return "https://gatekeeper.example.com/requests/" + id + "/confirm" }
	})
	passkey := func(r *gatekeeper.Request) { r.Rule.Approval.StepUp = gatekeeper.StepUpPasskey }
	b.open("req_1", passkey)
	b.press("U0BOB", actionApprove, "req_1")
	b.settle(1)
	if told := b.told("U0BOB"); !strings.Contains(told, "https://gatekeeper.example.com/requests/req_1/confirm|") || !strings.Contains(told, "your passkey") {
		t.Errorf("told %s", told)
	}
	if len(b.gate.events)+len(b.mem.events) != 0 || b.state("req_1") != gatekeeper.Pending {
		t.Errorf("the way to the proof is recorded as a vote: %+v", b.gate.events)
	}
	b.press("U0MALLORY", actionApprove, "req_1")
	b.settle(1)
	if told := b.told("U0MALLORY"); strings.Contains(told, "confirm") || !strings.Contains(told, "not among the approvers") {
		t.Errorf("who may not approve is sent on: %s", told)
	}
	without := newBench(t)
	without.open("req_1", passkey)
	without.press("U0BOB", actionApprove, "req_1")
	without.settle(1)
	if told := without.told("U0BOB"); !strings.Contains(told, "not configured") {
		t.Errorf("told %s", told)
	}
}

func TestUnreadableWorkIsNotTriedForEver(t *testing.T) {
	b := newBench(t)
	for kind, handler := range b.Handlers() {
		if kind == gatekeeper.WorkMessage {
			continue
		}
		if err := handler(context.Background(), gatekeeper.Work{Kind: kind, Key: "k", Payload: json.RawMessage(`{`)}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestStorageThatFailsWhileCountingIsTriedAgain(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.press("U0BOB", actionApprove, "req_1")
	w, _ := b.mem.take(b.now)
	b.mem.down = errors.New("disk full")
	if err := b.process(context.Background(), w); err == nil {
		t.Error("done, although nothing can be read")
	}
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
