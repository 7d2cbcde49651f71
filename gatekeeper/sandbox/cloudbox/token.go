package cloudbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// What can be wrong with a token.
var (
	ErrMalformed = errors.New("cloudbox: the token cannot be read")
	ErrIssuer    = errors.New("cloudbox: the issuer is not trusted")
	ErrKeys      = errors.New("cloudbox: the issuer's keys cannot be fetched")
	ErrSignature = errors.New("cloudbox: the signature does not verify")
	ErrTimes     = errors.New("cloudbox: the token is not valid now")
	ErrAudience  = errors.New("cloudbox: the audience is another's")
)

// Trust is which tokens a cloud takes.
type Trust struct {
	Issuer    string
	Audiences []string
	Now       func() time.Time // nil: time.Now
}

// Verify checks a token as clouds do, each time with the issuer's keys as they
// are published now, and gives its claims.
func (t Trust) Verify(ctx context.Context, raw string) (map[string]any, error) {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, ErrMalformed
	}
	var std jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&std); err != nil {
		return nil, ErrMalformed
	}
	if std.Issuer != t.Issuer {
		return nil, ErrIssuer
	}
	keys, err := FetchKeys(ctx, t.Issuer)
	if err != nil {
		return nil, errors.Join(ErrKeys, err)
	}
	claims := map[string]any{}
	if err := token.Claims(keys, &claims); err != nil {
		return nil, ErrSignature
	}
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	if std.Expiry == nil || std.ValidateWithLeeway(jwt.Expected{Time: now()}, 10*time.Second) != nil {
		return nil, ErrTimes
	}
	if !slices.ContainsFunc(std.Audience, func(aud string) bool { return slices.Contains(t.Audiences, aud) }) {
		return nil, ErrAudience
	}
	return claims, nil
}

// FetchKeys reads an issuer's keys the way a cloud does: by its discovery
// document, which has to name the issuer.
func FetchKeys(ctx context.Context, issuer string) (jose.JSONWebKeySet, error) {
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	var keys jose.JSONWebKeySet
	if err := get(ctx, issuer+"/.well-known/openid-configuration", &doc); err != nil {
		return keys, err
	}
	if doc.Issuer != issuer {
		return keys, fmt.Errorf("cloudbox: discovery names %s", doc.Issuer)
	}
	return keys, get(ctx, doc.JWKS, &keys)
}

func get(ctx context.Context, from string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cloudbox: %s answered %s", from, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
