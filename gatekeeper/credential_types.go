package gatekeeper

import (
	"log/slog"
	"strings"
)

// AWSCredential is a session of AWS STS.
type AWSCredential struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	SessionToken    string `json:"session_token"`
	Region          string `json:"region"`
	RoleARN         string `json:"role_arn"`
	AssumedRoleARN  string `json:"assumed_role_arn"`
}

func (c AWSCredential) holder() string { return c.AssumedRoleARN }

// String names the session without its secrets.
func (c AWSCredential) String() string { return "aws session of " + c.AssumedRoleARN }

// GoString keeps %#v from printing secrets.
func (c AWSCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c AWSCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// GCPCredential is an access token of Google Cloud.
type GCPCredential struct {
	AccessToken    string `json:"access_token"`
	ServiceAccount string `json:"service_account,omitempty"` // empty: the federated identity itself
	Principal      string `json:"principal"`                 // who the token is to IAM
	ProjectID      string `json:"project_id,omitempty"`
	IDToken        string `json:"id_token,omitempty"`
}

func (c GCPCredential) holder() string { return c.Principal }

// String names the token without its secrets.
func (c GCPCredential) String() string { return "gcp token of " + c.Principal }

// GoString keeps %#v from printing secrets.
func (c GCPCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c GCPCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// AzureCredential is an access token of Entra ID, and the federated token that was
// exchanged for it, which tools that exchange it themselves take.
type AzureCredential struct {
	AccessToken    string `json:"access_token"`
	FederatedToken string `json:"federated_token"` // lives 5 minutes at most
	TenantID       string `json:"tenant_id"`
	ClientID       string `json:"client_id"`
	SubscriptionID string `json:"subscription_id,omitempty"`
}

func (c AzureCredential) holder() string {
	return "application " + c.ClientID + " of tenant " + c.TenantID
}

// String names the token without its secrets.
func (c AzureCredential) String() string { return "azure token of " + c.holder() }

// GoString keeps %#v from printing secrets.
func (c AzureCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c AzureCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// VaultCredential is a token of Vault or OpenBao.
type VaultCredential struct {
	Token         string   `json:"token"`
	Accessor      string   `json:"accessor,omitempty"` // names the token without being it; batch tokens have none
	Address       string   `json:"address"`
	Namespace     string   `json:"namespace,omitempty"`
	LeaseDuration int      `json:"lease_duration"` // seconds
	Renewable     bool     `json:"renewable"`
	Policies      []string `json:"policies"`
}

func (c VaultCredential) holder() string {
	return "token with accessor " + c.Accessor + " at " + c.Address
}

// String names the token without its secrets.
func (c VaultCredential) String() string { return "vault " + c.holder() }

// GoString keeps %#v from printing secrets.
func (c VaultCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c VaultCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// GitHubCredential is an installation token of the gatekeeper's GitHub App.
type GitHubCredential struct {
	Token        string            `json:"token"`
	Repositories []string          `json:"repositories"` // owner/name
	Permissions  map[string]string `json:"permissions"`
}

func (c GitHubCredential) holder() string {
	return "installation token for " + strings.Join(c.Repositories, ", ")
}

// String names the token without its secrets.
func (c GitHubCredential) String() string { return "github " + c.holder() }

// GoString keeps %#v from printing secrets.
func (c GitHubCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c GitHubCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// OIDCCredential is a token that the gatekeeper signed.
type OIDCCredential struct {
	Token    string `json:"token"`
	Audience string `json:"audience"`
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"`
}

func (c OIDCCredential) holder() string { return c.Subject + " for " + c.Audience }

// String names the token without its secrets.
func (c OIDCCredential) String() string { return "oidc token of " + c.holder() }

// GoString keeps %#v from printing secrets.
func (c OIDCCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c OIDCCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }
