package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// homeOfUser opens somebody's home tab, and is what they see.
func homeOfUser(t *testing.T, b *bench, box *slackbox.Workspace, user string) slackbox.View {
	t.Helper()
	if d, err := box.OpenHome(t.Context(), user); err != nil || !d.Acked() {
		t.Fatalf("%+v %v", d, err)
	}
	b.settle(2)
	v, _ := box.Home(user)
	return v
}

// changed is what the gate does after each change of a request.
func (b *bench) changed() {
	if err := b.refreshHomes(b.t.Context(), gatekeeper.Work{Kind: gatekeeper.WorkHomes}); err != nil {
		b.t.Fatal(err)
	}
	b.settle(2)
}

func TestHomeByEachWay(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.Groups[0].Quorum = 2 })
		b.open("req_2", func(r *gatekeeper.Request) { r.Environment, r.Workload.RunID = "staging", "7002" })
		for user, want := range map[string][]string{
			"U0BOB":   {"Waiting for you", "acme/payments → production", "acme/payments → staging", "0 of 2"},
			"U0ALICE": {"Nothing waits for you", "Waiting for others", "you started this run"},
			"U0EVE":   {"Nothing waits for you"},
			"U0DAVE":  {"guests may not decide"},
		} {
			v := homeOfUser(t, b, box, user)
			for _, w := range want {
				if !strings.Contains(v.Words(), w) {
					t.Errorf("%s does not see %q: %s", user, w, v.Words())
				}
			}
			if n := len(v.Buttons()); (n > 0) != (user == "U0BOB") {
				t.Errorf("%s has %d buttons", user, n)
			}
		}
		clickHome(t, b, box, "U0BOB", actionApprove, "req_1")
		if votes := b.gate.requests["req_1"].Votes; len(votes) != 1 || votes[0].Via != "slack.home" {
			t.Errorf("%+v: %s", votes, b.log)
		}
		v, _ := box.Home("U0BOB")
		if strings.Contains(toJSON(t, v.Buttons()), "req_1") || !strings.Contains(v.Words(), "you approved; 1 more approval is needed") {
			t.Errorf("after his click Bob sees %s", v.Words())
		}
		clickHome(t, b, box, "U0BOB", actionDeny, "req_2")
		if _, err := box.SubmitModal(t.Context(), slackbox.Submission{User: "U0BOB", Values: map[string]string{blockInput: "Not on a Friday"}}); err != nil {
			t.Fatal(err)
		}
		b.settle(2)
		if r := b.gate.requests["req_2"]; r.State != gatekeeper.Denied || r.DeniedBy().Via != "slack.home" {
			t.Errorf("%s %+v", r.State, r.Votes)
		}
		if v, _ := box.Home("U0BOB"); !strings.Contains(v.Words(), "Decided lately") || !strings.Contains(v.Words(), "*Denied* by") {
			t.Errorf("after the denial Bob sees %s", v.Words())
		}
	})
}

// In an emergency the glass is broken from a home tab or a private answer as
// well, and only those whom the rules name are offered it.
func TestBreakGlassByEachWay(t *testing.T) {
	everyWay(t, func(t *testing.T, b *bench, box *slackbox.Workspace) {
		for _, id := range []string{"req_1", "req_2"} {
			b.open(id, func(r *gatekeeper.Request) {
				r.Workload.RunID = "70" + id[4:]
				r.Rule.Approval.Groups[0].Quorum = 3
				r.BreakGlass = &gatekeeper.BreakGlass{Group: gatekeeper.Group{Name: "break-glass", Approvers: []gatekeeper.Approver{"slack:S0ONCALL"}, Quorum: 1}}
			})
		}
		if v := homeOfUser(t, b, box, "U0BOB"); strings.Contains(toJSON(t, v.Buttons()), actionBreakGlass) {
			t.Error("Bob, who is not on call, is offered to break the glass")
		}
		homeOfUser(t, b, box, "U0CAROL")
		clickHome(t, b, box, "U0CAROL", actionBreakGlass, "req_1")
		reason := slackbox.Submission{User: "U0CAROL", Values: map[string]string{blockInput: "Checkout is down"}}
		if _, err := box.SubmitModal(t.Context(), reason); err != nil {
			t.Fatal(err)
		}
		b.settle(2)
		m := typing(t, box, "U0CAROL", "C0PAYMENTS", "/gatekeeper show req_2")
		if d, err := box.Click(t.Context(), slackbox.Click{User: "U0CAROL", TS: m.TS, ActionID: actionBreakGlass}); err != nil || !d.Acked() {
			t.Fatalf("%+v %v", d, err)
		}
		if err := b.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := box.SubmitModal(t.Context(), reason); err != nil {
			t.Fatal(err)
		}
		b.settle(2)
		for id, via := range map[string]string{"req_1": viaHome, "req_2": viaCommand} {
			if r := b.gate.requests[id]; r.State != gatekeeper.Approved || !r.BrokenGlass || r.Votes[0].Via != via || r.Votes[0].Reason != "Checkout is down" {
				t.Errorf("%s: %s %+v: %s", id, r.State, r.Votes, b.log)
			}
		}
	})
}

func clickHome(t *testing.T, b *bench, box *slackbox.Workspace, user, action, id string, forge ...map[string]any) {
	t.Helper()
	c := slackbox.Click{User: user, View: "home", ActionID: action, Value: id}
	if len(forge) > 0 {
		c.Forge = &slackbox.Forge{Payload: forge[0]}
	}
	d, err := box.Click(t.Context(), c)
	if err != nil || !d.Acked() {
		t.Fatalf("%+v %v", d, err)
	}
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settle(2)
}

// A change reaches those who looked lately, is one call each, and is none
// where it would show nothing new.
func TestHomesAreRefreshed(t *testing.T) {
	b, box := ways["http"](t, slackbox.Options{})
	homeOfUser(t, b, box, "U0BOB")
	homeOfUser(t, b, box, "U0EVE")
	b.open("req_1")
	b.changed()
	published := len(box.Calls("views.publish"))
	if v, _ := box.Home("U0BOB"); !strings.Contains(v.Words(), "acme/payments → production") || published != 3 {
		t.Errorf("%d calls; Bob sees %s", published, v.Words())
	}
	b.changed()
	if n := len(box.Calls("views.publish")); n != published {
		t.Errorf("%d more calls for nothing", n-published)
	}
	b.now = b.now.Add(lately + time.Minute)
	b.open("req_2", func(r *gatekeeper.Request) { r.ExpiresAt = b.now.Add(time.Hour) })
	b.changed()
	if n := len(box.Calls("views.publish")); n != published {
		t.Errorf("%d calls for those who did not look", n-published)
	}
	b.now = b.now.Add(forgotten)
	b.changed()
	if notes, _ := b.mem.Notes(t.Context(), noteOpened, 10); len(notes) != 0 {
		t.Errorf("after a week %d looks are remembered", len(notes))
	}
}

// Looks at a home are bounded work, however many people look.
func TestCrowdOfHomes(t *testing.T) {
	b := newBench(t)
	for i := range 3 * crowdHomes {
		if err := b.keep(t.Context(), noteOpened, fmt.Sprintf("U%d", i), opened{Team: "T0ACME", At: b.now.Add(-time.Duration(i) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.refreshHomes(t.Context(), gatekeeper.Work{}); err != nil {
		t.Fatal(err)
	}
	work := b.mem.queued(WorkHome)
	if len(work) != crowdHomes || work[0].Key != "U0" {
		t.Errorf("%d homes are refreshed, %s first", len(work), work[0].Key)
	}
}

// Threats row 26: a home's button is good for its person, its request and its
// home. What does not count is told in the home, and is in the ledger.
func TestHomeClicksAreChecked(t *testing.T) {
	b, box := ways["http"](t, slackbox.Options{})
	b.open("req_1")
	b.open("req_2")
	homeOfUser(t, b, box, "U0BOB")
	for name, forged := range map[string]map[string]any{
		"another request": {"actions": map[string]any{"value": "req_2"}},
		"another person":  {"user": map[string]any{"id": "U0CAROL"}},
		"no seal":         {"actions": map[string]any{"block_id": "x"}},
	} {
		clickHome(t, b, box, "U0BOB", actionApprove, "req_1", forged)
		if b.gate.votes != 0 {
			t.Fatalf("%s: a vote reached the gate", name)
		}
	}
	if n := len(b.mem.events); n != 3 {
		t.Errorf("%d of 3 are in the ledger", n)
	}
	if v, _ := box.Home("U0BOB"); !strings.Contains(v.Words(), "not offered to you") {
		t.Errorf("Bob sees %s", v.Words())
	}
	b.now = b.now.Add(notices + time.Second)
	b.settle(2)
	if v, _ := box.Home("U0BOB"); strings.Contains(v.Words(), "not offered to you") {
		t.Error("the notice stays for ever")
	}
	b.now = start() // the workspace's clock stands still
	d, err := box.Click(t.Context(), slackbox.Click{User: "U0BOB", View: "home", ActionID: actionApprove, Value: "req_1",
		Forge: &slackbox.Forge{Payload: map[string]any{"view": map[string]any{"type": "modal"}}}})
	if err != nil || d.Acked() {
		t.Errorf("a button in a modal: %+v %v", d, err)
	}
	b.gate.put(func() gatekeeper.Request { r := pending("req_1"); r.State = gatekeeper.Canceled; return r }())
	clickHome(t, b, box, "U0BOB", actionApprove, "req_1")
	if v, _ := box.Home("U0BOB"); !strings.Contains(v.Words(), "already canceled") {
		t.Errorf("after a late click Bob sees %s", v.Words())
	}
}

func TestHomeFaults(t *testing.T) {
	b, box := ways["http"](t, slackbox.Options{})
	for code, remembered := range map[string]int{"not_enabled": 0, "user_not_found": 0, "internal_error": 1, "ratelimited": 1} {
		box.Fail(slackbox.Fault{Method: "views.publish", Error: code, RetryAfter: 3})
		if _, err := box.OpenHome(t.Context(), "U0BOB"); err != nil {
			t.Fatal(err)
		}
		b.settle(1)
		if notes, _ := b.mem.Notes(t.Context(), noteOpened, 10); len(notes) != remembered {
			t.Errorf("%s: %d looks are remembered", code, len(notes))
		}
		b.now = b.now.Add(time.Minute)
		b.pace.hold("views.publish", 0)
	}
	b.settle(1)
	homeOfUser(t, b, box, "U0BOB")
	if v, ok := box.Home("U0BOB"); !ok || !strings.Contains(v.Words(), "Nothing waits") {
		t.Errorf("in the end Bob sees %s", v.Words())
	}
}

// A home with more than anybody reads is one that Slack takes.
func TestCrowdedHome(t *testing.T) {
	b, box := ways["http"](t, slackbox.Options{NoRateLimits: true})
	for i := range 60 {
		r := pending(fmt.Sprintf("req_%d", i))
		r.Reason = strings.Repeat("why ", 200)
		switch i % 3 {
		case 1:
			r.State, r.DenyReason = gatekeeper.Denied, "no"
			r.Votes = []gatekeeper.Vote{{Person: gatekeeper.Person{Slack: "U0BOB"}, Choice: gatekeeper.Deny}}
		case 2:
			r.Votes = []gatekeeper.Vote{{Person: gatekeeper.Person{Slack: "U0BOB"}, Choice: gatekeeper.Approve}}
		}
		b.gate.put(r)
	}
	v := homeOfUser(t, b, box, "U0BOB")
	if !strings.Contains(v.Words(), "more requests wait") || len(v.Blocks) > 100 || len(v.Blocks) < 50 {
		t.Errorf("%d blocks: %s", len(v.Blocks), b.log)
	}
}

func TestEvents(t *testing.T) {
	b := newBench(t)
	post := func(body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		b.Events().ServeHTTP(w, callback(b.now, testSecret, body))
		return w
	}
	for body, want := range map[string]struct {
		status int
		answer string
		homes  int
	}{
		`{"type":"url_verification","challenge":"3eZbrw1a"}`: {200, `{"challenge":"3eZbrw1a"}`, 0},
		`{"type":"event_callback","api_app_id":"A0GATE","team_id":"T0ACME","event":{"type":"app_home_opened","user":"U0BOB","tab":"messages"}}`: {200, "", 0},
		`{"type":"event_callback","api_app_id":"A0GATE","team_id":"T0ACME","event":{"type":"message","user":"U0BOB"}}`:                          {200, "", 0},
		`{"type":"event_callback","api_app_id":"A0EVIL","team_id":"T0ACME","event":{"type":"app_home_opened","user":"U0BOB","tab":"home"}}`:     {400, "another app", 0},
		`{"type":"event_callback","api_app_id":"A0GATE","team_id":"T0ACME","event":{"type":"app_home_opened","user":"bob","tab":"home"}}`:       {400, "no user", 0},
		`{"type":"event_callback","api_app_id":"A0GATE","team_id":"T0ACME","event":{"type":"app_home_opened","user":"U0BOB","tab":"home"}}`:     {200, "", 1},
		`nonsense`: {400, "", 0},
	} {
		b.mem.work = nil
		w := post(body)
		if w.Code != want.status || !strings.Contains(strings.TrimSpace(w.Body.String()), want.answer) || len(b.mem.queued(WorkHome)) != want.homes {
			t.Errorf("%s: %d %s, %d homes", body, w.Code, w.Body, len(b.mem.queued(WorkHome)))
		}
	}
	// Threats row 21: unsigned events are nothing, the first one included.
	for _, handler := range []http.Handler{b.Events(), b.Commands(), b.Interactions()} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, callback(b.now, "wrong", `{"type":"url_verification","challenge":"x"}`))
		if w.Code != http.StatusUnauthorized {
			t.Errorf("a forged callback is answered %d", w.Code)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"type":"url_verification","challenge":"x"}`))
	f.Add([]byte(`{"type":"event_callback","team_id":"T0ACME","event":{"type":"app_home_opened","user":"U0BOB","tab":"home"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		mem := &memory{notes: map[string][]byte{}}
		s := &Slack{Options: Options{Clock: start, Memory: mem}}
		ack, err := s.event(t.Context(), raw)
		if ack != nil {
			if _, bad := json.Marshal(ack); bad != nil || err != nil {
				t.Errorf("%v %v", bad, err)
			}
		}
		for _, w := range mem.queued(WorkHome) {
			if !userID.MatchString(w.Key) {
				t.Errorf("a home of %q", w.Key)
			}
		}
	})
}

// A rule that wants a proof beyond the click sends people on to its page, from
// a home tab too.
func TestStepUpFromHome(t *testing.T) {
	b, box := ways["http"](t, slackbox.Options{})
	b.open("req_1", func(r *gatekeeper.Request) { r.Rule.Approval.StepUp = gatekeeper.StepUpPasskey })
	b.StepUpURL = func(id string) string { return "https://gatekeeper.example.com/requests/" + id }
	homeOfUser(t, b, box, "U0BOB")
	clickHome(t, b, box, "U0BOB", actionApprove, "req_1")
	v, _ := box.Home("U0BOB")
	if b.state("req_1") != gatekeeper.Pending || !strings.Contains(v.Words(), "confirm it with your passkey") || !strings.Contains(v.Words(), "<https://gatekeeper.example.com/requests/req_1|Open the request's page>") {
		t.Errorf("%s: Bob sees %s", b.state("req_1"), v.Words())
	}
}
