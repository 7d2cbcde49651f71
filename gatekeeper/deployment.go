package gatekeeper

import (
	"context"
	"strings"
	"time"
)

// The kinds of work that deployments cause. Without a forge configured there
// are none of them.
const (
	// WorkVerdict tells the forge the outcome. key: request id; or the
	// deployment's key with a [Refusal] as payload, where no request stands
	// for it.
	WorkVerdict = "deployment.verdict"
)

// DeploymentRef says which deployment waits at the forge. It is no identity:
// the forge itself is asked who it is that waits.
type DeploymentRef struct {
	Repository  string // owner/name
	RunID       string
	Environment string
	Via         string // how we know: github.deployment_protection_rule, github.sweep
	Told        Told   // what a signed webhook said beside; zero for a sweep
}

// Told is what a signed webhook says of a deployment. The forge's own answer
// comes first: this is held against it, and fills in what it leaves out.
type Told struct {
	Ref           string // full
	DefaultBranch string // of the repository
	RepositoryID  string
	Owner         Account
}

// Deployments tells who waits. The answer comes from the forge's API over TLS,
// asked by the gatekeeper at the configured address, so it is trusted like a
// token's claims; what the forge does not tell is empty, and empty never
// matches a rule.
type Deployments interface {
	// Deployment is the workload behind ref. A CodeNotFound error says that
	// nothing waits there any more, CodeAccessDenied that it is none of ours
	// to approve; the workload then says as much as is known.
	Deployment(ctx context.Context, ref DeploymentRef) (Workload, error)
}

// Held says that the forge holds a job back until the request is decided.
type Held struct {
	Via string `json:"via"`
	// Adopted is set when a job's token turned out to be of this deployment:
	// what only a token tells is bound since (threats row 30).
	Adopted bool `json:"adopted,omitempty"`
}

// Refusal is the outcome for a deployment that no rule lets become a request.
type Refusal struct {
	Repository  string `json:"repository"`
	RunID       string `json:"run_id"`
	RunAttempt  string `json:"run_attempt"`
	Environment string `json:"environment"`
	Reason      string `json:"reason"`
}

// DeploymentKey is what the forge and a job's token both tell of a
// deployment: a request that was opened for the one is found by the other. It
// is "" for what cannot be told apart from other runs.
func DeploymentKey(w Workload, environment string) string {
	for _, part := range []string{w.IssuerURL, w.RepositoryID, w.RunID, w.RunAttempt, w.SHA, environment} {
		if part == "" {
			return ""
		}
	}
	return "deployment:" + digest([]string{w.IssuerURL, w.RepositoryID, w.RunID, w.RunAttempt, w.SHA, w.Ref, FoldEnvironment(environment)})
}

// servesDeployment says whether the request answers the forge asking again
// for the same deployment. With scope: job it is one job's once adopted.
func (r Request) servesDeployment(now time.Time) bool {
	taken := r.Deployment != nil && r.Deployment.Adopted && r.Rule.Approval.Scope != ScopeRun
	return r.Serves(now) && !taken
}

// adoptable says whether a job's admission is covered by this deployment's
// request: the same rule decides, it gives the same credentials, and the token
// contradicts nothing that people were told (threats rows 30 and 43).
func (r Request) adoptable(in Admission, now time.Time) bool {
	if r.Deployment == nil || in.Decision.Rule == nil || !r.Serves(now) || !agrees(r.Workload, in.Workload) {
		return false
	}
	if digest(*in.Decision.Rule) != digest(r.Rule) || digest(in.Decision.BreakGlass) != digest(r.BreakGlass) {
		return false
	}
	for _, spec := range in.Credentials {
		if mine, ok := r.Credential(spec.Name); !ok || digest(mine) != digest(spec) {
			return false
		}
	}
	return !r.Deployment.Adopted || r.BelongsTo(in.Workload) == nil
}

// agrees wants what the forge told of the deployment to be in the token as
// well. What binds has to be told by both; the rest where the forge knew it.
func agrees(told, token Workload) bool {
	for _, pair := range [][2]string{
		{told.IssuerURL, token.IssuerURL}, {told.RepositoryID, token.RepositoryID}, {told.RunID, token.RunID},
		{told.RunAttempt, token.RunAttempt}, {told.SHA, token.SHA}, {told.Ref, token.Ref},
	} {
		if pair[0] == "" || pair[0] != pair[1] {
			return false
		}
	}
	for _, pair := range [][2]string{
		{told.RepositoryOwnerID, token.RepositoryOwnerID}, {told.Workflow, token.Workflow}, {told.Event, token.Event}, {told.ActorID, token.ActorID},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return strings.EqualFold(told.Repository, token.Repository)
}

// adopt pins what the token tells beyond the deployment: from here on the
// request belongs to workloads with these claims, as if they had opened it.
func (r Request) adopt(in Admission, now time.Time) (Request, []Event) {
	before := r.Digest
	held := *r.Deployment
	held.Adopted = true
	r.Deployment = &held
	r.Workload = in.Workload
	if r.Reason == "" && r.State == Pending {
		r.Reason = in.Ask.Reason
	}
	r.Digest = ApprovalDigest(r, in.Workload)
	return r, []Event{r.event(EventRequestAdopted, now, workloadActor(in.Workload), map[string]any{
		"workload": in.Workload, "environment": r.Environment, "digest_before": before, "digest": r.Digest, "token_sha256": in.Workload.Token.Hash,
		"credentials": credentialNames(in.Credentials),
	})}
}

// verdictWork brings the forge's view of a deployment up to date.
func verdictWork(r Request) []Work {
	if r.Deployment == nil || r.State == Pending {
		return nil
	}
	return []Work{{Kind: WorkVerdict, Key: r.ID}}
}

// cannotTell explains a refusal that may be due to what the forge does not
// tell before the job runs: the closest rule wants a claim that is absent.
func cannotTell(d Decision) string {
	var best *Considered
	for i, c := range d.Considered {
		if c.Mismatch != nil && !c.Observed && (best == nil || c.Fits > best.Fits) {
			best = &d.Considered[i]
		}
	}
	if best == nil || !best.Mismatch.Absent && best.Mismatch.Key != "when" {
		return ""
	}
	key := best.Mismatch.Key
	if key == "workflow" {
		key += " (job_workflow_ref)"
	}
	return "; before the job runs GitHub does not tell every claim of its token, and rule " + best.Rule + " needs " + key +
		": match on what it tells (repository, ids, ref, event, actor), or ask from a step of the job instead"
}
