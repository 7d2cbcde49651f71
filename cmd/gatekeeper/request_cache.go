package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/wholefile"
	"github.com/gofrs/flock"
)

// processCache keeps the session of --output credential-process until it
// ends. The AWS CLI runs the process for each of its commands, and each run
// without it would spend a redemption. It lives where the job's other secrets
// do, readable by this user alone, and the runner removes it with the job.
type processCache struct {
	path string // "": nothing is kept
	lock *flock.Flock
}

// kept is the file's content.
type kept struct {
	Request    string                `json:"request"`
	Name       string                `json:"name"`
	Audience   string                `json:"subject_token_audience"`
	Credential gatekeeper.Credential `json:"credential"`
}

// newProcessCache finds the file of this job, gatekeeper and credential.
func newProcessCache(env func(string) string, file string, identity ...string) processCache {
	if file == "none" || file == "" && env("RUNNER_TEMP") == "" {
		return processCache{}
	}
	if file == "" {
		for _, name := range []string{"GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB"} {
			identity = append(identity, env(name))
		}
		sum := sha256.Sum256([]byte(strings.Join(identity, "\x00")))
		file = filepath.Join(env("RUNNER_TEMP"), "gatekeeper-"+hex.EncodeToString(sum[:12])+".json")
	}
	return processCache{path: file, lock: flock.New(file + ".lock")}
}

// alone waits until no other process of the job is obtaining the session.
func (c processCache) alone(ctx context.Context) (done func(), err error) {
	if c.path == "" {
		return func() {}, nil
	}
	if _, err := c.lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "%s cannot be locked", c.path+".lock")
	}
	return func() { _ = c.lock.Unlock() }, nil
}

// read gives what is kept, if it is ours alone to read.
func (c processCache) read() (kept, bool) {
	var k kept
	if c.path == "" {
		return k, false
	}
	info, err := os.Lstat(c.path)
	if err != nil || !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return k, false
	}
	body, err := os.ReadFile(c.path)
	if err != nil || json.Unmarshal(body, &k) != nil || k.Credential.AWS == nil {
		return kept{}, false
	}
	return k, true
}

// write replaces the file in one step.
func (c processCache) write(k kept) error {
	if c.path == "" {
		return nil
	}
	body, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return wholefile.Replace(c.path, body, wholefile.Options{})
}
