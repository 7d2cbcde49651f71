package github

import (
	"context"
	"strconv"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// maxCommits bounds what is read of a pull request; beyond it the authors
// count as not known, which refuses (exclude_authors).
const maxCommits = 250

// Initiators are the run's actor and the triggering actor of its attempt: the
// token keeps the first one's name over re-runs (threats row 10).
// https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run-attempt
func (c *Client) Initiators(ctx context.Context, w gatekeeper.Workload) ([]gatekeeper.Account, error) {
	client, owner, repo, err := c.of(ctx, w)
	if err != nil {
		return nil, err
	}
	run, errRun := strconv.ParseInt(w.RunID, 10, 64)
	attempt, errAttempt := strconv.Atoi(w.RunAttempt)
	if errRun != nil || errAttempt != nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "run %q attempt %q is none of GitHub's", w.RunID, w.RunAttempt)
	}
	got, _, err := client.Actions.GetWorkflowRunAttempt(ctx, owner, repo, run, attempt, nil)
	if err != nil {
		return nil, unavailable(err, "tell who started run "+w.RunID)
	}
	if got.GetTriggeringActor().GetLogin() == "" {
		return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "GitHub does not say who started attempt %d of run %s", attempt, w.RunID)
	}
	return []gatekeeper.Account{account(got.GetActor()), account(got.GetTriggeringActor())}, nil
}

// Authors are those who wrote or committed the deployed commit and the
// commits of the pull requests that brought it. One without an account makes
// the answer unknown: nobody could be told apart from them.
func (c *Client) Authors(ctx context.Context, w gatekeeper.Workload) ([]gatekeeper.Account, error) {
	client, owner, repo, err := c.of(ctx, w)
	if err != nil {
		return nil, err
	}
	head, _, err := client.Repositories.GetCommit(ctx, owner, repo, w.SHA, nil)
	if err != nil {
		return nil, unavailable(err, "tell who wrote "+w.SHA)
	}
	commits := []*github.RepositoryCommit{head}
	pulls, _, err := client.PullRequests.ListPullRequestsWithCommit(ctx, owner, repo, w.SHA, nil)
	if err != nil {
		return nil, unavailable(err, "tell which pull requests brought "+w.SHA)
	}
	for _, pull := range pulls {
		more, err := pullCommits(ctx, client, owner, repo, pull.GetNumber())
		if err != nil {
			return nil, err
		}
		commits = append(commits, more...)
	}
	return authors(commits)
}

func pullCommits(ctx context.Context, client *github.Client, owner, repo string, number int) ([]*github.RepositoryCommit, error) {
	var all []*github.RepositoryCommit
	page := &github.ListOptions{PerPage: 100}
	for {
		commits, resp, err := client.PullRequests.ListCommits(ctx, owner, repo, number, page)
		if err != nil {
			return nil, unavailable(err, "list the commits of pull request "+strconv.Itoa(number))
		}
		all = append(all, commits...)
		if len(all) >= maxCommits {
			return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "pull request %d has too many commits to tell all authors", number)
		}
		if resp.NextPage == 0 {
			return all, nil
		}
		page.Page = resp.NextPage
	}
}

func authors(commits []*github.RepositoryCommit) ([]gatekeeper.Account, error) {
	var people []gatekeeper.Account
	for _, commit := range commits {
		if commit.GetAuthor().GetLogin() == "" {
			return nil, gatekeeper.Errorf(gatekeeper.CodeUnavailable, "commit %s has an author without a GitHub account", commit.GetSHA())
		}
		people = append(people, account(commit.GetAuthor()))
		// Merges made on the web are committed by GitHub's own account.
		if by := commit.GetCommitter().GetLogin(); by != "" && by != "web-flow" {
			people = append(people, account(commit.GetCommitter()))
		}
	}
	return people, nil
}

func (c *Client) of(ctx context.Context, w gatekeeper.Workload) (*github.Client, string, string, error) {
	owner, repo, ok := strings.Cut(w.Repository, "/")
	if !ok || !c.knows(w) { // another GitHub may have a repository of that name
		return nil, "", "", gatekeeper.Errorf(gatekeeper.CodeUnavailable, "%s is no repository of the configured GitHub", w.Repository)
	}
	client, err := c.installation(ctx, owner, repo)
	return client, owner, repo, err
}

func account(u *github.User) gatekeeper.Account {
	a := gatekeeper.Account{Login: u.GetLogin()}
	if u.GetID() != 0 {
		a.ID = strconv.FormatInt(u.GetID(), 10)
	}
	return a
}
