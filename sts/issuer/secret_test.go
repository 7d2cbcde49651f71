//go:build unix

package issuer_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// secret is a Secret's volume as the kubelet keeps it: the file is a link into
// ..data, which is a link to the newest directory and is swapped; the one before
// is deleted.
type secret struct{ dir string }

func (s secret) holds(t *testing.T, version string, body []byte) {
	t.Helper()
	before, _ := os.Readlink(filepath.Join(s.dir, "..data"))
	err := errors.Join(
		os.Mkdir(filepath.Join(s.dir, version), 0o700),
		os.WriteFile(filepath.Join(s.dir, version, "signing.pem"), body, 0o600),
		os.Symlink(version, filepath.Join(s.dir, "..data_tmp")),
		os.Rename(filepath.Join(s.dir, "..data_tmp"), filepath.Join(s.dir, "..data")),
	)
	if before != "" {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.dir, before)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Keys that were rotated on a copy and put into a Secret are published by the
// service that has it mounted.
func TestSecretIsReadAgain(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "signing.pem")
	mounted := secret{t.TempDir()}
	read := func() []byte {
		body, err := os.ReadFile(copied)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	if _, err := issuer.OpenFile(copied, nil); err != nil {
		t.Fatal(err)
	}
	mounted.holds(t, "..2026_1", read())
	path := filepath.Join(mounted.dir, "signing.pem")
	if err := os.Symlink(filepath.Join("..data", "signing.pem"), path); err != nil {
		t.Fatal(err)
	}
	file, err := issuer.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	service, err := issuer.New(issuer.Options{URL: "https://gatekeeper.test", Keys: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Rotate(copied, issuer.Rotation{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	mounted.holds(t, "..2026_2", read())
	if set := keySet(t, service); len(set.Keys) != 2 {
		t.Errorf("%d keys after the swap", len(set.Keys))
	}
	if _, err := issuer.Rotate(copied, issuer.Rotation{Compromised: true, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	mounted.holds(t, "..2026_3", read())
	set := keySet(t, service)
	if want, err := issuer.Standings(copied, time.Now()); err != nil || len(set.Keys) != 1 || set.Keys[0].KeyID != want[0].ID {
		t.Errorf("%d keys, and %v, %v", len(set.Keys), want, err)
	}
}
