package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/postgres"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
)

// git runs it at the repository's top, whoever owns that.
func git(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "git", append([]string{"-C", "../..", "-c", "safe.directory=*"}, args...)...)
}

// fromGit is what it prints; nothing where it fails.
func fromGit(ctx context.Context, args ...string) string {
	out, err := git(ctx, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// previousCommit is the version before this one: the latest release, or what
// there was before the newest migration where nothing is released yet.
func previousCommit(t *testing.T) string {
	t.Helper()
	parts.Find(t, "git", "apt-get install git")
	if tag := fromGit(t.Context(), "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"); tag != "" {
		return fromGit(t.Context(), "rev-parse", tag+"^{commit}")
	}
	newest := fromGit(t.Context(), "log", "-1", "--diff-filter=A", "--format=%H", "--", "gatekeeper/store/migrations", "gatekeeper/store/migrations_postgres")
	if before := fromGit(t.Context(), "rev-parse", "--verify", "--quiet", newest+"^"); newest != "" && before != "" {
		return before
	}
	parts.Missing(t, "the version before is not in git's history here; a whole clone has it (actions/checkout: fetch-depth: 0)")
	return ""
}

// previousBinary builds the version before from its sources. It is kept for the
// next time, since nothing of it can change.
func previousBinary(t *testing.T) string {
	t.Helper()
	commit := previousCommit(t)
	caches, err := os.UserCacheDir()
	if err != nil {
		caches = t.TempDir()
	}
	kept := filepath.Join(caches, "gatekeeper-test", "previous-"+commit)
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	dir := t.TempDir()
	sourcesOf(t, commit, dir)
	built := kept + fmt.Sprint(".", os.Getpid())
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-X main.version=previous", "-o", built, "./cmd/gatekeeper")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", commit, err, out)
	}
	old, _ := filepath.Glob(filepath.Join(caches, "gatekeeper-test", "previous-????????????????????????????????????????"))
	for _, path := range old {
		_ = os.Remove(path)
	}
	if err := os.Rename(built, kept); err != nil {
		t.Fatal(err)
	}
	return kept
}

func sourcesOf(t *testing.T, commit, dir string) {
	t.Helper()
	var sources bytes.Buffer
	archive := git(t.Context(), "archive", "--format=tar", commit)
	archive.Stdout = &sources
	if err := archive.Run(); err != nil {
		t.Fatal(err)
	}
	untar := exec.CommandContext(t.Context(), parts.Find(t, "tar", "apt-get install tar"), "-x", "-C", dir)
	untar.Stdin = &sources
	if out, err := untar.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// bobApproves names a person: Slack lets nobody look a group up that often.
var bobApproves = strings.Replace(stageRules, "S0RELEASE", "U0BOB", 1)

// The version before and this one serve side by side on one database, the new
// one having brought its schema up to date: what is opened at one is clicked,
// waited for and redeemed at either. Then one of them goes, as in an upgrade or
// on the way back, and the other one ends what is left.
func TestVersionBeforeBesideThisOne(t *testing.T) {
	t.Parallel() // it mostly waits
	if testing.Short() {
		t.Skip("it builds the version before; run without -short")
	}
	before, after := previousBinary(t), parts.Gatekeeper(t)
	pg := postgres.Start(t, postgres.Options{})
	for name, paths := range map[string][]string{"upgrade": {before, after}, "way back": {after, before}} {
		t.Run(name, func(t *testing.T) {
			url := pg.Database()
			s := newPlainStage(t, bobApproves)
			all := s.replicas(t, func(int) string { return url }, paths...)
			leaving, staying := all[0], all[1]
			leaving.start()
			u := &upgraded{stage: s, t: t}
			early := u.open(leaving) // before the other one came
			staying.start()
			u.end(early, staying, leaving, staying)
			for way := range 4 {
				opens, clicks, waits := all[way&1], all[way>>1], all[1-way>>1]
				u.end(u.open(opens), clicks, waits, all[way&1^way>>1])
			}
			late := u.open(leaving)
			leaving.stop()
			u.end(late, staying, staying, staying)
			u.holds()
		})
	}
}

// upgraded are deployments that two versions handle.
type upgraded struct {
	*stage
	t    *testing.T
	runs int
}

func (u *upgraded) token(run int) string { return u.ci.Token(u.cfg.URL, runClaims(run)) }

// open asks at a replica and gives the number of the run.
func (u *upgraded) open(at *process) (run int) {
	u.t.Helper()
	u.runs++
	if status, body := callAt(u.t, at.url, http.MethodPost, "/v1/requests", u.token(u.runs), `{"environment":"production"}`); status != http.StatusCreated {
		u.t.Fatalf("run %d is opened: %d %s\n%s", u.runs, status, body, at.log)
	}
	return u.runs
}

// end clicks at one replica while the step waits at another, and redeems at
// one.
func (u *upgraded) end(run int, clicks, waits, redeems *process) {
	u.t.Helper()
	m, err := u.slack.WaitMessage(u.t.Context(), asksFor(run))
	if err != nil {
		u.t.Fatal(err)
	}
	b, _ := buttonOf(m, "Approve")
	approved := make(chan string, 1)
	go func() {
		_, body := callAt(u.t, waits.url, http.MethodGet, "/v1/requests/"+b.Value+"?wait=30s", u.token(run), "")
		approved <- body
	}()
	u.slack.SetCallbacks(clicks.url+"/webhook/slack/interactions", clicks.url+"/webhook/slack/commands", clicks.url+"/webhook/slack/events")
	if err := u.decide(u.t.Context(), m, "U0BOB", "approve"); err != nil {
		u.t.Fatal(err)
	}
	if body := <-approved; !strings.Contains(body, `"state":"approved"`) {
		u.t.Errorf("run %d waits: %s\n%s", run, body, waits.log)
	}
	ask := fmt.Sprintf(`{"name":"deploy","subject_token":%q}`, u.ci.Token("sts.amazonaws.com", runClaims(run)))
	if status, body := callAt(u.t, redeems.url, http.MethodPost, "/v1/requests/"+b.Value+"/credentials", u.token(run), ask); status != http.StatusOK {
		u.t.Errorf("run %d redeems: %d %s\n%s", run, status, body, redeems.log)
	}
}

// asksFor finds a run's message while it has its buttons.
func asksFor(run int) func(slackbox.Message) bool {
	return func(m slackbox.Message) bool {
		_, open := buttonOf(m, "Approve")
		return open && m.ThreadTS == "" && m.Ephemeral == "" && strings.Contains(fmt.Sprint(m.Blocks), fmt.Sprint(100000+run))
	}
}

func (u *upgraded) holds() {
	u.t.Helper()
	u.verified(u.t)
	if n := len(u.sts.Sessions()); n != u.runs {
		u.t.Errorf("%d sessions, want %d", n, u.runs)
	}
	if n := u.askedTimes(); n != u.runs {
		u.t.Errorf("%d messages, want %d", n, u.runs)
	}
}
