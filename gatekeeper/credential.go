package gatekeeper

import (
	"log/slog"
	"time"
)

// Credential is what a redemption hands out. It marshals to the shape of the
// API and prints as its name everywhere else, so that no log holds a secret.
type Credential struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	ExpiresAt time.Time      `json:"expires_at"`
	AWS       *AWSCredential `json:"aws,omitempty"`
}

// AWSCredential is a session of AWS STS.
type AWSCredential struct {
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	SessionToken    string `json:"session_token"`
	Region          string `json:"region"`
	RoleARN         string `json:"role_arn"`
	AssumedRoleARN  string `json:"assumed_role_arn"`
}

// holder is who the credential makes its bearer, for the ledger.
func (c Credential) holder() string {
	if c.AWS != nil {
		return c.AWS.AssumedRoleARN
	}
	return c.Type
}

// String names the credential without its secrets.
func (c Credential) String() string { return "credential " + c.Name + " (" + c.Type + ")" }

// GoString keeps %#v from printing secrets.
func (c Credential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String names the session without its secrets.
func (c AWSCredential) String() string { return "aws session of " + c.AssumedRoleARN }

// GoString keeps %#v from printing secrets.
func (c AWSCredential) GoString() string { return c.String() }

// LogValue keeps slog from printing secrets.
func (c AWSCredential) LogValue() slog.Value { return slog.StringValue(c.String()) }
