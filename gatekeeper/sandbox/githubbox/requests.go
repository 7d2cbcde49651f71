package githubbox

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// PullRequest is one that is open.
type PullRequest struct {
	Number   int
	Base     string // the branch that it is for
	HeadSHA  string
	HeadRepo string // owner/name; a fork's, or "" for the base repository
	Files    []string
}

func (g *GitHub) requestCalls() {
	g.requests = map[string][]PullRequest{}
	g.installed("GET /repos/{owner}/{repo}/pulls/{number}", "pull_requests:read", g.pullRequest)
	g.installed("GET /repos/{owner}/{repo}/pulls/{number}/files", "pull_requests:read", g.pullFiles)
	g.installed("GET /repos/{owner}/{repo}/commits/{kind}/{name...}", "contents:read", func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("sha", r.PathValue("kind")+"/"+r.PathValue("name"))
		g.commit(w, r)
	})
}

// Request opens a pull request, or brings it up to date.
func (g *GitHub) Request(repository string, p PullRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := strings.ToLower(repository)
	for i, had := range g.requests[key] {
		if had.Number == p.Number {
			g.requests[key][i] = p
			return
		}
	}
	g.requests[key] = append(g.requests[key], p)
}

func (g *GitHub) request(repository, number string) (PullRequest, bool) {
	for _, p := range g.requests[strings.ToLower(repository)] {
		if jsonNumber(p.Number) == number {
			return p, true
		}
	}
	return PullRequest{}, false
}

func (p PullRequest) json(repo *Repository) map[string]any {
	head := p.HeadRepo
	if head == "" {
		head = repo.Name
	}
	return map[string]any{
		"number": p.Number, "state": "open", "base": map[string]any{"ref": p.Base, "repo": repo.json()},
		"head": map[string]any{"sha": p.HeadSHA, "ref": "change", "repo": map[string]any{"full_name": head, "fork": p.HeadRepo != ""}},
	}
}

func (g *GitHub) pullRequest(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	repo := g.of(w, r)
	if repo == nil {
		return
	}
	p, ok := g.request(repo.Name, r.PathValue("number"))
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, p.json(repo))
}

func (g *GitHub) pullFiles(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.request(r.PathValue("owner")+"/"+r.PathValue("repo"), r.PathValue("number"))
	if !ok {
		notFound(w)
		return
	}
	list := []map[string]any{}
	for _, name := range p.Files[:min(len(p.Files), 3000)] {
		list = append(list, map[string]any{"filename": name, "status": "modified"})
	}
	answer(w, http.StatusOK, page(w, r, list))
}

// SendPush delivers the webhook of a push to a branch.
func (g *GitHub) SendPush(ctx context.Context, repository, branch string) (status int, err error) {
	g.mu.Lock()
	repo := g.repos[strings.ToLower(repository)]
	payload, _ := json.Marshal(map[string]any{"ref": "refs/heads/" + branch, "after": repo.Branches[branch], "repository": repo.json()})
	g.mu.Unlock()
	return g.Send(ctx, "push", "", payload)
}

// SendRequest delivers the webhook of a pull request.
func (g *GitHub) SendRequest(ctx context.Context, repository string, number int, action string) (status int, err error) {
	g.mu.Lock()
	repo := g.repos[strings.ToLower(repository)]
	p, _ := g.request(repository, jsonNumber(number))
	payload, _ := json.Marshal(map[string]any{"action": action, "number": number, "pull_request": p.json(repo), "repository": repo.json()})
	g.mu.Unlock()
	return g.Send(ctx, "pull_request", "", payload)
}

// SendRerequest delivers the webhook of a check run that somebody asks for
// again. GitHub names no pull requests there for forks.
func (g *GitHub) SendRerequest(ctx context.Context, repository string, c CheckRun) (status int, err error) {
	g.mu.Lock()
	repo := g.repos[strings.ToLower(repository)]
	payload, _ := json.Marshal(map[string]any{"action": "rerequested", "check_run": c, "repository": repo.json()})
	g.mu.Unlock()
	return g.Send(ctx, "check_run", "", payload)
}

// SendSuiteRerequest is the same for all checks of a commit.
func (g *GitHub) SendSuiteRerequest(ctx context.Context, repository, sha string) (status int, err error) {
	g.mu.Lock()
	repo := g.repos[strings.ToLower(repository)]
	payload, _ := json.Marshal(map[string]any{
		"action": "rerequested", "check_suite": map[string]any{"head_sha": sha, "pull_requests": []any{}}, "repository": repo.json(),
	})
	g.mu.Unlock()
	return g.Send(ctx, "check_suite", "", payload)
}
