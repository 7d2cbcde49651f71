package gatekeeper

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// bound are the claims of a run that never change while it lives. Two tokens
// belong to the same asking exactly where all of them agree (design: a
// request is bound to the run's immutable claims). Names can be reused by
// somebody else (threats row 2), so ids stand beside them.
type bound struct {
	IssuerURL    string `json:"issuer_url"`
	Repository   string `json:"repository"`
	RepositoryID string `json:"repository_id"`
	RunID        string `json:"run_id"`
	RunAttempt   string `json:"run_attempt"`
	SHA          string `json:"sha"`
	Ref          string `json:"ref"`
	Workflow     string `json:"workflow"`
	WorkflowSHA  string `json:"workflow_sha"`
	Environment  string `json:"environment"`
	Actor        string `json:"actor,omitempty"` // where the CI counts no attempts
	Job          string `json:"job,omitempty"`   // scope: job only
}

func boundOf(w Workload, environment string, scope Scope) bound {
	b := bound{
		IssuerURL: w.IssuerURL, Repository: w.Repository, RepositoryID: w.RepositoryID,
		RunID: w.RunID, RunAttempt: w.RunAttempt, SHA: w.SHA, Ref: w.Ref,
		Workflow: w.Workflow, WorkflowSHA: w.WorkflowSHA,
		Environment: FoldEnvironment(environment),
	}
	if w.RunAttempt == "" {
		// Whoever retries or plays a job is told by its actor alone (GitLab), and
		// has to be the one that self-approval is measured against (row 10).
		b.Actor = cmp.Or(w.ActorID, w.Actor)
	}
	if scope != ScopeRun {
		b.Job = w.Job
	}
	return b
}

// Bind is the key under which a workload's asking is found again: who asks
// the same for the same environment and credentials, in the same run (or job,
// for scope: job), finds the same request. It is a hex SHA-256.
func Bind(w Workload, environment string, scope Scope, credentials []string) string {
	names := slices.Clone(credentials)
	slices.Sort(names)
	return digest(struct {
		Bound       bound    `json:"bound"`
		Credentials []string `json:"credentials"`
	}{boundOf(w, environment, scope), names})
}

// ApprovalDigest is what an approval covers (threats row 30): the run, what
// it may get, and the rules that admitted it. It is checked at redemption
// against the fresh token. Every field that it covers changes it.
func ApprovalDigest(r Request, w Workload) string {
	return digest(struct {
		Bound       bound            `json:"bound"`
		Credentials []CredentialSpec `json:"credentials"`
		Rule        Rule             `json:"rule"`
		RulesDigest string           `json:"rules_digest"`
		BreakGlass  *BreakGlass      `json:"break_glass,omitempty"`
	}{boundOf(w, r.Environment, r.Rule.Approval.Scope), r.Credentials, r.Rule, r.RulesDigest, r.BreakGlass})
}

// RepositoryKey says whose pending requests are counted together.
func RepositoryKey(w Workload) string {
	id := w.RepositoryID
	if id == "" {
		id = w.Repository
	}
	return w.IssuerURL + " " + id
}

// JobKey names the job for which redemptions are counted: the CI's job, or
// the run where the CI names no job.
func JobKey(w Workload) string {
	if w.Job != "" {
		return "job:" + w.Job
	}
	return "run:" + w.RunID + "/" + w.RunAttempt
}

// TokenKey identifies a token by what its issuer made unique, never by its
// bytes (threats row 17).
func TokenKey(w Workload) string {
	return digest([]string{w.IssuerURL, w.Token.ID})
}

// digest hashes the canonical JSON of v: struct fields in order, maps sorted.
// v is made of strings, numbers, slices and maps of ours, which always
// marshal.
func digest(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		panic("gatekeeper: digest of a value that has no JSON: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
