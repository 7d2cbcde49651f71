package main

import (
	"fmt"
	"strings"
)

// advice is what gives a job its token in one CI.
type advice struct {
	ci   string
	runs func(env func(string) string) bool // whether this job runs there
	add  string                             // %s is the audience
}

func advices() []advice {
	is := func(name string) func(func(string) string) bool {
		return func(env func(string) string) bool { return env(name) != "" }
	}
	return []advice{
		{"GitHub Actions", is("GITHUB_ACTIONS"), "give the job `permissions: id-token: write`"},
		{"GitLab", is("GITLAB_CI"), "give the job `id_tokens: {GATEKEEPER_TOKEN: {aud: \"%s\"}}`"},
		{"Buildkite", is("BUILDKITE"), "run this step where `buildkite-agent` is on PATH (in a container: `mount-buildkite-agent: true`)"},
		{"CircleCI", is("CIRCLECI"), "run this step where `circleci` is on PATH, or set CIRCLE_OIDC_TOKEN_V2 and give the gatekeeper's issuer your organization's id as audience"},
		{"Bitbucket Pipelines", is("BITBUCKET_BUILD_NUMBER"), "give the step `oidc: {audiences: [\"%s\"]}`"},
		{"Kubernetes", is("KUBERNETES_SERVICE_HOST"), "mount a projected service account token with audience %s at " + projectedToken + ", or name its file with --token-file"},
	}
}

// howToGetOne says what gives the job its token: in the CI that it seems to
// run in, else in each.
func howToGetOne(env func(string) string, audience string) string {
	var all []string
	for _, a := range advices() {
		add := a.add
		if strings.Contains(add, "%s") {
			add = fmt.Sprintf(add, oneLine(audience))
		}
		if a.runs(env) {
			return "there is no OIDC token; this seems to be " + a.ci + ": " + add + ". docs/ci.md has the whole job"
		}
		all = append(all, "in "+a.ci+", "+add)
	}
	return "there is no OIDC token; " + strings.Join(all, "; ") + "; anywhere else, set GATEKEEPER_TOKEN or --token-file"
}
