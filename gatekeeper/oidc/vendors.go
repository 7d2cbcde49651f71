package oidc

import (
	"net/url"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// vendor is a row of the one table in which issuers differ: where each claim
// is, which ones there have to be, and what is never taken. Each row's source
// is the vendor's own page; testdata/claims holds the claims as it shows them.
type vendor struct {
	url       string // the default issuer
	everybody string // the issuer that signs for everybody, where there is one
	owned     bool   // owners are needed at any URL
	owner     get    // whom owners name; compared without case
	alias     get    // another name of the same owner, e.g. its id
	ownerName get    // nil: what stands before the repository's first slash

	repository, repositoryID, ownerID, ref, sha, workflow, workflowSHA get
	run, attempt, job, environment, event, runner, actor, actorID      get

	runURL   func(w gatekeeper.Workload, claims map[string]any) string
	required []string                           // claims without which a request cannot be bound
	hint     string                             // what to do where one of them is missing
	refuse   func(claims map[string]any) string // why such a token is never taken, "" if it is
	noJTI    bool                               // tokens may carry no jti; what is signed tells them apart
}

func vendors() map[string]vendor {
	return map[string]vendor{
		"github": github(), "gitlab": gitlab(), "buildkite": buildkite(),
		"circleci": circleci(), "bitbucket": bitbucket(), "oidc": generic(),
	}
}

// github: https://docs.github.com/actions/reference/security/oidc . GHES
// (https://HOST/_services/token), enterprises (…/SLUG) and data residency
// (https://token.actions.SUBDOMAIN.ghe.com) sign for one company only.
func github() vendor {
	const everybody = "https://token.actions.githubusercontent.com"
	return vendor{
		url: everybody, everybody: everybody,
		owner: claim("repository_owner"), alias: claim("repository_owner_id"),
		repository: claim("repository"), repositoryID: claim("repository_id"), ownerID: claim("repository_owner_id"),
		ref: claim("ref"), sha: claim("sha"), workflow: claim("job_workflow_ref"), workflowSHA: claim("job_workflow_sha"),
		run: claim("run_id"), attempt: claim("run_attempt"), job: claim("check_run_id"), environment: claim("environment"),
		event: claim("event_name"), runner: claim("runner_environment"), actor: claim("actor"), actorID: claim("actor_id"),
		runURL: func(w gatekeeper.Workload, _ map[string]any) string {
			u := githubServer(w.IssuerURL) + "/" + w.Repository + "/actions/runs/" + w.RunID
			if w.RunAttempt != "" {
				u += "/attempts/" + w.RunAttempt
			}
			return u
		},
		required: []string{"repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "sha", "run_id", "run_attempt", "actor", "event_name"},
	}
}

// githubServer is where the runs of an issuer are seen.
func githubServer(issuer string) string {
	if host, ok := strings.CutSuffix(issuer, "/_services/token"); ok {
		return host // GHES
	}
	if u, err := url.Parse(issuer); err == nil {
		if host, ok := strings.CutPrefix(u.Host, "token.actions."); ok && strings.HasSuffix(host, ".ghe.com") {
			return "https://" + host // data residency
		}
	}
	return "https://github.com"
}

// gitlab: https://docs.gitlab.com/ci/secrets/id_token_authentication/
func gitlab() vendor {
	return vendor{
		url: "https://gitlab.com", everybody: "https://gitlab.com",
		owner: func(c map[string]any) string { root, _, _ := strings.Cut(text(c, "namespace_path"), "/"); return root },
		alias: claim("namespace_path"), ownerID: claim("namespace_id"),
		repository: claim("project_path"), repositoryID: claim("project_id"),
		ref: claim("ref_path"), sha: claim("sha"), workflow: claim("ci_config_ref_uri"), workflowSHA: claim("ci_config_sha"),
		run: claim("pipeline_id"), attempt: none, job: claim("job_id"), environment: claim("environment"),
		event: claim("pipeline_source"), runner: claim("runner_environment"), actor: claim("user_login"), actorID: claim("user_id"),
		runURL: func(w gatekeeper.Workload, _ map[string]any) string {
			return w.IssuerURL + "/" + w.Repository + "/-/pipelines/" + w.RunID
		},
		required: []string{"project_path", "project_id", "namespace_path", "ref_path", "sha", "pipeline_id", "job_id"},
		hint:     "GitLab adds it from version 16.0 on",
		refuse:   mergeRequest,
	}
}

// mergeRequest refuses what may run a fork's code (threats row 12). A merge
// request's pipeline carries the source branch's name as its ref, be it a
// fork's. Until 18.2 project_id was the parent's all the same; since then it
// is the fork's and job_project_id the one that runs it
// (https://gitlab.com/gitlab-org/gitlab/-/issues/563038).
func mergeRequest(c map[string]any) string {
	switch source := text(c, "pipeline_source"); {
	case source == "merge_request_event", source == "external_pull_request_event", strings.HasPrefix(text(c, "ref_path"), "refs/merge-requests/"):
		return "merge request pipelines may run a fork's code, so they are never taken; deploy from a branch or tag pipeline"
	}
	for _, name := range []string{"job_project_id", "source_project_id"} {
		if other := text(c, name); other != "" && other != text(c, "project_id") {
			return "the pipeline runs one project's code in another project (" + name + " is not project_id), as merge requests from forks do; deploy from a branch or tag pipeline"
		}
	}
	return ""
}

// buildkite: https://buildkite.com/docs/agent/cli/reference/oidc . One issuer
// signs for every organization, and the ids are there only on request.
func buildkite() vendor {
	return vendor{
		url: "https://agent.buildkite.com", everybody: "https://agent.buildkite.com", owned: true,
		owner: claim("organization_id"), alias: none, ownerID: claim("organization_id"),
		repository: func(c map[string]any) string {
			return joined(text(c, "organization_slug"), "/", text(c, "pipeline_slug"))
		},
		repositoryID: claim("pipeline_id"),
		ref:          either(prefixed("refs/tags/", "build_tag"), prefixed("refs/heads/", "build_branch")),
		sha:          claim("build_commit"), workflow: none, workflowSHA: none,
		run: claim("build_number"), attempt: none, job: claim("job_id"), environment: none,
		event: claim("build_source"), runner: claim("runner_environment"), actor: none, actorID: none,
		runURL: func(w gatekeeper.Workload, _ map[string]any) string {
			return "https://buildkite.com/" + w.Repository + "/builds/" + w.RunID
		},
		required: []string{"organization_id", "organization_slug", "pipeline_slug", "pipeline_id", "build_branch", "build_commit", "build_number", "job_id"},
		hint:     "request the token with `buildkite-agent oidc request-token --claim organization_id,pipeline_id`",
		refuse:   forkedBuild,
		noJTI:    true, // it has one since 2025, which the page does not promise
	}
}

// forkedBuild refuses builds of other people's branches, which Buildkite
// names owner:branch (a colon is in no branch's name), and builds of whatever
// HEAD is: nobody could tell what is approved.
func forkedBuild(c map[string]any) string {
	switch {
	case strings.Contains(text(c, "build_branch"), ":"):
		return "the build is of a fork's branch, so it is never taken; deploy from a branch or tag of the pipeline's own repository"
	case strings.EqualFold(text(c, "build_commit"), "HEAD"):
		return "the build does not say which commit it is of (build_commit is HEAD); create it with the commit's SHA"
	}
	return ""
}

// circleci: https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/
// . Each organization has an issuer of its own; the one without a path signs
// for all of them.
func circleci() vendor {
	const p = circle
	return vendor{
		everybody: "https://oidc.circleci.com",
		owner:     claim(p + "org-id"), alias: none, ownerID: claim(p + "org-id"),
		repository: func(c map[string]any) string { return originPath(text(c, p+"vcs-origin")) }, repositoryID: claim(p + "project-id"),
		ref: claim(p + "vcs-ref"), sha: none, workflow: none, workflowSHA: none,
		run: either(claim(p+"workflow-id"), claim(p+"pipeline-id")), attempt: none, job: claim(p + "job-id"),
		environment: none, event: none, runner: none, actor: none, actorID: none,
		runURL: func(w gatekeeper.Workload, c map[string]any) string {
			if text(c, p+"workflow-id") == "" {
				return ""
			}
			return "https://app.circleci.com/pipelines/workflows/" + w.RunID
		},
		required: []string{p + "project-id", p + "vcs-origin", p + "vcs-ref"},
		hint:     "CircleCI leaves it out of pipelines that a custom webhook triggers; deploy from one that the repository triggers",
		// A job re-run with SSH gives a shell, and the token, to whoever re-ran it.
		refuse: func(c map[string]any) string {
			if c[p+"ssh-rerun"] != false {
				return "jobs that were re-run with SSH are never taken"
			}
			return ""
		},
		noJTI: true,
	}
}

// circle begins the names of CircleCI's own claims.
const circle = "oidc.circleci.com/"

// originPath is owner/name of a repository's URL, with a scheme or without.
func originPath(origin string) string {
	if _, after, ok := strings.Cut(origin, "://"); ok {
		origin = after
	}
	_, path, _ := strings.Cut(origin, "/")
	return strings.TrimSuffix(path, ".git")
}

// bitbucket: https://support.atlassian.com/bitbucket-cloud/docs/integrate-pipelines-with-resource-servers-using-oidc/
// . Each workspace has an issuer of its own. The token names no repository,
// only its UUID.
func bitbucket() vendor {
	return vendor{
		owner: claim("workspaceUuid"), alias: none, ownerName: claim("workspaceUuid"), ownerID: claim("workspaceUuid"),
		repository: claim("repositoryUuid"), repositoryID: claim("repositoryUuid"),
		ref: prefixed("refs/heads/", "branchName"),
		sha: none, workflow: none, workflowSHA: none, run: claim("pipelineUuid"), attempt: claim("pipelineRunUuid"), job: claim("stepUuid"),
		environment: claim("deploymentEnvironment"), event: none, runner: none, actor: none, actorID: none,
		runURL: func(w gatekeeper.Workload, _ map[string]any) string {
			return "https://bitbucket.org/" + url.PathEscape(w.RepositoryOwnerID) + "/" + url.PathEscape(w.RepositoryID) + "/pipelines/results/" + url.PathEscape(w.RunID)
		},
		required: []string{"workspaceUuid", "repositoryUuid", "pipelineUuid", "stepUuid"},
		noJTI:    true,
	}
}

// generic is any other issuer: the subject is what asks, and the run is what
// the token says it is. Kubernetes names the pod
// (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/).
func generic() vendor {
	return vendor{
		owner: none, alias: none, ownerID: none,
		repository: claim("sub"), repositoryID: claim("sub"), ref: claim("ref"), sha: claim("sha"), workflow: none, workflowSHA: none,
		run:     either(claim("run_id"), func(c map[string]any) string { return nested(c, "kubernetes.io", "pod", "uid") }),
		attempt: claim("run_attempt"), job: claim("job_id"), environment: claim("environment"), event: claim("event_name"), runner: none,
		actor: claim("actor"), actorID: claim("actor_id"), runURL: noURL, required: []string{"sub"},
		hint:  "in Kubernetes, give the pod a projected service account token",
		noJTI: true, // Kubernetes adds one from 1.29 on
	}
}
