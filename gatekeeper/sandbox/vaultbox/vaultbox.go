// Package vaultbox is a stand-in for Vault and OpenBao: the login of jwt auth
// methods with bound audiences, subjects and claims, revocation by accessor,
// namespaces, policies of its own tokens and the error bodies of Vault.
package vaultbox

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
)

// Role is a role of a jwt auth method.
type Role struct {
	Issuer    string // of the auth method
	Audiences []string
	Subject   string // bound_subject; "": any
	Claims    map[string]string
	Policies  []string
	TTL       time.Duration
	Batch     bool // batch tokens have no accessor
}

// Vault is the stand-in.
type Vault struct {
	*cloudbox.Box
	now func() time.Time

	mu     sync.Mutex
	roles  map[string]Role // namespace/mount/role
	tokens map[string]*token
	sealed bool
}

type token struct {
	namespace, accessor string
	policies            []string
	expires             time.Time
	revoked             bool
}

// Start runs the stand-in. now may be nil.
func Start(now func() time.Time) *Vault {
	if now == nil {
		now = time.Now
	}
	v := &Vault{now: now, roles: map[string]Role{}, tokens: map[string]*token{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/auth/token/revoke-accessor", v.revokeAccessor)
	mux.HandleFunc("POST /v1/auth/{mount}/login", v.login)
	mux.HandleFunc("GET /v1/auth/token/lookup-self", v.lookupSelf)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "no handler for route") })
	v.Box = cloudbox.Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		sealed := v.sealed
		v.mu.Unlock()
		if sealed {
			refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	return v
}

// Role adds a role at namespace and mount, or replaces it.
func (v *Vault) Role(namespace, mount, name string, r Role) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.roles[namespace+"/"+mount+"/"+name] = r
}

// Seal seals and unseals.
func (v *Vault) Seal(sealed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sealed = sealed
}

// Operator is a token that an operator made, with these paths to update.
func (v *Vault) Operator(namespace string, paths ...string) string {
	value := v.Issue("hvs.")
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens[value] = &token{namespace: namespace, policies: paths, expires: v.now().Add(time.Hour)}
	return value
}

// Alive says whether a token opens anything.
func (v *Vault) Alive(value string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.tokens[value]
	return t != nil && !t.revoked && v.now().Before(t.expires)
}

func namespace(r *http.Request) string { return strings.Trim(r.Header.Get("X-Vault-Namespace"), "/") }

func (v *Vault) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Role string `json:"role"`
		JWT  string `json:"jwt"`
	}
	if err := cloudbox.Read(r, &body); err != nil {
		refuse(w, http.StatusBadRequest, "failed to parse JSON input: "+err.Error())
		return
	}
	place := namespace(r) + "/" + r.PathValue("mount") + "/"
	v.mu.Lock()
	role, ok := v.roles[place+body.Role]
	mounted := slices.ContainsFunc(v.places(), func(p string) bool { return strings.HasPrefix(p, place) })
	v.mu.Unlock()
	switch {
	case !mounted: // Vault does not say that a path is not there
		refuse(w, http.StatusForbidden, "permission denied")
	case !ok:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("role %q could not be found", body.Role))
	default:
		v.admit(w, r, role, body.JWT)
	}
}

func (v *Vault) places() []string {
	var all []string
	for place := range v.roles {
		all = append(all, place)
	}
	return all
}

func (v *Vault) admit(w http.ResponseWriter, r *http.Request, role Role, jwt string) {
	claims, err := cloudbox.Trust{Issuer: role.Issuer, Audiences: role.Audiences, Now: v.now}.Verify(r.Context(), jwt)
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "error validating token: "+fault(err))
		return
	case role.Subject != "" && claims["sub"] != role.Subject:
		refuse(w, http.StatusBadRequest, "error validating token: invalid subject (sub) claim")
		return
	}
	for name, want := range role.Claims {
		if claims[name] != want {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("error validating claims: claim %q does not match any associated bound claim values", name))
			return
		}
	}
	value, t := v.Issue("hvs."), &token{namespace: namespace(r), policies: role.Policies, expires: v.now().Add(role.TTL)}
	kind := "batch"
	if !role.Batch {
		kind, t.accessor = "service", rand.Text()
	}
	v.mu.Lock()
	v.tokens[value] = t
	v.mu.Unlock()
	cloudbox.Answer(w, http.StatusOK, map[string]any{
		"request_id": "r", "lease_id": "", "renewable": false, "lease_duration": 0, "data": nil, "warnings": nil,
		"auth": map[string]any{"client_token": value, "accessor": t.accessor, "policies": role.Policies, "token_policies": role.Policies,
			"metadata": map[string]string{"role": "deploy"}, "lease_duration": int(role.TTL.Seconds()), "renewable": !role.Batch, "token_type": kind, "orphan": true},
	})
}

func fault(err error) string {
	switch {
	case errors.Is(err, cloudbox.ErrIssuer):
		return "invalid issuer (iss) claim"
	case errors.Is(err, cloudbox.ErrAudience):
		return "invalid audience (aud) claim: audience claim does not match any bound audience"
	case errors.Is(err, cloudbox.ErrTimes):
		return "invalid expiration time (exp) claim: token is expired"
	case errors.Is(err, cloudbox.ErrMalformed):
		return "unable to parse signed token"
	}
	return "error verifying token signature: no known key successfully validated the token signature"
}

// caller is the token of a call, if it may update the path.
func (v *Vault) caller(r *http.Request, path string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.tokens[r.Header.Get("X-Vault-Token")]
	return t != nil && !t.revoked && v.now().Before(t.expires) && slices.Contains(t.policies, path) &&
		(t.namespace == "" || strings.HasPrefix(namespace(r)+"/", t.namespace+"/"))
}

func (v *Vault) revokeAccessor(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Accessor string `json:"accessor"`
	}
	if !v.caller(r, "auth/token/revoke-accessor") {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	if err := cloudbox.Read(r, &body); err != nil {
		refuse(w, http.StatusBadRequest, "failed to parse JSON input")
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.tokens {
		if body.Accessor != "" && t.accessor == body.Accessor && t.namespace == namespace(r) && !t.revoked {
			t.revoked = true
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	refuse(w, http.StatusForbidden, "1 error occurred:\n\t* invalid accessor\n\n")
}

func (v *Vault) lookupSelf(w http.ResponseWriter, r *http.Request) {
	if !v.Alive(r.Header.Get("X-Vault-Token")) {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	cloudbox.Answer(w, http.StatusOK, map[string]any{"data": map[string]string{"path": "auth/jwt/login"}})
}

func refuse(w http.ResponseWriter, status int, text string) {
	cloudbox.Answer(w, status, map[string]any{"errors": []string{text}})
}
