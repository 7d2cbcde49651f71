// Package oidc hands out the gatekeeper's own token, for Kubernetes and
// whatever else takes an OIDC token of an issuer that it trusts. Nobody is
// asked: who trusts the issuer verifies the token by itself.
package oidc

import (
	"context"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// Issuer is the gatekeeper as one.
type Issuer interface {
	issuer.Minter
	URL() string
	Expiry(g gatekeeper.Grant) time.Time
}

// Exchanger implements gatekeeper.Exchanger for credentials of type oidc.
type Exchanger struct{ issuer Issuer }

// New makes an Exchanger.
func New(i Issuer) *Exchanger { return &Exchanger{i} }

// Exchange implements gatekeeper.Exchanger.
func (e *Exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, _ string) (gatekeeper.Credential, error) {
	spec := g.Credential().OIDC
	if !g.Valid() || spec == nil {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant for a token of ours")
	}
	expires := e.issuer.Expiry(g) // before the token's own, if anything
	token, err := e.issuer.Mint(ctx, g, spec.Audience)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	return gatekeeper.Credential{Type: "oidc", ExpiresAt: expires, Handle: g.Redemption().ID,
		OIDC: &gatekeeper.OIDCCredential{Token: token, Audience: spec.Audience, Issuer: e.issuer.URL(), Subject: issuer.Subject(g)}}, nil
}

// Revoke implements gatekeeper.Revoker. A signed token cannot be taken back;
// it ends within five minutes, and what was opened with it is its audience's
// matter.
func (e *Exchanger) Revoke(_ context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	if spec.OIDC == nil {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no token of ours to revoke")
	}
	return gatekeeper.Revocation{Detail: "a signed token cannot be taken back; it ends by itself within five minutes",
		Todo: "end what was begun at " + spec.OIDC.Audience + " with the token " + d.Handle + " (its jti)"}, nil
}
