// Package gcpbox is a stand-in for Google Cloud's workload identity federation:
// the STS that exchanges OIDC tokens by pools and providers, and the service
// account credentials API, with the limits and error bodies that Google
// documents.
package gcpbox

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
)

// Provider is a workload identity pool provider that maps google.subject to
// assertion.sub.
type Provider struct {
	Name      string // projects/N/locations/global/workloadIdentityPools/P/providers/X
	Issuer    string
	Audiences []string          // none: the provider's own name
	Condition map[string]string // claims that the attribute condition wants
}

// Account is a service account.
type Account struct {
	Email    string
	Subjects []string // google.subject of those with roles/iam.workloadIdentityUser
	Extended bool     // tokens of more than an hour are allowed
}

// GCP is the stand-in.
type GCP struct {
	*cloudbox.Box
	now func() time.Time

	mu        sync.Mutex
	providers map[string]Provider
	accounts  map[string]Account
	federated map[string]string // token → google.subject
	issued    []Issued
}

// Issued is a service account's token.
type Issued struct {
	Account, Subject string
	Scopes           []string
	Lifetime         time.Duration
}

// Start runs the stand-in. now may be nil.
func Start(now func() time.Time) *GCP {
	if now == nil {
		now = time.Now
	}
	g := &GCP{now: now, providers: map[string]Provider{}, accounts: map[string]Account{}, federated: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/token", g.token)
	mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{call}", g.account)
	g.Box = cloudbox.Start(mux)
	return g
}

// Provider adds a provider, or replaces it.
func (g *GCP) Provider(p Provider) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.Audiences == nil {
		p.Audiences = []string{"https://iam.googleapis.com/" + p.Name, "//iam.googleapis.com/" + p.Name}
	}
	g.providers["//iam.googleapis.com/"+p.Name] = p
}

// Account adds a service account, or replaces it.
func (g *GCP) Account(a Account) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accounts[a.Email] = a
}

// Tokens are the service accounts' tokens that were issued.
func (g *GCP) Tokens() []Issued {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.issued)
}

// maxSubject is the longest google.subject
// (https://cloud.google.com/iam/docs/workload-identity-federation#mapping).
const maxSubject = 127

func (g *GCP) token(w http.ResponseWriter, r *http.Request) {
	f := formOf(r)
	g.mu.Lock()
	p, ok := g.providers[f["audience"]]
	g.mu.Unlock()
	switch {
	case f["grant_type"] != "urn:ietf:params:oauth:grant-type:token-exchange",
		f["requested_token_type"] != "urn:ietf:params:oauth:token-type:access_token",
		f["subject_token_type"] != "urn:ietf:params:oauth:token-type:jwt" && f["subject_token_type"] != "urn:ietf:params:oauth:token-type:id_token":
		oauth(w, "invalid_request", "Invalid value for \"grantType\" or a token type.")
		return
	case f["scope"] == "":
		oauth(w, "invalid_scope", "The scope is missing.")
		return
	case !ok:
		oauth(w, "invalid_target", "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or provider is disabled or deleted or because it doesn't exist.")
		return
	}
	claims, err := cloudbox.Trust{Issuer: p.Issuer, Audiences: p.Audiences, Now: g.now}.Verify(r.Context(), f["subject_token"])
	if err != nil {
		oauth(w, "invalid_grant", grantFault(err, claims))
		return
	}
	subject, _ := claims["sub"].(string)
	if len(subject) > maxSubject {
		oauth(w, "invalid_request", fmt.Sprintf("The size of mapped attribute google.subject exceeds the %d bytes limit. Either modify your attribute mapping or the incoming assertion to produce a mapped attribute that is less than %d bytes.", maxSubject, maxSubject))
		return
	}
	for name, want := range p.Condition {
		if claims[name] != want {
			oauth(w, "unauthorized_client", "The given credential is rejected by the attribute condition.")
			return
		}
	}
	token := g.Issue("ya29.d.")
	g.mu.Lock()
	g.federated[token] = subject
	g.mu.Unlock()
	cloudbox.Answer(w, http.StatusOK, map[string]any{"access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 3599})
}

func formOf(r *http.Request) map[string]string {
	_ = r.ParseForm()
	f := map[string]string{}
	for name := range r.PostForm {
		f[name] = r.PostForm.Get(name)
	}
	return f
}

func grantFault(err error, _ map[string]any) string {
	switch {
	case errors.Is(err, cloudbox.ErrIssuer):
		return "The issuer in ID Token does not match the expected ones."
	case errors.Is(err, cloudbox.ErrAudience):
		return "The audience in ID Token does not match the expected audience."
	case errors.Is(err, cloudbox.ErrTimes):
		return "ID Token is stale to sign-in."
	case errors.Is(err, cloudbox.ErrKeys):
		return "Error connecting to the given credential's issuer."
	case errors.Is(err, cloudbox.ErrSignature):
		return "Unable to verify the ID Token signature."
	}
	return "Unable to parse the ID Token."
}

func oauth(w http.ResponseWriter, code, text string) {
	cloudbox.Answer(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": text})
}

func (g *GCP) account(w http.ResponseWriter, r *http.Request) {
	email, method, _ := strings.Cut(r.PathValue("call"), ":")
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	g.mu.Lock()
	subject, known := g.federated[bearer]
	a, there := g.accounts[email]
	g.mu.Unlock()
	switch {
	case !known:
		api(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
	case !there || !slices.Contains(a.Subjects, subject):
		api(w, http.StatusForbidden, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
	case method == "generateAccessToken":
		g.accessToken(w, r, a, subject)
	case method == "generateIdToken":
		g.idToken(w, r)
	default:
		api(w, http.StatusNotFound, "NOT_FOUND", "Method not found.")
	}
}

func (g *GCP) accessToken(w http.ResponseWriter, r *http.Request, a Account, subject string) {
	var body struct {
		Scope    []string `json:"scope"`
		Lifetime string   `json:"lifetime"`
	}
	if !read(w, r, &body) {
		return
	}
	lifetime := time.Hour
	if body.Lifetime != "" {
		var err error
		if lifetime, err = time.ParseDuration(body.Lifetime); err != nil || !strings.HasSuffix(body.Lifetime, "s") {
			api(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid value at 'lifetime', Illegal duration format; duration must end with 's'")
			return
		}
	}
	most := time.Hour
	if a.Extended {
		most = 12 * time.Hour
	}
	switch {
	case len(body.Scope) == 0:
		api(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Scope required.")
		return
	case lifetime <= 0 || lifetime > most:
		api(w, http.StatusBadRequest, "INVALID_ARGUMENT", fmt.Sprintf("Lifetime must be between 0 and %d seconds.", int(most.Seconds())))
		return
	}
	g.mu.Lock()
	g.issued = append(g.issued, Issued{a.Email, subject, body.Scope, lifetime})
	g.mu.Unlock()
	cloudbox.Answer(w, http.StatusOK, map[string]string{"accessToken": g.Issue("ya29.c."), "expireTime": g.now().Add(lifetime).UTC().Format(time.RFC3339)})
}

func (g *GCP) idToken(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Audience     string `json:"audience"`
		IncludeEmail bool   `json:"includeEmail"`
	}
	if !read(w, r, &body) {
		return
	}
	if body.Audience == "" {
		api(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Audience required.")
		return
	}
	cloudbox.Answer(w, http.StatusOK, map[string]string{"token": g.Issue("idtoken.")})
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := cloudbox.Read(r, into); err != nil {
		api(w, http.StatusBadRequest, "INVALID_ARGUMENT", "Invalid JSON payload received.")
		return false
	}
	return true
}

func api(w http.ResponseWriter, status int, code, text string) {
	cloudbox.Answer(w, status, map[string]any{"error": map[string]any{"code": status, "message": text, "status": code}})
}
