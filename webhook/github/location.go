package github

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Location is a file or a directory of a repository at a branch, a tag or a
// commit.
type Location struct {
	Owner, Repo string
	Path        string // without slashes at its ends; "" is the repository's root
	Ref         string // a branch, tags/NAME or a commit; "" is the default branch
}

var (
	ownerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}$`)
	repoName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	commitID  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	// refName is stricter than git: nothing that a URL or git reads otherwise.
	refName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]*$`)
)

// maxRef is how long a ref's name may be.
const maxRef = 251

// ParseLocation reads github:owner/repo//path?ref=main.
func ParseLocation(s string) (Location, error) {
	wrong := gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "%q is no place on GitHub; github:owner/repo//path?ref=main is one", s)
	rest, ok := strings.CutPrefix(s, "github:")
	rest, query, asks := strings.Cut(rest, "?")
	repository, inside, _ := strings.Cut(rest, "//")
	owner, repo, both := strings.Cut(repository, "/")
	l := Location{Owner: owner, Repo: repo, Path: strings.Trim(inside, "/")}
	if !ok || !both || !ownerName.MatchString(owner) || !repoName.MatchString(repo) || repo == "." || repo == ".." || !cleanPath(l.Path) {
		return Location{}, wrong
	}
	if !asks {
		return l, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil || len(values) != 1 || len(values["ref"]) != 1 {
		return Location{}, wrong
	}
	l.Ref = strings.TrimPrefix(strings.TrimPrefix(values.Get("ref"), "refs/"), "heads/")
	if len(l.Ref) > maxRef || !refName.MatchString(l.Ref) || strings.Contains(l.Ref, "..") || strings.Contains(l.Ref, "//") {
		return Location{}, wrong
	}
	return l, nil
}

// cleanPath is one that means what it says: nothing climbs or repeats.
func cleanPath(p string) bool {
	return p == "" || path.Clean("/"+p) == "/"+p && !strings.ContainsAny(p, "?#\\\x00")
}

// String is the location as it is configured.
func (l Location) String() string {
	s := "github:" + l.Owner + "/" + l.Repo
	if l.Path != "" {
		s += "//" + l.Path
	}
	if l.Ref != "" {
		s += "?ref=" + l.Ref
	}
	return s
}

// Repository is owner/name.
func (l Location) Repository() string { return l.Owner + "/" + l.Repo }

// at is the name by which the commits API knows the ref: a branch and a tag of
// one name are two things.
func (l Location) at() string {
	switch {
	case l.Ref == "":
		return "HEAD"
	case commitID.MatchString(l.Ref) || strings.HasPrefix(l.Ref, "tags/"):
		return l.Ref
	}
	return "heads/" + l.Ref
}

// Covers says whether a file of the repository is one of the location's: the
// file itself, or a file of rules right in the directory.
func (l Location) Covers(file string) bool {
	if file == l.Path {
		return true
	}
	dir := path.Dir(file)
	if dir == "." {
		dir = ""
	}
	return dir == l.Path && ruleFile(path.Base(file))
}

// ruleFile is what a directory's files of rules are called, here as on disk.
func ruleFile(name string) bool {
	ext := path.Ext(name)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}

// followed says whether a push to that ref (refs/heads/…, refs/tags/…) may
// change what the location holds.
func (l Location) followed(ref, defaultBranch string) bool {
	switch {
	case l.Ref == "":
		return ref == "refs/heads/"+defaultBranch
	case strings.HasPrefix(l.Ref, "tags/"):
		return ref == "refs/"+l.Ref
	}
	return ref == "refs/heads/"+l.Ref
}
