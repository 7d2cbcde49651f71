package aws_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// rotating is our issuer with a key that signs, and a next one that is
// published and waits a day.
func rotating(t *testing.T, path string, key *rsa.PrivateKey) *issuer.Issuer {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Rotate(path, issuer.Rotation{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	file, err := issuer.OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := issuer.New(issuer.Options{URL: "https://" + ourHost, Keys: file})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// aDayPasses makes the next key's time come, as if it had been published long
// ago.
func (r cloud) aDayPasses(t *testing.T) {
	t.Helper()
	body, err := os.ReadFile(r.keys)
	if err != nil {
		t.Fatal(err)
	}
	passed := regexp.MustCompile(`# signs from .*`).ReplaceAll(body, []byte("# signs from "+time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)))
	if err := os.WriteFile(r.keys, passed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A real STS keeps key sets for minutes. It takes our tokens over a rotation
// all the same: it learned the new key while the old one signed. The old
// key's tokens go on as long as it is published, and the CI's own is refused
// before and after.
func (r cloud) rotation(t *testing.T) {
	strong, presented := r.spec(gatekeeper.ExchangeGatekeeperToken, r.strong), r.spec(gatekeeper.ExchangeWorkloadToken, r.strong)
	try := func(when, token, want string) {
		t.Helper()
		spec := presented
		if token == "" {
			spec = strong
		}
		if _, err := r.exchange.Exchange(t.Context(), grantOf(t, spec), token); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", when, err, want)
		}
	}
	mint := func() (raw, kid string) {
		raw, err := r.ours.Mint(t.Context(), grantOf(t, strong), "sts.amazonaws.com")
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		return raw, token.Headers[0].KeyID
	}
	ci := r.ci.Token("sts.amazonaws.com", ciissuer.Defaults())
	try("the old key signs", "", "")
	try("the CI's own", ci, "InvalidIdentityToken")
	old, oldID := mint()
	r.aDayPasses(t)
	if _, newID := mint(); newID == oldID {
		t.Fatal("the old key still signs")
	}
	try("the new key signs", "", "")
	try("the old key's token, while it is published", old, "")
	try("the CI's own, still", ci, "InvalidIdentityToken")
	if n := r.fetches.Load(); n != 1 {
		t.Errorf("STS asked for the key set %d times; the rotation was to need no more than the first", n)
	}
}
