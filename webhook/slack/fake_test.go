package slack

import (
	"context"
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
		ws.posts = append(ws.posts, map[string]any{"ts": ts, "channel": c.form.Get("channel"), "metadata": metadata, "bot_id": "B0GATE", "thread_ts": c.form.Get("thread_ts"), "text": c.form.Get("text")})
		maps.Copy(ok, map[string]any{"channel": c.form.Get("channel"), "ts": ts})
	case "chat.update":
		maps.Copy(ok, map[string]any{"channel": c.form.Get("channel"), "ts": c.form.Get("ts")})
	case "conversations.history":
		ok["messages"] = slices.DeleteFunc(slices.Clone(ws.posts), func(m map[string]any) bool { return m["channel"] != c.form.Get("channel") })
	case "conversations.replies":
		ok["messages"] = slices.DeleteFunc(slices.Clone(ws.posts), func(m map[string]any) bool {
			return m["channel"] != c.form.Get("channel") || m["thread_ts"] != c.form.Get("ts")
		})
	case "conversations.open":
		ok["channel"] = map[string]any{"id": "D" + strings.TrimPrefix(c.form.Get("users"), "U")}
	case "usergroups.list":
		var groups []map[string]any
		for _, id := range slices.Sorted(maps.Keys(ws.groups)) {
			groups = append(groups, map[string]any{"id": id, "handle": strings.ToLower(strings.TrimPrefix(id, "S0"))})
		}
		ok["usergroups"] = groups
	case "chat.getPermalink":
		ok["permalink"] = "https://acme.slack.com/archives/" + c.form.Get("channel") + "/p" + c.form.Get("message_ts")
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
	now    func() time.Time        // nil: After is left as it is
	after  func(gatekeeper.Change) // runs once something was recorded, before anybody is told
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

func (m *memory) Notes(_ context.Context, kind string, limit int) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string][]byte{}
	for key, value := range m.notes {
		if k, ok := strings.CutPrefix(key, kind+" "); ok && len(found) < limit {
			found[k] = value
		}
	}
	return found, m.down
}

func (m *memory) DropNote(_ context.Context, kind, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		delete(m.notes, kind+" "+key)
	}
	return m.down
}

func (m *memory) Record(_ context.Context, c gatekeeper.Change) error {
	if err := m.record(c); err != nil {
		return err
	}
	if m.after != nil {
		m.after(c)
	}
	return nil
}

func (m *memory) record(c gatekeeper.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	m.events = append(m.events, c.Events...)
	for _, n := range c.Notes {
		m.notes[n.Kind+" "+n.Key] = n.Value
	}
	for _, w := range c.Work {
		if m.now != nil && w.After > 0 {
			w.RunAt = m.now().Add(w.After)
		}
		same := func(had gatekeeper.Work) bool { return had.Kind == w.Kind && had.Key == w.Key }
		if i := slices.IndexFunc(m.work, same); i >= 0 {
			m.work[i].Payload = w.Payload
			if w.RunAt.Before(m.work[i].RunAt) {
				m.work[i].RunAt = w.RunAt
			}
			continue
		}
		m.work = append(m.work, w)
	}
	return nil
}

// take is the first work that is due.
func (m *memory) take(now time.Time) (gatekeeper.Work, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.work, func(w gatekeeper.Work) bool { return !w.RunAt.After(now) })
	if i < 0 {
		return gatekeeper.Work{}, false
	}
	w := m.work[i]
	m.work = slices.Delete(m.work, i, i+1)
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
	approvers := r.Rule.Approval.Approvers()
	if r.BreakGlass != nil {
		approvers = append(approvers, r.BreakGlass.Group.Approvers...)
	}
	for _, a := range approvers {
		member, err := g.dir.Member(ctx, v.Person, a)
		if err != nil {
			return r, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "you cannot be looked up")
		}
		if member {
			b.Member = append(b.Member, a)
		}
	}
	b.Vote.Person.Name = standing.Name
	next, events, err := r.Vote(b, gatekeeper.Electorate{People: g.people, Current: gatekeeper.Decision{Outcome: gatekeeper.NeedApproval, Rule: &r.Rule, BreakGlass: r.BreakGlass}}, g.clock())
	g.requests[id] = next
	g.events = append(g.events, events...)
	return next, err
}

// inboxes are a real gate's, over the same requests and people.
func (g *doorman) inboxes() *gatekeeper.Gate {
	return &gatekeeper.Gate{Options: gatekeeper.Options{Rules: g, Finder: g, Directory: g.dir, People: g.people, Now: g.clock, Logger: slog.New(slog.DiscardHandler)}}
}

func (g *doorman) Inbox(ctx context.Context, p gatekeeper.Person) (gatekeeper.Inbox, error) {
	return g.inboxes().Inbox(ctx, p)
}

func (g *doorman) Sight(ctx context.Context, p gatekeeper.Person, r gatekeeper.Request) (gatekeeper.InboxItem, error) {
	return g.inboxes().Sight(ctx, p, r)
}

// Find implements gatekeeper.Finder.
func (g *doorman) Find(_ context.Context, f gatekeeper.Filter) ([]gatekeeper.Request, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var found []gatekeeper.Request
	for _, r := range g.requests {
		if len(f.States) == 0 || slices.Contains(f.States, r.State) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b gatekeeper.Request) int {
		if order := b.CreatedAt.Compare(a.CreatedAt); order != 0 {
			return order
		}
		return strings.Compare(b.ID, a.ID)
	})
	return found, nil
}

// Decide lets each request's own rule stay in force.
func (g *doorman) Decide(_ context.Context, w gatekeeper.Workload, _ string, _ time.Time) gatekeeper.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.requests {
		if r.Workload.RunID == w.RunID {
			return gatekeeper.Decision{Outcome: gatekeeper.NeedApproval, Rule: &r.Rule, BreakGlass: r.BreakGlass}
		}
	}
	return gatekeeper.Decision{}
}

func (g *doorman) put(r gatekeeper.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests[r.ID] = r
}
