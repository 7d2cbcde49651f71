package main

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// field is one value of a credential, under the names that its users expect.
type field struct {
	env, output string // "" where it has no such name
	value       string
	secret      bool
	file        string // the value goes into a file of this name, and the names hold its path
	always      bool   // an output also where variables are exported
}

// fields are all values of a credential. Each name is the one that the
// vendor's own tools read; docs/ci.md lists them.
func (d delivery) fields(c gatekeeper.Credential) []field {
	switch {
	case c.AWS != nil:
		return awsFields(*c.AWS)
	case c.GCP != nil:
		return gcpFields(*c.GCP)
	case c.Azure != nil:
		return azureFields(*c.Azure)
	case c.Vault != nil:
		return vaultFields(*c.Vault)
	case c.GitHub != nil:
		return d.githubFields(*c.GitHub)
	case c.OIDC != nil:
		return oidcFields(*c.OIDC)
	}
	return nil
}

// https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
func awsFields(c gatekeeper.AWSCredential) []field {
	return []field{
		{env: "AWS_ACCESS_KEY_ID", output: "aws-access-key-id", value: c.AccessKeyID, secret: true},
		{env: "AWS_SECRET_ACCESS_KEY", output: "aws-secret-access-key", value: c.SecretAccessKey, secret: true},
		{env: "AWS_SESSION_TOKEN", output: "aws-session-token", value: c.SessionToken, secret: true},
		{env: "AWS_REGION", output: "aws-region", value: c.Region},
		{env: "AWS_DEFAULT_REGION", value: c.Region},
	}
}

// GOOGLE_OAUTH_ACCESS_TOKEN is Terraform's; gcloud takes CLOUDSDK_…, one for
// each of its properties (https://cloud.google.com/sdk/docs/properties). No
// kind of application default credentials holds a plain access token.
func gcpFields(c gatekeeper.GCPCredential) []field {
	return []field{
		{env: "GOOGLE_OAUTH_ACCESS_TOKEN", output: "gcp-access-token", value: c.AccessToken, secret: true},
		{env: "CLOUDSDK_AUTH_ACCESS_TOKEN", value: c.AccessToken, secret: true},
		{env: "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", output: "gcp-access-token-file", value: c.AccessToken, secret: true, file: "gcp-access-token"},
		{env: "GATEKEEPER_GCP_ID_TOKEN", output: "gcp-id-token", value: c.IDToken, secret: true},
		{env: "CLOUDSDK_CORE_PROJECT", output: "gcp-project-id", value: c.ProjectID},
		{env: "GOOGLE_CLOUD_PROJECT", value: c.ProjectID},
		{output: "gcp-service-account", value: c.ServiceAccount},
	}
}

// ARM_… are Terraform's (azurerm and azuread), AZURE_… those of Azure's SDKs,
// whose workload identity wants the token in a file
// (https://learn.microsoft.com/azure/developer/intro/passwordless-overview).
func azureFields(c gatekeeper.AzureCredential) []field {
	oidc := ""
	if c.FederatedToken != "" {
		oidc = "true"
	}
	return []field{
		{env: "ARM_OIDC_TOKEN", output: "azure-federated-token", value: c.FederatedToken, secret: true},
		{env: "AZURE_FEDERATED_TOKEN_FILE", output: "azure-federated-token-file", value: c.FederatedToken, secret: true, file: "azure-federated-token"},
		{env: "AZURE_ACCESS_TOKEN", output: "azure-access-token", value: c.AccessToken, secret: true},
		{env: "ARM_USE_OIDC", value: oidc},
		{env: "ARM_CLIENT_ID", output: "azure-client-id", value: c.ClientID},
		{env: "ARM_TENANT_ID", output: "azure-tenant-id", value: c.TenantID},
		{env: "ARM_SUBSCRIPTION_ID", output: "azure-subscription-id", value: c.SubscriptionID},
		{env: "AZURE_CLIENT_ID", value: c.ClientID},
		{env: "AZURE_TENANT_ID", value: c.TenantID},
		{env: "AZURE_SUBSCRIPTION_ID", value: c.SubscriptionID},
	}
}

// https://developer.hashicorp.com/vault/docs/commands#environment-variables;
// OpenBao's tools read the same.
func vaultFields(c gatekeeper.VaultCredential) []field {
	return []field{
		{env: "VAULT_TOKEN", output: "vault-token", value: c.Token, secret: true},
		{env: "VAULT_ADDR", output: "vault-address", value: c.Address},
		{env: "VAULT_NAMESPACE", output: "vault-namespace", value: c.Namespace},
	}
}

// githubFields never set GITHUB_TOKEN by themselves: other steps take that
// for the job's own token, which can do other things.
func (d delivery) githubFields(c gatekeeper.GitHubCredential) []field {
	name := d.githubEnv
	if d.output == "env" {
		name = cmp.Or(name, "GATEKEEPER_GITHUB_TOKEN")
	}
	return []field{{env: name, output: "github-token", value: c.Token, secret: true, always: true}}
}

func oidcFields(c gatekeeper.OIDCCredential) []field {
	return []field{
		{env: "GATEKEEPER_OIDC_TOKEN_FILE", output: "oidc-token-file", value: c.Token, secret: true, file: "oidc-token"},
		{env: "GATEKEEPER_OIDC_TOKEN", output: "oidc-token", value: c.Token, secret: true},
	}
}

// inJSON is how a secret stands in JSON, where that differs: `outputs` hold
// it, and a log may.
func inJSON(value string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return value
	}
	return strings.Trim(b.String(), "\"\n")
}
