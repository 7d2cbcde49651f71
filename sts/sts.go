// Package sts turns grants into credentials, at the cloud that each is for.
package sts

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Exchangers implement gatekeeper.Exchanger by the credential's type.
type Exchangers map[string]gatekeeper.Exchanger

// Exchange implements gatekeeper.Exchanger. A grant that the request's state
// machine did not make is refused, whatever it says.
func (e Exchangers) Exchange(ctx context.Context, g gatekeeper.Grant, subjectToken string) (gatekeeper.Credential, error) {
	if !g.Valid() {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant to exchange")
	}
	spec := g.Credential()
	exchanger, ok := e[spec.Type]
	if !ok {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "credentials of type %q cannot be obtained here", spec.Type)
	}
	c, err := exchanger.Exchange(ctx, g, subjectToken)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	c.Name, c.Type = spec.Name, spec.Type
	return c, nil
}

// Revoke implements gatekeeper.Revoker by the credential's type.
func (e Exchangers) Revoke(ctx context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	revoker, ok := e[spec.Type].(gatekeeper.Revoker)
	if !ok {
		return gatekeeper.Revocation{Detail: "nothing here knows how credentials of type " + spec.Type + " are taken back"}, nil
	}
	return revoker.Revoke(ctx, spec, d)
}
