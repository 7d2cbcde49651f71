package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/google/go-cmp/cmp"
)

// giving is a rule with one credential.
func giving(kind, body string) string {
	return approvalOf + "{approvers: [slack:S0R]}\n    credentials:\n      deploy:\n        " + kind + ": {" + body + "}\n"
}

const (
	gcpName  = "projects/123456789/locations/global/workloadIdentityPools/gatekeeper/providers/gatekeeper"
	gcpLeast = `workload_identity_provider: ` + gcpName
	gcpAs    = gcpLeast + `, service_account: deploy@acme-payments.iam.gserviceaccount.com`
	tenant   = "11111111-2222-3333-4444-555555555555"
	azLeast  = `tenant_id: ` + tenant + `, client_id: ` + tenant
	vaultAt  = `address: "https://vault.acme.com:8200", role: deploy`
	ghLeast  = `repositories: [acme/infra, acme/charts], permissions: {contents: write, pull_requests: read}`
)

// What each type means where only the necessary is said.
func TestCredentialTypes(t *testing.T) {
	for name, c := range map[string]struct {
		kind, body string
		want       gatekeeper.CredentialSpec
	}{
		"gcp": {"gcp", gcpAs, gatekeeper.CredentialSpec{GCP: &gatekeeper.GCPSpec{
			Provider: gcpName, ServiceAccount: "deploy@acme-payments.iam.gserviceaccount.com", ProjectID: "acme-payments",
			Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}, Lifetime: time.Hour,
			Exchange: gatekeeper.ExchangeGatekeeperToken, Audience: "https://iam.googleapis.com/" + gcpName}}},
		"gcp, direct": {"gcp", `workload_identity_provider: "//iam.googleapis.com/` + gcpName + `", exchange: workload_token`, gatekeeper.CredentialSpec{GCP: &gatekeeper.GCPSpec{
			Provider: gcpName, Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"},
			Exchange: gatekeeper.ExchangeWorkloadToken, Audience: "https://iam.googleapis.com/" + gcpName}}},
		"azure": {"azure", azLeast, gatekeeper.CredentialSpec{Azure: &gatekeeper.AzureSpec{
			TenantID: tenant, ClientID: tenant, Scope: "https://management.azure.com/.default",
			Exchange: gatekeeper.ExchangeGatekeeperToken, Audience: "api://AzureADTokenExchange"}}},
		"vault": {"vault", vaultAt + ", namespace: /admin/payments/", gatekeeper.CredentialSpec{Vault: &gatekeeper.VaultSpec{
			Address: "https://vault.acme.com:8200", Namespace: "admin/payments", Mount: "jwt", Role: "deploy",
			Exchange: gatekeeper.ExchangeGatekeeperToken, Audience: "https://vault.acme.com:8200"}}},
		"github": {"github", ghLeast, gatekeeper.CredentialSpec{GitHub: &gatekeeper.GitHubSpec{
			Repositories: []string{"acme/charts", "acme/infra"}, Permissions: map[string]string{"contents": "write", "pull_requests": "read"}}}},
		"oidc": {"oidc", "audience: https://kubernetes.default.svc", gatekeeper.CredentialSpec{OIDC: &gatekeeper.OIDCSpec{
			Audience: "https://kubernetes.default.svc", Lifetime: 5 * time.Minute}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []gatekeeper.CredentialSpec
			parse(t, giving(c.kind, c.body)).Each(func(r gatekeeper.Rule) { got = r.Credentials })
			c.want.Name, c.want.Type = "deploy", c.kind
			if diff := cmp.Diff([]gatekeeper.CredentialSpec{c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Threats row 38 for all vendors: what they would refuse at the exchange is
// told when rules load, and row 37: what can be gone around is warned of.
func TestCredentialFaults(t *testing.T) {
	const cn = `role_arn: "arn:aws-cn:iam::111122223333:role/x", exchange: gatekeeper_token`
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprintf("acme/r%d", i))
	}
	for name, c := range map[string]struct{ kind, body, want string }{
		"no type":                   {"gpc", "", "gpc is no key here; did you mean gcp?"},
		"no type at all":            {"gpc", "", "one of aws, gcp, azure, vault, github, oidc is wanted"},
		"two types":                 {"oidc", "audience: x}\n        vault: {" + vaultAt, "oidc: stands beside vault; a credential is of one type"},
		"aws, region elsewhere":     {"aws", cn + ", region: eu-west-1", "eu-west-1 is a region of partition aws, the role is of aws-cn"},
		"aws, policy elsewhere":     {"aws", cn + `, policy_arns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"]`, "r.yaml:8:106: error: policy_arns: is a policy of partition aws, the role is of aws-cn"},
		"aws, audience":             {"aws", cn + `, audience: "a b"`, "visible ASCII"},
		"gcp, no provider":          {"gcp", "", "workload_identity_provider: is missing"},
		"gcp, project id":           {"gcp", strings.Replace(gcpLeast, "123456789", "acme-payments", 1), "with the project's number"},
		"gcp, account":              {"gcp", gcpLeast + ", service_account: deploy", "deploy@project.iam.gserviceaccount.com is wanted"},
		"gcp, too short":            {"gcp", gcpAs + ", lifetime: 5m", "Google takes 10m0s to 12h0m0s"},
		"gcp, too long":             {"gcp", gcpAs + ", lifetime: 13h", "Google takes"},
		"gcp, needs a policy":       {"gcp", gcpAs + ", lifetime: 2h", "warning: lifetime: more than 1h0m0s needs the organisation policy"},
		"gcp, lifetime of nobody":   {"gcp", gcpLeast + ", lifetime: 15m", "is for a service_account's token only"},
		"gcp, ID token of nobody":   {"gcp", gcpLeast + ", id_token_audience: x", "needs a service_account"},
		"gcp, scope":                {"gcp", gcpAs + ", scopes: [cloud-platform]", "a scope such as https://www.googleapis.com/auth/cloud-platform is wanted"},
		"gcp, exchange":             {"gcp", gcpAs + ", exchange: assume_role", "one of gatekeeper_token, workload_token"},
		"gcp, goes around":          {"gcp", gcpAs + ", exchange: workload_token", "present its own token to Google Cloud"},
		"azure, no tenant":          {"azure", "client_id: " + tenant, "tenant_id: is missing"},
		"azure, tenant by name":     {"azure", "tenant_id: acme.onmicrosoft.com, client_id: " + tenant, "an id such as 00000000"},
		"azure, scope":              {"azure", azLeast + `, scope: "https://management.azure.com/user_impersonation"`, "RESOURCE/.default"},
		"azure, goes around":        {"azure", azLeast + ", exchange: workload_token", "let the federated credential's subject want the environment"},
		"vault, no address":         {"vault", "role: x", "address: is missing"},
		"vault, http":               {"vault", `address: "http://vault.acme.com", role: x`, "has to be https"},
		"vault, http by a name":     {"vault", `address: "http://127.evil.com", role: x`, "has to be https"},
		"vault, path":               {"vault", `address: "https://vault.acme.com/v1", role: x`, "https://vault.example.com:8200 is wanted"},
		"vault, password":           {"vault", `address: "https://u:p@vault.acme.com", role: x`, "is wanted"},
		"vault, climbs":             {"vault", vaultAt + ", mount: ../sys", "the path of a jwt auth method"},
		"vault, namespace":          {"vault", vaultAt + `, namespace: "a b"`, "a namespace such as"},
		"vault, role":               {"vault", `address: "https://vault.acme.com", role: a/b`, "a role's name"},
		"vault, goes around":        {"vault", vaultAt + ", exchange: workload_token", "let the role's bound_claims want the environment"},
		"github, no repositories":   {"github", "permissions: {contents: read}", "repositories: is missing"},
		"github, all repositories":  {"github", `repositories: ["acme/*"], permissions: {contents: read}`, "owner/name is wanted"},
		"github, two owners":        {"github", "repositories: [acme/a, other/b], permissions: {contents: read}", "other/b is not of acme"},
		"github, twice":             {"github", "repositories: [acme/a, Acme/A], permissions: {contents: read}", "Acme/A stands twice"},
		"github, too many":          {"github", "repositories: [" + strings.Join(many, ", ") + "], permissions: {contents: read}", "501 are given; GitHub takes 500"},
		"github, all permissions":   {"github", "repositories: [acme/a]", "permissions: is missing"},
		"github, permission":        {"github", "repositories: [acme/a], permissions: {contents: all}", "one of read, write, admin"},
		"github, permission's name": {"github", `repositories: [acme/a], permissions: {"Pull requests": read}`, "is no permission"},
		"github, exchange":          {"github", ghLeast + ", exchange: workload_token", "exchange is no key here"},
		"oidc, no audience":         {"oidc", "", "audience: is missing"},
		"oidc, long":                {"oidc", "audience: x, lifetime: 6m", "1m to 5m0s is wanted"},
		"oidc, exchange":            {"oidc", "audience: x, exchange: workload_token", "exchange is no key here"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(giving(c.kind, c.body))}}, rules.Options{})
			if !strings.Contains(faults.Error(), c.want) {
				t.Errorf("want %q in:\n%s", c.want, faults.Error())
			}
		})
	}
}

// FuzzCredentials: whatever stands in a credential, what loads without a fault
// can be sent to its vendor as it is.
func FuzzCredentials(f *testing.F) {
	for kind, body := range map[string]string{"gcp": gcpAs, "azure": azLeast, "vault": vaultAt, "github": ghLeast, "oidc": "audience: x", "aws": `role_arn: "arn:aws:iam::111122223333:role/x"`} {
		f.Add(kind, body)
	}
	f.Add("vault", `address: "https://a", role: "..", mount: "a/../b"`)
	f.Add("github", `repositories: [a/b, {x: y}], permissions: [contents]`)
	f.Fuzz(func(t *testing.T, kind, body string) {
		set, faults := rules.Parse([]rules.File{{Name: "r.yaml", Body: []byte(giving(kind, body))}}, rules.Options{})
		if faults.Err() != nil {
			return
		}
		set.Each(func(r gatekeeper.Rule) {
			for _, c := range r.Credentials {
				if why := unfit(c); why != "" {
					t.Errorf("%s in %s {%s}", why, kind, body)
				}
			}
		})
	})
}

// unfit says what a vendor would refuse, or what would reach elsewhere.
func unfit(c gatekeeper.CredentialSpec) string {
	switch {
	case c.Vault != nil && (strings.Contains("/"+c.Vault.Mount+"/"+c.Vault.Namespace+"/", "/../") || !strings.HasPrefix(c.Vault.Address, "http") || strings.ContainsAny(c.Vault.Address+c.Vault.Mount+c.Vault.Role, " ?#\n")):
		return "a path that leads elsewhere"
	case c.GitHub != nil && (len(c.GitHub.Repositories) == 0 || len(c.GitHub.Permissions) == 0):
		return "a token for everything"
	case c.OIDC != nil && (c.OIDC.Audience == "" || c.OIDC.Lifetime > 5*time.Minute):
		return "a token for everybody, or a long one"
	case c.GCP != nil && (c.GCP.Provider == "" || len(c.GCP.Scopes) == 0 || c.GCP.Lifetime > 12*time.Hour):
		return "no provider, no scope or too long"
	case c.Azure != nil && (len(c.Azure.TenantID) != 36 || !strings.HasSuffix(c.Azure.Scope, "/.default")):
		return "no tenant, or a scope of its own"
	case c.AWS != nil && !strings.HasPrefix(c.AWS.RoleARN, "arn:aws"):
		return "no role"
	}
	return ""
}
