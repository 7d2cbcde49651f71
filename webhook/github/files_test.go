package github_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/google/go-cmp/cmp"
)

func TestParseLocation(t *testing.T) {
	for in, want := range map[string]github.Location{
		"github:acme/platform//gatekeeper?ref=main":         {Owner: "acme", Repo: "platform", Path: "gatekeeper", Ref: "main"},
		"github:acme/platform":                              {Owner: "acme", Repo: "platform"},
		"github:acme/platform//rules/prod.yaml":             {Owner: "acme", Repo: "platform", Path: "rules/prod.yaml"},
		"github:acme/platform//gatekeeper/?ref=tags/v1":     {Owner: "acme", Repo: "platform", Path: "gatekeeper", Ref: "tags/v1"},
		"github:acme/.github//x?ref=refs/heads/release/1.0": {Owner: "acme", Repo: ".github", Path: "x", Ref: "release/1.0"},
	} {
		if got, err := github.ParseLocation(in); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "github:", "github:acme", "github:acme/", "github:/platform", "github:a/b/c", "github:acme/..", "github:acme/platform//../x",
		"github:acme/platform//a//b", "github:acme/platform?ref=", "github:acme/platform?ref=a&ref=b", "github:acme/platform?branch=main",
		"github:acme/platform?ref=../x", "github:acme/platform?ref=a b", "github:acme/platform?ref=-x", "https://github.com/acme/platform",
		"github:acme/platform//a\\b", "github:-acme/platform",
	} {
		if got, err := github.ParseLocation(in); err == nil {
			t.Errorf("%q was taken as %+v", in, got)
		}
	}
}

// What is taken means the same when it is written again.
func FuzzParseLocation(f *testing.F) {
	f.Add("github:acme/platform//gatekeeper?ref=main")
	f.Add("github:acme/.github//a/b.yaml")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := github.ParseLocation(s)
		if err != nil {
			return
		}
		if again, err := github.ParseLocation(l.String()); err != nil || again != l {
			t.Errorf("%q is %+v, and %q is %+v, %v", s, l, l.String(), again, err)
		}
		if strings.Contains(l.Path, "..") && (l.Path == ".." || strings.HasPrefix(l.Path, "../") || strings.Contains(l.Path, "/../")) {
			t.Errorf("%q climbs", l.Path)
		}
	})
}

// platform is a repository with rules on the stand-in.
func platform(t *testing.T, files map[string]githubbox.Entry) (*githubbox.GitHub, *github.Client, string) {
	t.Helper()
	box, client := start(t)
	box.Repo(githubbox.Repository{ID: 5, Name: "acme/platform", OwnerID: 99})
	return box, client, box.Push("acme/platform", "main", files)
}

func bodies(files []github.File) map[string]string {
	all := map[string]string{}
	for _, f := range files {
		all[f.Path] = string(f.Body)
	}
	return all
}

func TestFilesAtACommit(t *testing.T) {
	files := map[string]githubbox.Entry{
		"gatekeeper/b.yaml": {Body: "b"}, "gatekeeper/a.yml": {Body: "a"}, "gatekeeper/.hidden.yaml": {Body: "h"}, "gatekeeper/README.md": {Body: "r"},
		"gatekeeper/deeper/c.yaml": {Body: "c"}, "top.yaml": {Body: "top"}, "gatekeeper/link.md": {Body: "/etc/passwd", Mode: githubbox.Symlink},
	}
	box, client, first := platform(t, files)
	for at, want := range map[string]map[string]string{
		"github:acme/platform//gatekeeper?ref=main":     {"gatekeeper/a.yml": "a", "gatekeeper/b.yaml": "b"},
		"github:acme/platform//gatekeeper/deeper":       {"gatekeeper/deeper/c.yaml": "c"},
		"github:acme/platform//gatekeeper/b.yaml":       {"gatekeeper/b.yaml": "b"},
		"github:acme/platform":                          {"top.yaml": "top"},
		"github:acme/platform//gatekeeper?ref=" + first: {"gatekeeper/a.yml": "a", "gatekeeper/b.yaml": "b"},
	} {
		l, err := github.ParseLocation(at)
		if err != nil {
			t.Fatal(err)
		}
		f := github.NewFiles(client, l)
		head, err := f.Head(t.Context())
		if err != nil || head != first {
			t.Fatalf("%s: head %q, %v", at, head, err)
		}
		got, err := f.At(t.Context(), head)
		if diff := cmp.Diff(want, bodies(got)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", at, err, diff)
		}
	}

	// What did not change is not fetched again, and the commit says what is read.
	l, _ := github.ParseLocation("github:acme/platform//gatekeeper?ref=main")
	f := github.NewFiles(client, l)
	if _, err := f.At(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	files["gatekeeper/b.yaml"] = githubbox.Entry{Body: "b2"}
	second := box.Push("acme/platform", "main", files)
	before := box.Calls("GET /repos/{owner}/{repo}/git/blobs/{sha}")
	got, err := f.At(t.Context(), second)
	if err != nil || bodies(got)["gatekeeper/b.yaml"] != "b2" {
		t.Fatalf("%v, %v", bodies(got), err)
	}
	if n := box.Calls("GET /repos/{owner}/{repo}/git/blobs/{sha}") - before; n != 1 {
		t.Errorf("%d blobs were fetched for one change", n)
	}
	if got, err := f.At(t.Context(), first); err != nil || bodies(got)["gatekeeper/b.yaml"] != "b" {
		t.Errorf("the older commit: %v, %v", bodies(got), err)
	}
}

// What is no plain file, too large, or not there is an error that says so.
func TestFilesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files  map[string]githubbox.Entry
		at     string
		change func(*githubbox.GitHub)
		says   string
	}{
		"a link among rules":  {map[string]githubbox.Entry{"g/a.yaml": {Body: "../../etc/x", Mode: githubbox.Symlink}}, "//g", nil, "g/a.yaml is a link"},
		"the path is a link":  {map[string]githubbox.Entry{"g": {Body: "elsewhere", Mode: githubbox.Symlink}}, "//g", nil, "g is a link"},
		"a link on the way":   {map[string]githubbox.Entry{"g": {Body: "elsewhere", Mode: githubbox.Symlink}}, "//g/h", nil, "g is a link"},
		"a submodule":         {map[string]githubbox.Entry{"g/a.yaml": {Body: "x", Mode: githubbox.Submodule}}, "//g", nil, "submodule"},
		"a submodule on path": {map[string]githubbox.Entry{"g": {Body: "x", Mode: githubbox.Submodule}}, "//g", nil, "submodule"},
		"no such path":        {map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}}, "//h", nil, "acme/platform has no h"},
		"no such branch":      {map[string]githubbox.Entry{"a.yaml": {Body: "x"}}, "?ref=other", nil, "has no heads/other"},
		"a large file":        {map[string]githubbox.Entry{"a.yaml": {Body: strings.Repeat("#", 1<<20+1)}}, "", nil, "at most 1048576"},
		"large in all": {map[string]githubbox.Entry{"a.yaml": {Body: strings.Repeat("#", 1<<20)}, "b.yaml": {Body: strings.Repeat("#", 1<<20)}, "c.yaml": {Body: strings.Repeat("#", 1<<20)},
			"d.yaml": {Body: strings.Repeat("#", 1<<20)}, "e.yaml": {Body: "#"}}, "", nil, "too many"},
		"a cut listing":    {map[string]githubbox.Entry{"a.yaml": {Body: "x"}}, "", func(b *githubbox.GitHub) { b.CutTrees(true) }, "more files than GitHub lists"},
		"not permitted":    {map[string]githubbox.Entry{"a.yaml": {Body: "x"}}, "", func(b *githubbox.GitHub) { b.Change(func(a *githubbox.App) { delete(a.Permissions, "contents") }) }, "contents: read"},
		"not installed":    {map[string]githubbox.Entry{"a.yaml": {Body: "x"}}, "", func(b *githubbox.GitHub) { b.Repo(githubbox.Repository{Name: "acme/platform", NotInstalled: true}) }, "not installed"},
		"GitHub is down":   {map[string]githubbox.Entry{"a.yaml": {Body: "x"}}, "", func(b *githubbox.GitHub) { b.Fail(http.StatusBadGateway) }, "could not be asked"},
		"another's commit": {map[string]githubbox.Entry{"a.yaml": {Body: "x"}}, "?ref=" + strings.Repeat("a", 40), nil, "has no aaaa"},
	} {
		t.Run(name, func(t *testing.T) {
			box, client, _ := platform(t, c.files)
			if c.change != nil {
				c.change(box)
			}
			l, err := github.ParseLocation("github:acme/platform" + c.at)
			if err != nil {
				t.Fatal(err)
			}
			f := github.NewFiles(client, l)
			head, err := f.Head(t.Context())
			if err == nil {
				_, err = f.At(t.Context(), head)
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}
