// Package attest makes an approved request an in-toto statement in a DSSE
// envelope, so that what deploys can demand it: that commit was approved for
// that environment, by these people, and the ledger has it.
package attest

import (
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/ledger"
	"golang.org/x/mod/sumdb/tlog"
)

// The types of what is attested.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://github.com/gatekeeper-ci/gatekeeper/attestation/approval/v1"
	// PayloadType is what the envelope says that it holds.
	PayloadType = "application/vnd.in-toto+json"
)

// Statement is an in-toto Statement v1.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Approval  `json:"predicate"`
}

// Subject is what is attested of: what the approved job deploys, the commit by
// its repository, and the request by the digest that an approval covers.
type Subject struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// Approval is the predicate.
type Approval struct {
	Gatekeeper     string     `json:"gatekeeper"` // its public URL
	Request        string     `json:"request"`
	Environment    string     `json:"environment"`
	Workload       Workload   `json:"workload"`
	Rule           Rule       `json:"rule"`
	ApprovalDigest string     `json:"approvalDigest"` // hex SHA-256 of what the approval covers
	Approvers      []Approver `json:"approvers"`      // empty where the rule approves by itself
	Quorum         int        `json:"quorum"`
	BreakGlass     bool       `json:"breakGlass,omitempty"` // approved in an emergency
	Artifacts      []string   `json:"artifacts,omitempty"`  // those among the subjects that the approved job named
	RequestedAt    time.Time  `json:"requestedAt"`
	ApprovedAt     time.Time  `json:"approvedAt"`
	RedeemBefore   time.Time  `json:"redeemBefore"` // credentials could be had until then
	Ledger         Entry      `json:"ledger"`
}

// Workload is the CI job that asked.
type Workload struct {
	Issuer       string `json:"issuer"`
	Repository   string `json:"repository,omitempty"`
	RepositoryID string `json:"repositoryId,omitempty"`
	Ref          string `json:"ref,omitempty"`
	Commit       string `json:"commit,omitempty"`
	Workflow     string `json:"workflow,omitempty"`
	RunID        string `json:"runId,omitempty"`
	RunAttempt   string `json:"runAttempt,omitempty"`
	RunURL       string `json:"runUrl,omitempty"`
}

// Rule is the rule that admitted the request.
type Rule struct {
	Name        string `json:"name"`
	Digest      string `json:"digest,omitempty"`
	RulesDigest string `json:"rulesDigest"`
}

// Approver is a person whose approval counted.
type Approver struct {
	ID    string                `json:"id"` // slack:U0BOB
	Name  string                `json:"name,omitempty"`
	As    []gatekeeper.Approver `json:"as,omitempty"`    // the rule's entries that the person belonged to
	Proof string                `json:"proof,omitempty"` // beyond the click: sso or passkey
	At    time.Time             `json:"at"`
}

// Entry is the event request.approved in the ledger, with its proof: the
// bytes of Event are the leaf, and lead by Proof to the root of Checkpoint.
type Entry struct {
	Index      int64       `json:"index"`
	Event      string      `json:"event"`
	LeafHash   string      `json:"leafHash"` // hex
	Proof      []tlog.Hash `json:"inclusionProof"`
	Checkpoint string      `json:"checkpoint"`
}

// Refusal says why a request is not attested, nil when it is approved.
func Refusal(r gatekeeper.Request) error {
	switch r.State {
	case gatekeeper.Approved:
		return nil
	case gatekeeper.Pending:
		return gatekeeper.Errorf(gatekeeper.CodePending, "people have not decided yet; only an approved request is attested")
	case gatekeeper.Denied, gatekeeper.Revoked:
		return gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "the request was %s; only an approved request is attested", r.State)
	}
	return gatekeeper.Errorf(gatekeeper.CodeExpired, "the request is %s; only an approved request is attested", r.State)
}

// Artifact is something with a digest that the approved job deploys, e.g. a
// container image: NAME@sha256:HEX. The gatekeeper has it from the job, whose
// commit was approved, and never saw it itself.
type Artifact struct{ Name, SHA256 string }

// maxArtifacts bounds what one job has attested at once.
const maxArtifacts = 32

var artifact = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._/:-]{0,254})@sha256:([0-9a-f]{64})$`)

// Artifacts reads them as they are written for containers.
func Artifacts(names []string) ([]Artifact, error) {
	if len(names) > maxArtifacts {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%d artifacts are more than the %d that are attested at once", len(names), maxArtifacts)
	}
	var all []Artifact
	for _, name := range names {
		m := artifact.FindStringSubmatch(name)
		if m == nil {
			return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no artifact with its digest; registry.example.com/payments@sha256:… is one", name)
		}
		all = append(all, Artifact{m[1], m[2]})
	}
	return all, nil
}

// String is the artifact as Artifacts reads it.
func (a Artifact) String() string { return a.Name + "@sha256:" + a.SHA256 }

// StatementOf is the statement about an approved request and what its job
// deploys; url is the gatekeeper's. The same gives the same statement.
func StatementOf(url string, r gatekeeper.Request, approved ledger.ProvenEntry, artifacts ...Artifact) (Statement, error) {
	if err := Refusal(r); err != nil {
		return Statement{}, err
	}
	var e gatekeeper.Event
	if err := json.Unmarshal([]byte(approved.Body), &e); err != nil || e.Type != gatekeeper.EventRequestApproved || e.Request != r.ID || e.Data["digest"] != r.Digest {
		return Statement{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "the ledger's event is not the approval of request %s; run `gatekeeper audit verify`", r.ID)
	}
	return Statement{Type: StatementType, Subject: subjects(r, artifacts), PredicateType: PredicateType, Predicate: approval(url, r, approved, artifacts)}, nil
}

// commit is a git commit's id, of SHA-1 or SHA-256.
var commit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func subjects(r gatekeeper.Request, artifacts []Artifact) []Subject {
	var all []Subject
	for _, a := range artifacts {
		all = append(all, Subject{Name: a.Name, Digest: map[string]string{"sha256": a.SHA256}})
	}
	if w := r.Workload; commit.MatchString(w.SHA) {
		all = append(all, Subject{Name: w.Repository, URI: gitURI(w), Digest: map[string]string{"gitCommit": w.SHA}})
	}
	return append(all, Subject{Name: r.ID, Digest: map[string]string{"sha256": r.Digest}})
}

// gitURI is an SPDX download location: where the commit is to be had.
func gitURI(w gatekeeper.Workload) string {
	_, path, _ := strings.Cut(w.RunURL, "://")
	host, _, ok := strings.Cut(path, "/")
	if !ok || w.Repository == "" {
		return ""
	}
	return "git+https://" + host + "/" + w.Repository + "@" + w.Ref
}

func approval(url string, r gatekeeper.Request, approved ledger.ProvenEntry, artifacts []Artifact) Approval {
	w := r.Workload
	hash := tlog.RecordHash([]byte(approved.Body))
	a := Approval{
		Gatekeeper: url, Request: r.ID, Environment: r.Environment, ApprovalDigest: r.Digest, Approvers: []Approver{}, Quorum: r.Quorum(), BreakGlass: r.BrokenGlass,
		Workload: Workload{
			Issuer: w.IssuerURL, Repository: w.Repository, RepositoryID: w.RepositoryID, Ref: w.Ref, Commit: w.SHA,
			Workflow: w.Workflow, RunID: w.RunID, RunAttempt: w.RunAttempt, RunURL: w.RunURL,
		},
		Rule:        Rule{Name: r.Rule.Name, Digest: r.Rule.Digest, RulesDigest: r.RulesDigest},
		RequestedAt: r.CreatedAt.UTC(), ApprovedAt: r.DecidedAt.UTC(), RedeemBefore: r.RedeemBefore.UTC(),
		Ledger: Entry{Index: approved.Index, Event: approved.Body, LeafHash: hex.EncodeToString(hash[:]), Proof: approved.Proof, Checkpoint: approved.Checkpoint},
	}
	for _, x := range artifacts {
		a.Artifacts = append(a.Artifacts, x.String())
	}
	for _, v := range r.ApprovedBy() {
		a.Approvers = append(a.Approvers, Approver{ID: "slack:" + v.Person.Slack, Name: v.Person.Name, As: v.As, Proof: string(v.Proof), At: v.At.UTC()})
	}
	return a
}
