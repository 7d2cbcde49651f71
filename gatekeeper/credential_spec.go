package gatekeeper

import "time"

// CredentialSpec is one credential that a rule gives, by name. Exactly the
// field that Type names is set.
type CredentialSpec struct {
	Name   string      `json:"name"`
	Type   string      `json:"type"` // aws, gcp, azure, vault, github or oidc
	AWS    *AWSSpec    `json:"aws,omitempty"`
	GCP    *GCPSpec    `json:"gcp,omitempty"`
	Azure  *AzureSpec  `json:"azure,omitempty"`
	Vault  *VaultSpec  `json:"vault,omitempty"`
	GitHub *GitHubSpec `json:"github,omitempty"`
	OIDC   *OIDCSpec   `json:"oidc,omitempty"`
}

// Exchange is the way to a cloud's session. Its zero value is no way at all.
type Exchange string

// The ways; see docs/credentials for what each protects from.
const (
	ExchangeWorkloadToken   Exchange = "workload_token"   // the CI's own token goes to the cloud
	ExchangeGatekeeperToken Exchange = "gatekeeper_token" // one that the gatekeeper signs
	ExchangeAssumeRole      Exchange = "assume_role"      // the gatekeeper's own identity; AWS only
)

// AWSSpec says which AWS session is handed out.
type AWSSpec struct {
	RoleARN         string        `json:"role_arn"`
	Exchange        Exchange      `json:"exchange"`
	Audience        string        `json:"audience"`         // aud of the token that STS sees
	SessionDuration time.Duration `json:"session_duration"` // 15 min to 12 h
	SessionPolicy   string        `json:"session_policy,omitempty"`
	PolicyARNs      []string      `json:"policy_arns,omitempty"`
	ExternalID      string        `json:"external_id,omitempty"`
	Region          string        `json:"region,omitempty"` // empty: the configured default
}

// GCPSpec says which Google Cloud access token is handed out: the service
// account's, or without one the federated identity's own.
type GCPSpec struct {
	Provider        string        `json:"workload_identity_provider"` // projects/N/locations/global/workloadIdentityPools/P/providers/X
	ServiceAccount  string        `json:"service_account,omitempty"`
	ProjectID       string        `json:"project_id,omitempty"` // what tools take as the project
	Scopes          []string      `json:"scopes"`
	Lifetime        time.Duration `json:"lifetime,omitempty"` // of the service account's token: 10 min to 12 h
	IDTokenAudience string        `json:"id_token_audience,omitempty"`
	Exchange        Exchange      `json:"exchange"`
	Audience        string        `json:"audience"` // aud of the token that Google's STS sees
}

// AzureSpec says for which Entra ID application a token is handed out.
type AzureSpec struct {
	TenantID       string   `json:"tenant_id"`
	ClientID       string   `json:"client_id"`
	SubscriptionID string   `json:"subscription_id,omitempty"`
	Scope          string   `json:"scope"` // RESOURCE/.default
	Exchange       Exchange `json:"exchange"`
	Audience       string   `json:"audience"` // aud of the token that Entra ID sees
}

// VaultSpec says where and as which role a Vault or OpenBao token is obtained.
type VaultSpec struct {
	Address   string   `json:"address"`
	Namespace string   `json:"namespace,omitempty"`
	Mount     string   `json:"mount"` // of the jwt auth method
	Role      string   `json:"role"`
	Exchange  Exchange `json:"exchange"`
	Audience  string   `json:"audience"` // aud of the token that Vault sees
}

// GitHubSpec says which installation token of the gatekeeper's GitHub App is
// handed out: for these repositories of one owner, with these permissions.
type GitHubSpec struct {
	Repositories []string          `json:"repositories"` // owner/name
	Permissions  map[string]string `json:"permissions"`  // e.g. contents → read
}

// OIDCSpec hands out the gatekeeper's own token, for Kubernetes and whatever
// else takes an OIDC token of an issuer that it trusts.
type OIDCSpec struct {
	Audience string        `json:"audience"`
	Lifetime time.Duration `json:"lifetime"` // 5 min at most
}

// Way is how the credential is obtained: the exchange of those types that
// have several, gatekeeper_token for oidc and "" for github, whose App key is
// the gatekeeper's own.
func (c CredentialSpec) Way() Exchange {
	exchange, _ := c.presented()
	return exchange
}

// SubjectTokenAudience is the audience of the second token that the CI step
// has to present for this credential, "" when it needs none.
func (c CredentialSpec) SubjectTokenAudience() string {
	if exchange, audience := c.presented(); exchange == ExchangeWorkloadToken {
		return audience
	}
	return ""
}

// presented is how the cloud is asked, and for which audience the token is
// that it sees.
func (c CredentialSpec) presented() (Exchange, string) {
	switch {
	case c.AWS != nil:
		return c.AWS.Exchange, c.AWS.Audience
	case c.GCP != nil:
		return c.GCP.Exchange, c.GCP.Audience
	case c.Azure != nil:
		return c.Azure.Exchange, c.Azure.Audience
	case c.Vault != nil:
		return c.Vault.Exchange, c.Vault.Audience
	case c.OIDC != nil:
		return ExchangeGatekeeperToken, c.OIDC.Audience
	}
	return "", ""
}
