package githubbox

import (
	"net/http"
	"strings"
)

// Commit is one commit with its author.
type Commit struct {
	SHA       string
	Message   string
	Name      string // of the author, as git knows it
	Author    *User  // nil: no account
	Committer *User
}

func (c Commit) json() map[string]any {
	return map[string]any{"sha": c.SHA, "author": c.Author, "committer": c.Committer,
		"commit": map[string]any{"message": c.Message, "author": map[string]any{"name": c.Name}}}
}

// Pull is a pull request that brought a commit.
type Pull struct {
	Number  int
	Title   string
	Author  User
	Commits []Commit
	Reviews []Review
}

// Review is one review of a pull request.
type Review struct {
	By    User
	State string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
}

// Comparison is what the compare API tells of two commits.
type Comparison struct {
	Status  string // ahead, behind, identical, diverged
	Commits []Commit
	Files   []File
}

// File is a changed file.
type File struct {
	Name                 string
	Additions, Deletions int
}

func (g *GitHub) codeCalls() {
	g.installed("GET /repos/{owner}/{repo}/commits/{sha}", "contents:read", g.commit)
	g.installed("GET /repos/{owner}/{repo}/commits/{sha}/pulls", "pull_requests:read", g.pullsOf)
	g.installed("GET /repos/{owner}/{repo}/pulls/{number}/commits", "pull_requests:read", g.pullCommits)
	g.installed("GET /repos/{owner}/{repo}/pulls/{number}/reviews", "pull_requests:read", g.reviews)
	g.installed("GET /repos/{owner}/{repo}/compare/{basehead...}", "contents:read", g.compare)
	g.installed("GET /repos/{owner}/{repo}/git/ref/{ref...}", "contents:read", g.ref)
}

// Commit adds a commit and the commits of the pull request that brought it.
func (g *GitHub) Commit(c Commit, pull int, of ...Commit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.commits[c.SHA] = c
	if pull != 0 {
		g.pulls[c.SHA] = []Pull{{Number: pull, Commits: of}}
	}
}

// Pull adds a pull request that brought a commit.
func (g *GitHub) Pull(sha string, p Pull) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pulls[sha] = append(g.pulls[sha], p)
}

// Compare says what lies between two commits, or a branch and a commit.
func (g *GitHub) Compare(base, head string, c Comparison) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.compared[base+"..."+head] = c
}

func (g *GitHub) commit(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "sha") {
		g.commitSHA(w, r)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.commits[r.PathValue("sha")]
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, c.json())
}

func (g *GitHub) pullsOf(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := []map[string]any{}
	for _, p := range g.pulls[r.PathValue("sha")] {
		list = append(list, map[string]any{
			"number": p.Number, "title": p.Title, "user": p.Author, "state": "closed", "merged_at": "2026-11-01T00:00:00Z",
			"html_url": "https://github.com/" + r.PathValue("owner") + "/" + r.PathValue("repo") + "/pull/" + jsonNumber(p.Number),
		})
	}
	answer(w, http.StatusOK, page(w, r, list))
}

func (g *GitHub) pull(r *http.Request) (Pull, bool) {
	for _, pulls := range g.pulls {
		for _, p := range pulls {
			if r.PathValue("number") == jsonNumber(p.Number) {
				return p, true
			}
		}
	}
	return Pull{}, false
}

func (g *GitHub) pullCommits(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.pull(r)
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, page(w, r, commits(p.Commits)))
}

func commits(all []Commit) []map[string]any {
	list := []map[string]any{}
	for _, c := range all {
		list = append(list, c.json())
	}
	return list
}

func (g *GitHub) reviews(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.pull(r)
	if !ok {
		notFound(w)
		return
	}
	list := []map[string]any{}
	for i, review := range p.Reviews {
		list = append(list, map[string]any{"id": i + 1, "user": review.By, "state": review.State})
	}
	answer(w, http.StatusOK, page(w, r, list))
}

func (g *GitHub) compare(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.compared[r.PathValue("basehead")]
	if !ok {
		notFound(w)
		return
	}
	files := []map[string]any{}
	for _, f := range c.Files[:min(len(c.Files), 300)] {
		files = append(files, map[string]any{"filename": f.Name, "additions": f.Additions, "deletions": f.Deletions, "changes": f.Additions + f.Deletions})
	}
	base, head, _ := strings.Cut(r.PathValue("basehead"), "...")
	answer(w, http.StatusOK, map[string]any{
		"status": c.Status, "ahead_by": len(c.Commits), "behind_by": 0, "total_commits": len(c.Commits), "commits": page(w, r, commits(c.Commits)), "files": files,
		"html_url": "https://github.com/" + r.PathValue("owner") + "/" + r.PathValue("repo") + "/compare/" + base + "..." + head,
	})
}

func (g *GitHub) ref(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	repo := g.of(w, r)
	if repo == nil {
		return
	}
	kind, name, _ := strings.Cut(r.PathValue("ref"), "/")
	sha, ok := map[string]map[string]string{"heads": repo.Branches, "tags": repo.Tags}[kind][name]
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, map[string]any{"ref": "refs/" + r.PathValue("ref"), "object": map[string]any{"type": "commit", "sha": sha}})
}
