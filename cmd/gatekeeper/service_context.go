package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/gatekeeper-ci/gatekeeper/webhook/slack"
)

// deployed is what a message shows of what is being deployed, as far as it is
// known by now. GitHub is asked beside the message's way: it never waits.
func (s *service) deployed(ctx context.Context, r gatekeeper.Request) (slack.Context, error) {
	if s.github.enrich == nil {
		return slack.Context{}, nil
	}
	known, ok, err := s.github.enrich.Known(ctx, r)
	if err != nil || !ok {
		return slack.Context{}, err
	}
	return shown(known), nil
}

// shown is GitHub's context in the message's words.
func shown(c github.Context) slack.Context {
	s := slack.Context{Title: c.Title, Authors: c.Authors, ReRunBy: c.ReRunBy}
	if c.DefaultBranch != "" && !c.OnDefault {
		s.Branch = "⚠️ the commit is not on " + c.DefaultBranch
	}
	if p := c.Pull; p != nil {
		s.Pull = &slack.Pull{Number: p.Number, Title: p.Title, Author: p.Author, URL: p.URL, ApprovedBy: p.ApprovedBy, ChangesWantedBy: p.ChangesWantedBy}
	}
	if k := c.Checks; k != nil {
		s.Checks = &slack.Checks{Passed: k.Passed, Running: k.Running, Failed: k.Failed}
	}
	if d := c.Since; d != nil {
		sinceLast(&s, *d)
	}
	return s
}

func sinceLast(s *slack.Context, d github.Since) {
	s.Since, s.Compare, s.Behind, s.More = d.SHA, d.URL, d.Behind, max(0, d.Total-len(d.Commits))
	s.Unchanged = d.Total == 0 && d.Behind == 0
	for _, c := range d.Commits {
		s.Commits = append(s.Commits, slack.Commit{SHA: c.SHA, Title: c.Title, Author: c.Author})
	}
	more := ""
	if d.MoreFiles {
		more = "+"
	}
	files := fmt.Sprintf("%d%s files", d.Files, more)
	if d.Files == 1 {
		files = strings.TrimSuffix(files, "s")
	}
	s.Diff = fmt.Sprintf("%s, +%d −%d", files, d.Added, d.Removed)
}
