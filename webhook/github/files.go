package github

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// What is read of a repository at most. Whoever may open a pull request says
// how large its files are.
const (
	maxRuleFiles = 500
	maxRuleFile  = 1 << 20
	maxRuleBytes = 4 << 20
)

// File is one file of a commit.
type File struct {
	Path string // in the repository
	Body []byte
}

// Files reads a location's files of rules as they are at a commit. It is safe
// for concurrent use.
type Files struct {
	client *Client
	at     Location

	mu    sync.Mutex
	blobs map[string][]byte // of the last reading: what did not change is not fetched again
}

// NewFiles reads nothing yet.
func NewFiles(c *Client, at Location) *Files { return &Files{client: c, at: at} }

// Location is what is read.
func (f *Files) Location() Location { return f.at }

// Head is the commit that the location's ref points to now.
func (f *Files) Head(ctx context.Context) (string, error) {
	client, err := f.repository(ctx)
	if err != nil {
		return "", err
	}
	sha, _, err := client.Repositories.GetCommitSHA1(ctx, f.at.Owner, f.at.Repo, f.at.at(), "")
	if err != nil {
		return "", f.told(err, "tell the head of "+f.at.String())
	}
	if !commitID.MatchString(sha) {
		return "", gatekeeper.Errorf(gatekeeper.CodeUnavailable, "GitHub told no commit for %s", f.at)
	}
	return sha, nil
}

func (f *Files) repository(ctx context.Context) (*github.Client, error) {
	client, err := f.client.installation(ctx, f.at.Owner, f.at.Repo)
	if forbidden(err) {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the GitHub App is not installed on %s, or the repository is not there", f.at.Repository())
	}
	return client, err
}

func (f *Files) told(err error, what string) error {
	if statusOfCall(err) == http.StatusUnprocessableEntity {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "%s has no %s", f.at.Repository(), f.at.at())
	}
	if forbidden(err) {
		return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "GitHub does not let the App %s; it needs the permission contents: read, and access to %s", what, f.at.Repository())
	}
	return unavailable(err, what)
}

// At gives the files at a commit by name: the one that the path names, or a
// directory's *.yaml and *.yml. Links and submodules are refused, for they
// show what is elsewhere.
func (f *Files) At(ctx context.Context, commit string) ([]File, error) {
	client, err := f.repository(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := f.entries(ctx, client, commit)
	if err != nil {
		return nil, err
	}
	if err := bounded(entries); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fresh := map[string][]byte{}
	files := make([]File, 0, len(entries))
	for _, e := range entries {
		body, known := f.blobs[e.GetSHA()]
		if !known {
			if body, _, err = client.Git.GetBlobRaw(ctx, f.at.Owner, f.at.Repo, e.GetSHA()); err != nil {
				return nil, f.told(err, "read "+e.GetPath())
			}
		}
		fresh[e.GetSHA()] = body
		files = append(files, File{e.GetPath(), body})
	}
	f.blobs = fresh
	return files, nil
}

// entries are the tree's entries that the location means, with their whole
// paths.
func (f *Files) entries(ctx context.Context, client *github.Client, commit string) ([]*github.TreeEntry, error) {
	sha, seen := commit, ""
	if f.at.Path != "" {
		parts := strings.Split(f.at.Path, "/")
		for i, part := range parts {
			e, err := f.entry(ctx, client, sha, part)
			if err != nil {
				return nil, err
			}
			seen = strings.Join(parts[:i+1], "/")
			switch {
			case e == nil:
				return nil, gatekeeper.Errorf(gatekeeper.CodeNotFound, "%s has no %s at %.12s", f.at.Repository(), seen, commit)
			case e.GetType() == "tree":
				sha = e.GetSHA()
			case i == len(parts)-1 && plainFile(e):
				e.Path = &seen
				return []*github.TreeEntry{e}, nil
			default:
				return nil, notPlain(seen)
			}
		}
		seen += "/"
	}
	tree, err := f.tree(ctx, client, sha)
	if err != nil {
		return nil, err
	}
	return ruleEntries(tree, seen)
}

func ruleEntries(tree *github.Tree, prefix string) ([]*github.TreeEntry, error) {
	var found []*github.TreeEntry
	for _, e := range tree.Entries { // git keeps them by name
		if e.GetType() == "tree" || !ruleFile(e.GetPath()) {
			continue
		}
		path := prefix + e.GetPath()
		if !plainFile(e) {
			return nil, notPlain(path)
		}
		e.Path = &path
		found = append(found, e)
	}
	return found, nil
}

func (f *Files) entry(ctx context.Context, client *github.Client, sha, name string) (*github.TreeEntry, error) {
	tree, err := f.tree(ctx, client, sha)
	if err != nil {
		return nil, err
	}
	for _, e := range tree.Entries {
		if e.GetPath() == name {
			return e, nil
		}
	}
	return nil, nil
}

func (f *Files) tree(ctx context.Context, client *github.Client, sha string) (*github.Tree, error) {
	tree, _, err := client.Git.GetTree(ctx, f.at.Owner, f.at.Repo, sha, false)
	if err != nil {
		return nil, f.told(err, "list the files of "+f.at.Repository())
	}
	if tree.GetTruncated() {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "a directory on the way to %s has more files than GitHub lists", f.at)
	}
	return tree, nil
}

// plainFile is a file, executable or not: 120000 is a link, 160000 a
// submodule (https://docs.github.com/rest/git/trees).
func plainFile(e *github.TreeEntry) bool {
	return e.GetType() == "blob" && (e.GetMode() == "100644" || e.GetMode() == "100755")
}

func notPlain(path string) error {
	return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s is a link or a submodule; rules are plain files", path)
}

func bounded(entries []*github.TreeEntry) error {
	total := 0
	for _, e := range entries {
		if e.GetSize() > maxRuleFile {
			return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%s has %d bytes; a file of rules has at most %d", e.GetPath(), e.GetSize(), maxRuleFile)
		}
		total += e.GetSize()
	}
	if len(entries) > maxRuleFiles || total > maxRuleBytes {
		return gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%d files of %d bytes in all are too many; %d and %d are taken", len(entries), total, maxRuleFiles, maxRuleBytes)
	}
	return nil
}
