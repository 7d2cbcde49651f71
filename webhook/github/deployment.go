package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// workflowRun is what is read of a run
// (https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run).
// Addresses in it are not: they are built from the configured API.
type workflowRun struct {
	ID              int64        `json:"id"`
	Number          int64        `json:"run_number"`
	Attempt         int          `json:"run_attempt"`
	Event           string       `json:"event"`
	Status          string       `json:"status"`
	HeadBranch      string       `json:"head_branch"`
	HeadSHA         string       `json:"head_sha"`
	Path            string       `json:"path"`
	Actor           *github.User `json:"actor"`
	TriggeringActor *github.User `json:"triggering_actor"`
	Repository      struct {
		ID         int64        `json:"id"`
		FullName   string       `json:"full_name"`
		Private    *bool        `json:"private"`
		Visibility string       `json:"visibility"`
		Default    string       `json:"default_branch"`
		Owner      *github.User `json:"owner"`
	} `json:"repository"`
	ReferencedWorkflows []struct {
		Path string `json:"path"`
	} `json:"referenced_workflows"`
}

func (r workflowRun) over() bool { return r.Status == "completed" }

// run asks for a run. One that is not there is CodeNotFound.
func (c *Client) run(ctx context.Context, repository, id string) (*github.Client, workflowRun, error) {
	owner, repo, ok := strings.Cut(repository, "/")
	number, err := strconv.ParseInt(id, 10, 64)
	if !ok || err != nil || number <= 0 {
		return nil, workflowRun{}, gatekeeper.Errorf(gatekeeper.CodeNotFound, "%q of %q is no run of GitHub's", id, repository)
	}
	client, err := c.installation(ctx, owner, repo)
	if err != nil {
		return nil, workflowRun{}, err
	}
	var run workflowRun
	_, err = get(ctx, client, repoPath(owner, repo)+"/actions/runs/"+strconv.FormatInt(number, 10), &run)
	switch {
	case statusOfCall(err) == http.StatusNotFound:
		c.forget(repository)
		return nil, run, gatekeeper.Wrap(err, gatekeeper.CodeNotFound, "GitHub shows the App no run %s of %s", id, repository)
	case err != nil:
		return nil, run, unavailable(err, "tell of run "+id+" of "+repository)
	case run.ID != number:
		return nil, run, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "GitHub answered about another run than %s of %s", id, repository)
	}
	if run.Attempt == 0 && (run.TriggeringActor == nil || run.TriggeringActor.GetLogin() == run.Actor.GetLogin()) {
		run.Attempt = 1 // of a server that counts none, and nobody else started it
	}
	return client, run, nil
}

// Deployment implements gatekeeper.Deployments: the identity of a run that
// waits, from the run itself as the App sees it. Claims that GitHub does not
// tell before the job runs are absent.
func (c *Client) Deployment(ctx context.Context, ref gatekeeper.DeploymentRef) (gatekeeper.Workload, error) {
	client, run, err := c.run(ctx, ref.Repository, ref.RunID)
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	if run.over() {
		return gatekeeper.Workload{}, gatekeeper.Errorf(gatekeeper.CodeNotFound, "run %s of %s is over, so nothing waits in it", ref.RunID, ref.Repository)
	}
	if run, err = completed(run, ref); err != nil {
		return gatekeeper.Workload{}, err
	}
	fullRef, err := c.refOf(ctx, client, run, ref.Told)
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	w := c.workload(run, fullRef, ref.Environment)
	if !c.owned(w) {
		return w, gatekeeper.Errorf(gatekeeper.CodeAccessDenied, "%s is of %q, who is not among the owners configured for issuer %s", w.Repository, w.RepositoryOwner, w.Issuer)
	}
	return w, nil
}

// completed fills in what the run's answer leaves out of its repository, and
// refuses a webhook of another one: a name that was taken by somebody else
// (threats row 2).
func completed(run workflowRun, ref gatekeeper.DeploymentRef) (workflowRun, error) {
	r, told := &run.Repository, ref.Told
	id, _ := strconv.ParseInt(told.RepositoryID, 10, 64)
	if r.ID != 0 && id != 0 && r.ID != id {
		return run, gatekeeper.Errorf(gatekeeper.CodeNotFound, "%s is another repository than the webhook's", ref.Repository)
	}
	if r.ID == 0 {
		r.ID = id
	}
	if r.FullName == "" {
		r.FullName = ref.Repository
	}
	if r.Default == "" {
		r.Default = told.DefaultBranch
	}
	if ownerID, err := strconv.ParseInt(told.Owner.ID, 10, 64); r.Owner == nil && err == nil {
		r.Owner = &github.User{Login: &told.Owner.Login, ID: &ownerID}
	}
	if r.ID == 0 || run.HeadSHA == "" || run.Attempt == 0 {
		return run, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "GitHub's answer about run %s of %s is incomplete", ref.RunID, ref.Repository)
	}
	return run, nil
}

// owned holds the repository's owner against the issuer's: whoever finds the
// App can install it, and then sends signed webhooks.
func (c *Client) owned(w gatekeeper.Workload) bool {
	return len(c.o.Issuer.Owners) == 0 || slices.ContainsFunc(c.o.Issuer.Owners, func(want string) bool {
		return strings.EqualFold(want, w.RepositoryOwner) || want == w.RepositoryOwnerID
	})
}

// ownWorkflow are the events whose run uses the workflow file of the ref that
// it runs on, so that head_branch tells the token's ref. Other events run the
// default branch's file, or a merge commit that only the token names.
func ownWorkflow(event string) bool {
	return slices.Contains([]string{"push", "workflow_dispatch", "schedule", "release", "repository_dispatch", "merge_group"}, event)
}

// refOf is the full ref as the token will have it, "" where it cannot be told.
// The API names a run's branch or tag without saying which of both it is; a
// name that is both is nothing (threats row 4).
func (c *Client) refOf(ctx context.Context, client *github.Client, run workflowRun, told gatekeeper.Told) (string, error) {
	if run.HeadBranch == "" {
		return "", nil
	}
	if told.Ref == "refs/heads/"+run.HeadBranch || told.Ref == "refs/tags/"+run.HeadBranch {
		return told.Ref, nil
	}
	if !ownWorkflow(run.Event) {
		return "", nil
	}
	owner, repo, _ := strings.Cut(run.Repository.FullName, "/")
	found, unknown := "", 0
	for _, kind := range []string{"heads/", "tags/"} {
		_, _, err := client.Git.GetRef(ctx, owner, repo, kind+run.HeadBranch)
		switch {
		case statusOfCall(err) == http.StatusNotFound:
			unknown++
			continue
		case forbidden(err):
			continue
		case err != nil:
			return "", unavailable(err, "tell whether "+run.HeadBranch+" is a branch or a tag")
		case found != "":
			return "", nil
		}
		found = "refs/" + kind + run.HeadBranch
	}
	// A repository has its default branch, whatever a server without this call
	// says. Any other name may be a tag that was deleted since.
	if unknown == 2 && run.HeadBranch == run.Repository.Default {
		return "refs/heads/" + run.HeadBranch, nil
	}
	return found, nil
}

// workload maps a run to the identity that its job's token will have, as far
// as it is told (https://docs.github.com/actions/reference/security/oidc).
func (c *Client) workload(run workflowRun, ref, environment string) gatekeeper.Workload {
	id := func(n int64) string { return strconv.FormatInt(n, 10) }
	actor, owner := account(run.Actor), account(run.Repository.Owner)
	w := gatekeeper.Workload{
		Issuer: c.o.Issuer.Name, IssuerType: "github", IssuerURL: c.o.Issuer.URL,
		Subject:    fmt.Sprintf("deployment of %s to %s", run.Repository.FullName, environment),
		Repository: run.Repository.FullName, RepositoryID: id(run.Repository.ID), RepositoryOwnerID: owner.ID,
		Ref: ref, SHA: run.HeadSHA, RunID: id(run.ID), RunAttempt: strconv.Itoa(run.Attempt), Environment: environment,
		Event: run.Event, Actor: actor.Login, ActorID: actor.ID,
		RunURL: c.server() + "/" + run.Repository.FullName + "/actions/runs/" + id(run.ID) + "/attempts/" + strconv.Itoa(run.Attempt),
	}
	w.RepositoryOwner, _, _ = strings.Cut(w.Repository, "/")
	path, _, _ := strings.Cut(run.Path, "@")
	workflow := ""
	if ownWorkflow(run.Event) && ref != "" && path != "" {
		workflow = w.Repository + "/" + path + "@" + ref
	}
	// A job of a reusable workflow has that one's job_workflow_ref, and which
	// job waits is not told: only a run without any has a certain one.
	if len(run.ReferencedWorkflows) == 0 {
		w.Workflow = workflow
	}
	w.Claims = claims(w, run, workflow)
	return w
}

// claims are those of the token that are certain, by their own names.
func claims(w gatekeeper.Workload, run workflowRun, workflow string) map[string]any {
	visibility := run.Repository.Visibility
	if visibility == "" && run.Repository.Private != nil && !*run.Repository.Private {
		visibility = "public"
	}
	kind := map[bool]string{true: "branch"}[strings.HasPrefix(w.Ref, "refs/heads/")]
	if strings.HasPrefix(w.Ref, "refs/tags/") {
		kind = "tag"
	}
	all := map[string]any{}
	for name, value := range map[string]string{
		"repository": w.Repository, "repository_id": w.RepositoryID, "repository_owner": w.RepositoryOwner, "repository_owner_id": w.RepositoryOwnerID,
		"repository_visibility": visibility, "ref": w.Ref, "ref_type": kind, "sha": w.SHA, "run_id": w.RunID, "run_attempt": w.RunAttempt,
		"run_number": json.Number(strconv.FormatInt(run.Number, 10)).String(), "event_name": w.Event, "actor": w.Actor, "actor_id": w.ActorID,
		"environment": w.Environment, "workflow_ref": workflow, "job_workflow_ref": w.Workflow,
	} {
		if value != "" && value != "0" {
			all[name] = value
		}
	}
	return all
}
