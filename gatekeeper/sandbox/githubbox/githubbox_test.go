package githubbox

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func box(t *testing.T) *GitHub {
	t.Helper()
	g, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	g.Repo(Repository{ID: 1, Name: "acme/payments", OwnerID: 99, Environments: map[string]*Environment{"production": {Rule: true}}})
	g.Repo(Repository{ID: 2, Name: "acme/secret", OwnerID: 99, NotInstalled: true})
	g.Run("acme/payments", Run{ID: 7, Attempt: 1, Event: "push", HeadSHA: "4f2c", Waiting: []string{"production"}})
	return g
}

// signed is an App's token with these claims.
func (g *GitHub) signed(t *testing.T, c jwt.Claims) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: g.key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (g *GitHub) call(t *testing.T, method, path, bearer, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(g.URL(), "/")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func (g *GitHub) installationToken(t *testing.T) string {
	t.Helper()
	now := time.Now()
	jwt := g.signed(t, jwt.Claims{Issuer: "1234", IssuedAt: jwt.NewNumericDate(now.Add(-time.Second)), Expiry: jwt.NewNumericDate(now.Add(time.Minute))})
	status, body := g.call(t, http.MethodPost, "/app/installations/70/access_tokens", jwt, "")
	var token struct{ Token string }
	if err := json.Unmarshal([]byte(body), &token); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	return token.Token
}

// An App's token lives ten minutes at most, and is signed with its key.
func TestAppTokens(t *testing.T) {
	g := box(t)
	now := time.Now()
	at := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(now.Add(d)) }
	for name, c := range map[string]struct {
		claims jwt.Claims
		status int
	}{
		"right":             {jwt.Claims{Issuer: "1234", IssuedAt: at(-time.Second), Expiry: at(9 * time.Minute)}, 200},
		"eleven minutes":    {jwt.Claims{Issuer: "1234", IssuedAt: at(-time.Second), Expiry: at(11 * time.Minute)}, 401},
		"over":              {jwt.Claims{Issuer: "1234", IssuedAt: at(-time.Hour), Expiry: at(-time.Second)}, 401},
		"from the future":   {jwt.Claims{Issuer: "1234", IssuedAt: at(time.Minute), Expiry: at(2 * time.Minute)}, 401},
		"another App":       {jwt.Claims{Issuer: "99", IssuedAt: at(-time.Second), Expiry: at(time.Minute)}, 401},
		"without an expiry": {jwt.Claims{Issuer: "1234", IssuedAt: at(-time.Second)}, 401},
	} {
		if status, body := g.call(t, http.MethodGet, "/app", g.signed(t, c.claims), ""); status != c.status {
			t.Errorf("%s: %d %s, want %d", name, status, body, c.status)
		}
	}
	if status, _ := g.call(t, http.MethodGet, "/app", "ghs_x", ""); status != http.StatusUnauthorized {
		t.Errorf("no JWT: %d", status)
	}
}

// No access is 404, no permission 403, no token 401.
func TestAccess(t *testing.T) {
	g := box(t)
	token := g.installationToken(t)
	for path, want := range map[string]int{
		"/repos/acme/payments/actions/runs/7": 200, "/repos/acme/secret/actions/runs/7": 404, "/repos/evil/payments/actions/runs/7": 404, "/repos/acme/payments/actions/runs/8": 404,
	} {
		if status, body := g.call(t, http.MethodGet, path, token, ""); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	if status, _ := g.call(t, http.MethodGet, "/repos/acme/payments/actions/runs/7", "ghs_x", ""); status != http.StatusUnauthorized {
		t.Errorf("with another token: %d", status)
	}
	g.Change(func(a *App) { delete(a.Permissions, "actions") })
	if status, _ := g.call(t, http.MethodGet, "/repos/acme/payments/actions/runs/7", token, ""); status != http.StatusUnauthorized {
		t.Errorf("with a token of older permissions: %d", status)
	}
	if status, _ := g.call(t, http.MethodGet, "/repos/acme/payments/actions/runs/7", g.installationToken(t), ""); status != http.StatusForbidden {
		t.Errorf("without the permission: %d", status)
	}
}

// Protection rules' reports have GitHub's limits.
func TestReports(t *testing.T) {
	g := box(t)
	token := g.installationToken(t)
	const path = "/repos/acme/payments/actions/runs/7/deployment_protection_rule"
	report := func(body string) int {
		t.Helper()
		status, _ := g.call(t, http.MethodPost, path, token, body)
		return status
	}
	for body, want := range map[string]int{
		`{"environment_name":"staging","state":"approved"}`:                                                  422,
		`{"environment_name":"production","state":"maybe"}`:                                                  422,
		`{"environment_name":"production"}`:                                                                  422,
		`{"environment_name":"production","state":"approved","comment":"` + strings.Repeat("x", 1025) + `"}`: 422,
		`{`: 400,
	} {
		if status := report(body); status != want {
			t.Errorf("%.60s: %d, want %d", body, status, want)
		}
	}
	for i := range 11 {
		want := map[bool]int{true: 204, false: 422}[i < 10]
		if status := report(`{"environment_name":"Production","comment":"still waiting"}`); status != want {
			t.Errorf("report %d: %d, want %d", i, status, want)
		}
	}
	if _, body := g.call(t, http.MethodGet, "/repos/acme/payments/actions/runs/7/pending_deployments", token, ""); !strings.Contains(body, "production") {
		t.Errorf("a comment alone ended the wait: %s", body)
	}
	g.Run("acme/payments", Run{ID: 7, Attempt: 2, Event: "push", HeadSHA: "4f2c", Waiting: []string{"production"}})
	if status := report(`{"environment_name":"production","state":"approved"}`); status != 204 {
		t.Errorf("approving: %d", status)
	}
	if _, body := g.call(t, http.MethodGet, "/repos/acme/payments/actions/runs/7/pending_deployments", token, ""); strings.Contains(body, "production") {
		t.Errorf("it still waits: %s", body)
	}
	if status := report(`{"environment_name":"production","state":"rejected"}`); status != 422 {
		t.Errorf("rejecting what runs: %d", status)
	}
}
