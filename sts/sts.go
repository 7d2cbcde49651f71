// Package sts turns grants into credentials, at the cloud that each is for.
package sts

import (
	"context"
	"net/http"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
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

// Transport is what exchangers ask clouds with, for who wants to stand around
// it.
func Transport() http.RoundTripper { return ask.Transport() }

// Revoke implements gatekeeper.Revoker by the credential's type.
func (e Exchangers) Revoke(ctx context.Context, spec gatekeeper.CredentialSpec, d gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	revoker, ok := e[spec.Type].(gatekeeper.Revoker)
	if !ok {
		return gatekeeper.Revocation{Detail: "nothing here knows how credentials of type " + spec.Type + " are taken back"}, nil
	}
	return revoker.Revoke(ctx, spec, d)
}

// Prober is an exchanger whose cloud takes tokens of others than the
// gatekeeper, if it was set up so.
type Prober interface {
	// Probe presents a token that the gatekeeper had no part in, as a job
	// would that goes around it. nil: the cloud took it. CodeExchangeFailed: it
	// refused. Any other error proves nothing. What was issued is dropped.
	Probe(ctx context.Context, spec gatekeeper.CredentialSpec, token string) error
}

// Probe implements Prober by the credential's type; CodeInvalidRequest where
// no token of a CI opens that kind.
func (e Exchangers) Probe(ctx context.Context, spec gatekeeper.CredentialSpec, token string) error {
	prober, ok := e[spec.Type].(Prober)
	if !ok {
		return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "no token of a CI opens credentials of type %s", spec.Type)
	}
	return prober.Probe(ctx, spec, token)
}
