// Package gcp obtains access tokens of Google Cloud by workload identity
// federation: a token goes to Google's STS, and what comes back may become a
// service account.
package gcp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

const (
	googleSTS     = "https://sts.googleapis.com"
	googleIAM     = "https://iamcredentials.googleapis.com"
	resource      = "//iam.googleapis.com/"
	cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"

	cloudSTS = "Google's STS"
	cloudIAM = "Google's IAM"
)

// Options of an Exchanger; the zero value is Google's own and cannot mint.
type Options struct {
	STSEndpoint string // "": Google's own
	IAMEndpoint string // of the service account credentials API; "": Google's own
	Minter      issuer.Minter
	Transport   http.RoundTripper
	Now         func() time.Time
}

// Exchanger implements gatekeeper.Exchanger for credentials of type gcp.
type Exchanger struct {
	o   Options
	ask *ask.Client
}

// New makes an Exchanger and asks nobody.
func New(o Options) *Exchanger {
	if o.STSEndpoint == "" {
		o.STSEndpoint = googleSTS
	}
	if o.IAMEndpoint == "" {
		o.IAMEndpoint = googleIAM
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Exchanger{o, ask.New(ask.Options{Transport: o.Transport})}
}

// Exchange implements gatekeeper.Exchanger.
func (e *Exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, subjectToken string) (gatekeeper.Credential, error) {
	spec := g.Credential().GCP
	if !g.Valid() || spec == nil {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant for a Google Cloud token")
	}
	token, err := issuer.Presented(ctx, e.o.Minter, g, spec.Exchange, spec.Audience, subjectToken)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	return e.obtain(ctx, *spec, token)
}

// Probe implements sts.Prober.
func (e *Exchanger) Probe(ctx context.Context, spec gatekeeper.CredentialSpec, token string) error {
	_, err := e.obtain(ctx, *spec.GCP, token)
	return err
}

func (e *Exchanger) obtain(ctx context.Context, spec gatekeeper.GCPSpec, token string) (gatekeeper.Credential, error) {
	federated, err := e.federate(ctx, spec, token)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	c := gatekeeper.GCPCredential{AccessToken: federated.token, ProjectID: spec.ProjectID, ServiceAccount: spec.ServiceAccount,
		Principal: principal(spec, token)}
	expires := federated.expires
	if spec.ServiceAccount != "" {
		c.Principal = "serviceAccount:" + spec.ServiceAccount
		if expires, err = e.impersonate(ctx, spec, federated.token, &c); err != nil {
			return gatekeeper.Credential{}, err
		}
	}
	return gatekeeper.Credential{Type: "gcp", ExpiresAt: expires.UTC(), GCP: &c, Handle: c.Principal}, nil
}

// principal is who the federated identity is to IAM: the provider maps
// google.subject to the token's sub, as docs/credentials says.
func principal(spec gatekeeper.GCPSpec, token string) string {
	pool, _, _ := strings.Cut(spec.Provider, "/providers/")
	return "principal:" + resource + pool + "/subject/" + subject(token)
}

// subject reads the sub of a token that was verified, or minted, before.
func subject(token string) string {
	parts := strings.Split(token, ".")
	var claims struct {
		Subject string `json:"sub"`
	}
	if len(parts) == 3 {
		if body, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(body, &claims) // for display only
		}
	}
	return claims.Subject
}

// issued is a token and when it ends.
type issued struct {
	token   string
	expires time.Time
}

// federate is https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token.
func (e *Exchanger) federate(ctx context.Context, spec gatekeeper.GCPSpec, token string) (issued, error) {
	scopes := spec.Scopes
	if spec.ServiceAccount != "" {
		scopes = []string{cloudPlatform} // to become the service account, which has the scopes that are asked for
	}
	var out struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	err := e.ask.Do(ctx, ask.Call{
		Cloud: cloudSTS, URL: e.o.STSEndpoint + "/v1/token", Secrets: []string{token}, Refusal: stsRefusal,
		Form: url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "audience": {resource + spec.Provider},
			"scope": {strings.Join(scopes, " ")}, "requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
			"subject_token": {token}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		},
	}, &out)
	if err != nil {
		return issued{}, err
	}
	if out.AccessToken == "" || out.ExpiresIn <= 0 {
		return issued{}, ask.Incomplete(cloudSTS)
	}
	return issued{out.AccessToken, e.o.Now().Add(time.Duration(out.ExpiresIn) * time.Second)}, nil
}

// impersonate puts the service account's tokens into c. The access token comes
// last: it is the one that opens things.
func (e *Exchanger) impersonate(ctx context.Context, spec gatekeeper.GCPSpec, federated string, c *gatekeeper.GCPCredential) (time.Time, error) {
	if spec.IDTokenAudience != "" {
		var out struct {
			Token string `json:"token"`
		}
		if err := e.account(ctx, spec, "generateIdToken", federated, map[string]any{"audience": spec.IDTokenAudience, "includeEmail": true}, &out); err != nil {
			return time.Time{}, err
		}
		if out.Token == "" {
			return time.Time{}, ask.Incomplete(cloudIAM)
		}
		c.IDToken = out.Token
	}
	var out struct {
		AccessToken string    `json:"accessToken"`
		ExpireTime  time.Time `json:"expireTime"`
	}
	body := map[string]any{"scope": spec.Scopes, "lifetime": strconv.Itoa(int(spec.Lifetime.Seconds())) + "s"}
	if err := e.account(ctx, spec, "generateAccessToken", federated, body, &out); err != nil {
		return time.Time{}, err
	}
	if out.AccessToken == "" || out.ExpireTime.IsZero() {
		return time.Time{}, ask.Incomplete(cloudIAM)
	}
	c.AccessToken = out.AccessToken
	return out.ExpireTime, nil
}

// account is https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts.
func (e *Exchanger) account(ctx context.Context, spec gatekeeper.GCPSpec, method, federated string, body, into any) error {
	return e.ask.Do(ctx, ask.Call{
		Cloud: cloudIAM, URL: e.o.IAMEndpoint + "/v1/projects/-/serviceAccounts/" + url.PathEscape(spec.ServiceAccount) + ":" + method,
		Header: map[string]string{"Authorization": "Bearer " + federated}, JSON: body, Secrets: []string{federated}, Refusal: iamRefusal,
	}, into)
}
