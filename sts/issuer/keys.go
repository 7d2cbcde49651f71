package issuer

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// MinBits is the smallest key that clouds take.
const MinBits = 2048

// overlap is how long a key stays published after it signed for the last
// time: its last token's life and a minute for clocks that differ.
const overlap = life + time.Minute

// Source gives the keys there are. It is asked at each use, so it keeps what
// it knows and looks for changes by itself.
type Source interface {
	Keys(ctx context.Context) ([]Key, error)
}

// Key is one signing key.
type Key struct {
	ID        string
	Public    *rsa.PublicKey // nil while it is out of reach
	SignsFrom time.Time      // zero: from the beginning
	// Sign signs a SHA-256 digest by RSASSA-PKCS1-v1_5.
	Sign func(ctx context.Context, digest []byte) ([]byte, error)
}

// signing is the key that signs at now: of those whose time has come, the one
// whose time came last. A key is published from the moment it is known, so
// between the two caches of others have time to learn it.
func signing(keys []Key, now time.Time) (Key, bool) {
	var found Key
	ok := false
	for _, k := range keys {
		if !k.SignsFrom.After(now) && (!ok || !k.SignsFrom.Before(found.SignsFrom)) {
			found, ok = k, true
		}
	}
	return found, ok
}

// published are the keys that verify a token that may be alive, or will.
func published(keys []Key, now time.Time) []Key {
	var all []Key
	for i, k := range keys {
		if until := retires(keys, i); k.Public != nil && (until.IsZero() || now.Before(until)) {
			all = append(all, k)
		}
	}
	return all
}

// retires is when nothing that key i signed is valid any more: some time after
// another took its place. Zero: none does yet.
func retires(keys []Key, i int) time.Time {
	var next time.Time
	for j, k := range keys {
		later := k.SignsFrom.After(keys[i].SignsFrom) || j > i && k.SignsFrom.Equal(keys[i].SignsFrom)
		if later && (next.IsZero() || k.SignsFrom.Before(next)) {
			next = k.SignsFrom
			if next.IsZero() { // two keys without a time: the earlier never signs
				return time.Unix(0, 0)
			}
		}
	}
	if next.IsZero() {
		return next
	}
	return next.Add(overlap)
}

// Thumbprint is a key's RFC 7638 id.
func Thumbprint(public *rsa.PublicKey) (string, error) {
	key := jose.JSONWebKey{Key: public}
	sum, err := key.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

func (k Key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: string(jose.RS256), Use: "sig"}
}

// FromRSA is a key in memory.
func FromRSA(private *rsa.PrivateKey, signsFrom time.Time) (Key, error) {
	if private == nil || private.N.BitLen() < MinBits {
		return Key{}, errors.New("issuer: an RSA key of at least 2048 bits is wanted")
	}
	id, err := Thumbprint(&private.PublicKey)
	return Key{ID: id, Public: &private.PublicKey, SignsFrom: signsFrom,
		Sign: func(_ context.Context, digest []byte) ([]byte, error) {
			return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest)
		}}, err
}

// Static are keys that never change.
type Static []Key

// Keys implements Source.
func (s Static) Keys(context.Context) ([]Key, error) { return slices.Clone(s), nil }

// signature is a key as go-jose wants one that signs elsewhere.
type signature struct {
	ctx context.Context //nolint:containedctx // lives for one signature; go-jose passes none
	key Key
}

// Public implements jose.OpaqueSigner.
func (s *signature) Public() *jose.JSONWebKey { jwk := s.key.jwk(); return &jwk }

// Algs implements jose.OpaqueSigner.
func (s *signature) Algs() []jose.SignatureAlgorithm { return []jose.SignatureAlgorithm{jose.RS256} }

// SignPayload implements jose.OpaqueSigner. What a key elsewhere signed is
// verified: one that was exchanged behind its name is not ours.
func (s *signature) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	digest := sha256.Sum256(payload)
	signed, err := s.key.Sign(s.ctx, digest[:])
	if err != nil {
		return nil, err
	}
	return signed, rsa.VerifyPKCS1v15(s.key.Public, crypto.SHA256, digest[:], signed)
}
