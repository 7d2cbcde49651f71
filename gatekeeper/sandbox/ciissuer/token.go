package ciissuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
)

// Defaults are the claims of a push to acme/payments that deploys to
// production, as https://docs.github.com/actions/reference/security/oidc
// lists them. Times, jti, iss and aud are added when a token is made.
func Defaults() map[string]any {
	return map[string]any{
		"sub": "repo:acme/payments:environment:production", "environment": "production",
		"repository": "acme/payments", "repository_id": "1234567", "repository_visibility": "private",
		"repository_owner": "acme", "repository_owner_id": "99", "enterprise": "acme-inc", "enterprise_id": "7",
		"ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "base_ref": "", "head_ref": "",
		"sha": "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b", "workflow": "deploy",
		"workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main", "workflow_sha": "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b",
		"job_workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main", "job_workflow_sha": "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b",
		"run_id": "7001", "run_number": "42", "run_attempt": "1", "check_run_id": "501",
		"event_name": "push", "actor": "alice", "actor_id": "11", "runner_environment": "github-hosted",
	}
}

// Claims are the defaults with changes; a nil value removes a claim.
func Claims(changes map[string]any) map[string]any {
	claims := Defaults()
	merge(claims, changes)
	return claims
}

func merge(claims, changes map[string]any) {
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
		} else {
			claims[name] = value
		}
	}
}

// Token signs the claims for an audience, with fresh times and jti. Claims
// that name iss, aud, jti, iat, nbf or exp themselves keep theirs; a nil value
// removes one.
func (i *Issuer) Token(audience string, claims map[string]any) string {
	body, err := json.Marshal(i.Stamped(audience, claims))
	if err != nil {
		panic(err) // claims of tests are JSON
	}
	key, kid := i.Key()
	header, _ := json.Marshal(map[string]any{"alg": "RS256", "kid": kid, "typ": "JWT"})
	return Sign(key, header, body)
}

// Stamped are the claims as Token would sign them, for tokens that are put
// together by hand.
func (i *Issuer) Stamped(audience string, claims map[string]any) map[string]any {
	now := i.o.Now()
	all := map[string]any{
		"iss": i.URL(), "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(i.o.TTL).Unix(),
	}
	merge(all, claims)
	return all
}

// Sign makes a compact RS256 token of whatever bytes, for hostile ones too.
func Sign(key *rsa.PrivateKey, header, payload []byte) string {
	enc := base64.RawURLEncoding
	input := enc.EncodeToString(header) + "." + enc.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // only a key too small for a digest, which no test makes
	}
	return input + "." + enc.EncodeToString(sig)
}

// Job registers a running job. The two values are what GitHub gives a runner
// as ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN.
func (i *Issuer) Job(claims map[string]any) (requestURL, requestToken string) {
	token := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jobs[token] = maps.Clone(claims)
	return i.URL() + "/token?api-version=2.0", token
}

func (i *Issuer) mint(w http.ResponseWriter, r *http.Request) {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	i.mu.Lock()
	claims, ok := i.jobs[bearer]
	i.mu.Unlock()
	if !ok || !strings.EqualFold(scheme, "bearer") {
		http.Error(w, `{"message":"unauthorized"}`, http.StatusUnauthorized)
		return
	}
	audience := r.URL.Query().Get("audience")
	if audience == "" {
		audience = "https://github.com/acme" // the default is the owner's URL
	}
	answer(w, map[string]string{"value": i.Token(audience, claims)})
}
