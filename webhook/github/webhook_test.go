package github_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

const secret = "it is a secret to everybody"

// inbox keeps what was recorded, once for each key.
type inbox struct {
	mu   sync.Mutex
	seen map[string]bool
	work []gatekeeper.Work
	fail error
}

func (i *inbox) Once(_ context.Context, key string, _ time.Duration, c gatekeeper.Change) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return false, i.fail
	}
	if i.seen[key] {
		return false, nil
	}
	if i.seen == nil {
		i.seen = map[string]bool{}
	}
	i.seen[key] = true
	i.work = append(i.work, c.Work...)
	return true, nil
}

// delivery is a webhook as GitHub would send it.
func delivery(id, event, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhook/github", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign(secret, []byte(body))))
	return r
}

func hook(t testing.TB, i github.Inbox, s github.Subscriptions) *github.Webhook {
	t.Helper()
	h, err := github.NewWebhook(github.WebhookOptions{Secret: secret, Inbox: i, Subscriptions: s})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func onPush(handle func(context.Context, github.Event) error) github.Subscriptions {
	return github.Subscriptions{"push": {Handle: handle}, "check_suite": {Actions: []string{"requested"}, Handle: handle}}
}

// Threats row 41: only what GitHub signed is looked at, and nothing is told
// of what the right signature would have been.
func TestForgedWebhooksAreRefused(t *testing.T) {
	const id, body = "72d3162e-cc78-11e3-81ab-4c9367dc0958", `{"ref":"refs/heads/main"}`
	with := func(header, value string) *http.Request {
		r := delivery(id, "push", body)
		r.Header.Set(header, value)
		return r
	}
	for name, c := range map[string]struct {
		request *http.Request
		status  int
	}{
		"right":           {delivery(id, "push", body), 202},
		"unsigned":        {with("X-Hub-Signature-256", ""), 401},
		"only SHA-1":      {with("X-Hub-Signature-256", "sha1="+strings.Repeat("0", 40)), 401},
		"no prefix":       {with("X-Hub-Signature-256", hex.EncodeToString(github.Sign(secret, []byte(body)))), 401},
		"other secret":    {with("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign("other", []byte(body)))), 401},
		"empty secret":    {with("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign("", []byte(body)))), 401},
		"half of it":      {with("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign(secret, []byte(body)))[:32]), 401},
		"no hex":          {with("X-Hub-Signature-256", "sha256="+strings.Repeat("z", 64)), 401},
		"of another body": {with("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign(secret, []byte("{}")))), 401},
		"form":            {with("Content-Type", "application/x-www-form-urlencoded"), 400},
		"no event":        {with("X-GitHub-Event", ""), 400},
		"strange event":   {with("X-GitHub-Event", "push\nx"), 400},
		"no delivery":     {with("X-GitHub-Delivery", ""), 400},
		"no JSON":         {delivery(id, "push", "{"), 400},
		"no object":       {delivery(id, "push", "[]"), 400},
		"action a number": {delivery(id, "check_suite", `{"action":7}`), 400},
		"GET":             {httptest.NewRequest(http.MethodGet, "/", nil), 405},
		"too large":       {delivery(id, "push", `{"x":"`+strings.Repeat("x", 1<<20)+`"}`), 413},
	} {
		t.Run(name, func(t *testing.T) {
			box := &inbox{}
			w := httptest.NewRecorder()
			hook(t, box, onPush(nil)).ServeHTTP(w, c.request)
			if w.Code != c.status {
				t.Fatalf("answered %d %s, want %d", w.Code, w.Body, c.status)
			}
			if recorded := len(box.work) > 0; recorded != (c.status == 202) {
				t.Errorf("recorded: %v", recorded)
			}
			if strings.Contains(w.Body.String(), hex.EncodeToString(github.Sign(secret, []byte(body)))) || strings.Contains(w.Body.String(), secret) {
				t.Error("the answer tells the secret or the signature")
			}
		})
	}
}

func TestEmptyWebhookSecretIsRefusedAtStart(t *testing.T) {
	if _, err := github.NewWebhook(github.WebhookOptions{Inbox: &inbox{}}); err == nil {
		t.Fatal("an empty secret was taken")
	}
}

// Threats row 41: a repeated delivery is acknowledged and changes nothing;
// events nobody wants are acknowledged and leave nothing behind.
func TestRepeatedAndUnknownWebhooks(t *testing.T) {
	box := &inbox{}
	h := hook(t, box, onPush(nil))
	for _, r := range []*http.Request{
		delivery("delivery-1", "push", `{}`), delivery("delivery-1", "push", `{}`), delivery("delivery-2", "push", `{}`),
		delivery("delivery-3", "ping", `{"zen":"…"}`), delivery("delivery-4", "check_suite", `{"action":"completed"}`),
		delivery("delivery-5", "check_suite", `{"action":"requested"}`),
	} {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusAccepted {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
	}
	var keys []string
	for _, w := range box.work {
		keys = append(keys, w.Key)
	}
	if got := strings.Join(keys, " "); got != "delivery-1 delivery-2 delivery-5" {
		t.Errorf("recorded %q", got)
	}
}

// What cannot be recorded is not acknowledged: GitHub shows it as failed, and
// the sweep finds what it was about.
func TestUnrecordedWebhookIsNotAcknowledged(t *testing.T) {
	w := httptest.NewRecorder()
	hook(t, &inbox{fail: gatekeeper.Errorf(gatekeeper.CodeUnavailable, "disk full")}, onPush(nil)).ServeHTTP(w, delivery("delivery-1", "push", `{}`))
	if w.Code != http.StatusServiceUnavailable {
		t.Fatalf("answered %d", w.Code)
	}
}

// The work reaches its handler with what was signed, again after an error.
func TestWebhookWork(t *testing.T) {
	box := &inbox{}
	var got []github.Event
	fails := errors.New("not yet")
	h := hook(t, box, onPush(func(_ context.Context, e github.Event) error {
		got = append(got, e)
		if len(got) == 1 {
			return fails
		}
		return nil
	}))
	h.ServeHTTP(httptest.NewRecorder(), delivery("delivery-5", "check_suite", `{"action":"requested","n":12345678901234567}`))
	handle := h.Handlers()[github.WorkWebhook]
	if err := handle(t.Context(), box.work[0]); !errors.Is(err, fails) {
		t.Fatal(err)
	}
	if err := handle(t.Context(), box.work[0]); err != nil {
		t.Fatal(err)
	}
	if e := got[1]; e.Name != "check_suite" || e.Action != "requested" || e.Delivery != "delivery-5" || !strings.Contains(string(e.Payload), "12345678901234567") {
		t.Errorf("handled %+v", e)
	}
	if err := handle(t.Context(), gatekeeper.Work{Kind: github.WorkWebhook, Key: "x", Payload: json.RawMessage(`{"name":"star"}`)}); err != nil {
		t.Errorf("an event that this version does not want: %v", err)
	}
}

// FuzzWebhook: nothing that a stranger sends is recorded, and nothing that
// GitHub signed brings the endpoint down.
func FuzzWebhook(f *testing.F) {
	f.Add([]byte(`{"action":"requested"}`), "deployment_protection_rule", "delivery-1", true)
	f.Add([]byte(`{"action":{}}`), "push", "x", true)
	f.Add([]byte{0xff, 0}, "", "", false)
	f.Fuzz(func(t *testing.T, body []byte, event, id string, signed bool) {
		box := &inbox{}
		h := hook(t, box, github.Subscriptions{"deployment_protection_rule": {}, "push": {}})
		r := delivery(id, event, string(body))
		if !signed {
			r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(body))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if len(box.work) > 0 && (!signed || w.Code != http.StatusAccepted) {
			t.Fatalf("recorded with status %d, signed: %v", w.Code, signed)
		}
	})
}
