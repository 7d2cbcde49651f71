package issuer_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// rotating is an issuer over a file, with a clock of the test's own.
type rotating struct {
	path string
	now  time.Time
	log  *bytes.Buffer
	*issuer.Issuer
}

func begin(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{path: filepath.Join(t.TempDir(), "signing.pem"), now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	clock := func() time.Time { return r.now }
	file, err := issuer.OpenFile(r.path, slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Issuer, err = issuer.New(issuer.Options{URL: "https://gatekeeper.test", Keys: file, Now: clock}); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rotating) rotate(t *testing.T, o issuer.Rotation) []issuer.Standing {
	t.Helper()
	o.Now = r.now
	all, err := issuer.Rotate(r.path, o)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (r *rotating) token(t *testing.T) string {
	t.Helper()
	raw, err := r.Mint(t.Context(), ststest.Grant(t, spec()), "aud")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// fits says whether one key set holds the key of a token.
func fits(t *testing.T, set jose.JSONWebKeySet, raw string) bool {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	err = token.Claims(set, &jwt.Claims{})
	if err != nil && !errors.Is(err, jose.ErrJWKSKidNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// A cloud that looked at the key set at any time since the rotation, or looks
// at most maxAge late, verifies every token over the whole change.
func TestRotationOverlaps(t *testing.T) {
	r := begin(t)
	old := r.token(t)
	before := keySet(t, r.Issuer)
	all := r.rotate(t, issuer.Rotation{})
	if len(all) != 2 || !all[0].Signing || all[1].Signing || !all[1].SignsFrom.Equal(r.now.Add(24*time.Hour)) || !all[0].Until.Equal(r.now.Add(24*time.Hour+6*time.Minute)) {
		t.Fatalf("%+v", all)
	}
	announced := keySet(t, r.Issuer) // what a cloud may keep for a day
	if len(before.Keys) != 1 || len(announced.Keys) != 2 || !strings.Contains(r.log.String(), "read again") {
		t.Fatalf("%d, then %d keys: %s", len(before.Keys), len(announced.Keys), r.log)
	}
	for _, step := range []struct {
		after time.Duration
		keys  int
		fits  bool // by the key set from before the rotation
	}{
		{0, 2, true}, {23 * time.Hour, 2, true}, {24*time.Hour - time.Second, 2, true},
		{24 * time.Hour, 2, false}, {24*time.Hour + 5*time.Minute, 2, false}, {24*time.Hour + 6*time.Minute, 1, false},
	} {
		at := r.now
		r.now = r.now.Add(step.after)
		raw, set := r.token(t), keySet(t, r.Issuer)
		if len(set.Keys) != step.keys || !fits(t, set, raw) || !fits(t, announced, raw) || fits(t, before, raw) != step.fits {
			t.Errorf("after %s: %d keys, fits now %t, the announced %t, the old %t", step.after, len(set.Keys), fits(t, set, raw), fits(t, announced, raw), fits(t, before, raw))
		}
		if step.keys == 2 && !fits(t, set, old) {
			t.Errorf("after %s: the old key is gone", step.after)
		}
		r.now = at
	}
	r.now = r.now.Add(25 * time.Hour)
	if all = r.rotate(t, issuer.Rotation{Lead: time.Hour}); len(all) != 2 || all[0].ID == before.Keys[0].KeyID {
		t.Errorf("what retired is still in the file: %+v", all)
	}
	if info, err := os.Stat(r.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A key that somebody else has is gone at once.
func TestCompromised(t *testing.T) {
	r := begin(t)
	old := r.token(t)
	r.rotate(t, issuer.Rotation{})
	all := r.rotate(t, issuer.Rotation{Compromised: true})
	set := keySet(t, r.Issuer)
	if len(all) != 1 || !all[0].Signing || len(set.Keys) != 1 || fits(t, set, old) || !fits(t, set, r.token(t)) {
		t.Errorf("%+v, %d keys, the old one fits: %t", all, len(set.Keys), fits(t, set, old))
	}
}

func TestRotationRefused(t *testing.T) {
	r := begin(t)
	for name, c := range map[string]struct {
		path string
		o    issuer.Rotation
		want string
	}{
		"short lead": {r.path, issuer.Rotation{Lead: time.Minute, Now: r.now}, "at least 10m0s is wanted"},
		"no place":   {filepath.Join(r.path, "x"), issuer.Rotation{Now: r.now}, "cannot be read"},
	} {
		if _, err := issuer.Rotate(c.path, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.rotate(t, issuer.Rotation{})
	if _, err := issuer.Rotate(r.path, issuer.Rotation{Now: r.now.Add(time.Hour)}); err == nil || !strings.Contains(err.Error(), "is on its way already") {
		t.Errorf("twice: %v", err)
	}
}

// A file that goes bad under the service changes nothing, and is told.
func TestBadFileKeepsKeys(t *testing.T) {
	r := begin(t)
	old := r.token(t)
	good, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"empty": "", "no key": "canary", "cut": string(good[:len(good)-60]), "a time that is none": "# signs from tomorrow\n" + string(good),
		"a word too many": "# signs at 2026-03-02T10:00:00Z\n" + string(good),
	} {
		if err := os.WriteFile(r.path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if !fits(t, keySet(t, r.Issuer), old) {
				t.Errorf("%s: the keys are gone", name)
			}
		}
		if _, err := issuer.OpenFile(r.path, nil); gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s, at the start: %v", name, err)
		}
	}
	if n := strings.Count(r.log.String(), "those known before stay"); n < 2 || n > 5 {
		t.Errorf("five bad files were told %d times", n)
	}
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if !fits(t, keySet(t, r.Issuer), old) {
		t.Error("gone with its file")
	}
}

func TestKeyFile(t *testing.T) {
	r := begin(t)
	if info, err := os.Stat(r.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := issuer.OpenFile(r.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := again.Keys(t.Context())
	if set := keySet(t, r.Issuer); err != nil || keys[0].ID != set.Keys[0].KeyID {
		t.Errorf("the key changed: %v", err)
	}
	if _, err := issuer.OpenFile(filepath.Join(t.TempDir(), "none", "signing.pem"), nil); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("no directory: %v", err)
	}
	for bits, wrong := range map[int]bool{2048: false, 1024: true} {
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, pemKey(t, bits), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := issuer.OpenFile(path, nil); (err != nil) != wrong {
			t.Errorf("%d bits as openssl writes them: %v", bits, err)
		}
	}
}

// pemKey is a key as openssl genpkey writes it.
func pemKey(t testing.TB, bits int) []byte {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
