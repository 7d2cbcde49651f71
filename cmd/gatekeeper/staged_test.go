package main

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// Keys that all stages have in common: an RSA key takes longer to make than
// most tests take to run.
var (
	ciKey      = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	signingKey = sync.OnceValues(makeSigningKey)
)

// makeSigningKey is the file that a gatekeeper's first start writes.
func makeSigningKey() ([]byte, error) {
	dir, err := os.MkdirTemp("", "gatekeeper-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "signing.pem")
	if _, err := issuer.OpenFile(path, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// newStaged is a stage that has its signing key already.
func newStaged(t testing.TB) *stage { return newStagedBehind(t, "") }

// newStagedBehind is one whose CI issuer is seen at another URL.
func newStagedBehind(t testing.TB, ciURL string) *stage {
	t.Helper()
	key, err := ciKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(t.Context(), stageOptions{dir: t.TempDir(), ciURL: ciURL, ciKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	signing, err := signingKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.cfg.SigningKey, signing, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}
