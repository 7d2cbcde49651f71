package github

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// pendingDeployment is an environment that a run waits for.
type pendingDeployment struct {
	Environment struct {
		Name string `json:"name"`
	} `json:"environment"`
	WaitTimer int   `json:"wait_timer"`
	Reviewers []any `json:"reviewers"`
}

// others says whether GitHub's own rules may be what it waits for.
func (p pendingDeployment) others() bool { return p.WaitTimer > 0 || len(p.Reviewers) > 0 }

// waitingIn are the environments that a run waits for
// (https://docs.github.com/rest/actions/workflow-runs#get-pending-deployments-for-a-workflow-run).
func waitingIn(ctx context.Context, client *github.Client, repository, run string) ([]pendingDeployment, error) {
	owner, repo, _ := strings.Cut(repository, "/")
	var pending []pendingDeployment
	_, err := get(ctx, client, repoPath(owner, repo)+"/actions/runs/"+url.PathEscape(run)+"/pending_deployments", &pending)
	if statusOfCall(err) == http.StatusNotFound {
		return nil, nil
	}
	return pending, unavailable(err, "tell what run "+run+" waits for")
}

func contains(pending []pendingDeployment, environment string) bool {
	for _, p := range pending {
		if gatekeeper.FoldEnvironment(p.Environment.Name) == gatekeeper.FoldEnvironment(environment) {
			return true
		}
	}
	return false
}

// guarded says whether our App's protection rule is enabled for an
// environment, and whether other Apps' are
// (https://docs.github.com/rest/deployments/protection-rules).
func (c *Client) guarded(ctx context.Context, client *github.Client, repository, environment string) (ours, others bool, err error) {
	owner, repo, _ := strings.Cut(repository, "/")
	// Names may have slashes, which go-github does not escape.
	var all github.ListDeploymentProtectionRuleResponse
	_, err = get(ctx, client, repoPath(owner, repo)+"/environments/"+url.PathEscape(environment)+"/deployment_protection_rules", &all)
	if forbidden(err) {
		return false, false, nil
	}
	for _, rule := range all.ProtectionRules {
		mine := rule.GetApp().GetID() == c.o.AppID
		ours, others = ours || mine && rule.GetEnabled(), others || !mine && rule.GetEnabled()
	}
	return ours, others, unavailable(err, "tell the protection rules of "+environment)
}
