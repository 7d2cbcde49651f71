package slack

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
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

const (
	testToken  = "xoxb-canary-token-0123456789"
	testSecret = "canary-signing-secret-abcdef"
)

func start() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

// workspace is a Slack with the calls that this package makes and faults that
// tests set. Its posts stay, as Slack's do.
type workspace struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	posts  []map[string]any
	users  map[string]map[string]any
	groups map[string][]string
	faults map[string][]fault // by method, used up in order
}

type call struct {
	method string
	form   url.Values
	body   map[string]any
}

// fault answers instead of Slack, or (with after) behind Slack's back: the
// call takes effect and its answer is lost.
type fault struct {
	code  string // Slack's error code
	http  int
	retry string // Retry-After
	cut   bool   // break the connection
	after bool   // let the call take effect first
}

func newWorkspace(t testing.TB) *workspace {
	ws := &workspace{faults: map[string][]fault{}, groups: map[string][]string{"S0RELEASE": {"U0BOB", "U0CAROL", "U0ALICE"}}, users: map[string]map[string]any{}}
	for id, name := range map[string]string{"U0ALICE": "Alice", "U0BOB": "Bob", "U0CAROL": "Carol", "U0MALLORY": "Mallory"} {
		ws.users[id] = map[string]any{"id": id, "team_id": "T0ACME", "name": strings.ToLower(name), "real_name": name}
	}
	ws.Server = httptest.NewServer(ws)
	t.Cleanup(ws.Close)
	return ws
}

func (ws *workspace) fail(method string, faults ...fault) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.faults[method] = append(ws.faults[method], faults...)
}

func (ws *workspace) count(method string) int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	n := 0
	for _, c := range ws.calls {
		if c.method == method {
			n++
		}
	}
	return n
}

func (ws *workspace) last(t testing.TB, method string) call {
	t.Helper()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, c := range slices.Backward(ws.calls) {
		if c.method == method {
			return c
		}
	}
	t.Fatalf("Slack was never asked %s", method)
	return call{}
}

func (ws *workspace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/")
	c := call{method: method}
	body, _ := io.ReadAll(r.Body)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(body, &c.body)
	} else {
		c.form, _ = url.ParseQuery(string(body))
	}
	ws.mu.Lock()
	ws.calls = append(ws.calls, c)
	var f fault
	if queue := ws.faults[method]; len(queue) > 0 {
		f, ws.faults[method] = queue[0], queue[1:]
	}
	answer := map[string]any{}
	if f == (fault{}) || f.after {
		answer = ws.answer(c)
	}
	ws.mu.Unlock()
	switch {
	case f.cut:
		panic(http.ErrAbortHandler)
	case f.retry != "":
		w.Header().Set("Retry-After", f.retry)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case f.http != 0:
		w.WriteHeader(f.http)
		fmt.Fprintf(w, "<html>%s</html>", body) // an echoing proxy: it repeats the token
		return
	case f.code != "":
		answer = map[string]any{"ok": false, "error": f.code}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-OAuth-Scopes", "chat:write,users:read")
	_ = json.NewEncoder(w).Encode(answer)
}

func (ws *workspace) answer(c call) map[string]any {
	ok := map[string]any{"ok": true}
	switch c.method {
	case "auth.test":
		maps.Copy(ok, map[string]any{"team": "Acme", "team_id": "T0ACME", "user_id": "U0GATE", "bot_id": "B0GATE"})
	case "chat.postMessage":
		ts := strconv.Itoa(1772445600+len(ws.posts)) + ".000100"
		var metadata map[string]any
		_ = json.Unmarshal([]byte(c.form.Get("metadata")), &metadata)
		ws.posts = append(ws.posts, map[string]any{"ts": ts, "channel": c.form.Get("channel"), "metadata": metadata, "bot_id": "B0GATE"})
		maps.Copy(ok, map[string]any{"channel": c.form.Get("channel"), "ts": ts})
	case "chat.update":
		maps.Copy(ok, map[string]any{"channel": c.form.Get("channel"), "ts": c.form.Get("ts")})
	case "conversations.history":
		ok["messages"] = slices.DeleteFunc(slices.Clone(ws.posts), func(m map[string]any) bool { return m["channel"] != c.form.Get("channel") })
	case "users.info":
		user, known := ws.users[c.form.Get("user")]
		if !known {
			return map[string]any{"ok": false, "error": "user_not_found"}
		}
		ok["user"] = user
	case "usergroups.users.list":
		members, known := ws.groups[c.form.Get("usergroup")]
		if !known {
			return map[string]any{"ok": false, "error": "no_such_subteam"}
		}
		ok["users"] = members
	}
	return ok
}

// memory is durable storage with the queue of work, and can be down.
type memory struct {
	mu     sync.Mutex
	notes  map[string][]byte
	work   []gatekeeper.Work
	events []gatekeeper.Event
	down   error
}

func (m *memory) Note(_ context.Context, kind, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.notes[kind+" "+key], m.down
}

func (m *memory) SetNote(_ context.Context, kind, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		m.notes[kind+" "+key] = value
	}
	return m.down
}

func (m *memory) Record(_ context.Context, c gatekeeper.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	m.events = append(m.events, c.Events...)
	for _, w := range c.Work {
		same := func(had gatekeeper.Work) bool { return had.Kind == w.Kind && had.Key == w.Key }
		if i := slices.IndexFunc(m.work, same); i >= 0 {
			m.work[i].Payload = w.Payload
			continue
		}
		m.work = append(m.work, w)
	}
	return nil
}

func (m *memory) take() (gatekeeper.Work, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.work) == 0 {
		return gatekeeper.Work{}, false
	}
	w := m.work[0]
	m.work = m.work[1:]
	w.Attempt++
	return w, true
}

func (m *memory) giveBack(w gatekeeper.Work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.work = append(m.work, w)
}

func (m *memory) queued(kind string) []gatekeeper.Work {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.work), func(w gatekeeper.Work) bool { return w.Kind != kind })
}

// doorman is a gate over one map of requests, with the domain's own rules.
type doorman struct {
	mu       sync.Mutex
	requests map[string]gatekeeper.Request
	events   []gatekeeper.Event
	people   gatekeeper.People
	dir      gatekeeper.Directory
	clock    func() time.Time
	votes    int
}

func (g *doorman) Lookup(_ context.Context, id string) (gatekeeper.Request, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.requests[id]
	if !ok {
		return r, gatekeeper.Errorf(gatekeeper.CodeNotFound, "no request %s", id)
	}
	return r, nil
}

func (g *doorman) Vote(ctx context.Context, id string, v gatekeeper.Vote) (gatekeeper.Request, error) {
	standing, err := g.dir.Standing(ctx, v.Person)
	if err != nil {
		return gatekeeper.Request{}, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "you cannot be looked up")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.votes++
	r := g.requests[id]
	b := gatekeeper.Ballot{Vote: v, Standing: standing}
	for _, a := range r.Rule.Approval.Approvers() {
		member, err := g.dir.Member(ctx, v.Person, a)
		if err != nil {
			return r, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "you cannot be looked up")
		}
		if member {
			b.Member = append(b.Member, a)
		}
	}
	b.Vote.Person.Name = standing.Name
	next, events, err := r.Vote(b, gatekeeper.Electorate{People: g.people, Current: gatekeeper.Decision{Outcome: gatekeeper.NeedApproval, Rule: &r.Rule}}, g.clock())
	g.requests[id] = next
	g.events = append(g.events, events...)
	return next, err
}

func (g *doorman) put(r gatekeeper.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests[r.ID] = r
}

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
	o.Gate, o.People = b.gate, everybody()
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
		w, ok := b.mem.take()
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
	f, err := b.reference(context.Background(), id)
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
		"type": "block_actions", "api_app_id": "A0GATE", "trigger_id": "13345224609.738474920.8088930838d88f008e0",
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
	return b.post(callback(b.now, testSecret, url.Values{"payload": {string(raw)}}.Encode()))
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
	r, _, err := gatekeeper.NewRequest(gatekeeper.Admission{
		ID: id, Workload: workload(), Initiators: gatekeeper.Initiators{People: []gatekeeper.Account{{Login: "alice"}}, Known: true},
		Ask:      gatekeeper.Ask{Environment: "production", Reason: "Fix the rounding of refunds"},
		Decision: gatekeeper.Decision{Outcome: gatekeeper.NeedApproval, Rule: &rule, RulesDigest: "d1"}, Credentials: rule.Credentials, Now: start(),
	})
	if err != nil {
		panic(err)
	}
	return r
}
