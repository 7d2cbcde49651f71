package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// rulesSource is where rules come from.
type rulesSource interface {
	read(ctx context.Context) (ruleFiles, error)
	every() time.Duration // how often it is looked at
	// settles says whether a change has to be seen twice: files on disk are
	// written bit by bit, and half of them may be a set of rules as well.
	settles() bool
	String() string
}

// ruleFiles are the files as they were found.
type ruleFiles struct {
	Commit string       `json:"commit,omitempty"` // of a repository
	Files  []rules.File `json:"files"`
}

func (f ruleFiles) digest() string {
	h := sha256.New()
	for _, file := range f.Files {
		fmt.Fprintf(h, "%q %d\n", file.Name, len(file.Body))
		_, _ = h.Write(file.Body)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// How often sources are looked at. Reading files beats being notified: it also
// sees links that are swapped, as Kubernetes does. GitHub tells of pushes; the
// interval is for those that got lost.
const (
	diskEvery   = time.Second
	githubEvery = time.Minute
	faultyEvery = 10 * time.Second // while what is in force is not what the source holds
	githubTime  = 30 * time.Second // for one reading
)

// disk is a file or a directory.
type disk string

func (d disk) read(context.Context) (ruleFiles, error) {
	files, err := rules.Read(string(d))
	return ruleFiles{Files: files}, err
}

func (disk) every() time.Duration { return diskEvery }
func (disk) settles() bool        { return true }
func (d disk) String() string     { return string(d) }

// repository is a place on GitHub, read as of the commit that its ref points
// to.
type repository struct{ *github.Files }

func (r repository) read(ctx context.Context) (ruleFiles, error) {
	ctx, cancel := context.WithTimeout(ctx, githubTime)
	defer cancel()
	commit, err := r.Head(ctx)
	if err != nil {
		return ruleFiles{}, err
	}
	files, err := r.At(ctx, commit)
	return ruleFiles{Commit: commit, Files: asRules(files)}, err
}

func asRules(files []github.File) []rules.File {
	all := make([]rules.File, len(files))
	for i, f := range files {
		all[i] = rules.File{Name: f.Path, Body: f.Body}
	}
	return all
}

func (repository) every() time.Duration { return githubEvery }
func (repository) settles() bool        { return false }
func (r repository) String() string     { return r.Location().String() }
