package ciissuer

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

type signingKey struct {
	kid string
	key *rsa.PrivateKey
}

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
	i.made++
	i.keys = append(i.keys, signingKey{fmt.Sprintf("key-%d", i.made), key})
	return nil
}

// Withdraw unpublishes all keys but the newest.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// Remove unpublishes one key, unless it is the only one: an issuer without a
// key is the fault NoKeys. It says whether the key was there and is gone.
func (i *Issuer) Remove(kid string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := slices.IndexFunc(i.keys, func(k signingKey) bool { return k.kid == kid })
	if at < 0 || len(i.keys) == 1 {
		return false
	}
	i.keys = slices.Delete(slices.Clone(i.keys), at, at+1)
	return true
}

// Publish answers with that body for the key set, whatever it is; nil goes
// back to the keys that sign.
func (i *Issuer) Publish(body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = body
}

// Key is the key that signs and its id.
func (i *Issuer) Key() (*rsa.PrivateKey, string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	k := i.keys[len(i.keys)-1]
	return k.key, k.kid
}

// Fetches is how often the key set was asked for.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// Discoveries is how often the discovery document was asked for.
func (i *Issuer) Discoveries() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.discoveries
}

func (i *Issuer) discovery(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.discoveries++
	i.mu.Unlock()
	if i.faulty(w, r) {
		return
	}
	answer(w, map[string]any{
		"issuer": i.URL(), "jwks_uri": i.URL() + "/.well-known/jwks", "subject_types_supported": []string{"public", "pairwise"},
		"response_types_supported": []string{"id_token"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) jwks(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.fetches++
	i.mu.Unlock()
	if i.faulty(w, r) {
		return
	}
	i.mu.Lock()
	body, none := i.published, i.fault == NoKeys
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.kid, Algorithm: "RS256", Use: "sig"})
	}
	i.mu.Unlock()
	switch {
	case none:
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}})
	case body != nil:
		_, _ = w.Write(body)
	default:
		answer(w, set)
	}
}
