package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Who comes while keys are being fetched waits for them: at a start, and when
// an issuer rotates its keys under load.
func TestWhileKeysAreFetched(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(kids ...string) []byte {
		var jwks jose.JSONWebKeySet
		for _, kid := range kids {
			jwks.Keys = append(jwks.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: "RS256", Use: "sig"})
		}
		body, err := json.Marshal(jwks)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		s := newKeySet([]string{"RS256"}, time.Now, func(context.Context) ([]byte, error) {
			time.Sleep(time.Second) // the issuer's time, in the bubble's clock
			if fetches++; fetches == 1 {
				return set("old"), nil
			}
			return set("old", "new"), nil
		})
		ask := func(kid string) {
			for range 20 {
				go func() {
					if _, err := s.get(t.Context(), kid, "RS256"); err != nil {
						t.Errorf("%s: %v", kid, err)
					}
				}()
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
		}
		ask("old")
		time.Sleep(keysCooldown)
		ask("new")
		if fetches != 2 {
			t.Errorf("%d fetches, want 2", fetches)
		}
	})
}
