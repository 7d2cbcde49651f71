package gatekeeper

import (
	"log/slog"
	"time"
)

// Credential is what a redemption hands out: exactly the field that Type
// names is set. It marshals to the shape of the API and prints as its name
// everywhere else, so that no log holds a secret.
type Credential struct {
	Name      string            `json:"name"`
	Type      string            `json:"type"`
	ExpiresAt time.Time         `json:"expires_at"`
	AWS       *AWSCredential    `json:"aws,omitempty"`
	GCP       *GCPCredential    `json:"gcp,omitempty"`
	Azure     *AzureCredential  `json:"azure,omitempty"`
	Vault     *VaultCredential  `json:"vault,omitempty"`
	GitHub    *GitHubCredential `json:"github,omitempty"`
	OIDC      *OIDCCredential   `json:"oidc,omitempty"`

	// Handle names the credential to its cloud without being it, for
	// revocation: the session's name at AWS, the accessor of a Vault token. It
	// is kept in the redemption, so it is never a secret.
	Handle string `json:"-"`
}

// holder is who the credential makes its bearer, for the ledger.
func (c Credential) holder() string {
	if p := c.part(); p != nil {
		return p.holder()
	}
	return c.Type
}

// part is the one that is set, nil when none is.
func (c Credential) part() interface{ holder() string } {
	switch {
	case c.AWS != nil:
		return c.AWS
	case c.GCP != nil:
		return c.GCP
	case c.Azure != nil:
		return c.Azure
	case c.Vault != nil:
		return c.Vault
	case c.GitHub != nil:
		return c.GitHub
	case c.OIDC != nil:
		return c.OIDC
	}
	return nil
}

// String names the credential without its secrets.
func (c Credential) String() string { return "credential " + c.Name + " (" + c.Type + ")" }

// GoString keeps %#v from printing secrets.
func (c Credential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }
