package oidc_test

import (
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
)

// Claims as each vendor documents them, and threats row 12: what is never
// taken from it.
func TestVendors(t *testing.T) {
	gitlab := map[string]any{
		"sub": "project_path:acme/payments:ref_type:branch:ref:main", "namespace_id": "72", "namespace_path": "acme/backend", "project_id": "20", "project_path": "acme/backend/payments",
		"user_id": "1", "user_login": "alice", "pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
		"ref_protected": "true", "environment": "production", "runner_environment": "gitlab-hosted", "sha": "714a629c", "ci_config_ref_uri": "gitlab.com/acme/payments//.gitlab-ci.yml@refs/heads/main", "ci_config_sha": "714a629c",
	}
	buildkite := map[string]any{
		"sub": "organization:acme:pipeline:pay:ref:refs/heads/main", "organization_slug": "acme", "organization_id": "0184990a-4775", "pipeline_slug": "pay", "pipeline_id": "0184990a-4776",
		"build_number": 9, "build_branch": "main", "build_commit": "9f3182061f", "step_key": "deploy", "job_id": "0184990a-477b", "build_source": "webhook",
	}
	const p = "oidc.circleci.com/"
	circle := map[string]any{
		"sub": "org/o/project/p/user/u", p + "project-id": "p-1", p + "vcs-origin": "github.com/acme/payments", p + "vcs-ref": "refs/heads/main", p + "ssh-rerun": false,
		p + "workflow-id": "w-1", p + "job-id": "j-1", p + "pipeline-id": "x-1",
	}
	bitbucket := map[string]any{"sub": "s", "workspaceUuid": "{w}", "repositoryUuid": "{r}", "branchName": "main", "pipelineUuid": "{p}", "stepUuid": "{s}"}
	generic := map[string]any{"sub": "system:serviceaccount:deploy:runner", "kubernetes.io": map[string]any{"pod": map[string]any{"uid": "u-1"}}}

	for name, c := range map[string]struct {
		typ     string
		owners  []string
		claims  map[string]any
		change  map[string]any
		refused string // part of what is said; "" is taken
		check   func(gatekeeper.Workload) bool
	}{
		"gitlab": {"gitlab", []string{"acme"}, gitlab, nil, "", func(w gatekeeper.Workload) bool {
			return w.Repository == "acme/backend/payments" && w.RunID == "574" && w.Job == "302"
		}},
		"gitlab merge request":     {"gitlab", []string{"acme"}, gitlab, map[string]any{"pipeline_source": "merge_request_event"}, "merge request", nil},
		"gitlab merge request ref": {"gitlab", []string{"acme"}, gitlab, map[string]any{"ref_path": "refs/merge-requests/1/head"}, "merge request", nil},
		"gitlab of another group":  {"gitlab", []string{"acme"}, gitlab, map[string]any{"namespace_path": "evil/acme"}, "owners", nil},
		"buildkite": {"buildkite", []string{"0184990a-4775"}, buildkite, nil, "", func(w gatekeeper.Workload) bool {
			return w.Repository == "acme/pay" && w.Ref == "refs/heads/main" && w.RunID == "9"
		}},
		"buildkite tag":                {"buildkite", []string{"0184990a-4775"}, buildkite, map[string]any{"build_tag": "v1"}, "", func(w gatekeeper.Workload) bool { return w.Ref == "refs/tags/v1" }},
		"buildkite other organization": {"buildkite", []string{"0184990a-4775"}, buildkite, map[string]any{"organization_id": "x"}, "owners", nil},
		"buildkite no organization id": {"buildkite", []string{"acme"}, buildkite, map[string]any{"organization_id": nil}, "organization_id", nil},
		"circleci":                     {"circleci", nil, circle, nil, "", func(w gatekeeper.Workload) bool { return w.Repository == "acme/payments" && w.RunID == "w-1" }},
		"circleci ssh re-run":          {"circleci", nil, circle, map[string]any{p + "ssh-rerun": true}, "SSH", nil},
		"circleci no word of ssh":      {"circleci", nil, circle, map[string]any{p + "ssh-rerun": nil}, "SSH", nil},
		"circleci ssh as text":         {"circleci", nil, circle, map[string]any{p + "ssh-rerun": "false"}, "SSH", nil},
		"bitbucket":                    {"bitbucket", nil, bitbucket, nil, "", func(w gatekeeper.Workload) bool { return w.RepositoryID == "{r}" && w.RunID == "{p}" }},
		"kubernetes": {"oidc", nil, generic, nil, "", func(w gatekeeper.Workload) bool {
			return w.RunID == "u-1" && strings.HasPrefix(w.Repository, "system:")
		}},
		"generic without a run": {"oidc", nil, generic, map[string]any{"kubernetes.io": nil}, "run", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			v, err := oidc.New(oidc.Options{Now: b.Now, Issuers: []oidc.Issuer{{Type: c.typ, URL: b.URL(), Audience: ours, Owners: c.owners}}})
			if err != nil && c.owners == nil {
				t.Fatal(err)
			}
			claims := map[string]any{}
			for k, value := range c.claims {
				claims[k] = value
			}
			for k, value := range c.change {
				claims[k] = value
			}
			w, err := v.Verify(t.Context(), b.Token(ours, claims), "")
			if c.refused != "" {
				if gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidToken || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("got %v, want a refusal that says %q", err, c.refused)
				}
				return
			}
			if err != nil || !c.check(w) {
				t.Fatalf("got %+v, %v", w, err)
			}
		})
	}
}

// GHES serves its issuer, and its runs, at its own host.
func TestEnterpriseServer(t *testing.T) {
	w, err := oidc.WorkloadFromClaims("github", "ghes", "https://ghes.acme.com/_services/token", map[string]any{"repository": "acme/x", "run_id": "1", "run_attempt": "2"})
	if err != nil || w.RunURL != "https://ghes.acme.com/acme/x/actions/runs/1/attempts/2" || w.Issuer != "ghes" {
		t.Fatalf("got %+v, %v", w, err)
	}
}
