// Package ciissuer is a stand-in for a CI's OIDC issuer: discovery, keys, the
// runner's endpoint that mints tokens, and faults that tests can set. Its
// tokens carry what GitHub Actions documents. It listens on loopback only.
package ciissuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Options of an issuer; the zero value is a working one.
type Options struct {
	Key *rsa.PrivateKey  // nil: a new one of 2048 bits
	Now func() time.Time // nil: time.Now
	TTL time.Duration    // of tokens; 0: 5 minutes, as GitHub's
	URL string           // as seen from outside, where a proxy stands before it; "": its own
}

// Fault is what goes wrong with the issuer's own answers.
type Fault int

// The faults.
const (
	None        Fault = iota
	Down              // connections are closed without an answer
	ServerError       // 500
	NoKeys            // an empty key set
	Rubbish           // no JSON
)

type signingKey struct {
	kid string
	key *rsa.PrivateKey
}

// Issuer is the stand-in.
type Issuer struct {
	o      Options
	server *httptest.Server

	mu      sync.Mutex
	keys    []signingKey // published; the last one signs
	fault   Fault
	fetches int
	jobs    map[string]map[string]any // request token → claims
	minted  int
}

// Start runs an issuer on loopback.
func Start(o Options) (*Issuer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TTL == 0 {
		o.TTL = 5 * time.Minute
	}
	i := &Issuer{o: o, jobs: map[string]map[string]any{}}
	if err := i.rotate(o.Key); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /.well-known/jwks", i.jwks)
	mux.HandleFunc("GET /token", i.mint)
	i.server = httptest.NewServer(mux)
	return i, nil
}

// URL is the issuer, as in the tokens' iss.
func (i *Issuer) URL() string {
	if i.o.URL != "" {
		return i.o.URL
	}
	return i.server.URL
}

// Handler is the issuer, for a proxy before it.
func (i *Issuer) Handler() http.Handler { return i.server.Config.Handler }

// Close stops it.
func (i *Issuer) Close() { i.server.Close() }

// Rotate publishes a new key that signs from now on; older ones stay.
func (i *Issuer) Rotate() error { return i.rotate(nil) }

func (i *Issuer) rotate(key *rsa.PrivateKey) error {
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, signingKey{fmt.Sprintf("key-%d", len(i.keys)+1), key})
	return nil
}

// Withdraw unpublishes all keys but the newest.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// Set makes the issuer's answers go wrong, until None.
func (i *Issuer) Set(f Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fault = f
}

// Fetches is how often the key set was asked for.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Defaults are the claims of a push to acme/payments that deploys to
// production, as https://docs.github.com/actions/reference/security/oidc
// lists them. Times, jti, iss and aud are added when a token is made.
func Defaults() map[string]any {
	return map[string]any{
		"sub": "repo:acme/payments:environment:production", "environment": "production",
		"repository": "acme/payments", "repository_id": "1234567", "repository_visibility": "private",
		"repository_owner": "acme", "repository_owner_id": "99", "enterprise": "acme-inc", "enterprise_id": "7",
		"ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "base_ref": "", "head_ref": "",
		"sha": "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b", "workflow": "deploy",
		"workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b",
		"job_workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main", "job_workflow_sha": "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b",
		"run_id": "7001", "run_number": "42", "run_attempt": "1", "check_run_id": "501",
		"event_name": "push", "actor": "alice", "actor_id": "11", "runner_environment": "github-hosted",
	}
}

// Claims are the defaults with changes; a nil value removes a claim.
func Claims(changes map[string]any) map[string]any {
	claims := Defaults()
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
	return claims
}

// Token signs the claims for an audience, with fresh times and jti. Claims
// that name iss, aud, jti, iat, nbf or exp themselves keep theirs.
func (i *Issuer) Token(audience string, claims map[string]any) string {
	now := i.o.Now()
	all := map[string]any{
		"iss": i.URL(), "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(i.o.TTL).Unix(),
	}
	maps.Copy(all, claims)
	for name, value := range all {
		if value == nil {
			delete(all, name)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		panic(err) // claims of tests are JSON
	}
	i.mu.Lock()
	k := i.keys[len(i.keys)-1]
	i.minted++
	i.mu.Unlock()
	header, _ := json.Marshal(map[string]any{"alg": "RS256", "kid": k.kid, "typ": "JWT"})
	return Sign(k.key, header, body)
}

// Sign makes a compact RS256 token of whatever bytes, for hostile ones too.
func Sign(key *rsa.PrivateKey, header, payload []byte) string {
	enc := base64.RawURLEncoding
	input := enc.EncodeToString(header) + "." + enc.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + enc.EncodeToString(sig)
}

// Key is the key that signs and its id.
func (i *Issuer) Key() (*rsa.PrivateKey, string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	k := i.keys[len(i.keys)-1]
	return k.key, k.kid
}

// Job registers a running job. The two values are what GitHub gives a runner
// as ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN.
func (i *Issuer) Job(claims map[string]any) (requestURL, requestToken string) {
	token := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jobs[token] = claims
	return i.URL() + "/token?api-version=2.0", token
}

func (i *Issuer) mint(w http.ResponseWriter, r *http.Request) {
	var bearer string
	_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "bearer %s", &bearer)
	if bearer == "" {
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &bearer)
	}
	i.mu.Lock()
	claims, ok := i.jobs[bearer]
	i.mu.Unlock()
	if !ok {
		http.Error(w, `{"message":"unauthorized"}`, http.StatusUnauthorized)
		return
	}
	audience := r.URL.Query().Get("audience")
	if audience == "" {
		audience = "https://github.com/acme" // the default is the owner's URL
	}
	answer(w, map[string]string{"value": i.Token(audience, claims)})
}

// faulty answers instead where a fault is set.
func (i *Issuer) faulty(w http.ResponseWriter) bool {
	i.mu.Lock()
	f := i.fault
	i.mu.Unlock()
	switch f {
	case Down:
		panic(http.ErrAbortHandler)
	case ServerError:
		http.Error(w, "boom", http.StatusInternalServerError)
	case Rubbish:
		_, _ = w.Write([]byte("<html>maintenance</html>"))
	default:
		return false
	}
	return true
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	if i.faulty(w) {
		return
	}
	answer(w, map[string]any{
		"issuer": i.URL(), "jwks_uri": i.URL() + "/.well-known/jwks", "subject_types_supported": []string{"public", "pairwise"},
		"response_types_supported": []string{"id_token"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	i.fetches++
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.kid, Algorithm: "RS256", Use: "sig"})
	}
	none := i.fault == NoKeys
	i.mu.Unlock()
	if i.faulty(w) {
		return
	}
	if none {
		set.Keys = []jose.JSONWebKey{}
	}
	answer(w, set)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
