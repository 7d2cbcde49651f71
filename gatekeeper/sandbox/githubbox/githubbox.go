// Package githubbox is a stand-in for GitHub as a GitHub App sees it. It
// checks the App's signed tokens, hands out installation tokens that live an
// hour, answers 404 for what an installation has no access to and 403 for what
// its permissions do not cover, holds deployments back until a protection rule
// is reported, counts rate limits, and sends signed webhooks. It can be told
// to fail, each call once included. It listens on loopback only.
package githubbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// AppID is the App's id.
const AppID = 1234

// GitHub is the stand-in. Set what it knows before or while it runs.
type GitHub struct {
	server *httptest.Server
	mux    *http.ServeMux
	key    *rsa.PrivateKey

	mu       sync.Mutex
	app      App
	repos    map[string]*Repository // by owner/name
	owners   map[string]int64       // installations by owner
	attempts map[string][2]User     // "owner/repo/run/attempt" → actor, triggering actor
	commits  map[string]Commit
	pulls    map[string][]Pull // sha → pull requests that brought it
	compared map[string]Comparison
	checks   []CheckRun
	teams    map[string]map[string]string // org/slug → login → active or pending
	users    map[string]User              // by login
	tokens   map[string]token
	issued   []string // tokens, in order

	faults   faults
	calls    map[string]int
	limit    int // X-RateLimit-Remaining; below 1 the primary limit refuses
	changed  chan struct{}
	hooks    hooks
	objects  objects
	requests map[string][]PullRequest // by owner/name
}

// App is how the App is registered.
type App struct {
	Slug        string
	Permissions map[string]string // as granted to every installation
	Events      []string
	WebhookURL  string
}

// appKey is made once: it takes longer than most tests.
var appKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// New starts the stand-in with an App that has all it asks for.
func New() (*GitHub, error) {
	key, err := appKey()
	if err != nil {
		return nil, err
	}
	g := &GitHub{
		key: key, mux: http.NewServeMux(), repos: map[string]*Repository{}, owners: map[string]int64{}, attempts: map[string][2]User{},
		commits: map[string]Commit{}, pulls: map[string][]Pull{}, compared: map[string]Comparison{}, teams: map[string]map[string]string{},
		users: map[string]User{}, tokens: map[string]token{}, calls: map[string]int{}, limit: 5000, changed: make(chan struct{}),
		app: App{
			Slug: "acme-gatekeeper",
			Permissions: map[string]string{
				"metadata": "read", "actions": "read", "deployments": "write", "contents": "read", "checks": "write", "pull_requests": "read", "members": "read",
			},
			Events: []string{"deployment_protection_rule", "push", "pull_request", "check_run", "check_suite"},
		},
	}
	for _, register := range []func(){g.appCalls, g.actionCalls, g.codeCalls, g.checkCalls, g.objectCalls, g.requestCalls, g.teamCalls} {
		register()
	}
	enterprise := http.StripPrefix("/api/v3", g.mux)
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v3/") {
			enterprise.ServeHTTP(w, r)
			return
		}
		g.mux.ServeHTTP(w, r)
	}))
	return g, nil
}

// URL is the API's base, with a slash at its end.
func (g *GitHub) URL() string { return g.server.URL + "/" }

// EnterpriseURL is the same API where Enterprise Server has it.
func (g *GitHub) EnterpriseURL() string { return g.server.URL + "/api/v3/" }

// Close stops it.
func (g *GitHub) Close() { g.server.Close() }

// PrivateKey is the App's key as GitHub gives it.
func (g *GitHub) PrivateKey() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)})
}

// Change lets the App be registered otherwise.
func (g *GitHub) Change(change func(*App)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.app)
	clear(g.tokens) // GitHub ends tokens when permissions change
}

// Calls is how often a path, or any path of a pattern, was asked for.
func (g *GitHub) Calls(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[path]
}

// tell wakes those who wait for something to happen; the lock is held.
func (g *GitHub) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// Wait waits until ok holds, looking again at each change.
func (g *GitHub) Wait(done <-chan struct{}, ok func() bool) bool {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		if ok() {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// User is an account.
type User struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message, "documentation_url": "https://docs.github.com/rest"})
}

func notFound(w http.ResponseWriter) { refuse(w, http.StatusNotFound, "Not Found") }

// page cuts a list as per_page and page ask, at most 100 at once.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	size, number := number(r, "per_page", 30), number(r, "page", 1)
	size = min(size, 100)
	from := min((number-1)*size, len(all))
	to := min(from+size, len(all))
	if to < len(all) {
		q := r.URL.Query()
		q.Set("page", jsonNumber(number+1))
		next := "<http://" + r.Host + r.URL.Path + "?" + q.Encode() + `>; rel="next"`
		q.Set("page", jsonNumber((len(all)+size-1)/size))
		w.Header().Set("Link", next+", <http://"+r.Host+r.URL.Path+"?"+q.Encode()+`>; rel="last"`)
	}
	return all[from:to]
}

func number(r *http.Request, name string, def int) int {
	var n int
	if err := json.Unmarshal([]byte(r.URL.Query().Get(name)), &n); err != nil || n < 1 {
		return def
	}
	return n
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
