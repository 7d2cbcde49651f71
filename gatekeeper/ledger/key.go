package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/wholefile"
	"golang.org/x/mod/sumdb/note"
)

// LoadKey reads the Ed25519 key that signs checkpoints, PKCS#8 in PEM. A
// missing file is an error that fs.ErrNotExist is in.
func LoadKey(path string) (ed25519.PrivateKey, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the ledger's key %s cannot be read", path)
	}
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s holds no PEM block; it has to hold an Ed25519 key in PKCS#8", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if ed, ok := key.(ed25519.PrivateKey); ok && err == nil {
		return ed, nil
	}
	return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s holds no Ed25519 key in PKCS#8; `openssl genpkey -algorithm ed25519` makes one", path)
}

// LoadOrCreateKey also makes the key where there is none. The new file
// appears whole or not at all, readable by its owner only.
func LoadOrCreateKey(path string) (ed25519.PrivateKey, error) {
	key, err := LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	_, fresh, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(fresh)
	if err != nil {
		return nil, err
	}
	if err := wholefile.Create(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the ledger's key %s cannot be made", path)
	}
	return LoadKey(path) // another process may have been first
}

// ReplaceKey puts the file of the next key in the place of the one before,
// whole or not at all. The key before is gone afterwards: nothing needs it.
func ReplaceKey(next, path string) error {
	if err := wholefile.Move(next, path); err != nil {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the ledger's next key %s cannot take the place of %s", next, path)
	}
	return nil
}

// VerifierKey is the public key in the form of C2SP signed notes:
// origin+hash+base64. It is what outsiders verify with.
func VerifierKey(origin string, key ed25519.PrivateKey) (string, error) {
	return note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
}

// noteSigner builds x/mod's signer from a raw key; its text form is
// PRIVATE+KEY+origin+hash+base64(algorithm 1, seed).
func noteSigner(origin string, key ed25519.PrivateKey) (note.Signer, error) {
	public, err := VerifierKey(origin, key)
	if err != nil {
		return nil, err
	}
	hash := strings.SplitN(public, "+", 3)[1]
	seed := append([]byte{1}, key.Seed()...)
	return note.NewSigner("PRIVATE+KEY+" + origin + "+" + hash + "+" + base64.StdEncoding.EncodeToString(seed))
}
