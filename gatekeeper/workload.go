package gatekeeper

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Workload is the CI job that asks, as proven by its verified OIDC token.
// Fields that the issuer's token does not carry are empty; an empty field
// never matches a rule.
type Workload struct {
	Issuer     string `json:"issuer"`      // the name of the configured issuer, e.g. "github"
	IssuerType string `json:"issuer_type"` // github, gitlab, buildkite, circleci, bitbucket, oidc
	IssuerURL  string `json:"issuer_url"`  // the token's iss
	Subject    string `json:"subject"`     // the token's sub, for display only: its format is not stable

	Repository        string `json:"repository,omitempty"` // owner/name
	RepositoryID      string `json:"repository_id,omitempty"`
	RepositoryOwner   string `json:"repository_owner,omitempty"`
	RepositoryOwnerID string `json:"repository_owner_id,omitempty"`

	Ref         string `json:"ref,omitempty"` // full, e.g. refs/heads/main
	SHA         string `json:"sha,omitempty"`
	Workflow    string `json:"workflow,omitempty"` // GitHub: job_workflow_ref
	WorkflowSHA string `json:"workflow_sha,omitempty"`
	RunID       string `json:"run_id,omitempty"`
	RunAttempt  string `json:"run_attempt,omitempty"`
	Job         string `json:"job,omitempty"`         // GitHub: check_run_id; empty where the CI names no job
	Environment string `json:"environment,omitempty"` // the token's own, empty where it has none
	Event       string `json:"event,omitempty"`
	Runner      string `json:"runner,omitempty"` // github-hosted or self-hosted
	Actor       string `json:"actor,omitempty"`
	ActorID     string `json:"actor_id,omitempty"`
	RunURL      string `json:"run_url,omitempty"`

	// Claims are all verified claims by their own name, as the strict decoder
	// gives them (string, bool, json.Number, []any, map[string]any, nil), less
	// the token's times and jti. Rules match on them.
	Claims map[string]any `json:"claims,omitempty"`

	Token Token `json:"-"`
}

// Token is what is kept of a presented token: never the token itself.
type Token struct {
	ID        string    // jti
	Hash      string    // hex SHA-256 of the compact form
	IssuedAt  time.Time // iat
	ExpiresAt time.Time // exp
}

// bots are the account names behind which no person stands. GitHub suffixes
// App and service accounts with "[bot]".
func isBot(actor string) bool { return strings.HasSuffix(actor, "[bot]") }

// FoldEnvironment is the form in which environment names are compared: GitHub
// compares them without regard to case. Two names fold to the same string
// exactly where strings.EqualFold says they are equal.
func FoldEnvironment(name string) string {
	if strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return strings.ToLower(name) // the same for ASCII, and what nearly all names are
	}
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, name)
}
