package gcp_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/gcpbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/gcp"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
)

const (
	pool     = "projects/123456789/locations/global/workloadIdentityPools/gatekeeper"
	provider = pool + "/providers/gatekeeper"
	audience = "https://iam.googleapis.com/" + provider
	account  = "deploy@acme-payments.iam.gserviceaccount.com"
	subject  = "repo:acme/payments:environment:production"
	platform = "https://www.googleapis.com/auth/cloud-platform"
)

func spec(way gatekeeper.Exchange) gatekeeper.CredentialSpec {
	return gatekeeper.CredentialSpec{Type: "gcp", GCP: &gatekeeper.GCPSpec{Provider: provider, ServiceAccount: account, ProjectID: "acme-payments",
		Scopes: []string{platform}, Lifetime: 15 * time.Minute, Exchange: way, Audience: audience}}
}

// federation is a Google Cloud that trusts an issuer for acme/payments.
func federation(t *testing.T, issuer string) *gcpbox.GCP {
	t.Helper()
	box := gcpbox.Start(nil)
	t.Cleanup(box.Close)
	box.Provider(gcpbox.Provider{Name: provider, Issuer: issuer, Condition: map[string]string{"environment": "production"}})
	box.Account(gcpbox.Account{Email: account, Subjects: []string{subject}})
	return box
}

func TestSuite(t *testing.T) {
	ststest.Run(t, func(t *testing.T) ststest.Vendor {
		ci, err := ciissuer.Start(ciissuer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ci.Close)
		return ststest.Vendor{
			Box: federation(t, ci.URL()), Spec: spec(gatekeeper.ExchangeWorkloadToken), Token: ci.Token(audience, ciissuer.Defaults()),
			New: func(url string, _ *slog.Logger) gatekeeper.Exchanger {
				return gcp.New(gcp.Options{STSEndpoint: url, IAMEndpoint: url})
			},
			Steps:    []string{"/v1/token", "generateAccessToken"},
			Throttle: cloudbox.Fault{Status: http.StatusTooManyRequests, Body: `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded"}}`},
			Refusals: map[string]ststest.Refusal{
				"condition": ststest.Says(oauth("unauthorized_client", "The given credential is rejected by the attribute condition."), "Google's STS refused: unauthorized_client (The given credential is rejected by the attribute condition.); the provider's attribute condition"),
				"target":    ststest.Says(oauth("invalid_target", ""), "invalid_target; there is no such workload identity pool provider"),
				"grant":     ststest.Says(oauth("invalid_grant", "ID Token is stale"), "invalid_grant (ID Token is stale)"),
				"new":       ststest.Says(oauth("something_new", ""), "something_new"),
				"no JSON":   ststest.Says(cloudbox.Fault{Path: "/v1/token", Status: http.StatusForbidden, Body: "<html>"}, "refused: 403"),
				"account": ststest.Says(cloudbox.Fault{Path: "generateAccessToken", Status: http.StatusForbidden, Body: `{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Permission denied"}}`},
					"Google's IAM refused: PERMISSION_DENIED (Permission denied); the service account has to grant roles/iam.workloadIdentityUser"),
				"a redirect": ststest.Says(cloudbox.Fault{Path: "/v1/token", Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": "http://127.0.0.1:1"}, Body: " "}, "points elsewhere"),
			},
			Incomplete: []string{`{"accessToken":"x"}`, `{"expireTime":"2030-01-01T00:00:00Z"}`, `{"accessToken":"","expireTime":"2030-01-01T00:00:00Z"}`, `{"accessToken":"x","expireTime":"soon"}`},
			Complete: func(c gatekeeper.Credential) string {
				if g := c.GCP; g.AccessToken == "" || g.ServiceAccount != account || g.ProjectID != "acme-payments" || g.Principal != "serviceAccount:"+account {
					return "something of " + g.String()
				}
				return ""
			},
		}
	})
}

func oauth(code, text string) cloudbox.Fault {
	body, _ := json.Marshal(map[string]string{"error": code, "error_description": text})
	return cloudbox.Fault{Path: "/v1/token", Status: http.StatusBadRequest, Body: string(body)}
}

// Google trusts the gatekeeper alone: its token works, the CI's own does not,
// nor one of ours for another repository, environment or time (threats row 37).
func TestGatekeeperToken(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	old := ststest.Issuer(t, func() time.Time { return time.Now().Add(-time.Hour) })
	box := federation(t, ours.URL())
	ci, err := ciissuer.Start(ciissuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ci.Close)
	e := gcp.New(gcp.Options{STSEndpoint: box.URL(), IAMEndpoint: box.URL(), Minter: ours})
	c, err := e.Exchange(t.Context(), ststest.Grant(t, spec(gatekeeper.ExchangeGatekeeperToken)), "")
	if err != nil {
		t.Fatal(err)
	}
	got := box.Tokens()
	if len(got) != 1 || got[0].Subject != subject || got[0].Lifetime != 15*time.Minute || strings.Join(got[0].Scopes, " ") != platform {
		t.Errorf("%+v", got)
	}
	if left := time.Until(c.ExpiresAt); left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("it lives %s", left)
	}
	other := ststest.Workload()
	other.Repository = "acme/web"
	long := ststest.Workload()
	long.Repository = "acme/" + strings.Repeat("x", 100)
	for name, c := range map[string]struct {
		e     *gcp.Exchanger
		grant gatekeeper.Grant
		token string
		says  string
	}{
		"the CI's own":        {e, ststest.Grant(t, spec(gatekeeper.ExchangeWorkloadToken)), ci.Token(audience, ciissuer.Defaults()), "invalid_grant"},
		"another repository":  {e, ststest.GrantFor(t, spec(gatekeeper.ExchangeGatekeeperToken), other, "production"), "", "PERMISSION_DENIED"},
		"another environment": {e, ststest.GrantFor(t, spec(gatekeeper.ExchangeGatekeeperToken), ststest.Workload(), "staging"), "", "unauthorized_client"},
		"a long subject":      {e, ststest.GrantFor(t, spec(gatekeeper.ExchangeGatekeeperToken), long, "production"), "", "exceeds the 127 bytes limit"},
		"expired":             {gcp.New(gcp.Options{STSEndpoint: federation(t, old.URL()).URL(), Minter: old}), ststest.Grant(t, spec(gatekeeper.ExchangeGatekeeperToken)), "", "stale"},
		"no key to sign":      {gcp.New(gcp.Options{STSEndpoint: box.URL()}), ststest.Grant(t, spec(gatekeeper.ExchangeGatekeeperToken)), "", "set signing_key_file"},
		"no way":              {e, ststest.Grant(t, spec("")), "", "is no way to credentials of type gcp"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.e.Exchange(t.Context(), c.grant, c.token)
			if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), c.says) || got.GCP != nil {
				t.Errorf("got %v, want %s", err, c.says)
			}
		})
	}
}

// Without a service account the federated identity's own token is handed out,
// and an ID token is fetched where one is asked for.
func TestOtherTokens(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	box := federation(t, ours.URL())
	e := gcp.New(gcp.Options{STSEndpoint: box.URL(), IAMEndpoint: box.URL(), Minter: ours})
	direct := spec(gatekeeper.ExchangeGatekeeperToken)
	direct.GCP.ServiceAccount, direct.GCP.Lifetime = "", 0
	c, err := e.Exchange(t.Context(), ststest.Grant(t, direct), "")
	if err != nil || !strings.HasPrefix(c.GCP.AccessToken, "ya29.d.") || c.GCP.Principal != "principal://iam.googleapis.com/"+pool+"/subject/"+subject || box.Calls("serviceAccounts") != 0 {
		t.Errorf("%v, %v", c.GCP, err)
	}
	withID := spec(gatekeeper.ExchangeGatekeeperToken)
	withID.GCP.IDTokenAudience = "https://run.acme.com"
	c, err = e.Exchange(t.Context(), ststest.Grant(t, withID), "")
	if err != nil || !strings.HasPrefix(c.GCP.IDToken, "idtoken.") || !strings.HasPrefix(c.GCP.AccessToken, "ya29.c.") {
		t.Errorf("%v, %v", c.GCP, err)
	}
	box.Fail(cloudbox.Fault{Path: "generateIdToken", Body: "{}"})
	if _, err = e.Exchange(t.Context(), ststest.Grant(t, withID), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeUnknown || box.Calls("generateAccessToken") != 1 {
		t.Errorf("without its ID token: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	e := gcp.New(gcp.Options{})
	direct := spec(gatekeeper.ExchangeGatekeeperToken)
	direct.GCP.ServiceAccount = ""
	for want, s := range map[string]gatekeeper.CredentialSpec{
		"gcloud iam service-accounts disable " + account: spec(gatekeeper.ExchangeGatekeeperToken),
		"gcloud iam workload-identity-pools providers disable gatekeeper --workload-identity-pool=" + pool + " --location=global": direct,
	} {
		if got, err := e.Revoke(t.Context(), s, gatekeeper.Redemption{}); err != nil || got.Revoked || got.Todo != want || got.Detail == "" {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := e.Revoke(t.Context(), gatekeeper.CredentialSpec{}, gatekeeper.Redemption{}); err == nil {
		t.Error("nothing was revoked")
	}
}
