package oidc

import (
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// get reads one value of a token's claims, "" when it is absent.
type get func(claims map[string]any) string

// vendor is a row of the one table in which issuers differ: where each claim
// is, which ones there have to be, and what is never taken.
type vendor struct {
	url    string                // the default issuer
	shared func(url string) bool // whether that issuer signs for everybody
	owner  get                   // whom owners name; compared without case
	alias  get                   // another name of the same owner, e.g. its id

	repository, repositoryID, ownerID, ref, sha, workflow, workflowSHA get
	run, attempt, job, environment, event, runner, actor, actorID      get

	runURL   func(w gatekeeper.Workload, claims map[string]any) string
	required []string                           // claims without which a request cannot be bound
	refuse   func(claims map[string]any) string // why such a token is never taken, "" if it is
}

func vendors() map[string]vendor {
	return map[string]vendor{
		"github": github(), "gitlab": gitlab(), "buildkite": buildkite(),
		"circleci": circleci(), "bitbucket": bitbucket(), "oidc": generic(),
	}
}

// github: https://docs.github.com/actions/reference/security/oidc
func github() vendor {
	return vendor{
		url:    "https://token.actions.githubusercontent.com",
		shared: func(url string) bool { return url == "https://token.actions.githubusercontent.com" },
		owner:  claim("repository_owner"), alias: claim("repository_owner_id"),
		repository: claim("repository"), repositoryID: claim("repository_id"), ownerID: claim("repository_owner_id"),
		ref: claim("ref"), sha: claim("sha"), workflow: claim("job_workflow_ref"), workflowSHA: claim("job_workflow_sha"),
		run: claim("run_id"), attempt: claim("run_attempt"), job: claim("check_run_id"), environment: claim("environment"),
		event: claim("event_name"), runner: claim("runner_environment"), actor: claim("actor"), actorID: claim("actor_id"),
		runURL: func(w gatekeeper.Workload, _ map[string]any) string {
			return githubServer(w.IssuerURL) + "/" + w.Repository + "/actions/runs/" + w.RunID + "/attempts/" + w.RunAttempt
		},
		required: []string{"repository", "repository_id", "repository_owner", "repository_owner_id", "ref", "sha", "run_id", "run_attempt", "actor", "event_name"},
	}
}

// githubServer is where runs are seen. GHES serves its issuer at
// https://HOST/_services/token; github.com and its enterprises at one host.
func githubServer(issuer string) string {
	if host, ok := strings.CutSuffix(issuer, "/_services/token"); ok {
		return host
	}
	return "https://github.com"
}

// gitlab: https://docs.gitlab.com/ci/secrets/id_token_authentication/
func gitlab() vendor {
	return vendor{
		url: "https://gitlab.com", shared: func(url string) bool { return url == "https://gitlab.com" },
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
		// A merge request's pipeline may run a fork's code in the parent project,
		// and the token does not say so.
		refuse: func(c map[string]any) string {
			source := text(c, "pipeline_source")
			if source == "merge_request_event" || source == "external_pull_request_event" || strings.HasPrefix(text(c, "ref_path"), "refs/merge-requests/") {
				return "merge request pipelines may run a fork's code, so they are never taken; deploy from a branch or tag pipeline"
			}
			return ""
		},
	}
}

// buildkite: https://buildkite.com/docs/agent/cli/reference/oidc
func buildkite() vendor {
	return vendor{
		url: "https://agent.buildkite.com", shared: func(string) bool { return true },
		owner: claim("organization_id"), alias: none, ownerID: claim("organization_id"),
		repository: func(c map[string]any) string {
			return text(c, "organization_slug") + "/" + text(c, "pipeline_slug")
		},
		repositoryID: claim("pipeline_id"),
		ref: func(c map[string]any) string {
			if tag := text(c, "build_tag"); tag != "" {
				return "refs/tags/" + tag
			}
			return "refs/heads/" + text(c, "build_branch")
		},
		sha: claim("build_commit"), workflow: none, workflowSHA: none,
		run: claim("build_number"), attempt: none, job: claim("job_id"), environment: none,
		event: claim("build_source"), runner: claim("runner_environment"), actor: claim("build_creator"), actorID: none,
		runURL: func(w gatekeeper.Workload, _ map[string]any) string {
			return "https://buildkite.com/" + w.Repository + "/builds/" + w.RunID
		},
		required: []string{"organization_id", "organization_slug", "pipeline_slug", "pipeline_id", "build_branch", "build_commit", "build_number", "job_id"},
	}
}

// circleci: https://circleci.com/docs/openid-connect-tokens/ ; its issuer is
// one for each organisation.
func circleci() vendor {
	const p = "oidc.circleci.com/"
	return vendor{
		owner: none, alias: none, ownerID: none,
		repository: func(c map[string]any) string {
			_, path, _ := strings.Cut(text(c, p+"vcs-origin"), "/")
			return path
		},
		repositoryID: claim(p + "project-id"), ref: claim(p + "vcs-ref"), sha: none, workflow: none, workflowSHA: none,
		run: claim(p + "workflow-id"), attempt: none, job: claim(p + "job-id"), environment: none, event: none, runner: none, actor: none, actorID: none,
		runURL: func(w gatekeeper.Workload, c map[string]any) string {
			return "https://app.circleci.com/pipelines/workflows/" + w.RunID
		},
		required: []string{p + "project-id", p + "vcs-origin", p + "vcs-ref", p + "workflow-id", p + "job-id"},
		// A job re-run with SSH gives a shell, and the token, to whoever re-ran it.
		refuse: func(c map[string]any) string {
			if c[p+"ssh-rerun"] != false {
				return "jobs that were re-run with SSH are never taken"
			}
			return ""
		},
	}
}

// bitbucket: https://support.atlassian.com/bitbucket-cloud/docs/integrate-pipelines-with-resource-servers-using-oidc/
// ; its issuer is one for each workspace.
func bitbucket() vendor {
	return vendor{
		owner: none, alias: none, ownerID: claim("workspaceUuid"),
		repository: claim("repositoryUuid"), repositoryID: claim("repositoryUuid"),
		ref: func(c map[string]any) string {
			if branch := text(c, "branchName"); branch != "" {
				return "refs/heads/" + branch
			}
			return ""
		},
		sha: none, workflow: none, workflowSHA: none, run: claim("pipelineUuid"), attempt: claim("pipelineRunUuid"), job: claim("stepUuid"),
		environment: none, event: none, runner: none, actor: none, actorID: none, runURL: noURL,
		required: []string{"workspaceUuid", "repositoryUuid", "pipelineUuid", "stepUuid"},
	}
}

// generic is any other issuer: the subject is what asks, and the run is what
// the token says it is. Kubernetes names the pod.
func generic() vendor {
	return vendor{
		owner: none, alias: none, ownerID: none,
		repository: claim("sub"), repositoryID: claim("sub"), ref: claim("ref"), sha: claim("sha"), workflow: none, workflowSHA: none,
		run: func(c map[string]any) string {
			if run := text(c, "run_id"); run != "" {
				return run
			}
			return nested(c, "kubernetes.io", "pod", "uid")
		},
		attempt: claim("run_attempt"), job: claim("job_id"), environment: none, event: none, runner: none,
		actor: claim("actor"), actorID: none, runURL: noURL, required: []string{"sub"},
	}
}

func none(map[string]any) string { return "" }

func noURL(gatekeeper.Workload, map[string]any) string { return "" }

func claim(name string) get { return func(c map[string]any) string { return text(c, name) } }

// text is a claim as a string: issuers write ids as numbers at times.
func text(c map[string]any, name string) string {
	switch v := c[name].(type) {
	case string:
		return v
	case interface{ String() string }: // json.Number
		return v.String()
	}
	return ""
}

func nested(c map[string]any, path ...string) string {
	for _, name := range path[:len(path)-1] {
		c, _ = c[name].(map[string]any)
	}
	return text(c, path[len(path)-1])
}

// workload maps a verified token's claims.
func (t *trusted) workload(claims map[string]any, token gatekeeper.Token) (gatekeeper.Workload, error) {
	w, err := t.vendor.read(t.Issuer, claims)
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	if len(t.Owners) > 0 && !t.owned(claims) {
		return gatekeeper.Workload{}, invalid("the token is of %q, who is not among the owners configured for issuer %s", clip(t.vendor.owner(claims)), t.Name)
	}
	w.Token = token
	return w, nil
}

func (t *trusted) owned(claims map[string]any) bool {
	return slices.ContainsFunc(t.Owners, func(want string) bool {
		for _, has := range []string{t.vendor.owner(claims), t.vendor.alias(claims)} {
			if has != "" && strings.EqualFold(want, has) {
				return true
			}
		}
		return false
	})
}

// WorkloadFromClaims maps claims that nobody verified, for trying rules out.
func WorkloadFromClaims(typ, name, issuerURL string, claims map[string]any) (gatekeeper.Workload, error) {
	v, ok := vendors()[typ]
	if !ok {
		return gatekeeper.Workload{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer type %q is none of github, gitlab, buildkite, circleci, bitbucket, oidc", typ)
	}
	if issuerURL == "" {
		issuerURL = v.url
	}
	if name == "" {
		name = typ
	}
	return v.fields(Issuer{Name: name, Type: typ, URL: issuerURL}, claims), nil
}

// read also wants what a request is bound to, and refuses what is never taken.
func (v vendor) read(i Issuer, claims map[string]any) (gatekeeper.Workload, error) {
	for _, name := range v.required {
		if text(claims, name) == "" {
			return gatekeeper.Workload{}, invalid("the token has no claim %q, which issuer %s's tokens carry", name, i.Name)
		}
	}
	if v.refuse != nil {
		if why := v.refuse(claims); why != "" {
			return gatekeeper.Workload{}, invalid("%s", why)
		}
	}
	w := v.fields(i, claims)
	if w.RunID == "" {
		return gatekeeper.Workload{}, invalid("the token does not say which run it is of (run_id), so nothing can be bound to it")
	}
	return w, nil
}

func (v vendor) fields(i Issuer, claims map[string]any) gatekeeper.Workload {
	w := gatekeeper.Workload{
		Issuer: i.Name, IssuerType: i.Type, IssuerURL: i.URL, Subject: text(claims, "sub"),
		Repository: v.repository(claims), RepositoryID: v.repositoryID(claims), RepositoryOwnerID: v.ownerID(claims),
		Ref: v.ref(claims), SHA: v.sha(claims), Workflow: v.workflow(claims), WorkflowSHA: v.workflowSHA(claims),
		RunID: v.run(claims), RunAttempt: v.attempt(claims), Job: v.job(claims), Environment: v.environment(claims),
		Event: v.event(claims), Runner: v.runner(claims), Actor: v.actor(claims), ActorID: v.actorID(claims),
		Claims: map[string]any{},
	}
	w.RepositoryOwner, _, _ = strings.Cut(w.Repository, "/")
	w.RunURL = v.runURL(w, claims)
	for name, value := range claims {
		if !slices.Contains([]string{"jti", "iat", "nbf", "exp"}, name) {
			w.Claims[name] = value
		}
	}
	return w
}
