package slackbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// A process of its own can do what a test in this one can.
func TestControl(t *testing.T) {
	b := start(t, nil)
	do := func(what string, in any) result { return b.post(b.URL()+"_sandbox/"+what, "", in) }
	waiting := make(chan string)
	go func() {
		_, body := b.get("/_sandbox/messages?action=approve&value=req_1&wait=30s", nil)
		waiting <- body
	}()
	b.must("chat.postMessage", deployment("req_1"))
	var found []slackbox.Message
	if err := json.Unmarshal([]byte(<-waiting), &found); err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	if r := do("click", m{"user": "U0BOB", "action_id": "deny", "value": "req_1"}); r.status != 200 || r.body["status"] != 200.0 {
		t.Errorf("click: %+v", r)
	}
	b.must("views.open", m{"trigger_id": b.payload()["trigger_id"], "view": modal(nil)})
	if _, body := b.get("/_sandbox/modal?user=U0BOB", nil); !strings.Contains(body, `"callback_id":"reason"`) {
		t.Errorf("modal: %s", body)
	}
	if r := do("submit", m{"user": "U0BOB", "values": m{"reason": "no"}}); r.status != 200 || b.payload()["type"] != "view_submission" {
		t.Errorf("submit: %+v", r)
	}
	if r := do("click", m{"user": "U0BOB", "action_id": "nothing"}); r.status != http.StatusConflict || r.code() == "" {
		t.Errorf("nothing to click: %+v", r)
	}
	if r := do("click", m{"usr": "U0BOB"}); r.status != http.StatusBadRequest {
		t.Errorf("misspelt: %+v", r)
	}
	do("fail", m{"method": "auth.test", "status": 503, "delay": "1ms"})
	if r := b.call("auth.test", nil); r.status != 503 {
		t.Errorf("fault: %+v", r)
	}
	do("user", slackbox.User{ID: "U0BOB", Name: "bob", RealName: "Bob", Deactivated: true})
	if r := b.must("users.info", m{"user": "U0BOB"}); r.body["user"].(m)["deleted"] != true {
		t.Errorf("deactivated: %v", r.body)
	}
	do("scopes", m{"scopes": []string{"chat:write", "commands"}})
	if r := b.call("users.info", m{"user": "U0BOB"}); r.code() != "missing_scope" {
		t.Errorf("scopes: %v", r.body)
	}
	if r := do("command", m{"user": "U0EVE", "channel": "C0DEPLOYS", "text": "/gatekeeper help"}); r.status != 200 {
		t.Errorf("command: %+v", r)
	}
	if r := do("redeliver", m{"index": 0}); r.status != 200 || b.bodies[0] != b.bodies[len(b.bodies)-1] {
		t.Errorf("redeliver: %+v", r)
	}
	for _, path := range []string{"calls?method=auth.test", "deliveries", "notices", "people", "home?user=U0BOB", "wait?revision=0&timeout=1s"} {
		if status, body := b.get("/_sandbox/"+path, nil); status != 200 || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
