// Package oidc turns a CI's raw OIDC token into a Workload. It is stricter
// than go-oidc, which finds the issuer's keys for it: size and form before
// parsing, strict JSON, one audience, all times, and how keys are fetched and
// age. In tests go-oidc is the oracle: what is taken here, it takes too.
package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Options of a Verifier. Issuers is needed.
type Options struct {
	Issuers []Issuer
	HTTP    *http.Client     // nil: one with timeouts
	Now     func() time.Time // nil: time.Now

	// Fetched is told of each fetch of an issuer's keys, by the issuer's name,
	// and of what went wrong; nil: nobody.
	Fetched func(issuer string, err error)
}

// Verifier implements gatekeeper.Verifier. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*trusted // by exact iss
	now     func() time.Time
}

type trusted struct {
	Issuer
	vendor vendor
	keys   *keySet
	seen   memo
}

// leeway is granted on every time in a token, and is the only one: go-oidc
// grants none on exp and five minutes on nbf (threats row 19).
const leeway = 30 * time.Second

// maxLife is the longest that a token may be valid in all.
const maxLife = time.Hour

// maxAnswer bounds what an issuer may answer.
const maxAnswer = 1 << 20

// New checks the issuers and asks nobody yet: a gatekeeper starts while an
// issuer is down.
func New(o Options) (*Verifier, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fetched == nil {
		o.Fetched = func(string, error) {}
	}
	o.HTTP = bounded(o.HTTP)
	v := &Verifier{issuers: map[string]*trusted{}, now: o.Now}
	for _, i := range o.Issuers {
		t, err := v.trust(i, o)
		if err != nil {
			return nil, err
		}
		if v.issuers[t.URL] != nil {
			return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer %s is configured twice", t.URL)
		}
		v.issuers[t.URL] = t
	}
	return v, nil
}

func (v *Verifier) trust(i Issuer, o Options) (*trusted, error) {
	i, err := i.Complete()
	if err != nil {
		return nil, err
	}
	t := &trusted{Issuer: i, vendor: vendors()[i.Type]}
	t.keys = newKeySet(i.Algorithms, v.now, func(ctx context.Context) ([]byte, error) { return fetchKeys(ctx, o.HTTP, i.URL) })
	t.keys.told = func(err error) { o.Fetched(i.Name, err) }
	return t, nil
}

// Verify implements gatekeeper.Verifier. The issuer is looked up by exact
// equality before anything is fetched (CVE-2025-52477, CVE-2026-22772).
func (v *Verifier) Verify(ctx context.Context, raw, audience string) (gatekeeper.Workload, error) {
	c, err := parseCompact(raw)
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	iss, _ := c.claims["iss"].(string)
	t := v.issuers[iss]
	if t == nil {
		return gatekeeper.Workload{}, invalid("the token's issuer %q is not one that is trusted here", gatekeeper.Shorten(iss, gatekeeper.MaxShown))
	}
	if !slices.Contains(t.Algorithms, c.alg) {
		return gatekeeper.Workload{}, invalid("the token's alg is %q; issuer %s is trusted with %s", gatekeeper.Shorten(c.alg, gatekeeper.MaxShown), t.Name, strings.Join(t.Algorithms, ", "))
	}
	if audience == "" {
		audience = t.Audience
	}
	token, err := v.standing(c.claims, audience)
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	if token.ID, err = t.identity(c); err != nil {
		return gatekeeper.Workload{}, err
	}
	sum := sha256.Sum256([]byte(raw))
	if err := t.signed(ctx, sum, c); err != nil {
		return gatekeeper.Workload{}, err
	}
	token.Hash = hex.EncodeToString(sum[:])
	return t.workload(c.claims, token)
}

// standing checks audience and times.
func (v *Verifier) standing(claims map[string]any, audience string) (gatekeeper.Token, error) {
	if aud, ok := soleAudience(claims["aud"]); !ok || aud != audience {
		return gatekeeper.Token{}, invalid("the token's audience is %s; request one with audience %q and no other", gatekeeper.Shorten(show(claims["aud"]), gatekeeper.MaxShown), audience)
	}
	iat, errIat := when(claims, "iat")
	exp, errExp := when(claims, "exp")
	if err := errors.Join(errIat, errExp); err != nil {
		return gatekeeper.Token{}, invalid("%v", errors.Join(errIat, errExp))
	}
	now := v.now()
	switch nbf, err := when(claims, "nbf"); {
	case claims["nbf"] != nil && err != nil:
		return gatekeeper.Token{}, invalid("%v", err)
	case err == nil && now.Add(leeway).Before(nbf):
		return gatekeeper.Token{}, invalid("the token is not valid before %s", nbf.Format(time.RFC3339))
	case now.Add(leeway).Before(iat):
		return gatekeeper.Token{}, invalid("the token was issued in the future, at %s; a clock is wrong", iat.Format(time.RFC3339))
	case !now.Add(-leeway).Before(exp):
		return gatekeeper.Token{}, invalid("the token expired at %s; present a fresh one", exp.Format(time.RFC3339))
	case exp.Sub(iat) > maxLife || !iat.Before(exp):
		return gatekeeper.Token{}, invalid("the token is valid for %s; at most %s are taken (where a job's timeout is its token's life, as in GitLab, set a shorter one)", exp.Sub(iat), maxLife)
	}
	return gatekeeper.Token{IssuedAt: iat, ExpiresAt: exp}, nil
}

// identity is the token's jti. Some vendors' tokens have none: for them it is
// the hash of what is signed, which no copy with another signature changes
// (threats row 17).
func (t *trusted) identity(c compact) (string, error) {
	jti, _ := c.claims["jti"].(string)
	switch {
	case jti != "":
		return jti, nil
	case c.claims["jti"] == nil && t.vendor.noJTI:
		sum := sha256.Sum256([]byte(c.input))
		return "sha256:" + hex.EncodeToString(sum[:]), nil
	}
	return "", invalid("the token has no jti, so its use cannot be told from another's")
}

// soleAudience wants exactly one audience, as a string or a list of one
// (threats row 6).
func soleAudience(aud any) (string, bool) {
	if list, ok := aud.([]any); ok && len(list) == 1 {
		aud = list[0]
	}
	s, ok := aud.(string)
	return s, ok && s != ""
}

// when reads a NumericDate (RFC 7519 section 2).
func when(claims map[string]any, name string) (time.Time, error) {
	n, ok := claims[name].(json.Number)
	if !ok {
		return time.Time{}, errors.New("the token has no " + name + ", or it is no number")
	}
	seconds, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || seconds < 0 || seconds > 1e11 {
		return time.Time{}, errors.New("the token's " + name + " is no time")
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}

// signed checks the signature with the issuer's key, once for each token.
func (t *trusted) signed(ctx context.Context, token [sha256.Size]byte, c compact) error {
	key, err := t.keys.get(ctx, c.kid, c.alg)
	if err != nil || t.seen.held(token, key) {
		return err
	}
	if err := key.verify(c.alg, c.input, c.sig); err != nil {
		return err
	}
	t.seen.add(token, key)
	return nil
}

// fetchKeys reads the issuer's key set, where its discovery document says.
func fetchKeys(ctx context.Context, client *http.Client, issuer string) ([]byte, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer)
	if err != nil {
		return nil, err
	}
	var doc struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := provider.Claims(&doc); err != nil {
		return nil, err
	}
	if err := secureURL(doc.JWKS); err != nil {
		return nil, errors.New("oidc: the issuer's jwks_uri " + err.Error())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, doc.JWKS, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New("oidc: the issuer answered " + resp.Status + " for its keys")
	}
	return io.ReadAll(resp.Body)
}

// bounded limits what an issuer's answer may cost.
func bounded(client *http.Client) *http.Client {
	b := http.Client{Timeout: fetchTimeout, Transport: http.DefaultTransport}
	if client != nil {
		b = *client
	}
	if b.Transport == nil {
		b.Transport = http.DefaultTransport
	}
	b.Transport = capped{b.Transport}
	return &b
}

type capped struct{ http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

func show(v any) string {
	if v == nil {
		return "missing"
	}
	body, err := json.Marshal(v)
	if err != nil {
		return "unreadable"
	}
	return string(body)
}
