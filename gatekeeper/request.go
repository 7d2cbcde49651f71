package gatekeeper

import (
	"encoding/json"
	"slices"
	"time"
)

// State is where a request stands. The zero value is no state: nothing can be
// voted on or redeemed in it.
type State string

// The states. Pending is the only one that people decide in; only an
// approved request that nobody redeemed yet can still become revoked.
const (
	Pending    State = "pending"
	Approved   State = "approved"
	Denied     State = "denied"
	Expired    State = "expired"
	Canceled   State = "canceled"
	Superseded State = "superseded"
	Revoked    State = "revoked"
)

// Request is one workload asking for one environment: the thing people
// approve. It is a value; its methods return the next one. Times are UTC.
type Request struct {
	ID          string           `json:"id"`      // req_…
	Version     int64            `json:"version"` // grows with each stored change; 0 is not stored yet
	State       State            `json:"state"`
	Environment string           `json:"environment"` // as it was asked for
	Reason      string           `json:"reason"`
	Workload    Workload         `json:"workload"`     // who opened it
	Initiators  Initiators       `json:"initiators"`   // who may have started or re-run the run
	Authors     Initiators       `json:"authors"`      // of the commits, for exclude_authors
	Rule        Rule             `json:"rule"`         // as admitted
	RulesDigest string           `json:"rules_digest"` // the rules that admitted it
	Freeze      string           `json:"freeze,omitempty"`
	BreakGlass  *BreakGlass      `json:"break_glass,omitempty"` // as admitted; nil: nobody may
	Credentials []CredentialSpec `json:"credentials"`           // those asked for, of the rule's
	Binding     string           `json:"binding"`               // see Bind; a deployment's is its DeploymentKey
	Digest      string           `json:"digest"`                // see ApprovalDigest: what an approval covers

	Deployment *Held `json:"deployment,omitempty"` // set where the forge waits for the outcome

	Votes       []Vote       `json:"votes,omitempty"`        // counted ones, in order
	BrokenGlass bool         `json:"broken_glass,omitempty"` // approved in an emergency, by those of BreakGlass
	DenyReason  string       `json:"deny_reason,omitempty"`
	Redemptions []Redemption `json:"redemptions,omitempty"`
	TakenBack   *TakenBack   `json:"taken_back,omitempty"` // its credentials are to be revoked; nothing more is handed out

	// Trace is the trace context (W3C traceparent) that opened it, for whoever
	// traces; nothing is decided by it. Empty: nobody traces.
	Trace string `json:"trace,omitempty"`

	CreatedAt    time.Time `json:"created_at"`
	ExpiresAt    time.Time `json:"expires_at"`
	DecidedAt    time.Time `json:"decided_at,omitzero"`
	RedeemBefore time.Time `json:"redeem_before,omitzero"` // set when approved
}

// Initiators are the people who may have caused the run. Self-approval is
// measured against them.
type Initiators struct {
	People []Account `json:"people,omitempty"`
	// Known is false while someone may be missing, e.g. who re-ran the run:
	// the token does not tell and GitHub was not asked or did not answer.
	Known bool   `json:"known"`
	Why   string `json:"why,omitempty"` // why not known, for people
}

// Choice is what a vote says. The zero value is no vote.
type Choice string

// The choices.
const (
	Approve Choice = "approve"
	Deny    Choice = "deny"
	Revoke  Choice = "revoke" // takes back an approval that nobody redeemed yet
)

// Vote is one person's choice on a request.
type Vote struct {
	Person Person `json:"person"`
	Choice Choice `json:"choice"`
	Reason string `json:"reason,omitempty"`
	Via    string `json:"via"`             // the door it came through: slack.button, slack.modal, web, …
	Proof  StepUp `json:"proof,omitempty"` // proof beyond the click; empty: none
	ACR    string `json:"acr,omitempty"`   // of a fresh sign-in: its authentication context class
	// Evidence is what shows the proof to others: a passkey's assertion with
	// what was signed, or what the identity provider said. It goes into the
	// ledger and holds no secret. The door that checked the proof sets it.
	Evidence json.RawMessage `json:"evidence,omitempty"`
	// BreakGlass makes an approval one in an emergency: its person has to be
	// among those who may, and it needs a reason. It counts as an ordinary
	// approval as well where its person is an ordinary approver too. Somebody
	// whose ordinary approval counted may repeat it so, which replaces it.
	BreakGlass bool `json:"break_glass,omitempty"`
	// As are the approver entries that the person belonged to when the vote
	// counted; the gate fills it.
	As []Approver `json:"as,omitempty"`
	At time.Time  `json:"at"`
}

// Person is a Slack account by its immutable ids. Name is for display only.
type Person struct {
	Slack string `json:"slack"`
	Team  string `json:"team,omitempty"`
	Name  string `json:"name,omitempty"`
}

// RedemptionState is how far a redemption came.
type RedemptionState string

// The states of a redemption.
const (
	RedemptionIntended  RedemptionState = "intended"
	RedemptionSucceeded RedemptionState = "succeeded"
	RedemptionFailed    RedemptionState = "failed"
	RedemptionUnknown   RedemptionState = "unknown"
)

// Redemption is one attempt of one job to get one credential.
type Redemption struct {
	ID         string          `json:"id"`  // red_…
	Job        string          `json:"job"` // check_run_id, or the run where the CI names no job
	Credential string          `json:"credential"`
	State      RedemptionState `json:"state"`
	TokenKey   string          `json:"token_key"` // hex SHA-256 of iss and jti: which token asked
	At         time.Time       `json:"at"`
	SettleBy   time.Time       `json:"settle_by"`        // still intended after this: unknown
	Detail     string          `json:"detail,omitempty"` // the assumed role, or the cloud's error code
	// Handle names what was handed out to its cloud, for revocation; never a
	// secret. ExpiresAt is when it ends by itself.
	Handle    string    `json:"handle,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Taken     *Taken    `json:"taken,omitempty"` // set once it is to be taken back
}

// Final says whether no person can change the request any more.
func (r Request) Final() bool {
	return r.State != Pending && (r.State != Approved || r.Redeemed())
}

// Redeemed says whether credentials were, or may have been, handed out.
func (r Request) Redeemed() bool {
	return slices.ContainsFunc(r.Redemptions, func(d Redemption) bool { return d.State != RedemptionFailed })
}

// Over says whether nothing can come of the request any more: it is decided,
// no job can redeem it or is about to, and nothing that was handed out is
// alive, which somebody may have to take back.
func (r Request) Over(now time.Time) bool {
	alive := slices.ContainsFunc(r.Redemptions, func(d Redemption) bool {
		return d.State == RedemptionIntended || now.Before(d.ExpiresAt)
	})
	return r.State != Pending && (r.State != Approved || r.Lapsed(now)) && !alive
}

// Lapsed says whether an approval may no longer be redeemed at now.
func (r Request) Lapsed(now time.Time) bool {
	return r.State == Approved && !now.Before(r.RedeemBefore)
}

// ApprovedBy are the people whose approvals counted, in order.
func (r Request) ApprovedBy() []Vote {
	return slices.DeleteFunc(slices.Clone(r.Votes), func(v Vote) bool { return v.Choice != Approve })
}

// DeniedBy is the vote that denied or revoked the request, nil when none did.
func (r Request) DeniedBy() *Vote {
	for _, v := range slices.Backward(r.Votes) {
		if v.Choice == Deny || v.Choice == Revoke {
			return &v
		}
	}
	return nil
}

// Quorum is how many people have to agree over all groups; in a freeze that
// only an emergency gets through, how many have to break the glass.
func (r Request) Quorum() int {
	if r.Rule.Approval.BreakGlassOnly && r.BreakGlass != nil {
		return r.BreakGlass.Group.Quorum
	}
	sum := 0
	for _, g := range r.Rule.Approval.Groups {
		sum += g.Quorum
	}
	return sum
}

// Credential finds a credential of the request by its name.
func (r Request) Credential(name string) (CredentialSpec, bool) {
	i := slices.IndexFunc(r.Credentials, func(c CredentialSpec) bool { return c.Name == name })
	if i < 0 {
		return CredentialSpec{}, false
	}
	return r.Credentials[i], true
}
