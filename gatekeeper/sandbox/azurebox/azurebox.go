// Package azurebox is a stand-in for Entra ID's token endpoint with federated
// credentials: letter-by-letter comparison, AADSTS error bodies, and the
// limits that Microsoft documents.
package azurebox

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
)

// Federated is a federated credential of an application.
type Federated struct{ Issuer, Subject, Audience string }

// Entra is the stand-in.
type Entra struct {
	*cloudbox.Box
	now func() time.Time

	mu   sync.Mutex
	apps map[string][]Federated // tenant/client
}

// maxFederated and maxField are of
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations.
const (
	maxFederated = 20
	maxField     = 600
)

// Start runs the stand-in. now may be nil.
func Start(now func() time.Time) *Entra {
	if now == nil {
		now = time.Now
	}
	e := &Entra{now: now, apps: map[string][]Federated{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", e.token)
	e.Box = cloudbox.Start(mux)
	return e
}

// App adds an application with its federated credentials, or replaces it.
func (e *Entra) App(tenant, client string, all ...Federated) error {
	if len(all) > maxFederated {
		return fmt.Errorf("azurebox: an application has %d federated credentials at most", maxFederated)
	}
	for _, f := range all {
		for _, field := range []string{f.Issuer, f.Subject, f.Audience} {
			if field == "" || len(field) > maxField || strings.ContainsAny(field, "*?") {
				return errors.New("azurebox: a field is empty, too long or a pattern")
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.apps[tenant+"/"+client] = all
	return nil
}

func (e *Entra) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	f, tenant := r.PostForm, r.PathValue("tenant")
	e.mu.Lock()
	all, ok := e.apps[tenant+"/"+f.Get("client_id")]
	known := slices.ContainsFunc(slices.Collect(maps.Keys(e.apps)), func(app string) bool { return strings.HasPrefix(app, tenant+"/") })
	e.mu.Unlock()
	switch {
	case f.Get("grant_type") != "client_credentials":
		refuse(w, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
	case f.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || f.Get("client_assertion") == "":
		refuse(w, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case !known:
		refuse(w, "invalid_request", 90002, "Tenant '"+tenant+"' not found.")
	case !ok:
		refuse(w, "unauthorized_client", 700016, "Application with identifier '"+f.Get("client_id")+"' was not found in the directory.")
	case !strings.HasSuffix(f.Get("scope"), "/.default") || strings.Contains(f.Get("scope"), " "):
		refuse(w, "invalid_scope", 1002012, "The provided value for scope is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).")
	default:
		e.federated(w, r, all, f.Get("client_assertion"))
	}
}

// federated finds the credential that fits, and tells what fits least.
func (e *Entra) federated(w http.ResponseWriter, r *http.Request, all []Federated, assertion string) {
	code, text := 700211, "No matching federated identity record found for presented assertion issuer."
	for _, f := range all {
		claims, err := cloudbox.Trust{Issuer: f.Issuer, Audiences: []string{f.Audience}, Now: e.now}.Verify(r.Context(), assertion)
		switch {
		case errors.Is(err, cloudbox.ErrIssuer):
			continue
		case errors.Is(err, cloudbox.ErrMalformed):
			code, text = 50027, "JWT token is invalid or malformed."
		case errors.Is(err, cloudbox.ErrTimes):
			code, text = 700024, "Client assertion is not within its valid time range."
		case errors.Is(err, cloudbox.ErrAudience):
			code, text = 700212, "No matching federated identity record found for presented assertion audience."
		case errors.Is(err, cloudbox.ErrKeys):
			code, text = 50166, "Request to External OIDC endpoint failed."
		case errors.Is(err, cloudbox.ErrSignature):
			code, text = 5000611, "Symmetric Key Derivation or the signature of the assertion failed."
		case err == nil && claims["sub"] == f.Subject:
			cloudbox.Answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": e.Issue("azure.")})
			return
		default:
			code, text = 700213, fmt.Sprintf("No matching federated identity record found for presented assertion subject '%s'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.", claims["sub"])
		}
	}
	refuse(w, "invalid_client", code, text)
}

func refuse(w http.ResponseWriter, word string, code int, text string) {
	cloudbox.Answer(w, http.StatusBadRequest, map[string]any{
		"error": word, "error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: 00000000 Correlation ID: 00000000 Timestamp: 2026-03-02 10:00:00Z", code, text),
		"error_codes": []int{code}, "timestamp": "2026-03-02 10:00:00Z", "trace_id": "0", "correlation_id": "0",
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code),
	})
}
