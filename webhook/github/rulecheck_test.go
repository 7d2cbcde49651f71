package github_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// reviewed is a repository of rules with one pull request, and what its
// checks come to.
type reviewed struct {
	*githubbox.GitHub
	on     github.Subscriptions
	sha    string
	report github.Report
	seen   map[string]string // the files of the last check
}

func review(t *testing.T, pull githubbox.PullRequest, files map[string]githubbox.Entry) *reviewed {
	t.Helper()
	box, client, _ := platform(t, map[string]githubbox.Entry{"g/a.yaml": {Body: "base"}})
	r := &reviewed{GitHub: box, report: github.Report{Title: "1 rule, 0 errors", Summary: "fine"}}
	from := "acme/platform"
	if pull.HeadRepo != "" {
		from = pull.HeadRepo
	}
	r.sha = box.Push(from, "change", files)
	pull.Number, pull.HeadSHA = 12, r.sha
	if pull.Base == "" {
		pull.Base = "main"
	}
	box.Request("acme/platform", pull)
	at, err := github.ParseLocation("github:acme/platform//g?ref=main")
	if err != nil {
		t.Fatal(err)
	}
	r.on = github.NewRuleChecks(github.RuleChecksOptions{Client: client, At: at, Check: func(_ context.Context, files []github.File) github.Report {
		r.seen = bodies(files)
		return r.report
	}}).Subscriptions()
	return r
}

func (r *reviewed) send(t *testing.T, event, delivery string, payload map[string]any) error {
	t.Helper()
	if _, ok := payload["repository"]; !ok {
		payload["repository"] = map[string]any{"full_name": "Acme/Platform", "default_branch": "main"}
	}
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return r.on[event].Handle(t.Context(), github.Event{Name: event, Delivery: delivery, Payload: body})
}

func (r *reviewed) opened(t *testing.T) error {
	t.Helper()
	return r.send(t, "pull_request", "d-1", map[string]any{"number": 12})
}

func remarks(n int) []github.Remark {
	var all []github.Remark
	for i := range n {
		all = append(all, github.Remark{File: "g/a.yaml", Line: i + 1, Column: 3, Failure: i%2 == 0, Title: "rules check", Message: fmt.Sprint("remark ", i)})
	}
	return all
}

// A pull request gets one check run, however often its webhook comes, also
// from a fork: read at its head, through the base repository.
func TestRuleCheck(t *testing.T) {
	for _, fork := range []string{"", "mallory/platform"} {
		r := review(t, githubbox.PullRequest{HeadRepo: fork, Files: []string{"README.md", "g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "changed"}})
		for range 3 {
			if err := r.opened(t); err != nil {
				t.Fatal(err)
			}
		}
		checks := r.Checks()
		if len(checks) != 1 || r.seen["g/a.yaml"] != "changed" {
			t.Fatalf("%d checks of %v", len(checks), r.seen)
		}
		c := checks[0]
		if c.Name != "gatekeeper rules" || c.HeadSHA != r.sha || c.Status != "completed" || c.Conclusion != "success" || c.ExternalID != "rules:12:"+r.sha || c.Output.Title != r.report.Title {
			t.Errorf("%+v", c)
		}
	}
}

// Remarks come 50 a call, and only the last call concludes.
func TestRemarksInBatches(t *testing.T) {
	for n, calls := range map[int]int{0: 1, 1: 1, 50: 1, 51: 2, 120: 3, 900: 10} {
		r := review(t, githubbox.PullRequest{Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}})
		r.report = github.Report{Failed: true, Title: "errors", Text: "a ``` fence\n@acme/everybody", Remarks: remarks(n)}
		if err := r.opened(t); err != nil {
			t.Fatal(err)
		}
		c := r.Checks()[0]
		if len(c.Output.Annotations) != min(n, 500) || c.Conclusion != "failure" || !strings.HasPrefix(c.Output.Text, "    a ```") {
			t.Errorf("%d remarks: %d annotations, %s, %q", n, len(c.Output.Annotations), c.Conclusion, c.Output.Text)
		}
		if n > 1 && (c.Output.Annotations[0].Level != "failure" || c.Output.Annotations[1].Level != "warning" || c.Output.Annotations[1].StartColumn != 3) {
			t.Errorf("%+v", c.Output.Annotations[:2])
		}
		made := r.Calls("POST /repos/{owner}/{repo}/check-runs") + r.Calls("PATCH /repos/{owner}/{repo}/check-runs/{id}")
		if made != calls {
			t.Errorf("%d remarks took %d calls, want %d", n, made, calls)
		}
	}
}

// Each call fails once, before it was done and after: in the end there is one
// check run with each remark once.
func TestRuleCheckIsTriedAgain(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, n := range []int{10, 120} {
			r := review(t, githubbox.PullRequest{Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}})
			r.report = github.Report{Title: "ok", Remarks: remarks(n)}
			r.FailEachOnce(githubbox.Fault{Status: http.StatusBadGateway, After: after})
			err := fmt.Errorf("not tried")
			for tries := 0; err != nil && tries < 20; tries++ {
				err = r.opened(t)
			}
			if err != nil {
				t.Fatal(err)
			}
			last := r.Checks()[len(r.Checks())-1]
			if last.Status != "completed" || last.Conclusion != "success" || len(last.Output.Annotations) != n {
				t.Errorf("after %t, %d remarks: %s %s with %d", after, n, last.Status, last.Conclusion, len(last.Output.Annotations))
			}
			for _, c := range r.Checks() {
				if c.Status != "completed" {
					t.Errorf("check run %d is left %s", c.ID, c.Status)
				}
			}
		}
	}
}

// A check that people ask for once more is made anew, once for each asking;
// its pull request is told by our own id, since GitHub tells none for forks.
func TestRerequested(t *testing.T) {
	r := review(t, githubbox.PullRequest{HeadRepo: "mallory/platform", Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}})
	if err := r.opened(t); err != nil {
		t.Fatal(err)
	}
	run := map[string]any{"name": "gatekeeper rules", "external_id": "rules:12:" + r.sha, "app": map[string]any{"id": githubbox.AppID}}
	suite := map[string]any{"head_sha": r.sha, "pull_requests": []any{}}
	for _, step := range []struct {
		event, delivery string
		payload         map[string]any
		checks          int
	}{
		{"check_run", "d-2", map[string]any{"check_run": run}, 2},
		{"check_run", "d-2", map[string]any{"check_run": run}, 2},
		{"check_run", "d-3", map[string]any{"check_run": map[string]any{"name": "tests", "external_id": "rules:12:x", "app": map[string]any{"id": githubbox.AppID}}}, 2},
		{"check_run", "d-4", map[string]any{"check_run": map[string]any{"name": "gatekeeper rules", "external_id": "rules:12:x", "app": map[string]any{"id": 9}}}, 2},
		{"check_suite", "d-5", map[string]any{"check_suite": suite}, 3},
		{"check_suite", "d-5", map[string]any{"check_suite": suite}, 3},
		{"check_suite", "d-6", map[string]any{"check_suite": suite, "repository": map[string]any{"full_name": "acme/other"}}, 3},
	} {
		if err := r.send(t, step.event, step.delivery, step.payload); err != nil {
			t.Fatal(err)
		}
		if n := len(r.Checks()); n != step.checks {
			t.Errorf("after %s %s there are %d checks, want %d", step.event, step.delivery, n, step.checks)
		}
	}
}

// What is no matter of the rules in force gets no check, or a neutral one that
// lets a required check pass.
func TestWhichPullRequests(t *testing.T) {
	body := map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}}
	for name, c := range map[string]struct {
		pull       githubbox.PullRequest
		files      map[string]githubbox.Entry
		conclusion string // "": no check
	}{
		"touches":               {githubbox.PullRequest{Files: []string{"g/a.yaml"}}, body, "success"},
		"touches none":          {githubbox.PullRequest{Files: []string{"g/README.md", "h/a.yaml", "g/deeper/a.yaml"}}, body, "neutral"},
		"for another branch":    {githubbox.PullRequest{Base: "next", Files: []string{"g/a.yaml"}}, body, ""},
		"takes all rules away":  {githubbox.PullRequest{Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"README.md": {Body: "x"}}, "failure"},
		"brings a link":         {githubbox.PullRequest{Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "/etc/passwd", Mode: githubbox.Symlink}}, "failure"},
		"more files than shown": {githubbox.PullRequest{Files: strings.Split(strings.Repeat("x/y ", 3200)+"g/a.yaml", " ")}, body, "success"},
	} {
		t.Run(name, func(t *testing.T) {
			r := review(t, c.pull, c.files)
			if err := r.opened(t); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, check := range r.Checks() {
				got = check.Conclusion
			}
			if got != c.conclusion {
				t.Errorf("the check is %q, want %q", got, c.conclusion)
			}
		})
	}
}

// A pull request that turns to the branch in force is checked then.
func TestAnotherBase(t *testing.T) {
	r := review(t, githubbox.PullRequest{Base: "next", Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}})
	if err := r.opened(t); err != nil || len(r.Checks()) != 0 {
		t.Fatalf("%v, %d checks", err, len(r.Checks()))
	}
	r.Request("acme/platform", githubbox.PullRequest{Number: 12, Base: "main", HeadSHA: r.sha, Files: []string{"g/a.yaml"}})
	for range 2 {
		if err := r.send(t, "pull_request", "d-2", map[string]any{"action": "edited", "number": 12}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.Checks()); n != 1 {
		t.Errorf("%d checks", n)
	}
}

// While one pull request is checked, another one's check comes back later: it
// keeps no hand of the service waiting.
func TestOneCheckAtATime(t *testing.T) {
	r := review(t, githubbox.PullRequest{Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}})
	const files = "GET /repos/{owner}/{repo}/pulls/{number}/files"
	release := r.Hold(files)
	first := make(chan error, 1)
	go func() { first <- r.opened(t) }()
	if !r.Wait(t.Context().Done(), func() bool { return r.Calls(files) > 0 }) {
		t.Fatal("the first check does not begin")
	}
	var coded *gatekeeper.Error
	if err := r.opened(t); !errors.As(err, &coded) || coded.RetryAfter <= 0 {
		t.Errorf("the second one: %v", err)
	}
	release()
	if err := <-first; err != nil || len(r.Checks()) != 1 {
		t.Errorf("%v, %d checks", err, len(r.Checks()))
	}
}

// A missing permission is not tried again and again; an outage is.
func TestRuleCheckGivesUp(t *testing.T) {
	r := review(t, githubbox.PullRequest{Files: []string{"g/a.yaml"}}, map[string]githubbox.Entry{"g/a.yaml": {Body: "x"}})
	r.Fail(http.StatusServiceUnavailable)
	if err := r.opened(t); err == nil {
		t.Error("an outage is no error")
	}
	r.Fail(0)
	r.Change(func(a *githubbox.App) { a.Permissions["checks"] = "read" })
	if err := r.opened(t); err != nil || len(r.Checks()) != 0 {
		t.Errorf("without checks: write: %v, %d checks", err, len(r.Checks()))
	}
}
