package github_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/google/go-cmp/cmp"
)

func deployed() gatekeeper.Workload {
	return gatekeeper.Workload{IssuerType: "github", Repository: "acme/payments", RunID: "7001", RunAttempt: "2", SHA: "4f2c"}
}

// deployOf4f2c is a repository in which 4f2c is deployed after 0aaa.
func deployOf4f2c(t *testing.T) (*githubbox.GitHub, *github.Client) {
	t.Helper()
	box, client := start(t)
	alice, bob := &githubbox.User{Login: "alice", ID: 1}, &githubbox.User{Login: "bob", ID: 2}
	box.Repo(githubbox.Repository{ID: 1, Name: "acme/payments", OwnerID: 99})
	box.Attempt("acme/payments", "7001", "2", *alice, *bob)
	box.Commit(githubbox.Commit{SHA: "4f2c", Message: "Round refunds\n\nlong story", Author: alice}, 0)
	box.Pull("4f2c", githubbox.Pull{
		Number: 12, Title: "Round refunds", Author: *alice,
		Reviews: []githubbox.Review{{By: *bob, State: "CHANGES_REQUESTED"}, {By: *bob, State: "COMMENTED"}, {By: *bob, State: "APPROVED"}, {By: githubbox.User{Login: "carol"}, State: "APPROVED"}, {By: githubbox.User{Login: "carol"}, State: "DISMISSED"}, {By: githubbox.User{Login: "dave"}, State: "CHANGES_REQUESTED"}},
	})
	for _, c := range []githubbox.CheckRun{
		{Name: "build", Status: "completed", Conclusion: "success"}, {Name: "lint", Status: "completed", Conclusion: "failure"},
		{Name: "e2e", Status: "in_progress"}, {Name: "Gatekeeper: production", Status: "in_progress", ExternalID: "req_1"},
	} {
		c.HeadSHA = "4f2c"
		box.Check(c)
	}
	box.Compare("0aaa", "4f2c", githubbox.Comparison{
		Status: "ahead", Commits: []githubbox.Commit{{SHA: "1bbb", Message: "Log more", Name: "Eve"}, {SHA: "4f2c", Message: "Round refunds", Author: alice}},
		Files: []githubbox.File{{Name: "a.go", Additions: 30, Deletions: 2}, {Name: "b.go", Additions: 10}},
	})
	box.Compare("main", "4f2c", githubbox.Comparison{Status: "identical"})
	return box, client
}

func TestContext(t *testing.T) {
	_, client := deployOf4f2c(t)
	got, err := client.Context(t.Context(), deployed(), "0aaa")
	if err != nil {
		t.Fatal(err)
	}
	server := got.Since.URL[:len(got.Since.URL)-len("/acme/payments/compare/0aaa...4f2c")]
	want := github.Context{
		Title: "Round refunds", Authors: []string{"alice", "Eve"}, DefaultBranch: "main", OnDefault: true, ReRunBy: "bob",
		Pull:   &github.Pull{Number: 12, Title: "Round refunds", Author: "alice", URL: server + "/acme/payments/pull/12", ApprovedBy: []string{"bob"}, ChangesWantedBy: []string{"dave"}},
		Checks: &github.Checks{Passed: 1, Running: 1, Failed: []string{"lint"}},
		Since: &github.Since{
			SHA: "0aaa", Total: 2, Files: 2, Added: 40, Removed: 2, URL: got.Since.URL,
			Commits: []github.Commit{{SHA: "4f2c", Title: "Round refunds", Author: "alice"}, {SHA: "1bbb", Title: "Log more", Author: "Eve"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A long history shows its newest commits, and where the branch is left it is
// said.
func TestContextOfALongHistory(t *testing.T) {
	box, client := deployOf4f2c(t)
	long := githubbox.Comparison{Status: "ahead"}
	for i := range 230 {
		long.Commits = append(long.Commits, githubbox.Commit{SHA: time.Unix(int64(i), 0).UTC().Format("150405"), Message: "x"})
	}
	box.Compare("0aaa", "4f2c", long)
	box.Compare("main", "4f2c", githubbox.Comparison{Status: "ahead"})
	got, err := client.Context(t.Context(), deployed(), "0aaa")
	if err != nil || got.Since.Total != 230 || len(got.Since.Commits) != 30 || got.Since.Commits[0].SHA != "000349" {
		t.Errorf("%+v, %v", got.Since, err)
	}
	if got.OnDefault || got.DefaultBranch != "main" {
		t.Errorf("on %s: %v", got.DefaultBranch, got.OnDefault)
	}
}

// What GitHub does not tell, or the App may not see, is left out; the rest is
// shown, and only what may come yet is an error.
func TestContextOfLess(t *testing.T) {
	box, client := deployOf4f2c(t)
	box.Change(func(a *githubbox.App) { delete(a.Permissions, "pull_requests"); delete(a.Permissions, "checks") })
	got, err := client.Context(t.Context(), deployed(), "forced-away")
	if err != nil || got.Pull != nil || got.Checks != nil || got.Since != nil || got.Title != "Round refunds" {
		t.Errorf("%+v, %v", got, err)
	}
	box.FailNext("GET /repos/{owner}/{repo}/commits/{sha}", githubbox.Fault{Status: http.StatusBadGateway})
	got, err = client.Context(t.Context(), deployed(), "")
	if gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable || got.Title != "" || got.ReRunBy != "bob" {
		t.Errorf("%+v, %v", got, err)
	}
	box.Limit(0)
	if _, err = client.Context(t.Context(), deployed(), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("%v", err)
	}
}

// People see what is known at once; what is missing is asked for again.
func TestEnrichShowsWhatThereIs(t *testing.T) {
	box, client := deployOf4f2c(t)
	box.FailNext("GET /repos/{owner}/{repo}/commits/{sha}", githubbox.Fault{Status: http.StatusBadGateway})
	r := gatekeeper.Request{ID: "req_1", State: gatekeeper.Pending, Workload: deployed(), Environment: "production", CreatedAt: noon()}
	m := &memory{requests: []gatekeeper.Request{r}}
	e := github.Enrich{Client: client, Memory: m, Logger: slog.New(slog.DiscardHandler), Clock: noon}
	if _, ok, err := e.Known(t.Context(), r); ok || err != nil || len(m.work) != 1 || m.work[0].Kind != github.WorkContext {
		t.Fatalf("%v, %v, %+v", ok, err, m.work)
	}
	gather := func() error { return e.Handlers()[github.WorkContext](t.Context(), gatekeeper.Work{Key: "req_1"}) }
	if err := gather(); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Errorf("what is missing is not asked for again: %v", err)
	}
	if known, ok, err := e.Known(t.Context(), r); !ok || err != nil || known.Title != "" || known.ReRunBy != "bob" {
		t.Errorf("%+v, %v, %v", known, ok, err)
	}
	box.FailNext("GET /repos/{owner}/{repo}/commits/{sha}/pulls", githubbox.Fault{Status: http.StatusBadGateway})
	if err := gather(); err == nil {
		t.Error("the missing pull request is not asked for again")
	}
	if known, _, _ := e.Known(t.Context(), r); known.Title != "Round refunds" || known.Pull == nil {
		t.Errorf("a later failure forgot what was known: %+v", known)
	}
	for range 2 { // there is no news
		if err := gather(); err != nil {
			t.Error(err)
		}
	}
	if known, _, _ := e.Known(t.Context(), r); known.Title != "Round refunds" {
		t.Errorf("%+v", known)
	}
	messages := 0
	for _, w := range m.work {
		if w.Kind == gatekeeper.WorkMessage {
			messages++
		}
	}
	if messages != 2 {
		t.Errorf("the message was brought up to date %d times", messages)
	}
}
