package slackbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/google/go-cmp/cmp"
	slackgo "github.com/slack-go/slack"
)

// The example of docs.slack.dev/authentication/verifying-requests-from-slack.
func TestSignIsSlacks(t *testing.T) {
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner" +
		"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	got := slackbox.Sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", []byte(body))
	if want := "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// verified is the SDK's opinion of a callback, at the bench's time.
func verified(b *bench, header http.Header, body string) bool {
	stamp, err := strconv.ParseInt(header.Get("X-Slack-Request-Timestamp"), 10, 64)
	if err != nil || b.clock.now().Unix()-stamp > 300 || stamp-b.clock.now().Unix() > 300 {
		return false
	}
	return slackbox.Sign(slackbox.SigningSecret, header.Get("X-Slack-Request-Timestamp"), []byte(body)) == header.Get("X-Slack-Signature")
}

// Threats rows 21, 23, 26: the ways in which a callback can be wrong are the
// stand-in's to play, so it has to play them.
func TestForge(t *testing.T) {
	for name, c := range map[string]struct {
		forge *slackbox.Forge
		valid bool
		check func(p m) bool
	}{
		"honest":          {nil, true, nil},
		"unsigned":        {&slackbox.Forge{Unsigned: true}, false, nil},
		"another secret":  {&slackbox.Forge{Secret: "wrong"}, false, nil},
		"wrong signature": {&slackbox.Forge{Signature: "v0=00"}, false, nil},
		"stale":           {&slackbox.Forge{Age: slackbox.Duration(6 * time.Minute)}, false, nil},
		"early":           {&slackbox.Forge{Age: slackbox.Duration(-6 * time.Minute)}, false, nil},
		"another request": {&slackbox.Forge{Payload: m{"actions": m{"value": "req_2"}}}, true, func(p m) bool { return p["actions"].([]any)[0].(m)["value"] == "req_2" }},
		"another team":    {&slackbox.Forge{Payload: m{"team": m{"id": "T0EVIL"}}}, true, func(p m) bool { return p["team"].(m)["id"] == "T0EVIL" && p["team"].(m)["domain"] == "acme" }},
		"another message": {&slackbox.Forge{Payload: m{"message": nil, "container": m{"message_ts": "1.000001"}}}, true, func(p m) bool { return p["message"] == nil && p["container"].(m)["message_ts"] == "1.000001" }},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.must("chat.postMessage", deployment("req_1"))
			d, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve", Forge: c.forge})
			if err != nil || !d.Acked() {
				t.Fatalf("%+v, %v", d, err)
			}
			header, body := b.received()
			if verified(b, header, body) != c.valid {
				t.Errorf("valid is %v, want %v", !c.valid, c.valid)
			}
			if c.check != nil && !c.check(b.payload()) {
				t.Errorf("payload: %v", b.payload())
			}
		})
	}
}

func TestDuplicates(t *testing.T) {
	b := start(t, nil)
	b.must("chat.postMessage", deployment("req_1"))
	if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve", Forge: &slackbox.Forge{Times: 2}}); err != nil {
		t.Fatal(err)
	}
	b.clock.add(time.Hour)
	b.Redeliver(t.Context(), b.Deliveries()[0])
	if len(b.bodies) != 3 || b.bodies[0] != b.bodies[1] || b.bodies[0] != b.bodies[2] {
		t.Errorf("%d callbacks, all the same bytes wanted: %q", len(b.bodies), b.bodies)
	}
	if verified(b, b.got[2].Header, b.bodies[2]) {
		t.Error("an hour later the signature is stale, and still passes")
	}
}

func TestClickPayload(t *testing.T) {
	b := start(t, nil)
	ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
	if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve", TS: ts}); err != nil {
		t.Fatal(err)
	}
	header, body := b.received()
	if header.Get("Content-Type") != "application/x-www-form-urlencoded" || !strings.HasPrefix(body, "payload=%7B") {
		t.Errorf("%v %.40s", header, body)
	}
	p := b.payload()
	for key, want := range map[string]any{
		"type": "block_actions", "api_app_id": slackbox.AppID, "enterprise": nil, "is_enterprise_install": false,
		"team":      m{"id": "T0ACME", "domain": "acme"},
		"user":      m{"id": "U0BOB", "username": "bob", "name": "bob", "team_id": "T0ACME"},
		"channel":   m{"id": "C0DEPLOYS", "name": "deploys"},
		"container": m{"type": "message", "message_ts": ts, "channel_id": "C0DEPLOYS", "is_ephemeral": false},
	} {
		if diff := cmp.Diff(want, p[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	var callback slackgo.InteractionCallback
	form, _ := url.ParseQuery(body)
	if err := callback.UnmarshalJSON([]byte(form.Get("payload"))); err != nil {
		t.Fatal(err)
	}
	a := callback.ActionCallback.BlockActions
	if len(a) != 1 || a[0].ActionID != "approve" || a[0].Value != "req_1" || a[0].BlockID == "" || a[0].ActionTs == "" || a[0].Type != "button" {
		t.Errorf("actions: %+v", a)
	}
	if callback.Message.Metadata.EventPayload["request_id"] != "req_1" || len(callback.Message.Blocks.BlockSet) != 3 || callback.TriggerID == "" || callback.ResponseURL == "" {
		t.Errorf("callback: %+v", callback)
	}
	if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "nothing"}); err == nil {
		t.Error("a button that is not there was pressed")
	}
}

// Threats row 23: strangers' clicks name their own team.
func TestClickOfAStranger(t *testing.T) {
	b := start(t, nil)
	b.must("chat.postMessage", deployment("req_1"))
	if _, err := b.Click(t.Context(), slackbox.Click{User: "U0MALLORY", ActionID: "approve"}); err != nil {
		t.Fatal(err)
	}
	p := b.payload()
	if p["team"].(m)["id"] != "T0EVIL" || p["user"].(m)["team_id"] != "T0EVIL" {
		t.Errorf("team %v, user %v", p["team"], p["user"])
	}
}

func TestClickIsNotAcknowledged(t *testing.T) {
	release := make(chan struct{})
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		"500":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "status code 500"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "status code 302"},
		"cut":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "could not be reached"},
		"too late": {func(http.ResponseWriter, *http.Request) { <-release }, "is not responding"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(o *slackbox.Options) { o.AckTimeout = 50 * time.Millisecond })
			b.must("chat.postMessage", deployment("req_1"))
			b.answers(c.answer)
			if name == "too late" {
				defer close(release)
			}
			d, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve"})
			if err != nil || d.Acked() {
				t.Errorf("%+v, %v", d, err)
			}
			if n := b.Notices(); len(n) != 1 || !strings.Contains(n[0].Text, c.want) || n[0].User != "U0BOB" {
				t.Errorf("notices %+v, want %q", n, c.want)
			}
		})
	}
}

func TestTriggers(t *testing.T) {
	b := start(t, nil)
	b.must("chat.postMessage", deployment("req_1"))
	click := func() any {
		if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "deny"}); err != nil {
			t.Fatal(err)
		}
		return b.payload()["trigger_id"]
	}
	trigger := click()
	b.must("views.open", m{"trigger_id": trigger, "view": modal(nil)})
	if got := b.call("views.open", m{"trigger_id": trigger, "view": modal(nil)}).code(); got != "exchanged_trigger_id" {
		t.Errorf("used twice: %q", got)
	}
	trigger = click()
	b.clock.add(3*time.Second + time.Millisecond)
	if got := b.call("views.open", m{"trigger_id": trigger, "view": modal(nil)}).code(); got != "expired_trigger_id" {
		t.Errorf("after three seconds: %q", got)
	}
}

// opened is a bench on which Bob has the modal open.
func opened(t *testing.T, change m) *bench {
	b := start(t, nil)
	b.must("chat.postMessage", deployment("req_1"))
	if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "deny"}); err != nil {
		t.Fatal(err)
	}
	b.must("views.open", m{"trigger_id": b.payload()["trigger_id"], "view": modal(change)})
	return b
}

func TestModal(t *testing.T) {
	b := opened(t, m{"private_metadata": `{"request":"req_1"}`})
	if _, err := b.SubmitModal(t.Context(), slackbox.Submission{User: "U0BOB"}); err == nil {
		t.Error("an empty required field was sent")
	}
	if _, err := b.SubmitModal(t.Context(), slackbox.Submission{User: "U0BOB", Values: map[string]string{"reason": strings.Repeat("x", 101)}}); err == nil {
		t.Error("a text beyond max_length was sent")
	}
	if _, err := b.SubmitModal(t.Context(), slackbox.Submission{User: "U0EVE", Values: map[string]string{"reason": "x"}}); err == nil {
		t.Error("somebody else submitted it")
	}
	submit := func() {
		if _, err := b.SubmitModal(t.Context(), slackbox.Submission{User: "U0BOB", Values: map[string]string{"reason": "not today"}}); err != nil {
			t.Fatal(err)
		}
	}
	b.answers(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"response_action":"errors","errors":{"reason":"say more"}}`)
	})
	submit()
	if v, open := b.Modal("U0BOB"); !open || v.Errors["reason"] != "say more" {
		t.Errorf("after an error: %v %+v", open, v)
	}
	p := b.payload()
	view := p["view"].(m)
	want := m{"values": m{"reason": m{"reason": m{"type": "plain_text_input", "value": "not today"}}}}
	if diff := cmp.Diff(want, view["state"]); diff != "" || p["type"] != "view_submission" || view["private_metadata"] != `{"request":"req_1"}` || view["callback_id"] != "reason" || view["app_installed_team_id"] != "T0ACME" {
		t.Errorf("%v %s", p, diff)
	}
	b.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	submit()
	if v, open := b.Modal("U0BOB"); !open || v.Trouble == "" {
		t.Errorf("after 503: %v %+v", open, v)
	}
	b.answers(nil)
	submit()
	if _, open := b.Modal("U0BOB"); open {
		t.Error("an empty acknowledgement closes it")
	}
}

func TestModalIsClosed(t *testing.T) {
	b := opened(t, m{"notify_on_close": true})
	if _, err := b.CloseModal(t.Context(), "U0BOB"); err != nil {
		t.Fatal(err)
	}
	if p := b.payload(); p["type"] != "view_closed" || p["is_cleared"] != false {
		t.Errorf("payload %v", p)
	}
	if _, open := b.Modal("U0BOB"); open {
		t.Error("still open")
	}
}

func TestResponseURL(t *testing.T) {
	b := start(t, nil)
	ts := b.must("chat.postMessage", deployment("req_1")).str("ts")
	press := func() string {
		if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", ActionID: "approve"}); err != nil {
			t.Fatal(err)
		}
		s, _ := b.payload()["response_url"].(string)
		return s
	}
	target := press()
	for i := range 5 {
		if r := b.post(target, "", m{"text": fmt.Sprint("private ", i)}); r.body["ok"] != true {
			t.Fatalf("use %d: %v", i, r.body)
		}
	}
	if r := b.post(target, "", m{"text": "sixth"}); r.status != 404 || r.code() != "used_url" {
		t.Errorf("sixth use: %d %v", r.status, r.body)
	}
	if m, err := b.WaitMessage(t.Context(), func(m slackbox.Message) bool { return m.Text == "private 4" }); err != nil || m.Ephemeral != "U0BOB" {
		t.Errorf("%+v, %v", m, err)
	}
	target = press()
	b.post(target, "", m{"text": "decided", "replace_original": true, "blocks": []any{section("decided")}})
	if m, _ := b.Message("C0DEPLOYS", ts); m.Text != "decided" || len(m.Buttons()) != 0 || len(m.Versions) != 1 {
		t.Errorf("replaced: %+v", m)
	}
	b.clock.add(30*time.Minute + time.Second)
	if r := b.post(target, "", m{"text": "late"}); r.code() != "expired_url" {
		t.Errorf("after half an hour: %v", r.body)
	}
}

func TestCommand(t *testing.T) {
	b := start(t, nil)
	give := func(text string) {
		t.Helper()
		if _, err := b.Command(t.Context(), slackbox.Typed{User: "U0BOB", Channel: "C0DEPLOYS", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	b.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"text":"nothing waits for you"}`)
	})
	give("/gatekeeper pending now")
	header, body := b.received()
	form, err := url.ParseQuery(body)
	if err != nil || !verified(b, header, body) {
		t.Fatal(err, header)
	}
	for key, want := range map[string]string{"command": "/gatekeeper", "text": "pending now", "user_id": "U0BOB", "team_id": "T0ACME", "channel_id": "C0DEPLOYS", "channel_name": "deploys", "api_app_id": slackbox.AppID} {
		if form.Get(key) != want {
			t.Errorf("%s = %q, want %q", key, form.Get(key), want)
		}
	}
	all := b.Messages("C0DEPLOYS")
	if len(all) != 1 || all[0].Ephemeral != "U0BOB" || all[0].Text != "nothing waits for you" {
		t.Errorf("answer: %+v", all)
	}
	b.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	give("/gatekeeper help")
	if n := b.Notices(); len(n) != 1 || n[0].Text != "/gatekeeper failed with the error “dispatch_failed”" {
		t.Errorf("notices: %+v", n)
	}
	b.SetScopes("chat:write")
	if _, err := b.Command(t.Context(), slackbox.Typed{User: "U0BOB", Channel: "C0DEPLOYS", Text: "/gatekeeper help"}); err == nil {
		t.Error("an app without the scope has its command")
	}
	b.SetScopes(slackbox.AllScopes()...)
	if _, err := b.Command(t.Context(), slackbox.Typed{User: "U0BOB", Channel: "C0DEPLOYS", Text: "/other"}); err == nil {
		t.Error("a command that the app has not was sent")
	}
}

// Events are sent again, as interactions never are.
func TestHomeIsOpened(t *testing.T) {
	b := start(t, nil)
	first := true
	b.answers(func(w http.ResponseWriter, _ *http.Request) {
		if first {
			w.WriteHeader(http.StatusInternalServerError)
		}
		first = false
	})
	if _, err := b.OpenHome(t.Context(), "U0BOB"); err != nil {
		t.Fatal(err)
	}
	if err := b.Wait(t.Context(), func() bool { return len(b.Deliveries()) == 2 }); err != nil {
		t.Fatal(err)
	}
	again := b.Deliveries()[1]
	event := object(t, again.Body)["event"].(m)
	if again.Header.Get("X-Slack-Retry-Num") != "1" || again.Header.Get("X-Slack-Retry-Reason") != "http_error" || event["type"] != "app_home_opened" || event["user"] != "U0BOB" {
		t.Errorf("retry: %+v", again)
	}
	b.must("views.publish", m{"user_id": "U0BOB", "view": m{"type": "home", "blocks": []any{actions(button("approve", "req_1", "Approve"))}}})
	if _, err := b.Click(t.Context(), slackbox.Click{User: "U0BOB", View: "home", ActionID: "approve"}); err != nil {
		t.Fatal(err)
	}
	if p := b.payload(); p["container"].(m)["type"] != "view" || p["message"] != nil || p["response_url"] != nil || p["view"].(m)["type"] != "home" {
		t.Errorf("payload: %v", p)
	}
}
