package github_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
	"github.com/google/go-cmp/cmp"
)

func start(t *testing.T) (*githubbox.GitHub, *github.Client) {
	t.Helper()
	box, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	client, err := github.New(github.Options{APIURL: box.URL(), AppID: githubbox.AppID, PrivateKey: box.PrivateKey()})
	if err != nil {
		t.Fatal(err)
	}
	return box, client
}

func rerun() gatekeeper.Workload {
	return gatekeeper.Workload{IssuerType: "github", Repository: "acme/payments", RunID: "7001", RunAttempt: "2", SHA: "4f2c"}
}

// Threats row 10: the token names alice; GitHub knows that bob re-ran it.
func TestInitiatorsOfAReRun(t *testing.T) {
	box, client := start(t)
	box.Attempt("acme/payments", "7001", "2", githubbox.User{Login: "alice", ID: 1}, githubbox.User{Login: "bob", ID: 2})
	got, err := client.Initiators(t.Context(), rerun())
	want := []gatekeeper.Account{{Login: "alice", ID: "1"}, {Login: "bob", ID: "2"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	if _, err := client.Initiators(t.Context(), rerun()); err != nil {
		t.Fatal(err)
	}
	if n := box.Calls("/repos/acme/payments/installation"); n != 1 {
		t.Errorf("the installation was looked up %d times, want once", n)
	}
}

func TestInitiatorsUnknown(t *testing.T) {
	for name, arrange := range map[string]func(*githubbox.GitHub, *gatekeeper.Workload){
		"GitHub is down": func(b *githubbox.GitHub, _ *gatekeeper.Workload) { b.Fail(http.StatusBadGateway) },
		"no such run":    func(*githubbox.GitHub, *gatekeeper.Workload) {},
		"nobody named": func(b *githubbox.GitHub, _ *gatekeeper.Workload) {
			b.Attempt("acme/payments", "7001", "2", githubbox.User{Login: "alice"}, githubbox.User{})
		},
		"run is no number":     func(_ *githubbox.GitHub, w *gatekeeper.Workload) { w.RunID = "../../x" },
		"another CI":           func(_ *githubbox.GitHub, w *gatekeeper.Workload) { w.IssuerType = "gitlab" },
		"no repository at all": func(_ *githubbox.GitHub, w *gatekeeper.Workload) { w.Repository = "" },
		"attempt is no number": func(_ *githubbox.GitHub, w *gatekeeper.Workload) { w.RunAttempt = "" },
	} {
		t.Run(name, func(t *testing.T) {
			box, client := start(t)
			w := rerun()
			arrange(box, &w)
			if got, err := client.Initiators(t.Context(), w); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
				t.Fatalf("got %v, %v; want temporarily_unavailable", got, err)
			}
		})
	}
}

func TestAuthors(t *testing.T) {
	alice, bob, web := &githubbox.User{Login: "alice", ID: 1}, &githubbox.User{Login: "bob", ID: 2}, &githubbox.User{Login: "web-flow", ID: 9}
	box, client := start(t)
	box.Commit(githubbox.Commit{SHA: "4f2c", Author: alice, Committer: web}, 12, githubbox.Commit{SHA: "aaaa", Author: bob, Committer: bob})
	got, err := client.Authors(t.Context(), rerun())
	want := []gatekeeper.Account{{Login: "alice", ID: "1"}, {Login: "bob", ID: "2"}, {Login: "bob", ID: "2"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	box.Commit(githubbox.Commit{SHA: "4f2c", Author: nil}, 0)
	if _, err := client.Authors(t.Context(), rerun()); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable {
		t.Fatalf("an author without an account: %v; want temporarily_unavailable", err)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := github.New(github.Options{APIURL: "https://api.github.com/", AppID: 1, PrivateKey: []byte("canary")}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a key that is none: %v", err)
	}
	if _, err := github.New(github.Options{APIURL: ":", AppID: 1}); err == nil {
		t.Error("a URL that is none was taken")
	}
}
