package azure_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/azurebox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/azure"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
)

const (
	tenant   = "11111111-2222-3333-4444-555555555555"
	client   = "66666666-7777-8888-9999-000000000000"
	audience = "api://AzureADTokenExchange"
	subject  = "repo:acme/payments:environment:production"
)

func spec(way gatekeeper.Exchange) gatekeeper.CredentialSpec {
	return gatekeeper.CredentialSpec{Type: "azure", Azure: &gatekeeper.AzureSpec{TenantID: tenant, ClientID: client, SubscriptionID: "sub",
		Scope: "https://management.azure.com/.default", Exchange: way, Audience: audience}}
}

// entra is a tenant whose application trusts an issuer for acme/payments.
func entra(t *testing.T, issuer string) *azurebox.Entra {
	t.Helper()
	box := azurebox.Start(nil)
	t.Cleanup(box.Close)
	if err := box.App(tenant, client, azurebox.Federated{Issuer: issuer, Subject: subject, Audience: audience}); err != nil {
		t.Fatal(err)
	}
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
			Box: entra(t, ci.URL()), Spec: spec(gatekeeper.ExchangeWorkloadToken), Token: ci.Token(audience, ciissuer.Defaults()),
			New: func(url string, _ *slog.Logger) gatekeeper.Exchanger {
				return azure.New(azure.Options{Authority: url + "/"})
			},
			Steps:    []string{"/oauth2/v2.0/token"},
			Throttle: cloudbox.Fault{Status: http.StatusTooManyRequests, Body: `{"error":"temporarily_unavailable","error_codes":[90055]}`},
			Refusals: map[string]ststest.Refusal{
				"subject":  ststest.Says(aad(700213, "No matching federated identity record found for presented assertion subject 'x'."), "Entra ID refused: AADSTS700213 (No matching federated identity record found for presented assertion subject 'x'.); the application needs a federated credential"),
				"no app":   ststest.Says(aad(700016, "Application not found."), "AADSTS700016 (Application not found.); there is no such application"),
				"tenant":   ststest.Says(aad(90002, "Tenant not found."), "there is no such tenant"),
				"old":      ststest.Says(aad(700024, "Not within."), "AADSTS700024"),
				"keys":     ststest.Says(aad(50166, "Endpoint failed."), "has to reach the issuer's keys"),
				"scope":    ststest.Says(aad(1002012, "Scope."), "the scope is none"),
				"new":      ststest.Says(aad(42, "Something."), "AADSTS42 (Something.)"),
				"no JSON":  ststest.Says(cloudbox.Fault{Status: http.StatusForbidden, Body: "<html>"}, "refused: 403"),
				"no codes": ststest.Says(cloudbox.Fault{Status: http.StatusUnauthorized, Body: `{"error":"invalid_client"}`}, "refused: invalid_client"),
			},
			Incomplete: []string{`{"access_token":"x"}`, `{"expires_in":3599}`, `{"access_token":"x","expires_in":0}`, `{"access_token":"x","expires_in":-1}`},
			Complete: func(c gatekeeper.Credential) string {
				if a := c.Azure; a.AccessToken == "" || a.FederatedToken == "" || a.TenantID != tenant || a.ClientID != client || a.SubscriptionID != "sub" {
					return "something of " + a.String()
				}
				return ""
			},
		}
	})
}

func aad(code int, text string) cloudbox.Fault {
	return cloudbox.Fault{Status: http.StatusBadRequest, Body: fmt.Sprintf(
		`{"error":"invalid_client","error_description":"AADSTS%[1]d: %[2]s Trace ID: 1 Correlation ID: 2 Timestamp: 3","error_codes":[%[1]d]}`, code, text)}
}

// The application trusts the gatekeeper alone: its token works, the CI's own
// does not, nor one of ours for anything else (threats row 37).
func TestGatekeeperToken(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	old := ststest.Issuer(t, func() time.Time { return time.Now().Add(-time.Hour) })
	ci, err := ciissuer.Start(ciissuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ci.Close)
	e := azure.New(azure.Options{Authority: entra(t, ours.URL()).URL(), Minter: ours})
	c, err := e.Exchange(t.Context(), ststest.Grant(t, spec(gatekeeper.ExchangeGatekeeperToken)), "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(c.Azure.FederatedToken, ".") != 2 || time.Until(c.ExpiresAt) > time.Hour {
		t.Errorf("until %s", c.ExpiresAt)
	}
	mine := spec(gatekeeper.ExchangeGatekeeperToken)
	elsewhere, stranger := spec(gatekeeper.ExchangeGatekeeperToken), spec(gatekeeper.ExchangeGatekeeperToken)
	elsewhere.Azure.Audience, stranger.Azure.ClientID = "api://elsewhere", tenant
	other := ststest.Workload()
	other.Repository = "acme/web"
	for name, c := range map[string]struct {
		e     *azure.Exchanger
		grant gatekeeper.Grant
		token string
		says  string
	}{
		"the CI's own":        {e, ststest.Grant(t, spec(gatekeeper.ExchangeWorkloadToken)), ci.Token(audience, ciissuer.Defaults()), "AADSTS700211"},
		"another repository":  {e, ststest.GrantFor(t, mine, other, "production"), "", "AADSTS700213"},
		"another environment": {e, ststest.GrantFor(t, mine, ststest.Workload(), "staging"), "", "AADSTS700213"},
		"another audience":    {e, ststest.Grant(t, elsewhere), "", "AADSTS700212"},
		"another application": {e, ststest.Grant(t, stranger), "", "AADSTS700016"},
		"expired":             {azure.New(azure.Options{Authority: entra(t, old.URL()).URL(), Minter: old}), ststest.Grant(t, mine), "", "AADSTS700024"},
		"no way":              {e, ststest.Grant(t, spec(gatekeeper.ExchangeAssumeRole)), "", "is no way to credentials of type azure"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.e.Exchange(t.Context(), c.grant, c.token)
			if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), c.says) || got.Azure != nil {
				t.Errorf("got %v, want %s", err, c.says)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	got, err := azure.New(azure.Options{}).Revoke(t.Context(), spec(""), gatekeeper.Redemption{})
	if err != nil || got.Revoked || !strings.Contains(got.Todo, "az ad sp update --id "+client+" --set accountEnabled=false") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := azure.New(azure.Options{}).Revoke(t.Context(), gatekeeper.CredentialSpec{}, gatekeeper.Redemption{}); err == nil {
		t.Error("nothing was revoked")
	}
}
