// Package githubbox is a stand-in for GitHub's REST API as a GitHub App sees
// it: installations, workflow run attempts, commits and pull requests. It
// checks the App's signed token and the installation's, and can be told to
// fail. It listens on loopback only.
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

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// AppID is the App's id.
const AppID = 1234

const installationToken = "ghs_sandboxInstallation"

// User is an account.
type User struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// Commit is one commit with its author.
type Commit struct {
	SHA       string `json:"sha"`
	Author    *User  `json:"author"`
	Committer *User  `json:"committer"`
}

// GitHub is the stand-in. Set what it knows before or while it runs.
type GitHub struct {
	server *httptest.Server
	key    *rsa.PrivateKey

	mu       sync.Mutex
	attempts map[string][2]User // "owner/repo/run/attempt" → actor, triggering actor
	commits  map[string]Commit
	pulls    map[string]map[int][]Commit // sha → pull request → commits
	failing  int                         // status of the next answers; 0: none
	calls    map[string]int
}

// New starts the stand-in.
func New() (*GitHub, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	g := &GitHub{key: key, attempts: map[string][2]User{}, commits: map[string]Commit{}, pulls: map[string]map[int][]Commit{}, calls: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/{owner}/{repo}/installation", g.app(g.installation))
	mux.HandleFunc("POST /app/installations/{id}/access_tokens", g.app(g.token))
	mux.HandleFunc("GET /repos/{owner}/{repo}/actions/runs/{run}/attempts/{attempt}", g.installed(g.attempt))
	mux.HandleFunc("GET /repos/{owner}/{repo}/commits/{sha}", g.installed(g.commit))
	mux.HandleFunc("GET /repos/{owner}/{repo}/commits/{sha}/pulls", g.installed(g.pullsOf))
	mux.HandleFunc("GET /repos/{owner}/{repo}/pulls/{number}/commits", g.installed(g.pullCommits))
	g.server = httptest.NewServer(mux)
	return g, nil
}

// URL is the API's base, with a slash at its end.
func (g *GitHub) URL() string { return g.server.URL + "/" }

// Close stops it.
func (g *GitHub) Close() { g.server.Close() }

// PrivateKey is the App's key as GitHub gives it.
func (g *GitHub) PrivateKey() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)})
}

// Attempt says who started a run and who started that attempt of it.
func (g *GitHub) Attempt(repository, run, attempt string, actor, triggering User) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts[repository+"/"+run+"/"+attempt] = [2]User{actor, triggering}
}

// Commit adds a commit and the commits of the pull request that brought it.
func (g *GitHub) Commit(c Commit, pull int, of ...Commit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.commits[c.SHA] = c
	if pull != 0 {
		g.pulls[c.SHA] = map[int][]Commit{pull: of}
	}
}

// Fail makes every answer this status until it is set to 0.
func (g *GitHub) Fail(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failing = status
}

// Calls is how often a path was asked for.
func (g *GitHub) Calls(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[path]
}

func (g *GitHub) app(next http.HandlerFunc) http.HandlerFunc {
	return g.guarded(next, func(bearer string) bool {
		token, err := jwt.ParseSigned(bearer, []jose.SignatureAlgorithm{jose.RS256})
		return err == nil && token.Claims(&g.key.PublicKey, &jwt.Claims{}) == nil
	})
}

func (g *GitHub) installed(next http.HandlerFunc) http.HandlerFunc {
	return g.guarded(next, func(bearer string) bool { return bearer == installationToken })
}

func (g *GitHub) guarded(next http.HandlerFunc, valid func(string) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		status := g.failing
		g.calls[r.URL.Path]++
		g.mu.Unlock()
		_, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if status == 0 && !valid(bearer) {
			status = http.StatusUnauthorized
		}
		if status != 0 {
			answer(w, status, map[string]string{"message": http.StatusText(status)})
			return
		}
		next(w, r)
	}
}

func (g *GitHub) installation(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"id": 77, "app_id": AppID})
}

func (g *GitHub) token(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusCreated, map[string]any{"token": installationToken, "expires_at": "2099-01-01T00:00:00Z"})
}

func (g *GitHub) attempt(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := r.PathValue("owner") + "/" + r.PathValue("repo") + "/" + r.PathValue("run") + "/" + r.PathValue("attempt")
	who, ok := g.attempts[key]
	if !ok {
		answer(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"actor": who[0], "triggering_actor": who[1]})
}

func (g *GitHub) commit(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.commits[r.PathValue("sha")]
	if !ok {
		answer(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
		return
	}
	answer(w, http.StatusOK, c)
}

func (g *GitHub) pullsOf(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := []map[string]int{}
	for number := range g.pulls[r.PathValue("sha")] {
		list = append(list, map[string]int{"number": number})
	}
	answer(w, http.StatusOK, list)
}

func (g *GitHub) pullCommits(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, pulls := range g.pulls {
		for number, commits := range pulls {
			if r.PathValue("number") == jsonNumber(number) {
				answer(w, http.StatusOK, commits)
				return
			}
		}
	}
	answer(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
