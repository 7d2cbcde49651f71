// Package idpbox is a stand-in for a company's OpenID provider: the code flow
// with PKCE, held to the letter, with a page on which to choose who signs in.
// It can be told to answer wrongly. It listens on loopback only.
package idpbox

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The client that it knows.
const (
	ClientID     = "gatekeeper"
	ClientSecret = "idp-s3cret"
)

// User is somebody who can sign in.
type User struct {
	Subject, Name, Email string
	Unverified           bool // the email address
	ACR                  string
}

// IdP is the stand-in.
type IdP struct {
	server *httptest.Server
	key    *rsa.PrivateKey
	signer jose.Signer

	mu       sync.Mutex
	redirect string // the only redirect_uri
	users    []User
	current  string    // who has a session here
	since    time.Time // since when
	auto     string    // who signs in without being asked
	codes    map[string]grant
	change   func(claims map[string]any) // of the next ID tokens
	failing  int
}

// grant is what a code stands for.
type grant struct {
	user      User
	nonce     string
	challenge string
	authTime  time.Time
	expires   time.Time
}

// New starts a provider whose only redirect URI is redirect.
func New(redirect string, users ...User) (*IdP, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	i := &IdP{key: key, redirect: redirect, users: users, codes: map[string]grant{}}
	i.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /authorize", i.chosen)
	mux.HandleFunc("POST /token", i.token)
	i.server = httptest.NewServer(i.unless(mux))
	return i, nil
}

// URL is the issuer.
func (i *IdP) URL() string { return i.server.URL }

// Close stops it.
func (i *IdP) Close() { i.server.Close() }

// SignInAs lets the user with that subject sign in without a page, until it
// is set to "".
func (i *IdP) SignInAs(subject string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.auto = subject
}

// Change is applied to the claims of ID tokens before they are signed; nil
// ends it.
func (i *IdP) Change(change func(claims map[string]any)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.change = change
}

// Fail makes every answer this status, until it is set to 0.
func (i *IdP) Fail(status int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.failing = status
}

func (i *IdP) unless(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		failing := i.failing
		i.mu.Unlock()
		if failing != 0 {
			http.Error(w, "this provider is out of order", failing)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (i *IdP) discovery(w http.ResponseWriter, _ *http.Request) {
	at := i.server.URL
	answer(w, http.StatusOK, map[string]any{
		"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "jwks_uri": at + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (i *IdP) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
}

// idToken is what a code is exchanged for.
func (i *IdP) idToken(g grant) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": i.server.URL, "sub": g.user.Subject, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"nonce": g.nonce, "auth_time": g.authTime.Unix(), "name": g.user.Name, "email": g.user.Email, "email_verified": !g.user.Unverified,
	}
	if g.user.ACR != "" {
		claims["acr"] = g.user.ACR
	}
	i.mu.Lock()
	change := i.change
	i.mu.Unlock()
	if change != nil {
		change(claims)
	}
	return jwt.Signed(i.signer).Claims(claims).Serialize()
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
