package githubbox

import (
	"crypto/sha1" //nolint:gosec // git names objects by it
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The modes of tree entries that are not plain files.
const (
	Symlink   = "120000"
	Submodule = "160000"
	plain     = "100644"
	directory = "040000"
)

// Entry is one file of a commit.
type Entry struct {
	Body string
	Mode string // "": a plain file
}

// objects are what git keeps, by id.
type objects struct {
	blobs   map[string][]byte
	trees   map[string][]treeEntry
	commits map[string]string // commit → tree
	cut     bool
}

type treeEntry struct {
	Path string `json:"path"`
	Mode string `json:"mode"`
	Type string `json:"type"`
	SHA  string `json:"sha"`
	Size int    `json:"size,omitempty"`
}

func (g *GitHub) objectCalls() {
	g.objects = objects{blobs: map[string][]byte{}, trees: map[string][]treeEntry{}, commits: map[string]string{}}
	g.installed("GET /repos/{owner}/{repo}/git/trees/{sha}", "contents:read", g.tree)
	g.installed("GET /repos/{owner}/{repo}/git/blobs/{sha}", "contents:read", g.blob)
}

// Push commits files, by their paths, onto a branch and gives the commit's
// id. Repositories of one network share what is pushed, as forks do.
func (g *GitHub) Push(repository, branch string, files map[string]Entry) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	tree := g.objects.write(files, "")
	commit := id("commit", tree, repository, branch, fmt.Sprint(len(g.objects.commits)))
	g.objects.commits[commit] = tree
	if repo := g.repos[strings.ToLower(repository)]; repo != nil {
		if repo.Branches == nil {
			repo.Branches = map[string]string{}
		}
		repo.Branches[branch] = commit
	}
	return commit
}

// write makes the tree under a prefix that ends with a slash, or is "".
func (o *objects) write(files map[string]Entry, prefix string) string {
	var entries []treeEntry
	below := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		rest, ok := strings.CutPrefix(path, prefix)
		name, _, deeper := strings.Cut(rest, "/")
		switch e := files[path]; {
		case !ok || below[name]:
		case deeper:
			below[name] = true
			entries = append(entries, treeEntry{Path: name, Mode: directory, Type: "tree", SHA: o.write(files, prefix+name+"/")})
		case e.Mode == Submodule:
			entries = append(entries, treeEntry{Path: name, Mode: Submodule, Type: "commit", SHA: id(e.Body)})
		default:
			mode := plain
			if e.Mode != "" {
				mode = e.Mode
			}
			sha := id("blob", e.Body)
			o.blobs[sha] = []byte(e.Body)
			entries = append(entries, treeEntry{Path: name, Mode: mode, Type: "blob", SHA: sha, Size: len(e.Body)})
		}
	}
	body, _ := json.Marshal(entries)
	sha := id("tree", string(body))
	o.trees[sha] = entries
	return sha
}

func id(parts ...string) string {
	sum := sha1.Sum([]byte(strings.Join(parts, "\x00"))) //nolint:gosec // no secret
	return hex.EncodeToString(sum[:])
}

// CutTrees makes trees come truncated, as GitHub answers for large ones.
func (g *GitHub) CutTrees(cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.objects.cut = cut
}

// resolved is the commit that a name of the commits API means; the lock is
// held.
func (g *GitHub) resolved(repo *Repository, name string) (string, bool) {
	if _, ok := g.objects.commits[name]; ok {
		return name, true
	}
	if name == "HEAD" {
		name = repo.DefaultBranch
	}
	if sha, ok := repo.Branches[strings.TrimPrefix(name, "heads/")]; ok {
		return sha, true
	}
	sha, ok := repo.Tags[strings.TrimPrefix(name, "tags/")]
	return sha, ok
}

// commitSHA answers the commits API asked for a bare id.
func (g *GitHub) commitSHA(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	repo := g.of(w, r)
	if repo == nil {
		return
	}
	sha, ok := g.resolved(repo, r.PathValue("sha"))
	if !ok {
		refuse(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+r.PathValue("sha"))
		return
	}
	w.Header().Set("Content-Type", "application/vnd.github.sha")
	_, _ = w.Write([]byte(sha))
}

func (g *GitHub) tree(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sha := r.PathValue("sha")
	if tree, ok := g.objects.commits[sha]; ok {
		sha = tree
	}
	entries, ok := g.objects.trees[sha]
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, map[string]any{"sha": sha, "tree": entries, "truncated": g.objects.cut})
}

// blob answers as it is asked to: raw, or as JSON.
func (g *GitHub) blob(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, ok := g.objects.blobs[r.PathValue("sha")]
	if !ok {
		notFound(w)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "raw") {
		_, _ = w.Write(body)
		return
	}
	answer(w, http.StatusOK, map[string]any{"sha": r.PathValue("sha"), "size": len(body), "encoding": "base64", "content": body})
}
