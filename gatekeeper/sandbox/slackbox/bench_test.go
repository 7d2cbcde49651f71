package slackbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bench is a workspace with an app that answers as the test says.
type bench struct {
	*slackbox.Workspace
	t     *testing.T
	clock *clock

	mu     sync.Mutex
	got    []*http.Request // with the body in got[i].Form
	bodies []string
	answer func(http.ResponseWriter, *http.Request)
}

func start(t *testing.T, change func(*slackbox.Options)) *bench {
	t.Helper()
	b := &bench{t: t, clock: newClock()}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.mu.Lock()
		b.got, b.bodies = append(b.got, r), append(b.bodies, string(body))
		answer := b.answer
		b.mu.Unlock()
		if answer != nil {
			r.Body = io.NopCloser(bytes.NewReader(body))
			answer(w, r)
		}
	}))
	t.Cleanup(app.Close)
	o := slackbox.Options{Clock: b.clock.now, InteractionsURL: app.URL + "/interactions", CommandsURL: app.URL + "/commands", EventsURL: app.URL + "/events"}
	if change != nil {
		change(&o)
	}
	w, err := slackbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	b.Workspace = w
	return b
}

func (b *bench) answers(f func(http.ResponseWriter, *http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = f
}

// received is the last callback that the app got: its headers and raw body.
func (b *bench) received() (http.Header, string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		b.t.Fatal("the app got no callback")
	}
	return b.got[len(b.got)-1].Header, b.bodies[len(b.bodies)-1]
}

// payload is the last callback's payload.
func (b *bench) payload() map[string]any {
	b.t.Helper()
	_, body := b.received()
	form, err := url.ParseQuery(body)
	if err != nil {
		b.t.Fatal(err)
	}
	return object(b.t, form.Get("payload"))
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

// result is an answer of the API.
type result struct {
	status int
	header http.Header
	body   map[string]any
}

func (r result) code() string { s, _ := r.body["error"].(string); return s }

func (r result) str(key string) string { s, _ := r.body[key].(string); return s }

// call posts JSON with the bot's token.
func (b *bench) call(method string, in map[string]any) result {
	b.t.Helper()
	if in == nil {
		in = map[string]any{}
	}
	return b.post(b.APIURL()+method, slackbox.BotToken, in)
}

func (b *bench) post(target, token string, in any) result {
	b.t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(target, token, "application/json", string(raw))
}

func (b *bench) send(target, token, kind, body string) result {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return result{}
	}
	defer resp.Body.Close()
	out := result{status: resp.StatusCode, header: resp.Header, body: map[string]any{}}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = json.Unmarshal(raw, &out.body) // a fault may answer something else
	return out
}

// must is call, and the answer has to be ok.
func (b *bench) must(method string, in map[string]any) result {
	b.t.Helper()
	r := b.call(method, in)
	if r.body["ok"] != true {
		b.t.Fatalf("%s: %v", method, r.body)
	}
	return r
}

type m = map[string]any

func text(kind, s string) m { return m{"type": kind, "text": s} }

func section(s string) m { return m{"type": "section", "text": text("mrkdwn", s)} }

func button(action, value, label string) m {
	return m{"type": "button", "action_id": action, "value": value, "text": text("plain_text", label)}
}

func actions(elements ...any) m { return m{"type": "actions", "elements": elements} }

// deployment is a message as the gatekeeper posts it.
func deployment(request string) m {
	return m{"channel": "C0DEPLOYS", "text": "Approval needed: acme/payments → production", "blocks": []any{
		m{"type": "header", "text": text("plain_text", "Approval needed: acme/payments → production")},
		section("deploy <https://example.com|v1.2>"),
		actions(button("approve", request, "Approve"), button("deny", request, "Deny")),
	}, "metadata": m{"event_type": "gatekeeper_request", "event_payload": m{"request_id": request}}}
}
