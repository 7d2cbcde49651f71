package issuer_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func grantOf(t testing.TB, repository, environment, ref string) (gatekeeper.Grant, bool) {
	now := time.Now().UTC()
	rule := gatekeeper.Rule{Name: "r", Credentials: []gatekeeper.CredentialSpec{{Name: "c", Type: "aws", AWS: &gatekeeper.AWSSpec{}}},
		Approval: gatekeeper.Approval{None: true, ValidFor: time.Hour, Redemptions: 1, Scope: gatekeeper.ScopeRun}}
	d := gatekeeper.Decision{Outcome: gatekeeper.Allow, Rule: &rule}
	w := gatekeeper.Workload{IssuerURL: "https://ci", Repository: repository, RunID: "1", Ref: ref}
	r, _, err := gatekeeper.NewRequest(gatekeeper.Admission{ID: "req_abc", Workload: w, Ask: gatekeeper.Ask{Environment: environment}, Decision: d, Credentials: rule.Credentials, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	_, g, _, err := r.Redeem(gatekeeper.Claim{ID: "red_1", Workload: w, Credential: "c", Current: d, SettleBy: now.Add(time.Minute)}, now)
	return g, err == nil
}

func TestTokenVerifies(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i, err := issuer.New(issuer.Options{URL: "https://gatekeeper.test", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	i.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(w.Body.Bytes(), &keys); err != nil || len(keys.Keys) != 1 || !keys.Keys[0].IsPublic() {
		t.Fatalf("%s, %v", w.Body, err)
	}
	g, _ := grantOf(t, "acme/payments", "production", "refs/heads/main")
	raw, err := i.Mint(g, "sts.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := token.Claims(keys, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "repo:acme/payments:environment:production" || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 5*time.Minute || !claims.Audience.Contains("sts.amazonaws.com") {
		t.Errorf("%+v", claims)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing.pem")
	first, err := issuer.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := issuer.LoadOrCreate(path)
	if err != nil || !first.Equal(again) {
		t.Fatalf("the key changed: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.pem")
	if err := os.WriteFile(wrong, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.LoadOrCreate(wrong); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a file that holds no key: %v", err)
	}
}

// Threats row 38: whatever branches and repositories are called, AWS takes the
// names that are made of them.
func FuzzNames(f *testing.F) {
	name := regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	value := regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,256}$`)
	f.Add("acme/payments", "production", "refs/heads/main")
	f.Add("a/ü\n<|>", "Prod & Co", strings.Repeat("x", 400))
	f.Fuzz(func(t *testing.T, repository, environment, ref string) {
		g, ok := grantOf(t, repository, environment, ref)
		if !ok {
			return
		}
		if s := issuer.SessionName(g); !name.MatchString(s) {
			t.Errorf("session name %q", s)
		}
		if s := issuer.SourceIdentity(g.Request()); !name.MatchString(s) {
			t.Errorf("source identity %q", s)
		}
		for _, tag := range issuer.Tags(g) {
			if !value.MatchString(tag[1]) {
				t.Errorf("tag %s is %q", tag[0], tag[1])
			}
		}
	})
}
