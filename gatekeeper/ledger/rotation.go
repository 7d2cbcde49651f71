package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"golang.org/x/mod/sumdb/note"
)

// Rotation is what a ledger.key_rotated event says: To follows From. The
// checkpoint that first covers the event is signed by both, so whoever trusts
// From learns To, and from then on To alone signs.
type Rotation struct {
	From       string `json:"from"`       // verifier keys
	To         string `json:"to"`         //
	Possession string `json:"possession"` // To's signature over the change, base64: nobody rotates to a key that is not held
}

// NewRotation signs the change from one key to the next.
func NewRotation(origin string, from, to ed25519.PrivateKey) (Rotation, error) {
	old, err := VerifierKey(origin, from)
	if err != nil {
		return Rotation{}, err
	}
	next, err := VerifierKey(origin, to)
	if err != nil {
		return Rotation{}, err
	}
	r := Rotation{From: old, To: next}
	r.Possession = base64.StdEncoding.EncodeToString(ed25519.Sign(to, r.message()))
	return r, nil
}

// message begins with a line that is no checkpoint's: an origin has no spaces.
func (r Rotation) message() []byte {
	return []byte("gatekeeper ledger key rotation\n" + r.From + "\n" + r.To + "\n")
}

// Data is the rotation as an event's data.
func (r Rotation) Data() map[string]any {
	return map[string]any{"from": r.From, "to": r.To, "possession": r.Possession}
}

// rotationOf reads a rotation of the log origin and checks the next key's
// signature.
func rotationOf(body []byte, origin string) (Rotation, error) {
	var e struct {
		Type gatekeeper.EventType `json:"type"`
		Data Rotation             `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type != gatekeeper.EventKeyRotated {
		return Rotation{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "it is no rotation of the ledger's key")
	}
	r := e.Data
	public, err := PublicKey(r.To)
	if err != nil {
		return r, err
	}
	sig, err := base64.StdEncoding.DecodeString(r.Possession)
	if err != nil || !ed25519.Verify(public, r.message(), sig) {
		return r, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the next key did not sign its rotation")
	}
	if nameOf(r.From) != origin || nameOf(r.To) != origin || r.From == r.To {
		return r, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "it rotates no key of %s", origin)
	}
	return r, nil
}

// isRotation looks cheaply before it looks closely: each leaf is asked.
func isRotation(body []byte) bool {
	if !bytes.Contains(body, []byte(`"`+string(gatekeeper.EventKeyRotated)+`"`)) {
		return false
	}
	var e struct {
		Type gatekeeper.EventType `json:"type"`
	}
	return json.Unmarshal(body, &e) == nil && e.Type == gatekeeper.EventKeyRotated
}

// nameOf is the origin in a verifier key.
func nameOf(verifierKey string) string {
	name, _, _ := strings.Cut(verifierKey, "+")
	return name
}

// PublicKey is the Ed25519 key inside a verifier key.
func PublicKey(verifierKey string) (ed25519.PublicKey, error) {
	parts := strings.SplitN(verifierKey, "+", 3)
	if _, err := note.NewVerifier(verifierKey); err != nil || len(parts) != 3 {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no verifier key; it looks like origin+hash+key", verifierKey)
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q holds no Ed25519 key", verifierKey)
	}
	return ed25519.PublicKey(raw[1:]), nil
}
