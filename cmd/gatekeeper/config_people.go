package main

import (
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
)

func (r *configReader) people(v conf.Value) {
	seen := map[string]bool{}
	for _, item := range v.List() {
		o := item.Object()
		r.c.People = append(r.c.People, gatekeeper.PersonEntry{
			Name: o.Get("name").String(""), Slack: matching(o.Get("slack"), slackUser, "U0ALICE"),
			GitHub: o.Get("github").String(""), GitHubID: o.Get("github_id").String(""),
			GitLab: o.Get("gitlab").String(""), GitLabID: o.Get("gitlab_id").String(""), Email: o.Get("email").String(""),
			Subject: o.Get("sso").String(""),
		})
		o.Close()
		for _, key := range []string{"slack", "github", "github_id", "gitlab", "gitlab_id", "sso", "email"} {
			once(seen, key, o.Get(key))
		}
	}
	r.gitlabNames(v)
}

// once: ambiguity denies at every vote; better said at once (threats row 24).
func once(seen map[string]bool, key string, v conf.Value) {
	name := v.String("")
	if at := key + ":" + strings.ToLower(name); name != "" {
		if seen[at] {
			v.Fault("%s stands twice; one person, one entry", name)
		}
		seen[at] = true
	}
}

// gitlabNames: whose GitLab account is whose is a guess until it is said.
func (r *configReader) gitlabNames(v conf.Value) {
	gitlab := slices.ContainsFunc(r.c.Issuers, func(i oidc.Issuer) bool { return i.Type == "gitlab" })
	named := slices.ContainsFunc(r.c.People, func(p gatekeeper.PersonEntry) bool { return p.GitLab != "" || p.GitLabID != "" })
	if gitlab && !named && len(r.c.People) > 0 {
		v.Warn("no one has a gitlab name here, so people are taken to be called the same on GitLab as on GitHub; give each one `gitlab:`")
	}
}
