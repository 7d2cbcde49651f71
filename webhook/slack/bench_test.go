package slack

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// bench is one Slack with all that surrounds it.
type bench struct {
	t    testing.TB
	ws   *workspace
	mem  *memory
	gate *doorman
	now  time.Time
	log  *lockedBuffer
	*Slack
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newBench(t testing.TB, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, ws: newWorkspace(t), mem: &memory{notes: map[string][]byte{}}, now: start(), log: &lockedBuffer{}}
	b.mem.now = func() time.Time { return b.now }
	o := Options{
		APIURL: b.ws.URL + "/", BotToken: testToken, SigningSecret: testSecret, Team: "T0ACME", AppID: "A0GATE", DefaultChannel: "C0DEPLOYS",
		PublicURL: "https://gatekeeper.example.com", Memory: b.mem, Clock: func() time.Time { return b.now },
		Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	dir, err := NewDirectory(o)
	if err != nil {
		t.Fatal(err)
	}
	b.gate = &doorman{requests: map[string]gatekeeper.Request{}, people: everybody(), dir: dir, clock: o.Clock}
	o.Gate, o.Finder, o.People = b.gate, b.gate, everybody()
	for _, f := range change {
		f(&o)
	}
	if b.Slack, err = New(o); err != nil {
		t.Fatal(err)
	}
	return b
}

// open stores a pending request and shows it.
func (b *bench) open(id string, change ...func(*gatekeeper.Request)) gatekeeper.Request {
	b.t.Helper()
	r := pending(id)
	for _, f := range change {
		f(&r)
	}
	b.gate.put(r)
	b.show(id, 1)
	return r
}

func (b *bench) show(id string, attempt int) {
	b.t.Helper()
	if err := b.deliver(context.Background(), gatekeeper.Work{Kind: gatekeeper.WorkMessage, Key: id, Attempt: attempt}); err != nil {
		b.t.Fatalf("deliver: %v", err)
	}
}

// settle does all queued work as a queue would, each at most tries times.
func (b *bench) settle(tries int) {
	b.t.Helper()
	for range 100 {
		w, ok := b.mem.take(b.now)
		if !ok {
			return
		}
		if err := b.Handlers()[w.Kind](context.Background(), w); err != nil && w.Attempt < tries {
			b.mem.giveBack(w)
		}
	}
	b.t.Fatal("the work never ends")
}

func (b *bench) ref(id string) reference {
	b.t.Helper()
	f, err := b.noted(context.Background(), gatekeeper.WorkMessage, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

// press is a click on a button of a request's message, as Slack sends it.
func (b *bench) press(user, actionID, id string, change ...func(map[string]any)) *httptest.ResponseRecorder {
	b.t.Helper()
	f := b.ref(id)
	p := map[string]any{
		"type": "block_actions", "api_app_id": b.AppID, "trigger_id": "13345224609.738474920.8088930838d88f008e0",
		"team": map[string]any{"id": "T0ACME"}, "user": map[string]any{"id": user, "team_id": "T0ACME", "username": "x", "name": "x"},
		"channel": map[string]any{"id": f.Channel}, "message": map[string]any{"ts": f.TS},
		"container": map[string]any{"type": "message", "message_ts": f.TS, "channel_id": f.Channel},
		"actions":   []any{map[string]any{"type": "button", "action_id": actionID, "value": id, "action_ts": "1772445700.000200"}},
	}
	for _, f := range change {
		f(p)
	}
	return b.send(p)
}

func (b *bench) send(p map[string]any) *httptest.ResponseRecorder {
	b.t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.post(callback(b.now, b.SigningSecret, url.Values{"payload": {string(raw)}}.Encode()))
}

func (b *bench) post(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.Interactions().ServeHTTP(w, r)
	b.background.Wait()
	return w
}

func callback(at time.Time, secret, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhook/slack/interactions", strings.NewReader(body))
	timestamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", timestamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(signature(secret, timestamp, []byte(body))))
	return r
}

// private is what the person was told by an ephemeral message, "" for none.
func (b *bench) told(user string) string {
	b.ws.mu.Lock()
	defer b.ws.mu.Unlock()
	for _, c := range slices.Backward(b.ws.calls) {
		if c.method == "chat.postEphemeral" && c.form.Get("user") == user {
			return c.form.Get("blocks")
		}
	}
	return ""
}

func everybody() gatekeeper.People {
	return gatekeeper.People{
		{Name: "Alice", Slack: "U0ALICE", GitHub: "alice"}, {Name: "Bob", Slack: "U0BOB", GitHub: "bob"},
		{Name: "Carol", Slack: "U0CAROL", GitHub: "carol"}, {Name: "Mallory", Slack: "U0MALLORY", GitHub: "mallory"},
	}
}

const testSHA = "4f2c1e0b9a3d5c7e8f90123456789abcdef01234"

func workload() gatekeeper.Workload {
	return gatekeeper.Workload{
		Issuer: "github", IssuerType: "github", IssuerURL: "https://token.actions.githubusercontent.com",
		Subject: "repo:acme/payments:environment:production", Repository: "acme/payments", RepositoryID: "1234567",
		Ref: "refs/heads/main", SHA: testSHA, RunID: "7001", RunAttempt: "1", Job: "501", Environment: "production", Event: "push",
		Actor: "alice", RunURL: "https://github.com/acme/payments/actions/runs/7001",
	}
}

// pending is alice's request, which takes one of S0RELEASE.
func pending(id string) gatekeeper.Request {
	rule := gatekeeper.Rule{Name: "payments-production", Digest: "r1", Approval: gatekeeper.Approval{
		Groups:       []gatekeeper.Group{{Approvers: []gatekeeper.Approver{"slack:S0RELEASE"}, Quorum: 1}},
		ExpiresAfter: time.Hour, ValidFor: 15 * time.Minute, Redemptions: 1, Scope: gatekeeper.ScopeRun, StepUp: gatekeeper.StepUpNone,
	}, Credentials: []gatekeeper.CredentialSpec{{Name: "deploy", Type: "aws"}}}
	run := workload()
	if id != "req_1" { // others are of runs of their own
		run.RunID = strconv.Itoa(int(crc32.ChecksumIEEE([]byte(id))))
	}
	r, _, err := gatekeeper.NewRequest(gatekeeper.Admission{
		ID: id, Workload: run, Initiators: gatekeeper.Initiators{People: []gatekeeper.Account{{Login: "alice"}}, Known: true},
		Ask:      gatekeeper.Ask{Environment: "production", Reason: "Fix the rounding of refunds"},
		Decision: gatekeeper.Decision{Outcome: gatekeeper.NeedApproval, Rule: &rule, RulesDigest: "d1"}, Credentials: rule.Credentials, Now: start(),
	})
	if err != nil {
		panic(err)
	}
	return r
}
