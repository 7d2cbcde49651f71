package slack

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

const someClick = `{"type":"block_actions","api_app_id":"A0GATE","team":{"id":"T0ACME"},"user":{"id":"U0BOB"},"channel":{"id":"C0DEPLOYS"},` +
	`"message":{"ts":"1772445600.000100"},"actions":[{"action_id":"gatekeeper_approve","value":"req_1","action_ts":"1772445700.000200"}]}`

// Threats rows 21 and 22.
func TestForgedCallbacksAreRefused(t *testing.T) {
	body := url.Values{"payload": {someClick}}.Encode()
	sign := func(at time.Time, secret string) func() *http.Request {
		return func() *http.Request { return callback(at, secret, body) }
	}
	with := func(header, value string) func() *http.Request {
		return func() *http.Request {
			r := callback(start(), testSecret, body)
			r.Header.Set(header, value)
			return r
		}
	}
	for name, tc := range map[string]struct {
		request func() *http.Request
		status  int
	}{
		"right":             {sign(start(), testSecret), 200},
		"5 minutes late":    {sign(start().Add(-window), testSecret), 200},
		"forged":            {sign(start(), "another secret"), 401},
		"empty secret":      {sign(start(), ""), 401},
		"stale":             {sign(start().Add(-window-time.Second), testSecret), 401},
		"from the future":   {sign(start().Add(window+time.Second), testSecret), 401},
		"unsigned":          {with("X-Slack-Signature", ""), 401},
		"no timestamp":      {with("X-Slack-Request-Timestamp", ""), 401},
		"timestamp of text": {with("X-Slack-Request-Timestamp", "now"), 401},
		"other timestamp":   {with("X-Slack-Request-Timestamp", strconv.FormatInt(start().Unix()+1, 10)), 401},
		"no version":        {with("X-Slack-Signature", strings.Repeat("0", 64)), 401},
		"short":             {with("X-Slack-Signature", "v0=00"), 401},
		"no hex":            {with("X-Slack-Signature", "v0="+strings.Repeat("z", 64)), 401},
		"minus a year zero": {with("X-Slack-Request-Timestamp", "-9223372036854775808"), 401},
		"changed body": {func() *http.Request {
			r := callback(start(), testSecret, body)
			other := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Replace(body, "U0BOB", "U0EVE", 1)))
			other.Header = r.Header
			return other
		}, 401},
		"GET": {func() *http.Request { return httptest.NewRequest(http.MethodGet, "/", nil) }, 405},
		"too large": {func() *http.Request {
			return callback(start(), testSecret, "payload="+strings.Repeat("a", maxCallback))
		}, 413},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			request := tc.request()
			answer := b.post(request)
			if answer.Code != tc.status {
				t.Errorf("status %d, want %d: %s", answer.Code, tc.status, answer.Body)
			}
			if recorded := len(b.mem.queued(WorkClick)); (recorded == 1) != (tc.status == 200) {
				t.Errorf("%d clicks recorded", recorded)
			}
			timestamp := request.Header.Get("X-Slack-Request-Timestamp")
			right := hex.EncodeToString(signature(testSecret, timestamp, []byte(body)))
			if said := b.log.String() + answer.Body.String(); strings.Contains(said, right[:12]) || strings.Contains(said, testSecret) {
				t.Errorf("the right signature or the secret is told: %s", said)
			}
		})
	}
}

// Threats row 21.
func TestEmptySigningSecretIsRefusedAtStart(t *testing.T) {
	good := Options{BotToken: "x", SigningSecret: "s", PublicURL: "https://g", Gate: &doorman{}, Memory: &memory{}}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"no secret":   func(o *Options) { o.SigningSecret = "" },
		"no token":    func(o *Options) { o.BotToken = "" },
		"no gate":     func(o *Options) { o.Gate = nil },
		"no memory":   func(o *Options) { o.Memory = nil },
		"no url":      func(o *Options) { o.PublicURL = "" },
		"http api":    func(o *Options) { o.APIURL = "http://slack.example.com/api/" },
		"api of user": func(o *Options) { o.APIURL = "https://a:b@slack.com/api/" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestPayloadsThatAreNotOursAreRefused(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	first := func(p map[string]any) map[string]any { return p["actions"].([]any)[0].(map[string]any) }
	for name, change := range map[string]func(map[string]any){
		"unknown type":      func(p map[string]any) { p["type"] = "shortcut" },
		"unknown action":    func(p map[string]any) { first(p)["action_id"] = "gatekeeper_redeem" },
		"other app":         func(p map[string]any) { p["api_app_id"] = "A0EVIL" },
		"no user":           func(p map[string]any) { delete(p, "user") },
		"user is no id":     func(p map[string]any) { p["user"] = map[string]any{"id": "bob"} },
		"no team":           func(p map[string]any) { delete(p, "team"); p["user"] = map[string]any{"id": "U0BOB"} },
		"two actions":       func(p map[string]any) { p["actions"] = []any{first(p), first(p)} },
		"no action":         func(p map[string]any) { p["actions"] = []any{} },
		"request is a path": func(p map[string]any) { first(p)["value"] = "req_../../x" },
		"no request":        func(p map[string]any) { first(p)["value"] = "" },
		"no message":        func(p map[string]any) { delete(p, "message"); delete(p, "container") },
		"two messages":      func(p map[string]any) { p["message"] = map[string]any{"ts": "1.1"} },
		"no channel":        func(p map[string]any) { p["channel"] = map[string]any{"id": "#general"}; delete(p, "container") },
	} {
		if answer := b.press("U0BOB", actionApprove, "req_1", change); answer.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d: %s", name, answer.Code, answer.Body)
		}
	}
	if n := len(b.mem.queued(WorkClick)); n != 0 {
		t.Errorf("%d clicks recorded", n)
	}
	if answer := b.press("U0BOB", actionDetails, "req_1"); answer.Code != http.StatusOK {
		t.Errorf("the link's click is answered %d", answer.Code)
	}
	for _, body := range []string{"", "payload=", "payload=%7B", "payload=[]", "%zz", "payload=null"} {
		if answer := b.post(callback(start(), testSecret, body)); answer.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d", body, answer.Code)
		}
	}
}

// What is not recorded is never acknowledged.
func TestClickIsNotAcknowledgedWhileStorageIsDown(t *testing.T) {
	b := newBench(t)
	b.open("req_1")
	b.mem.down = errors.New("disk full")
	f := reference{Channel: "C0DEPLOYS", TS: "1772445600.000100"}
	answer := b.send(map[string]any{
		"type": "block_actions", "api_app_id": "A0GATE", "team": map[string]any{"id": "T0ACME"}, "user": map[string]any{"id": "U0BOB"},
		"channel": map[string]any{"id": f.Channel}, "message": map[string]any{"ts": f.TS},
		"actions": []any{map[string]any{"action_id": actionApprove, "value": "req_1", "action_ts": "1.2"}},
	})
	if answer.Code != http.StatusServiceUnavailable {
		t.Fatalf("status %d", answer.Code)
	}
	if !strings.Contains(b.told("U0BOB"), "not counted") {
		t.Errorf("the person does not know: %s", b.told("U0BOB"))
	}
	if answer := b.submit("U0BOB", gatekeeper.Deny, "req_1", f, "no", "V1"); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("a form is acknowledged with %d", answer.Code)
	}
}

func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(someClick))
	f.Add([]byte(`{"type":"view_submission","team":null,"enterprise":{"id":"E1"},"user":{"id":"U1"},"view":{"id":"V1","callback_id":"gatekeeper_reason","private_metadata":"{}"}}`))
	s := &Slack{Options: Options{Clock: start, Team: "T0ACME"}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parsePayload(raw, "")
		if err != nil {
			return
		}
		clicks := []click{}
		for _, a := range p.Actions {
			if c, err := s.read(p, a); err == nil {
				clicks = append(clicks, c)
			}
		}
		if c, err := s.readForm(p); err == nil {
			clicks = append(clicks, c)
		}
		for _, c := range clicks {
			if !requestID.MatchString(c.Request) || !userID.MatchString(c.Person.Slack) || !placeID.MatchString(c.Channel) || c.Once == "" || c.Choice == "" || c.Person.Team == "" {
				t.Errorf("read %+v of %s", c, raw)
			}
		}
	})
}
