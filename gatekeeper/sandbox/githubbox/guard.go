package githubbox

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// asApp registers a call that wants the App's own signed token.
func (g *GitHub) asApp(pattern string, h http.HandlerFunc) {
	g.mux.HandleFunc(pattern, g.guarded(pattern, func(w http.ResponseWriter, r *http.Request, bearer string) {
		if why := g.badJWT(bearer); why != "" {
			refuse(w, http.StatusUnauthorized, why)
			return
		}
		h(w, r)
	}))
}

// badJWT says what is wrong with an App's token
// (https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).
func (g *GitHub) badJWT(bearer string) string {
	parsed, err := jwt.ParseSigned(bearer, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "A JSON web token could not be decoded"
	}
	var c jwt.Claims
	if parsed.Claims(&g.key.PublicKey, &c) != nil || c.Issuer != strconv.Itoa(AppID) {
		return "A JSON web token could not be decoded"
	}
	if c.IssuedAt == nil || c.Expiry == nil {
		return "Missing 'issued at' claim ('iat') or expiration"
	}
	now := time.Now()
	switch {
	case c.IssuedAt.Time().After(now):
		return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	case !c.Expiry.Time().After(now):
		return "'Expiration time' claim ('exp') is too far in the past"
	case c.Expiry.Time().Sub(now) > 10*time.Minute:
		return "'Expiration time' claim ('exp') is too far in the future"
	}
	return ""
}

// installed registers a call that wants an installation's token with that
// permission, "name:read" or "name:write". Calls on a repository also want the
// installation to have access to it.
func (g *GitHub) installed(pattern, permission string, h http.HandlerFunc) {
	g.mux.HandleFunc(pattern, g.guarded(pattern, func(w http.ResponseWriter, r *http.Request, bearer string) {
		g.mu.Lock()
		t, known := g.tokens[bearer]
		repo := g.repos[strings.ToLower(r.PathValue("owner")+"/"+r.PathValue("repo"))]
		g.mu.Unlock()
		owner := r.PathValue("owner")
		if owner == "" {
			owner = r.PathValue("org")
		}
		switch {
		case !known || time.Now().After(t.expires):
			refuse(w, http.StatusUnauthorized, "Bad credentials")
		case r.PathValue("repo") != "" && repo != nil && (repo.NotInstalled || !t.reaches(repo.Name)), owner != "" && !strings.EqualFold(owner, t.owner):
			notFound(w)
		case !allowed(t.permissions, permission):
			refuse(w, http.StatusForbidden, "Resource not accessible by integration")
		default:
			h(w, r)
		}
	}))
}

// allowed knows that write covers read.
func allowed(has map[string]string, want string) bool {
	if want == "" {
		return true
	}
	name, level, _ := strings.Cut(want, ":")
	levels := []string{"", "read", "write", "admin"}
	return slices.Index(levels, has[name]) >= slices.Index(levels, level)
}

func (g *GitHub) guarded(pattern string, h func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.calls[r.URL.Path]++
		g.calls[pattern]++
		hold := g.faults.held[pattern]
		g.tell()
		g.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		g.mu.Lock()
		fault, failing := g.faults.next(pattern)
		left := g.limit
		if g.limit > 0 {
			g.limit--
		}
		g.mu.Unlock()
		reset := time.Now().Add(time.Hour).Unix()
		w.Header().Set("X-RateLimit-Limit", "5000")
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(0, left-1)))
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
		switch _, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); {
		case failing && fault.After:
			h(&dropped{header: http.Header{}}, r, bearer)
			panic(http.ErrAbortHandler) // it was done, and nobody hears of it
		case failing:
			fault.answer(w)
		case left <= 0:
			refuse(w, http.StatusForbidden, "API rate limit exceeded")
		default:
			h(w, r, bearer)
		}
		g.mu.Lock()
		g.tell()
		g.mu.Unlock()
	}
}

// dropped is an answer that gets lost on its way.
type dropped struct{ header http.Header }

func (d *dropped) Header() http.Header         { return d.header }
func (d *dropped) Write(b []byte) (int, error) { return len(b), nil }
func (d *dropped) WriteHeader(int)             {}

// Limit sets what is left of the primary rate limit.
func (g *GitHub) Limit(left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = left
}
