// Package azure obtains access tokens of Entra ID for an application with a
// federated credential: a token takes the place of its secret.
package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

const (
	publicCloud = "https://login.microsoftonline.com"
	cloud       = "Entra ID"
)

// Options of an Exchanger; the zero value is Microsoft's public cloud and
// cannot mint.
type Options struct {
	Authority string // "": the public cloud's, https://login.microsoftonline.us and .cn are others
	Minter    issuer.Minter
	Transport http.RoundTripper
	Now       func() time.Time
}

// Exchanger implements gatekeeper.Exchanger for credentials of type azure.
type Exchanger struct {
	o   Options
	ask *ask.Client
}

// New makes an Exchanger and asks nobody.
func New(o Options) *Exchanger {
	if o.Authority == "" {
		o.Authority = publicCloud
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Authority = strings.TrimSuffix(o.Authority, "/")
	return &Exchanger{o, ask.New(ask.Options{Transport: o.Transport})}
}

// Exchange implements gatekeeper.Exchanger. It is the client credentials grant
// with an assertion
// (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential).
func (e *Exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, subjectToken string) (gatekeeper.Credential, error) {
	spec := g.Credential().Azure
	if !g.Valid() || spec == nil {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant for an Azure token")
	}
	token, err := issuer.Presented(ctx, e.o.Minter, g, spec.Exchange, spec.Audience, subjectToken)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	return e.obtain(ctx, *spec, token)
}

// Probe implements sts.Prober.
func (e *Exchanger) Probe(ctx context.Context, spec gatekeeper.CredentialSpec, token string) error {
	_, err := e.obtain(ctx, *spec.Azure, token)
	return err
}

func (e *Exchanger) obtain(ctx context.Context, spec gatekeeper.AzureSpec, token string) (gatekeeper.Credential, error) {
	var out struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	err := e.ask.Do(ctx, ask.Call{
		Cloud: cloud, URL: e.o.Authority + "/" + url.PathEscape(spec.TenantID) + "/oauth2/v2.0/token", Secrets: []string{token}, Refusal: refusal,
		Form: url.Values{
			"grant_type": {"client_credentials"}, "client_id": {spec.ClientID}, "scope": {spec.Scope},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {token},
		},
	}, &out)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	if out.AccessToken == "" || out.ExpiresIn <= 0 {
		return gatekeeper.Credential{}, ask.Incomplete(cloud)
	}
	return gatekeeper.Credential{Type: "azure", ExpiresAt: e.o.Now().Add(time.Duration(out.ExpiresIn) * time.Second).UTC(), Handle: spec.ClientID,
		Azure: &gatekeeper.AzureCredential{AccessToken: out.AccessToken, FederatedToken: token, TenantID: spec.TenantID, ClientID: spec.ClientID, SubscriptionID: spec.SubscriptionID}}, nil
}

// refusal is by its AADSTS number, which says more than OAuth's word.
func refusal(body []byte) ask.Refusal {
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		Codes       []int  `json:"error_codes"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ask.Refusal{}
	}
	r := ask.Refusal{Code: e.Error, Message: e.Description, Again: e.Error == "temporarily_unavailable"}
	if len(e.Codes) > 0 {
		r.Code = fmt.Sprintf("AADSTS%d", e.Codes[0])
		r.Message = strings.TrimPrefix(strings.TrimPrefix(r.Message, r.Code), ": ")
		// What follows are ids and times for Microsoft's support.
		r.Message, _, _ = strings.Cut(r.Message, " Trace ID:")
		r.Hint = hint(e.Codes[0])
	}
	return r
}

// hint says what the platform team can check
// (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
func hint(code int) string {
	switch code {
	case 70021, 700211, 700212, 700213, 7002138:
		return "the application needs a federated credential whose issuer, audience and subject are the token's, letter by letter"
	case 700016, 7000229:
		return "there is no such application in this tenant"
	case 90002:
		return "there is no such tenant"
	case 700024:
		return "the token was too old, or the clocks differ"
	case 50166, 5000611, 700027, 50027:
		return "Entra ID has to reach the issuer's keys, and to find the token's among them"
	case 1002012, 70011, 500011:
		return "the scope is none of a resource in this tenant"
	}
	return ""
}

// Revoke implements gatekeeper.Revoker. Entra ID revokes no access token of an
// application before it ends; what stops new ones is that the application's
// service principal is disabled
// (https://learn.microsoft.com/entra/identity/conditional-access/workload-identity).
func (e *Exchanger) Revoke(_ context.Context, spec gatekeeper.CredentialSpec, _ gatekeeper.Redemption) (gatekeeper.Revocation, error) {
	if spec.Azure == nil {
		return gatekeeper.Revocation{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no Azure token to revoke")
	}
	return gatekeeper.Revocation{
		Detail: "Entra ID revokes no application's token before it ends: until then, only taking the application's roles stops it",
		Todo:   "az role assignment delete --assignee " + spec.Azure.ClientID + " && az ad sp update --id " + spec.Azure.ClientID + " --set accountEnabled=false",
	}, nil
}
