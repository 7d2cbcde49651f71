package gatekeeper

import (
	"strings"
	"time"
)

// Rule is the part of a rule that outlives matching: what it takes and what
// it gives. Requests keep a copy of the one that admitted them. A zero Rule
// has no approver group, so nothing satisfies it.
type Rule struct {
	Name        string           `json:"name"`
	Digest      string           `json:"digest"` // hex SHA-256 over the rule's canonical form
	Approval    Approval         `json:"approval"`
	Notify      Notify           `json:"notify"`
	Credentials []CredentialSpec `json:"credentials"` // in the order of the file
}

// Scope says which jobs one approval serves.
type Scope string

// The scopes. An empty Scope counts as the narrower one.
const (
	ScopeRun Scope = "run" // all jobs of the run attempt
	ScopeJob Scope = "job" // one job
)

// StepUp says which proof beyond the Slack click an approval needs.
type StepUp string

// The kinds of proof. Any other value, the empty one included, can be
// satisfied by none of them; rules always set it.
const (
	StepUpNone    StepUp = "none"
	StepUpSSO     StepUp = "sso"
	StepUpPasskey StepUp = "passkey"
)

// Approval is what it takes to approve. Every group must agree. A zero value
// can never be satisfied.
type Approval struct {
	None           bool          `json:"none,omitempty"` // approval: none
	Groups         []Group       `json:"groups,omitempty"`
	SelfApproval   bool          `json:"self_approval"`
	ExcludeAuthors bool          `json:"exclude_authors"`
	RequireReason  bool          `json:"require_reason"`
	ExpiresAfter   time.Duration `json:"expires_after"` // how long it may stay pending
	ValidFor       time.Duration `json:"valid_for"`     // how long an approval may be redeemed
	Redemptions    int           `json:"redemptions"`   // successes for each job and credential
	Scope          Scope         `json:"scope"`
	StepUp         StepUp        `json:"step_up"`
	// ACR are the authentication context classes of which step_up: sso wants
	// one (OpenID Connect Core section 2, acr); empty: any.
	ACR       []string `json:"acr,omitempty"`
	Supersede bool     `json:"supersede"` // on_newer: supersede
	// BreakGlassOnly: a freeze holds that only an emergency gets through, so
	// the groups cannot approve; they can deny.
	BreakGlassOnly bool `json:"break_glass_only,omitempty"`
}

// Group is a set of approvers of whom Quorum distinct people must agree. A
// Quorum below one is never met.
type Group struct {
	Name      string     `json:"name,omitempty"` // empty for a rule's only group
	Approvers []Approver `json:"approvers"`
	Quorum    int        `json:"quorum"`
}

// Approver is one entry of an approvers list in the form of the rules:
// "slack:U0ALICE" (user), "slack:S0RELEASE" (user group) or
// "github:acme/release-managers" (team).
type Approver string

// ApproverKind tells users, user groups and teams apart.
type ApproverKind int

// The kinds. The zero value is nobody.
const (
	ApproverUnknown ApproverKind = iota
	ApproverSlackUser
	ApproverSlackGroup
	ApproverGitHubTeam
)

// Kind says what the approver is, by its prefix and, for Slack, the first
// letter of the id (https://api.slack.com/types: U and W are users, S is a
// user group).
func (a Approver) Kind() ApproverKind {
	system, id, ok := strings.Cut(string(a), ":")
	switch {
	case !ok || id == "":
		return ApproverUnknown
	case system == "github":
		return ApproverGitHubTeam
	case system != "slack":
		return ApproverUnknown
	case id[0] == 'U' || id[0] == 'W':
		return ApproverSlackUser
	case id[0] == 'S':
		return ApproverSlackGroup
	}
	return ApproverUnknown
}

// ID is the approver without its system's prefix.
func (a Approver) ID() string {
	_, id, _ := strings.Cut(string(a), ":")
	return id
}

// Notify says where and how people are told. An empty Channel means the
// configured default.
type Notify struct {
	Channel       string        `json:"channel,omitempty"`
	Digest        bool          `json:"digest,omitempty"` // urgency: digest
	DigestEvery   time.Duration `json:"digest_every,omitempty"`
	RemindAfter   time.Duration `json:"remind_after,omitempty"` // zero: never
	EscalateAfter time.Duration `json:"escalate_after,omitempty"`
	EscalateTo    []Approver    `json:"escalate_to,omitempty"`
	AutoApproved  bool          `json:"auto_approved,omitempty"` // tell of requests that nobody had to approve, too
}
