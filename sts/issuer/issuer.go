// Package issuer is the gatekeeper as OIDC issuer: a cloud that trusts only
// it cannot be reached by a job that goes around it. Tokens are only ever
// minted from a Grant and live five minutes at most.
package issuer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// life is how long a token is valid: the exchange follows at once.
const life = 5 * time.Minute

// maxAge is how long others may keep the key set without asking again.
const maxAge = 5 * time.Minute

// Options of an Issuer. URL and Keys are needed.
type Options struct {
	URL  string // public, exactly what clouds are told to trust
	Keys Source
	Now  func() time.Time // nil: time.Now
}

// Issuer mints tokens and shows the keys that verify them.
type Issuer struct {
	o         Options
	discovery []byte
}

// New makes an issuer and asks nobody.
func New(o Options) (*Issuer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keys == nil || o.URL == "" {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "an issuer needs its URL and keys")
	}
	discovery, err := json.Marshal(map[string]any{
		"issuer": o.URL, "jwks_uri": o.URL + "/.well-known/jwks.json",
		"response_types_supported": []string{"id_token"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(jose.RS256)},
		"claims_supported":                      supported(),
	})
	return &Issuer{o: o, discovery: discovery}, err
}

// Ready says whether a token could be signed now, without signing one.
func (i *Issuer) Ready(ctx context.Context) error {
	_, err := i.signer(ctx)
	return err
}

// SignsSince is from when on the key in force signs; zero for one that did
// from the beginning.
func (i *Issuer) SignsSince(ctx context.Context) (time.Time, error) {
	key, err := i.signer(ctx)
	return key.SignsFrom, err
}

func (i *Issuer) signer(ctx context.Context) (Key, error) {
	keys, err := i.o.Keys.Keys(ctx)
	if err != nil {
		return Key{}, err
	}
	key, ok := signing(keys, i.o.Now())
	if !ok || key.Public == nil {
		return Key{}, &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: 5 * time.Second,
			Description: "no signing key is in reach; nothing was issued, try again"}
	}
	return key, nil
}

// Handler serves /.well-known/openid-configuration and /.well-known/jwks.json.
func (i *Issuer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) { serve(w, r, i.discovery) })
	mux.HandleFunc("GET /.well-known/jwks.json", i.jwks)
	return mux
}

// jwks never answers with an empty set: whoever keeps it would refuse tokens
// long after we are well again.
func (i *Issuer) jwks(w http.ResponseWriter, r *http.Request) {
	keys, err := i.o.Keys.Keys(r.Context())
	var set jose.JSONWebKeySet
	for _, key := range published(keys, i.o.Now()) {
		set.Keys = append(set.Keys, key.jwk())
	}
	body, marshalErr := json.Marshal(set)
	if err != nil || marshalErr != nil || len(set.Keys) == 0 {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "the signing keys are out of reach", http.StatusServiceUnavailable)
		return
	}
	serve(w, r, body)
}

// serve lets others keep the answer for a while, and ask whether it changed.
func serve(w http.ResponseWriter, r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds())))
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// Mint signs a token that says which workload may do what, by whose approval.
// A failure to sign is CodeUnavailable: nothing was issued.
func (i *Issuer) Mint(ctx context.Context, g gatekeeper.Grant, audience string) (string, error) {
	if !g.Valid() {
		return "", gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant to mint a token from")
	}
	if audience == "" {
		return "", gatekeeper.Errorf(gatekeeper.CodeInternal, "a token needs an audience")
	}
	key, err := i.signer(ctx)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: &signature{ctx, key}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the signing key cannot sign")
	}
	now := i.o.Now()
	raw, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: i.o.URL, Subject: Subject(g), Audience: jwt.Audience{audience},
		ID: g.Redemption().ID, IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(lifetime(g))),
	}).Claims(claims(g)).Serialize()
	if err != nil {
		return "", &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: 5 * time.Second, Err: err,
			Description: "the signing key cannot be used right now; nothing was issued, try again"}
	}
	return raw, nil
}

// URL is the issuer as clouds know it.
func (i *Issuer) URL() string { return i.o.URL }

// Expiry is when a token that is minted now for the grant ends.
func (i *Issuer) Expiry(g gatekeeper.Grant) time.Time { return i.o.Now().Add(lifetime(g)).UTC() }

// lifetime is the credential's own where it has a shorter one.
func lifetime(g gatekeeper.Grant) time.Duration {
	if o := g.Credential().OIDC; o != nil && o.Lifetime > 0 && o.Lifetime < life {
		return o.Lifetime
	}
	return life
}
