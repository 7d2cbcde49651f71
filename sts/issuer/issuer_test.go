package issuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func spec() gatekeeper.CredentialSpec {
	return gatekeeper.CredentialSpec{Type: "oidc", OIDC: &gatekeeper.OIDCSpec{Audience: "aud", Lifetime: 5 * time.Minute}}
}

func get(t *testing.T, i *issuer.Issuer, path, etag string) *httptest.ResponseRecorder {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	i.Handler().ServeHTTP(w, r)
	return w
}

func keySet(t *testing.T, i *issuer.Issuer) jose.JSONWebKeySet {
	t.Helper()
	var keys jose.JSONWebKeySet
	w := get(t, i, "/.well-known/jwks.json", "")
	if err := json.Unmarshal(w.Body.Bytes(), &keys); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	for _, k := range keys.Keys {
		if !k.IsPublic() || k.Use != "sig" || k.Algorithm != "RS256" || k.KeyID == "" {
			t.Fatalf("the key set holds %+v", k)
		}
	}
	return keys
}

// verified are the claims of a token by the published keys.
func verified(t *testing.T, i *issuer.Issuer, raw string) (jwt.Claims, map[string]any) {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var std jwt.Claims
	all := map[string]any{}
	if err := token.Claims(keySet(t, i), &std, &all); err != nil {
		t.Fatal(err)
	}
	return std, all
}

func TestToken(t *testing.T) {
	i := ststest.Issuer(t, nil)
	raw, err := i.Mint(t.Context(), ststest.Grant(t, spec()), "sts.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	std, all := verified(t, i, raw)
	if std.Issuer != i.URL() || std.Subject != "repo:acme/payments:environment:production" || std.ID != "red_1" || !slices.Equal(std.Audience, []string{"sts.amazonaws.com"}) {
		t.Errorf("%+v", std)
	}
	if lives := std.Expiry.Time().Sub(std.IssuedAt.Time()); lives > 5*time.Minute || lives <= 0 {
		t.Errorf("it lives %s", lives)
	}
	for name, want := range map[string]string{"repository": "acme/payments", "repository_id": "1", "ref": "refs/heads/main", "sha": "4f2c", "run_id": "7001",
		"run_attempt": "1", "environment": "production", "rule": "payments", "request": "req_abc", "actor": "alice", "workload_issuer": "https://ci",
		"workflow": "acme/payments/.github/workflows/deploy.yml@refs/heads/main", "https://aws.amazon.com/source_identity": "req_abc"} {
		if all[name] != want {
			t.Errorf("%s is %v, want %s", name, all[name], want)
		}
	}
	tags, _ := all["https://aws.amazon.com/tags"].(map[string]any)["principal_tags"].(map[string]any)
	if _, there := all["approvers"].([]any); !there || tags["request"].([]any)[0] != "req_abc" {
		t.Errorf("approvers %v, tags %v", all["approvers"], tags)
	}
}

// A token is for a grant and an audience, or there is none.
func TestNothingToMint(t *testing.T) {
	i := ststest.Issuer(t, nil)
	if _, err := i.Mint(t.Context(), gatekeeper.Grant{}, "x"); gatekeeper.CodeOf(err) != gatekeeper.CodeInternal {
		t.Errorf("without a grant: %v", err)
	}
	if _, err := i.Mint(t.Context(), ststest.Grant(t, spec()), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeInternal {
		t.Errorf("without an audience: %v", err)
	}
	for _, o := range []issuer.Options{{}, {URL: "https://g"}, {Keys: issuer.Static{ststest.Key(t)}}} {
		if _, err := issuer.New(o); err == nil {
			t.Errorf("an issuer of %+v", o)
		}
	}
}

// What trust policies pin keeps its form, whatever jobs and repositories are
// called, and no two workloads share it.
func TestSubject(t *testing.T) {
	for want, c := range map[string]struct{ repository, subject, environment string }{
		"repo:acme/payments:environment:production":                         {"acme/payments", "x", "Production"},
		"repo:acme/payments:environment:eu%3Aproduction":                    {"acme/payments", "x", "eu:production"},
		"repo:acme/payments%3Aenvironment%3Aproduction:environment:x":       {"acme/payments:environment:production", "x", "x"},
		"repo:acme/payments:environment:50%25":                              {"acme/payments", "x", "50%"},
		"subject:system%3Aserviceaccount%3Aci%3Arunner:environment:staging": {"", "system:serviceaccount:ci:runner", "staging"},
	} {
		w := ststest.Workload()
		w.Repository, w.Subject = c.repository, c.subject
		if got := issuer.Subject(ststest.GrantFor(t, spec(), w, c.environment)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The oidc credential may live shorter, and nothing lives longer.
func TestLifetime(t *testing.T) {
	i := ststest.Issuer(t, nil)
	for asked, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, 0: 5 * time.Minute, time.Hour: 5 * time.Minute} {
		s := spec()
		s.OIDC.Lifetime = asked
		raw, err := i.Mint(t.Context(), ststest.Grant(t, s), "x")
		if err != nil {
			t.Fatal(err)
		}
		if std, _ := verified(t, i, raw); std.Expiry.Time().Sub(std.IssuedAt.Time()) != want {
			t.Errorf("asked for %s: %+v", asked, std)
		}
	}
}

func TestDiscovery(t *testing.T) {
	i := ststest.Issuer(t, nil)
	var doc struct {
		Issuer string   `json:"issuer"`
		JWKS   string   `json:"jwks_uri"`
		Algs   []string `json:"id_token_signing_alg_values_supported"`
	}
	w := get(t, i, "/.well-known/openid-configuration", "")
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Issuer != i.URL() || doc.JWKS != i.URL()+"/.well-known/jwks.json" || !slices.Equal(doc.Algs, []string{"RS256"}) {
		t.Errorf("%s, %v", w.Body, err)
	}
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json"} {
		w := get(t, i, path, "")
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=300" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", path, w.Header())
		}
		if again := get(t, i, path, w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s, asked again: %d %s", path, again.Code, again.Body)
		}
	}
}

type noKeys struct{ keys []issuer.Key }

func (n noKeys) Keys(context.Context) ([]issuer.Key, error) {
	return n.keys, errors.New("out of reach")
}

// Without keys nothing is minted and the key set is no empty one.
func TestKeysOutOfReach(t *testing.T) {
	future := ststest.Key(t)
	future.SignsFrom = time.Now().Add(time.Hour)
	broken := ststest.Key(t)
	broken.Sign = func(context.Context, []byte) ([]byte, error) { return []byte("of another key"), nil }
	for name, source := range map[string]issuer.Source{"error": noKeys{}, "none": issuer.Static{}, "not yet": issuer.Static{future}, "another's signature": issuer.Static{broken}, "unknown": issuer.Static{{}}} {
		i, err := issuer.New(issuer.Options{URL: "https://g", Keys: source})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Mint(t.Context(), ststest.Grant(t, spec()), "x"); err == nil || name != "error" && gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
			t.Errorf("%s: minted, %v", name, err)
		}
		if i.Ready(t.Context()) == nil && name != "another's signature" {
			t.Errorf("%s: ready", name)
		}
		if w := get(t, i, "/.well-known/jwks.json", ""); w.Code == http.StatusOK && !strings.Contains(w.Body.String(), `"kid"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
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
		w := ststest.Workload()
		w.Repository, w.Ref = repository, ref
		g, err := ststest.Redeem(spec(), w, environment)
		if err != nil {
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
		if s := issuer.Subject(g); repository != "" && strings.Count(s, ":") != 3 {
			t.Errorf("subject %q", s)
		}
	})
}
