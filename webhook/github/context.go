package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// Context is what is being deployed, as GitHub tells it. All text in it is
// strangers': whoever shows it escapes it. Parts that could not be read are
// left out.
type Context struct {
	Title         string   `json:"title,omitempty"`   // first line of the commit's message
	Authors       []string `json:"authors,omitempty"` // of the commit and of those that come with it
	Pull          *Pull    `json:"pull,omitempty"`    // that brought the commit
	Checks        *Checks  `json:"checks,omitempty"`
	Since         *Since   `json:"since,omitempty"` // nil: nothing was approved for the environment before
	DefaultBranch string   `json:"default_branch,omitempty"`
	OnDefault     bool     `json:"on_default,omitempty"` // the commit is part of it; meant where DefaultBranch is known
	ReRunBy       string   `json:"re_run_by,omitempty"`
}

// Pull is the pull request that brought the commit.
type Pull struct {
	Number           int      `json:"number"`
	Title            string   `json:"title"`
	Author           string   `json:"author"`
	URL              string   `json:"url"`
	ApprovedBy       []string `json:"approved_by,omitempty"`
	ChangesWantedBy  []string `json:"changes_wanted_by,omitempty"`
	FurtherPullCount int      `json:"further,omitempty"` // that hold the commit as well
}

// Checks are the results on the commit; ours is not counted.
type Checks struct {
	Passed  int      `json:"passed"`
	Running int      `json:"running"`
	Failed  []string `json:"failed,omitempty"` // by name
}

// Since is what changed since the last deploy to the environment that was
// approved here.
type Since struct {
	SHA       string   `json:"sha"`
	Commits   []Commit `json:"commits,omitempty"` // newest first
	Total     int      `json:"total"`             // of the commits
	Behind    int      `json:"behind,omitempty"`  // commits that this deploy takes back
	Files     int      `json:"files"`
	MoreFiles bool     `json:"more_files,omitempty"` // GitHub lists 300
	Added     int      `json:"added"`
	Removed   int      `json:"removed"`
	URL       string   `json:"url"`
}

// Commit is one commit being deployed.
type Commit struct{ SHA, Title, Author string }

// The most of each that is kept for people.
const (
	maxListed      = 30
	filesInCompare = 300
)

// Context asks GitHub about the commit of a workload; before is the commit of
// the last approved deploy, "" for none. What is known comes back also beside
// an error, which says that something is missing.
func (c *Client) Context(ctx context.Context, w gatekeeper.Workload, before string) (Context, error) {
	client, owner, repo, err := c.of(ctx, w)
	if err != nil {
		return Context{}, err
	}
	a := asking{client: client, owner: owner, repo: repo, w: w, server: c.server(), ours: c.o.AppID}
	var known Context
	parts := []func(context.Context) error{
		func(ctx context.Context) error { return a.commit(ctx, &known) },
		func(ctx context.Context) (err error) { known.Pull, err = a.pull(ctx); return err },
		func(ctx context.Context) (err error) { known.Checks, err = a.checks(ctx); return err },
		func(ctx context.Context) (err error) { known.Since, err = a.since(ctx, before); return err },
		func(ctx context.Context) error { return a.branch(ctx, &known) },
		func(ctx context.Context) (err error) { known.ReRunBy, err = c.reRunBy(ctx, w); return err },
	}
	failed := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { failed[i] = part(ctx) })
	}
	wg.Wait()
	known.Authors = authorsOf(known)
	return known, errors.Join(failed...)
}

// asking is one look at a commit.
type asking struct {
	client      *github.Client
	owner, repo string
	w           gatekeeper.Workload
	server      string
	ours        int64
}

// missing is what a part comes to where the App may not look or GitHub has
// nothing: no error, it is left out.
func missing(err error, what string) error {
	if forbidden(err) || statusOfCall(err) == http.StatusUnprocessableEntity {
		return nil
	}
	return unavailable(err, what)
}

func (a asking) commit(ctx context.Context, known *Context) error {
	c, _, err := a.client.Repositories.GetCommit(ctx, a.owner, a.repo, a.w.SHA, &github.ListOptions{PerPage: 1})
	if err != nil {
		return missing(err, "tell of commit "+a.w.SHA)
	}
	one := commitOf(c)
	known.Title = one.Title
	if one.Author != "" {
		known.Authors = []string{one.Author}
	}
	return nil
}

func commitOf(c *github.RepositoryCommit) Commit {
	title, _, _ := strings.Cut(c.GetCommit().GetMessage(), "\n")
	author := c.GetAuthor().GetLogin()
	if author == "" {
		author = c.GetCommit().GetAuthor().GetName()
	}
	return Commit{SHA: c.GetSHA(), Title: gatekeeper.Shorten(title, gatekeeper.MaxShown), Author: gatekeeper.Shorten(author, gatekeeper.MaxShown)}
}

func (a asking) pull(ctx context.Context) (*Pull, error) {
	all, _, err := a.client.PullRequests.ListPullRequestsWithCommit(ctx, a.owner, a.repo, a.w.SHA, nil)
	if err != nil || len(all) == 0 {
		return nil, missing(err, "tell which pull requests brought "+a.w.SHA)
	}
	first := all[0]
	for _, p := range all {
		if p.MergedAt != nil {
			first = p
			break
		}
	}
	p := &Pull{
		Number: first.GetNumber(), Title: gatekeeper.Shorten(first.GetTitle(), gatekeeper.MaxShown), Author: first.GetUser().GetLogin(), FurtherPullCount: len(all) - 1,
		URL: fmt.Sprintf("%s/%s/%s/pull/%d", a.server, a.owner, a.repo, first.GetNumber()),
	}
	reviews, _, err := a.client.PullRequests.ListReviews(ctx, a.owner, a.repo, p.Number, &github.ListOptions{PerPage: pageSize})
	p.ApprovedBy, p.ChangesWantedBy = verdicts(reviews)
	return p, missing(err, "tell the reviews of pull request "+jsonInt(p.Number))
}

// verdicts are who approves and who wants changes, by the last word of each.
func verdicts(reviews []*github.PullRequestReview) (approve, change []string) {
	last := map[string]string{}
	var order []string
	for _, r := range reviews {
		login := r.GetUser().GetLogin()
		if state := r.GetState(); state == "APPROVED" || state == "CHANGES_REQUESTED" || state == "DISMISSED" {
			if _, had := last[login]; !had {
				order = append(order, login)
			}
			last[login] = state
		}
	}
	for _, login := range order {
		switch last[login] {
		case "APPROVED":
			approve = append(approve, login)
		case "CHANGES_REQUESTED":
			change = append(change, login)
		}
	}
	return approve, change
}

func (a asking) checks(ctx context.Context) (*Checks, error) {
	all, _, err := a.client.Checks.ListCheckRunsForRef(ctx, a.owner, a.repo, a.w.SHA, &github.ListCheckRunsOptions{ListOptions: github.ListOptions{PerPage: pageSize}})
	if err != nil {
		return nil, missing(err, "tell the checks of "+a.w.SHA)
	}
	var c Checks
	for _, run := range all.CheckRuns {
		switch {
		case run.GetApp().GetID() == a.ours || run.GetExternalID() != "" && strings.HasPrefix(run.GetExternalID(), "req_"):
		case run.GetStatus() != "completed":
			c.Running++
		case run.GetConclusion() == "success" || run.GetConclusion() == "neutral" || run.GetConclusion() == "skipped":
			c.Passed++
		default:
			c.Failed = append(c.Failed, gatekeeper.Shorten(run.GetName(), gatekeeper.MaxShown))
		}
	}
	if c.Passed+c.Running+len(c.Failed) == 0 {
		return nil, nil
	}
	return &c, nil
}

func (a asking) since(ctx context.Context, before string) (*Since, error) {
	if before == "" {
		return nil, nil
	}
	s := &Since{SHA: before, URL: fmt.Sprintf("%s/%s/%s/compare/%s...%s", a.server, a.owner, a.repo, before, a.w.SHA)}
	if before == a.w.SHA {
		return s, nil
	}
	diff, resp, err := a.client.Repositories.CompareCommits(ctx, a.owner, a.repo, before, a.w.SHA, &github.ListOptions{PerPage: pageSize})
	if err != nil {
		return nil, missing(err, "compare with "+before)
	}
	s.Total, s.Behind = diff.GetTotalCommits(), diff.GetBehindBy()
	commits := diff.Commits // oldest first, so the newest are on the last page; files are on the first
	if resp.LastPage > 1 {
		last, _, err := a.client.Repositories.CompareCommits(ctx, a.owner, a.repo, before, a.w.SHA, &github.ListOptions{PerPage: pageSize, Page: resp.LastPage})
		if err != nil {
			return nil, missing(err, "compare with "+before)
		}
		commits = last.Commits
	}
	for i := len(commits) - 1; i >= 0 && len(s.Commits) < maxListed; i-- {
		s.Commits = append(s.Commits, commitOf(commits[i]))
	}
	s.Files, s.MoreFiles = len(diff.Files), len(diff.Files) >= filesInCompare
	for _, f := range diff.Files {
		s.Added, s.Removed = s.Added+f.GetAdditions(), s.Removed+f.GetDeletions()
	}
	return s, nil
}

// branch tells whether the commit is part of the default branch: comparing
// the branch with it, nothing is ahead.
func (a asking) branch(ctx context.Context, known *Context) error {
	repository, _, err := a.client.Repositories.Get(ctx, a.owner, a.repo)
	if err != nil {
		return missing(err, "tell the default branch")
	}
	name := repository.GetDefaultBranch()
	diff, _, err := a.client.Repositories.CompareCommits(ctx, a.owner, a.repo, name, a.w.SHA, &github.ListOptions{PerPage: 1})
	if err != nil {
		return missing(err, "compare with "+name)
	}
	known.DefaultBranch = name
	known.OnDefault = diff.GetStatus() == "identical" || diff.GetStatus() == "behind"
	return nil
}

// reRunBy is who started this attempt, "" for a first one.
func (c *Client) reRunBy(ctx context.Context, w gatekeeper.Workload) (string, error) {
	if w.RunAttempt == "" || w.RunAttempt == "1" {
		return "", nil
	}
	who, err := c.Initiators(ctx, w)
	if err != nil {
		return "", err
	}
	return who[len(who)-1].Login, nil
}

func authorsOf(known Context) []string {
	all := known.Authors
	if known.Since == nil {
		return all
	}
	seen := map[string]bool{}
	for _, name := range all {
		seen[name] = true
	}
	for _, c := range known.Since.Commits {
		if c.Author != "" && !seen[c.Author] && len(all) < maxListed {
			seen[c.Author] = true
			all = append(all, c.Author)
		}
	}
	return all
}
