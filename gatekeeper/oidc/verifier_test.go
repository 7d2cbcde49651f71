package oidc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/go-jose/go-jose/v4"
)

const ours = "https://gatekeeper.test"

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type bench struct {
	*ciissuer.Issuer
	*clock
	v *oidc.Verifier
}

func begin(t testing.TB) bench {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)}
	i, err := ciissuer.Start(ciissuer.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	v, err := oidc.New(oidc.Options{Now: c.Now, Issuers: []oidc.Issuer{{Type: "github", URL: i.URL(), Audience: ours, Owners: []string{"Acme"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return bench{i, c, v}
}

// refused wants an invalid token and gives what was said.
func (b bench) refused(t *testing.T, raw string) string {
	t.Helper()
	w, err := b.v.Verify(context.Background(), raw, "")
	if gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidToken {
		t.Fatalf("got %+v, %v; want invalid_token", w, err)
	}
	return err.Error()
}

func (b bench) taken(t *testing.T, raw string) gatekeeper.Workload {
	t.Helper()
	w, err := b.v.Verify(context.Background(), raw, "")
	if err != nil {
		t.Fatal(err)
	}
	b.oracle(t, raw)
	return w
}

func TestWorkload(t *testing.T) {
	b := begin(t)
	w := b.taken(t, b.Token(ours, ciissuer.Defaults()))
	for got, want := range map[string]string{
		w.Issuer: "github", w.Repository: "acme/payments", w.RepositoryID: "1234567", w.RepositoryOwnerID: "99", w.RunID: "7001",
		w.RunAttempt: "1", w.Job: "501", w.Environment: "production", w.Actor: "alice", w.Event: "push",
		w.RunURL: "https://github.com/acme/payments/actions/runs/7001/attempts/1",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if w.Token.ID == "" || len(w.Token.Hash) != 64 || w.Claims["ref_protected"] != "true" || w.Claims["jti"] != nil {
		t.Errorf("token %+v, claims %v", w.Token, w.Claims)
	}
}

// Threats row 3: whatever `sub` looks like, single claims decide.
func TestSubjectIsNeverParsed(t *testing.T) {
	b := begin(t)
	for _, sub := range []string{
		"repo:acme/payments:environment:production", "repo:acme@99/payments@1234567:environment:production",
		"repo:evil/x:environment:a:b", "repository_owner:acme", "",
	} {
		w := b.taken(t, b.Token(ours, ciissuer.Claims(map[string]any{"sub": sub, "environment": "a:b"})))
		if w.Repository != "acme/payments" || w.Environment != "a:b" {
			t.Errorf("sub %q: got %q in %q", sub, w.Repository, w.Environment)
		}
	}
}

// Threats row 4: each claim that a request is bound to, removed in turn.
func TestMissingClaims(t *testing.T) {
	b := begin(t)
	for _, name := range []string{"iss", "aud", "jti", "iat", "exp", "repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "sha", "run_id", "run_attempt", "actor", "event_name"} {
		said := b.refused(t, b.Token(ours, mapWith(ciissuer.Defaults(), name, nil)))
		if name != "iss" && name != "aud" && !strings.Contains(said, name) {
			t.Errorf("without %s: %q does not name it", name, said)
		}
	}
}

func mapWith(m map[string]any, name string, value any) map[string]any {
	m[name] = value
	return m
}

// Threats row 6: exactly one audience, equal to ours.
func TestAudience(t *testing.T) {
	b := begin(t)
	for name, aud := range map[string]any{
		"list of two": []string{ours, "sts.amazonaws.com"}, "ours twice": []string{ours, ours}, "empty list": []string{}, "absent": nil,
		"prefix": ours + ".evil.io", "substring": "https://gatekeeper", "empty": "", "number": 7, "other case": "https://GATEKEEPER.test",
	} {
		t.Run(name, func(t *testing.T) { b.refused(t, b.Token("", mapWith(ciissuer.Defaults(), "aud", aud))) })
	}
	b.taken(t, b.Token("", mapWith(ciissuer.Defaults(), "aud", []string{ours})))
	if _, err := b.v.Verify(context.Background(), b.Token("sts.amazonaws.com", ciissuer.Defaults()), "sts.amazonaws.com"); err != nil {
		t.Errorf("another audience where it is asked for: %v", err)
	}
}

// Threats rows 5 and 7: the issuer is matched exactly before anything is fetched.
func TestIssuer(t *testing.T) {
	b := begin(t)
	u := b.URL()
	for _, iss := range []string{
		u + "/", strings.Replace(u, "http://", "http://user@", 1), strings.ToUpper(u), u + "#", u + ".evil.io",
		strings.Replace(u, "127.0.0.1", "localhost", 1), " " + u, "https://token.actions.githubusercontent.com",
	} {
		b.refused(t, b.Token(ours, mapWith(ciissuer.Defaults(), "iss", iss)))
	}
	if b.Fetches() != 0 {
		t.Errorf("strangers' issuers made us fetch keys %d times", b.Fetches())
	}
}

// Threats row 2 in part: an issuer that signs for everybody is told whose.
func TestOwners(t *testing.T) {
	b := begin(t)
	b.refused(t, b.Token(ours, ciissuer.Claims(map[string]any{"repository_owner": "evil", "repository_owner_id": "666"})))
	b.refused(t, b.Token(ours, ciissuer.Claims(map[string]any{"repository_owner": "acme-evil"})))
	for name, i := range map[string]oidc.Issuer{
		"github.com without owners": {Type: "github", Audience: ours},
		"gitlab.com without owners": {Type: "gitlab", Audience: ours},
		"buildkite without owners":  {Type: "buildkite", Audience: ours},
		"no audience":               {Type: "github", Owners: []string{"acme"}},
		"plain http":                {Type: "github", URL: "http://ghes.acme.com/_services/token", Audience: ours},
		"http, looks like ours":     {Type: "github", URL: "http://127.evil.com", Audience: ours},
		"user in url":               {Type: "github", URL: "https://u@ghes.acme.com", Audience: ours},
		"unknown type":              {Type: "jenkins", URL: "https://x.acme.com", Audience: ours},
		"symmetric algorithm":       {Type: "github", Audience: ours, Owners: []string{"acme"}, Algorithms: []string{"HS256"}},
	} {
		if _, err := oidc.New(oidc.Options{Issuers: []oidc.Issuer{i}}); gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest {
			t.Errorf("%s was taken: %v", name, err)
		}
	}
}

// Threats row 19: one leeway of 30 s, every time checked, life capped.
func TestTimes(t *testing.T) {
	b := begin(t)
	now := b.Now().Unix()
	for name, c := range map[string]struct {
		claims map[string]any
		ok     bool
	}{
		"fresh":                    {nil, true},
		"expired 29 s ago":         {map[string]any{"iat": now - 300, "exp": now - 29}, true},
		"expired 30 s ago":         {map[string]any{"iat": now - 300, "exp": now - 30}, false},
		"issued in 30 s":           {map[string]any{"iat": now + 30, "exp": now + 300}, true},
		"issued in 31 s":           {map[string]any{"iat": now + 31, "exp": now + 300}, false},
		"issued in ten hours":      {map[string]any{"iat": now + 36000, "exp": now + 36300}, false},
		"valid in 31 s":            {map[string]any{"nbf": now + 31}, false},
		"valid in four minutes":    {map[string]any{"nbf": now + 240}, false},
		"valid in 30 s":            {map[string]any{"nbf": now + 30}, true},
		"no nbf":                   {map[string]any{"nbf": nil}, true},
		"nbf is text":              {map[string]any{"nbf": "soon"}, false},
		"valid for an hour":        {map[string]any{"exp": now + 3600}, true},
		"valid for longer":         {map[string]any{"exp": now + 3601}, false},
		"expires in a century":     {map[string]any{"exp": now + 3155760000}, false},
		"exp is text":              {map[string]any{"exp": "9999999999"}, false},
		"exp before iat":           {map[string]any{"iat": now + 20, "exp": now + 10}, false},
		"exp is out of this world": {map[string]any{"exp": json.Number("1e300")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := ciissuer.Defaults()
			for k, v := range c.claims {
				claims[k] = v
			}
			_, err := b.v.Verify(t.Context(), b.Token(ours, claims), "")
			if (err == nil) != c.ok || (err != nil && gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidToken) {
				t.Errorf("got %v, want taken: %v", err, c.ok)
			}
		})
	}
}

// Threats rows 13 and 20: what the header may say, and what no header may do.
func TestHeaders(t *testing.T) {
	b := begin(t)
	key, kid := b.Key()
	now := b.Now().Unix()
	claims := mapWith(mapWith(ciissuer.Defaults(), "iss", b.URL()), "aud", ours)
	claims["jti"], claims["iat"], claims["exp"] = "j", now, now+300
	payload, _ := json.Marshal(claims)
	sign := func(header string) string {
		return ciissuer.Sign(key, []byte(strings.ReplaceAll(header, "KID", kid)), payload)
	}
	b.taken(t, sign(`{"alg":"RS256","kid":"KID"}`))
	b.taken(t, sign(`{"alg":"RS256","kid":"KID","typ":"JWT","x5t":"abc"}`))
	for _, header := range []string{
		`{"alg":"none","kid":"KID"}`, `{"alg":"None","kid":"KID"}`, `{"alg":"","kid":"KID"}`, `{"kid":"KID"}`,
		`{"alg":"HS256","kid":"KID"}`, `{"alg":"PS256","kid":"KID"}`, `{"alg":"RS512","kid":"KID"}`, `{"alg":"ES256","kid":"KID"}`, `{"alg":"rs256","kid":"KID"}`,
		`{"alg":"RS256"}`, `{"alg":"RS256","kid":""}`, `{"alg":"RS256","kid":7}`, `{"alg":"RS256","kid":"unknown"}`,
		`{"alg":"RS256","kid":"KID","jku":"https://evil.io/keys"}`, `{"alg":"RS256","kid":"KID","x5u":"https://evil.io/x"}`,
		`{"alg":"RS256","kid":"KID","jwk":{"kty":"RSA"}}`, `{"alg":"RS256","kid":"KID","x5c":["AA"]}`,
		`{"alg":"RS256","kid":"KID","crit":["exp"],"exp":1}`, `{"alg":"RS256","kid":"KID","b64":false}`, `{"alg":"RS256","kid":"KID","zip":"DEF"}`,
		`{"alg":"RS256","kid":"KID","typ":"at+jwt"}`, `{"alg":"RS256","kid":"KID","typ":"JWE"}`, `{"alg":"RS256","alg":"none","kid":"KID"}`,
		`["alg"]`, `{"alg":"RS256","kid":"KID"} `, `{`,
	} {
		if header == `{"alg":"RS256","kid":"KID"} ` {
			continue // white space around an object is JSON
		}
		b.refused(t, sign(header))
	}
}

// Threats row 13: the public key as an HMAC secret, and no signature at all.
func TestSignatureConfusion(t *testing.T) {
	b := begin(t)
	key, _ := b.Key()
	good := b.Token(ours, ciissuer.Defaults())
	parts := strings.Split(good, ".")
	der, _ := x509.MarshalPKIXPublicKey(key.Public())
	for _, secret := range [][]byte{der, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), key.N.Bytes()} {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"key-1"}`))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(header + "." + parts[1]))
		b.refused(t, header+"."+parts[1]+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	}
	b.refused(t, parts[0]+"."+parts[1]+".")
	b.refused(t, parts[0]+"."+parts[1]+"."+base64.RawURLEncoding.EncodeToString(make([]byte, 256)))
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig, _ := rsa.SignPKCS1v15(rand.Reader, other, crypto.SHA256, sum[:])
	b.refused(t, parts[0]+"."+parts[1]+"."+base64.RawURLEncoding.EncodeToString(sig))
}

// Threats rows 16 and 17: one spelling only, and not too much of it.
func TestShapes(t *testing.T) {
	b := begin(t)
	good := b.Token(ours, ciissuer.Defaults())
	p := strings.Split(good, ".")
	flipped := []byte(p[2])
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := bytes.IndexByte([]byte(alphabet), flipped[len(flipped)-1])
	flipped[len(flipped)-1] = alphabet[last|1] // 256 bytes leave 4 unused bits
	if string(flipped) == p[2] {
		flipped[len(flipped)-1] = alphabet[last|2]
	}
	for name, raw := range map[string]string{
		"empty": "", "dots": "...", "five parts (JWE)": good + ".a.b", "two parts": p[0] + "." + p[1],
		"unused bits": p[0] + "." + p[1] + "." + string(flipped), "padding": good + "=", "inner space": p[0] + ". " + p[1] + "." + p[2],
		"inner line break": p[0] + "." + p[1] + ".\n" + p[2], "line break at the end": good + "\n", "space before": " " + good,
		"standard alphabet": p[0] + "." + p[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(p[2]) + "/",
		"5 MiB":             strings.Repeat("a", 5<<20), "dotted bomb": strings.Repeat(".", 1<<20), "JSON form": `{"payload":"` + p[1] + `"}`,
	} {
		t.Run(name, func(t *testing.T) { b.refused(t, raw) })
	}
	b.refused(t, b.Token(ours, ciissuer.Claims(map[string]any{"padding": strings.Repeat("x", 13000)})))
	b.taken(t, b.Token(ours, ciissuer.Claims(map[string]any{"padding": strings.Repeat("x", 9000)})))
}

// Threats row 18: names are compared as they are, and none may stand twice.
func TestStrictClaims(t *testing.T) {
	b := begin(t)
	key, kid := b.Key()
	header := []byte(`{"alg":"RS256","kid":"` + kid + `"}`)
	now := b.Now().Unix()
	base := fmt.Sprintf(`"iss":%q,"aud":%q,"jti":"j","iat":%d,"exp":%d,"sub":"s","repository":"acme/payments","repository_id":"1","repository_owner":"acme","repository_owner_id":"2","ref":"r","sha":"s","run_id":"1","run_attempt":"1","actor":"a","event_name":"push"`, b.URL(), ours, now, now+300)
	sign := func(payload string) string { return ciissuer.Sign(key, header, []byte(payload)) }
	b.taken(t, sign(`{`+base+`}`))
	if w := b.taken(t, sign(`{`+base+`,"ENVIRONMENT":"production","Repository":"evil/x","environmenſt":"production"}`)); w.Environment != "" || w.Repository != "acme/payments" {
		t.Errorf("another spelling counted: %+v", w)
	}
	for _, bad := range []string{
		`{` + base + `,"sub":"t"}`, `{` + base + `,"nested":{"a":1,"a":2}}`, `{` + base + `}{}`, `{` + base, `[]`, `null`,
		"{" + base + ",\"x\":\"\xff\"}", `{` + base + `,"deep":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		b.refused(t, sign(bad))
	}
	for _, renamed := range []string{`"SUB"`, `"Repository"`} {
		name := strings.ToLower(strings.Trim(renamed, `"`))
		payload := strings.Replace(base, `"`+name+`":`, renamed+`:`, 1)
		if name == "repository" {
			b.refused(t, sign(`{`+payload+`}`))
		} else if w := b.taken(t, sign(`{`+payload+`}`)); w.Subject != "" {
			t.Errorf("%s was taken for sub", renamed)
		}
	}
}

// Threats row 14: strangers cannot make us hammer the issuer, and an outage
// does not lose its keys.
func TestKeyFetches(t *testing.T) {
	b := begin(t)
	good := b.Token(ours, ciissuer.Defaults())
	b.taken(t, good)
	other, _ := rsa.GenerateKey(rand.Reader, 2048)
	p := strings.Split(good, ".")
	payload, _ := base64.RawURLEncoding.DecodeString(p[1])
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			raw := ciissuer.Sign(other, fmt.Appendf(nil, `{"alg":"RS256","kid":"random-%d"}`, n), payload)
			if _, err := b.v.Verify(context.Background(), raw, ""); gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidToken {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	b.refused(t, good[:len(good)-8]+"AAAAAAAA")
	if n := b.Fetches(); n > 3 {
		t.Errorf("200 random kids made %d fetches", n)
	}
	for _, f := range []ciissuer.Fault{ciissuer.Down, ciissuer.ServerError, ciissuer.NoKeys, ciissuer.Rubbish} {
		b.Set(f)
		b.pass(11 * time.Minute)
		b.taken(t, b.Token(ours, ciissuer.Defaults()))
	}
	b.pass(time.Hour)
	if _, err := b.v.Verify(t.Context(), b.Token(ours, ciissuer.Defaults()), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("keys outlived their maximum age: %v", err)
	}
	b.Set(ciissuer.None)
	b.pass(time.Minute)
	b.taken(t, b.Token(ours, ciissuer.Defaults()))
}

// A key that is new just after the others were fetched is found at once, and
// after strangers asked for keys that do not exist it is found as soon as keys
// may be fetched again.
func TestRotationAfterAFetch(t *testing.T) {
	b := begin(t)
	b.taken(t, b.Token(ours, ciissuer.Defaults()))
	if err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	b.taken(t, b.Token(ours, ciissuer.Defaults()))
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(b.Token(ours, ciissuer.Defaults()), ".")[1])
	key, _ := b.Key()
	for n := range 20 {
		b.refused(t, ciissuer.Sign(key, fmt.Appendf(nil, `{"alg":"RS256","kid":"random-%d"}`, n), payload))
	}
	asked := b.Fetches()
	if err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	b.refused(t, b.Token(ours, ciissuer.Defaults()))
	if n := b.Fetches(); n != asked {
		t.Errorf("%d fetches more", n-asked)
	}
	b.pass(15 * time.Second)
	b.taken(t, b.Token(ours, ciissuer.Defaults()))
}

// Threats row 15: rotation is picked up at once, a withdrawn key ages out.
func TestRotation(t *testing.T) {
	b := begin(t)
	old := ciissuer.Claims(nil)
	key, kid := b.Key()
	b.taken(t, b.Token(ours, old))
	b.pass(time.Minute)
	if err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	b.taken(t, b.Token(ours, old))
	b.Withdraw()
	b.pass(11 * time.Minute)
	now := b.Now().Unix()
	claims := mapWith(mapWith(ciissuer.Defaults(), "iss", b.URL()), "aud", ours)
	claims["jti"], claims["iat"], claims["exp"] = "j", now, now+300
	payload, _ := json.Marshal(claims)
	b.refused(t, ciissuer.Sign(key, []byte(`{"alg":"RS256","kid":"`+kid+`"}`), payload))
}

// That a token's signature held once is remembered under its key: when that
// one is withdrawn, or another key has its name, the token holds no more.
func TestWithdrawnKeyOfAKnownToken(t *testing.T) {
	for name, withdraw := range map[string]func(b bench, kid string){
		"withdrawn": func(b bench, _ string) { b.Withdraw() },
		"replaced": func(b bench, kid string) {
			other, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: other.Public(), KeyID: kid, Algorithm: "RS256", Use: "sig"}}})
			if err != nil {
				t.Fatal(err)
			}
			b.Publish(body)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			_, kid := b.Key()
			raw := b.Token(ours, ciissuer.Claims(map[string]any{"exp": b.Now().Add(50 * time.Minute).Unix()}))
			if err := b.Rotate(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := b.v.Verify(t.Context(), raw, ""); err != nil {
					t.Fatal(err)
				}
			}
			withdraw(b, kid)
			b.pass(11 * time.Minute)
			b.refused(t, raw)
		})
	}
}

func TestIssuerDownAtFirst(t *testing.T) {
	b := begin(t)
	b.Set(ciissuer.Down)
	_, err := b.v.Verify(t.Context(), b.Token(ours, ciissuer.Defaults()), "")
	if gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Fatalf("got %v, want temporarily_unavailable", err)
	}
}

// While the issuer fails, a token whose key is new is not called wrong, however
// often it is shown: a step that waits would end for it.
func TestNewKeyWhileIssuerFails(t *testing.T) {
	for name, f := range map[string]ciissuer.Fault{"down": ciissuer.Down, "500": ciissuer.ServerError, "no keys": ciissuer.NoKeys, "rubbish": ciissuer.Rubbish} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			b.taken(t, b.Token(ours, ciissuer.Defaults()))
			b.pass(time.Minute)
			b.Set(f)
			if err := b.Rotate(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := b.v.Verify(t.Context(), b.Token(ours, ciissuer.Defaults()), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
					t.Fatalf("got %v, want temporarily_unavailable", err)
				}
				b.pass(time.Second)
			}
			b.Set(ciissuer.None)
			b.pass(15 * time.Second)
			b.taken(t, b.Token(ours, ciissuer.Defaults()))
		})
	}
}

// A token must never be in what we say about it.
func TestErrorsHoldNoToken(t *testing.T) {
	b := begin(t)
	raw := b.Token("https://elsewhere", ciissuer.Defaults())
	if said := b.refused(t, raw); strings.Contains(said, strings.Split(raw, ".")[2]) {
		t.Errorf("%q holds the token", said)
	}
}

func FuzzVerify(f *testing.F) {
	b := begin(f)
	good := b.Token(ours, ciissuer.Defaults())
	for _, seed := range []string{good, "", "..", "a.b.c", good + ".", strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := b.v.Verify(context.Background(), raw, ""); err == nil && raw != good {
			t.Errorf("%q was taken", raw)
		}
	})
}
