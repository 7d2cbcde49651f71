package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

type publicKey struct {
	alg string // "" : any that fits the kind
	key crypto.PublicKey
}

// parseKeys takes the keys of a JWK set that may verify one of algs, and
// passes over the others: sets hold keys for other uses. A kid that stands
// twice is ambiguous, and none.
func parseKeys(body []byte, algs []string) (map[string]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("oidc: the key set is no JSON")
	}
	keys, seen := map[string]publicKey{}, map[string]bool{}
	for _, raw := range set.Keys {
		kid, key, err := parseKey(raw, algs)
		if err != nil {
			continue
		}
		keys[kid] = key
		if seen[kid] {
			delete(keys, kid)
		}
		seen[kid] = true
	}
	if len(keys) == 0 {
		return nil, errors.New("oidc: the key set has no key to verify signatures with")
	}
	return keys, nil
}

// parseKey holds a JWK to kind, use, operations and size (threats row 13).
func parseKey(raw []byte, algs []string) (kid string, key publicKey, err error) {
	var ops struct {
		KeyOps []string `json:"key_ops"`
	}
	var jwk jose.JSONWebKey
	if err := errors.Join(json.Unmarshal(raw, &ops), jwk.UnmarshalJSON(raw)); err != nil {
		return "", publicKey{}, err
	}
	switch {
	case jwk.KeyID == "" || !jwk.Valid() || !jwk.IsPublic():
		return "", publicKey{}, errors.New("oidc: no public key with an id")
	case jwk.Use != "" && jwk.Use != "sig":
		return "", publicKey{}, errors.New("oidc: not for signatures")
	case ops.KeyOps != nil && !slices.Contains(ops.KeyOps, "verify"):
		return "", publicKey{}, errors.New("oidc: not for verifying")
	case jwk.Algorithm != "" && !slices.Contains(algs, jwk.Algorithm):
		return "", publicKey{}, errors.New("oidc: for another algorithm")
	}
	return jwk.KeyID, publicKey{alg: jwk.Algorithm, key: jwk.Key}, strong(jwk.Key)
}

func strong(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 && k.E >= 3 {
			return nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return nil
		}
	}
	return errors.New("oidc: neither RSA of 2048 bits nor P-256")
}

// verify checks one signature. The algorithm is one that the issuer's
// configuration allows, and has to fit the key's kind.
func (k publicKey) verify(alg, input string, sig []byte) error {
	sum := sha256.Sum256([]byte(input))
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		if alg == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) == nil {
			return nil
		}
	case *ecdsa.PublicKey: // RFC 7518 section 3.4: R and S, 32 bytes each
		if alg == "ES256" && len(sig) == 64 && ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			return nil
		}
	}
	return invalid("the token's signature does not hold")
}
