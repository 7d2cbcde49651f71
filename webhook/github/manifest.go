package github

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Permission is one of the App's, with what is lost without it.
type Permission struct {
	Name, Level string
	For         string
	Needed      bool // nothing works without it
}

// Permissions are all that the App asks for, and the least.
func Permissions() []Permission {
	return []Permission{
		{"metadata", "read", "every call; GitHub gives it to every App", true},
		{"actions", "read", "runs, their waiting deployments and environments' protection rules", true},
		{"deployments", "write", "protection rules: their webhook and the outcome that goes back", true},
		{"contents", "read", "commits and what changed since the last deploy, branches and tags, rules kept in a repository", true},
		{"pull_requests", "read", "the pull request that brought a commit, exclude_authors, checks of rules that one proposes", false},
		{"checks", "write", "check runs that show the wait on the commit and check proposed rules; the commit's other checks", false},
		{"members", "read", "GitHub teams as approvers", false},
	}
}

// Events are those that the App subscribes to.
func Events() []string {
	return []string{"deployment_protection_rule", "push", "pull_request", "check_run", "check_suite"}
}

// Manifest describes the App for
// https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest.
func Manifest(publicURL, name string) ([]byte, error) {
	hook, err := hookURL(publicURL)
	if err != nil {
		return nil, err
	}
	permissions := map[string]string{}
	for _, p := range Permissions() {
		permissions[p.Name] = p.Level
	}
	return json.MarshalIndent(map[string]any{
		"name": name, "url": strings.TrimRight(publicURL, "/"), "description": "Asks people before a deployment gets its credentials",
		"public": false, "hook_attributes": map[string]any{"url": hook, "active": true},
		"default_permissions": permissions, "default_events": Events(),
	}, "", "  ")
}

// Registration is the address of GitHub's form for a new App with everything
// filled in but the webhook's secret
// (https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-using-url-parameters).
// server is https://github.com or a GHES host; org may be "" for one's own
// account.
func Registration(server, org, publicURL, name string) (string, error) {
	hook, err := hookURL(publicURL)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(strings.TrimRight(server, "/"))
	if err != nil || u.Host == "" {
		return "", bad("the GitHub server is no URL; it would be https://github.com")
	}
	u = u.JoinPath("settings/apps/new")
	if org != "" {
		u = &url.URL{Scheme: u.Scheme, Host: u.Host}
		u = u.JoinPath("organizations", org, "settings/apps/new")
	}
	q := url.Values{
		"name": {name}, "url": {strings.TrimRight(publicURL, "/")}, "webhook_url": {hook}, "webhook_active": {"true"}, "public": {"false"}, "events[]": Events(),
	}
	for _, p := range Permissions() {
		q.Set(p.Name, p.Level)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func hookURL(publicURL string) (string, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"https", "http"}, u.Scheme) {
		return "", gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no public URL of a gatekeeper; https://gatekeeper.example.com is wanted", publicURL)
	}
	return strings.TrimRight(publicURL, "/") + "/webhook/github", nil
}
