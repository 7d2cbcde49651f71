package main

import (
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// rules are files here, or in a repository that the GitHub App reads.
func (r *configReader) rules(v conf.Value) {
	where := v.Required()
	switch {
	case where == "":
	case strings.HasPrefix(where, "github:"):
		at, err := github.ParseLocation(where)
		if err != nil {
			v.Fault("%s", said(err))
		}
		if r.c.GitHub == nil {
			v.Fault("%s is read through the GitHub App; configure it under `github:`", where)
		}
		r.c.RulesAt = &at
		if r.c.GitHub != nil && r.c.GitHub.WebhookSecret == "" {
			v.Warn("without github.webhook_secret pushes are not told of, and pull requests are not checked; changes are seen within a minute")
		}
	default:
		r.c.Rules = r.path(where)
		if _, err := os.Stat(r.c.Rules); err != nil {
			v.Fault("%s cannot be found; name a file or a directory of rules", r.c.Rules)
		}
	}
}
