package github_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/google/go-cmp/cmp"
)

const sha = "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b"

// waits is a stand-in in which run 7001 of acme/payments waits.
func waits(t *testing.T, change func(*githubbox.Repository, *githubbox.Run)) (*githubbox.GitHub, *github.Client) {
	t.Helper()
	box, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	repo := githubbox.Repository{
		ID: 1234567, Name: "acme/payments", OwnerID: 99, Branches: map[string]string{"main": sha}, Tags: map[string]string{"v1": sha},
		Environments: map[string]*githubbox.Environment{"production": {Rule: true}},
	}
	run := githubbox.Run{
		ID: 7001, Number: 42, Attempt: 1, Event: "push", HeadBranch: "main", HeadSHA: sha, Path: ".github/workflows/deploy.yml",
		Actor: githubbox.User{Login: "alice", ID: 11}, Waiting: []string{"production"},
	}
	if change != nil {
		change(&repo, &run)
	}
	box.Repo(repo)
	box.Run("acme/payments", run)
	client, err := github.New(github.Options{
		APIURL: box.URL(), AppID: githubbox.AppID, PrivateKey: box.PrivateKey(),
		Issuer: github.Issuer{Name: "github", URL: "https://token.actions.githubusercontent.com", Owners: []string{"Acme"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return box, client
}

func production() gatekeeper.DeploymentRef {
	return gatekeeper.DeploymentRef{Repository: "acme/payments", RunID: "7001", Environment: "production"}
}

// What waits has the identity that its job's token will have, as far as
// GitHub tells it.
func TestDeploymentIdentity(t *testing.T) {
	box, client := waits(t, nil)
	got, err := client.Deployment(t.Context(), production())
	if err != nil {
		t.Fatal(err)
	}
	workflow := "acme/payments/.github/workflows/deploy.yml@refs/heads/main"
	want := gatekeeper.Workload{
		Issuer: "github", IssuerType: "github", IssuerURL: "https://token.actions.githubusercontent.com", Subject: "deployment of acme/payments to production",
		Repository: "acme/payments", RepositoryID: "1234567", RepositoryOwner: "acme", RepositoryOwnerID: "99",
		Ref: "refs/heads/main", SHA: sha, Workflow: workflow, RunID: "7001", RunAttempt: "1", Environment: "production", Event: "push", Actor: "alice", ActorID: "11",
		RunURL: strings.TrimSuffix(box.URL(), "/") + "/acme/payments/actions/runs/7001/attempts/1", // built, not taken from the answer
		Claims: map[string]any{
			"repository": "acme/payments", "repository_id": "1234567", "repository_owner": "acme", "repository_owner_id": "99", "repository_visibility": "private",
			"ref": "refs/heads/main", "ref_type": "branch", "sha": sha, "run_id": "7001", "run_attempt": "1", "run_number": "42", "event_name": "push",
			"actor": "alice", "actor_id": "11", "environment": "production", "workflow_ref": workflow, "job_workflow_ref": workflow,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What cannot be told is absent: absent never matches (threats row 4).
func TestDeploymentRefAndWorkflow(t *testing.T) {
	for name, c := range map[string]struct {
		change        func(*githubbox.Repository, *githubbox.Run)
		told          string
		ref, workflow string // of the workload
	}{
		"a tag":                            {func(_ *githubbox.Repository, r *githubbox.Run) { r.HeadBranch = "v1" }, "", "refs/tags/v1", "deploy.yml@refs/tags/v1"},
		"a branch and a tag":               {func(repo *githubbox.Repository, _ *githubbox.Run) { repo.Tags["main"] = sha }, "", "", ""},
		"told which of both":               {func(repo *githubbox.Repository, _ *githubbox.Run) { repo.Tags["main"] = sha }, "refs/heads/main", "refs/heads/main", "deploy.yml@refs/heads/main"},
		"told something else":              {nil, "refs/heads/other", "refs/heads/main", "deploy.yml@refs/heads/main"},
		"default branch, and no such call": {func(repo *githubbox.Repository, _ *githubbox.Run) { delete(repo.Branches, "main") }, "", "refs/heads/main", "deploy.yml@refs/heads/main"},
		"deleted meanwhile": {func(repo *githubbox.Repository, r *githubbox.Run) {
			repo.DefaultBranch, r.HeadBranch = "main", "feature"
		}, "", "", ""},
		"reusable workflow": {func(_ *githubbox.Repository, r *githubbox.Run) {
			r.Referenced = []string{"acme/shared/.github/workflows/d.yml@main"}
		}, "", "refs/heads/main", ""},
		"path with a ref": {func(_ *githubbox.Repository, r *githubbox.Run) { r.Path += "@refs/heads/main" }, "", "refs/heads/main", "deploy.yml@refs/heads/main"},
		"pull request":    {func(_ *githubbox.Repository, r *githubbox.Run) { r.Event = "pull_request" }, "", "", ""},
		"workflow_run":    {func(_ *githubbox.Repository, r *githubbox.Run) { r.Event = "workflow_run" }, "", "", ""},
		"no branch":       {func(_ *githubbox.Repository, r *githubbox.Run) { r.HeadBranch = "" }, "refs/heads/", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := waits(t, c.change)
			ref := production()
			ref.Told.Ref = c.told
			got, err := client.Deployment(t.Context(), ref)
			if err != nil || got.Ref != c.ref || !strings.HasSuffix(got.Workflow, c.workflow) || (c.workflow == "") != (got.Workflow == "") {
				t.Errorf("ref %q, workflow %q, %v; want %q, %q", got.Ref, got.Workflow, err, c.ref, c.workflow)
			}
			if _, claimed := got.Claims["job_workflow_ref"]; claimed != (c.workflow != "") {
				t.Errorf("claims %v", got.Claims)
			}
		})
	}
}

func TestDeploymentsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*githubbox.Repository, *githubbox.Run)
		after  func(*githubbox.GitHub)
		ref    func(*gatekeeper.DeploymentRef)
		code   gatekeeper.Code
	}{
		"over":             {change: func(_ *githubbox.Repository, r *githubbox.Run) { r.Completed = true }, code: gatekeeper.CodeNotFound},
		"unknown run":      {ref: func(r *gatekeeper.DeploymentRef) { r.RunID = "9" }, code: gatekeeper.CodeNotFound},
		"run is no number": {ref: func(r *gatekeeper.DeploymentRef) { r.RunID = "../1" }, code: gatekeeper.CodeNotFound},
		"no repository":    {ref: func(r *gatekeeper.DeploymentRef) { r.Repository = "acme" }, code: gatekeeper.CodeNotFound},
		"not installed":    {change: func(r *githubbox.Repository, _ *githubbox.Run) { r.NotInstalled = true }, code: gatekeeper.CodeUnavailable},
		"GitHub is down":   {after: func(b *githubbox.GitHub) { b.Fail(http.StatusBadGateway) }, code: gatekeeper.CodeUnavailable},
		"no permission": {after: func(b *githubbox.GitHub) { b.Change(func(a *githubbox.App) { delete(a.Permissions, "actions") }) },
			code: gatekeeper.CodeUnavailable},
		"rate limit": {after: func(b *githubbox.GitHub) { b.Limit(0) }, code: gatekeeper.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			box, client := waits(t, c.change)
			if c.after != nil {
				c.after(box)
			}
			ref := production()
			if c.ref != nil {
				c.ref(&ref)
			}
			if got, err := client.Deployment(t.Context(), ref); gatekeeper.CodeOf(err) != c.code {
				t.Errorf("%+v, %v; want %s", got, err, c.code)
			}
		})
	}
}

// Whoever finds the App can install it: their repositories are none of ours.
func TestDeploymentOfAnotherOwner(t *testing.T) {
	box, client := waits(t, nil)
	box.Repo(githubbox.Repository{ID: 5, Name: "evil/payments", OwnerID: 666, Branches: map[string]string{"main": sha}})
	box.Run("evil/payments", githubbox.Run{ID: 7001, Attempt: 1, Event: "push", HeadBranch: "main", HeadSHA: sha, Actor: githubbox.User{Login: "eve", ID: 5}})
	ref := production()
	ref.Repository = "evil/payments"
	w, err := client.Deployment(t.Context(), ref)
	if gatekeeper.CodeOf(err) != gatekeeper.CodeAccessDenied || w.RepositoryID != "5" {
		t.Errorf("%+v, %v", w, err)
	}
}

// Limits are obeyed: the error says when GitHub may be asked again.
func TestPatience(t *testing.T) {
	for name, c := range map[string]struct {
		fault   githubbox.Fault
		seconds float64
	}{
		"secondary, 403": {githubbox.Fault{Status: http.StatusForbidden, RetryAfter: 7e9}, 7},
		"secondary, 429": {githubbox.Fault{Status: http.StatusTooManyRequests, RetryAfter: 9e9}, 9},
		"429 alone":      {githubbox.Fault{Status: http.StatusTooManyRequests}, 60},
		"5xx":            {githubbox.Fault{Status: http.StatusServiceUnavailable}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			box, client := waits(t, nil)
			box.FailNext("GET /repos/{owner}/{repo}/actions/runs/{run}", c.fault)
			_, err := client.Deployment(t.Context(), production())
			coded, ok := err.(*gatekeeper.Error) //nolint:errorlint // it is ours
			if !ok || coded.RetryAfter.Seconds() != c.seconds {
				t.Errorf("%v asks for %v", err, coded.RetryAfter)
			}
		})
	}
	box, client := waits(t, nil)
	box.Limit(1)
	_, _ = client.Deployment(t.Context(), production())
	calls := box.Calls("/repos/acme/payments/actions/runs/7001")
	_, err := client.Deployment(t.Context(), production())
	coded, ok := err.(*gatekeeper.Error) //nolint:errorlint // it is ours
	if !ok || coded.RetryAfter.Minutes() < 50 || box.Calls("/repos/acme/payments/actions/runs/7001") != calls {
		t.Errorf("%v: after the primary limit GitHub is asked again before its reset", err)
	}
}
