package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/slackbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

const (
	hookSecret = "sandbox-webhook-secret"
	deploySHA  = "4f2c1e0b9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b"
)

// pushed is the run of the stage's default job, before it runs.
var pushed = githubbox.Run{
	ID: 7001, Number: 42, Attempt: 1, Event: "push", HeadBranch: "main", HeadSHA: deploySHA, Path: ".github/workflows/deploy.yml",
	Actor: githubbox.User{Login: "alice", ID: 11},
}

// withGitHub puts GitHub's stand-in on the stage, with the App installed.
func withGitHub(t testing.TB, s *stage) *githubbox.GitHub {
	t.Helper()
	box, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Close)
	box.Webhooks(s.cfg.URL+"/webhook/github", hookSecret)
	box.Repo(githubbox.Repository{
		ID: 1234567, Name: "acme/payments", OwnerID: 99, Branches: map[string]string{"main": deploySHA},
		Environments: map[string]*githubbox.Environment{"production": {Rule: true}, "staging": {Rule: true}},
	})
	box.Run("acme/payments", pushed)
	s.cfg.GitHub = &githubConfig{AppID: githubbox.AppID, PrivateKey: box.PrivateKey(), WebhookSecret: hookSecret, APIURL: box.URL()}
	return box
}

// hook sends a webhook as GitHub would; it gives the answer's status.
func (s *stage) hook(t testing.TB, secret, id, event, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.cfg.URL+"/webhook/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", id)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(github.Sign(secret, []byte(body))))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestWebhookIsServed(t *testing.T) {
	p := play(t, func(s *stage) { withGitHub(t, s) })
	for name, c := range map[string]struct {
		secret string
		status int
	}{"signed": {hookSecret, 202}, "forged": {"another", 401}} {
		if got := p.hook(t, c.secret, "delivery-"+name, "ping", `{"zen":"Keep it logically awesome."}`); got != c.status {
			t.Errorf("%s: answered %d, want %d", name, got, c.status)
		}
	}
	without := play(t, nil)
	if got := without.hook(t, hookSecret, "delivery-1", "ping", `{}`); got != http.StatusNotFound {
		t.Errorf("without a configured App: answered %d, want 404", got)
	}
}

// stageWithGitHub is a running gatekeeper with the App's rule on production.
func stageWithGitHub(t testing.TB, change func(*stage, *githubbox.GitHub)) (*played, *githubbox.GitHub) {
	t.Helper()
	var box *githubbox.GitHub
	p := play(t, func(s *stage) {
		box = withGitHub(t, s)
		if change != nil {
			change(s, box)
		}
	})
	return p, box
}

// deploys lets the run reach its job: GitHub holds it back and says so.
func deploys(t testing.TB, box *githubbox.GitHub, run int64) {
	t.Helper()
	if status, err := box.Deploy(t.Context(), "acme/payments", run, "production"); err != nil || status != http.StatusAccepted {
		t.Fatalf("the webhook was answered %d, %v", status, err)
	}
}

// told waits until GitHub has heard the outcome.
func told(t testing.TB, box *githubbox.GitHub, run int64, count int) githubbox.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if !box.Wait(ctx.Done(), func() bool { return len(box.Reports("acme/payments", run)) >= count }) {
		t.Fatalf("GitHub was told %v, want %d reports", box.Reports("acme/payments", run), count)
	}
	reports := box.Reports("acme/payments", run)
	return reports[len(reports)-1]
}

// The whole way with a protection rule: the webhook opens a request, Bob
// approves it in Slack, GitHub is told and lets the job run, and the job is
// served by that same approval. People are asked once, and no runner waits.
func TestProtectionRule(t *testing.T) {
	p, box := stageWithGitHub(t, nil)
	deploys(t, box, 7001)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	report := told(t, box, 7001, 1)
	if report.Environment != "production" || report.State != "approved" || !strings.Contains(report.Comment, "Bob") || !strings.Contains(report.Comment, p.cfg.URL+"/requests/req_") {
		t.Fatalf("GitHub was told %+v", report)
	}
	got := <-p.step(t, nil)
	if got.code != 0 || len(p.sts.Sessions()) != 1 {
		t.Fatalf("exit %d, %d sessions\n%s", got.code, len(p.sts.Sessions()), got.stderr)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages were posted, want one", n)
	}
	if story := p.events(t, "request.opened", "request.adopted"); story["request.opened"] != 1 || story["request.adopted"] != 1 {
		t.Errorf("the ledger tells of %v", story)
	}
	p.noSecrets(t, hookSecret, "ghs_")
	p.verified(t)
}

// events counts the ledger's events of these types.
func (p *played) events(t testing.TB, types ...string) map[string]int {
	t.Helper()
	count := map[string]int{}
	err := p.svc.store.Reader().Leaves(t.Context(), 0, "", func(l store.Leaf) error {
		if slices.Contains(types, l.Type) {
			count[l.Type]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// The same way with GitHub failing at each call once: a limit, an error, a
// connection that is cut, an answer that gets lost. Nothing is decided
// otherwise, people are asked once, and GitHub hears one outcome.
func TestProtectionRuleWhileGitHubFails(t *testing.T) {
	for name, fault := range map[string]githubbox.Fault{
		"502":       {Status: http.StatusBadGateway},
		"no answer": {After: true},
		"cut":       {},
		"403":       {Status: http.StatusForbidden, RetryAfter: time.Second},
		"429":       {Status: http.StatusTooManyRequests, RetryAfter: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, box := stageWithGitHub(t, func(s *stage, box *githubbox.GitHub) {
				s.cfg.backoff = 10 * time.Millisecond
				box.FailEachOnce(fault)
			})
			deploys(t, box, 7001)
			if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			if report := told(t, box, 7001, 1); report.State != "approved" {
				t.Fatalf("GitHub was told %+v", report)
			}
			if got := <-p.step(t, nil); got.code != 0 {
				t.Fatalf("exit %d\n%s", got.code, got.stderr)
			}
			if n := p.askedTimes(); n != 1 {
				t.Errorf("%d messages were posted, want one", n)
			}
			if reports := box.Reports("acme/payments", 7001); len(reports) != 1 {
				t.Errorf("GitHub was told %v", reports)
			}
			if failed := len(box.FailedOnce()); failed < 5 {
				t.Errorf("only %d calls were made to fail: %v", failed, box.FailedOnce())
			}
			p.verified(t)
		})
	}
}

// What people or the rules decide is what GitHub hears, with the reason.
func TestProtectionRuleOutcomes(t *testing.T) {
	t.Run("denied", func(t *testing.T) {
		p, box := stageWithGitHub(t, nil)
		deploys(t, box, 7001)
		if err := p.decide(t.Context(), p.asked(t), "U0BOB", "deny"); err != nil {
			t.Fatal(err)
		}
		if r := told(t, box, 7001, 1); r.State != "rejected" || !strings.Contains(r.Comment, "Denied by Bob: “Not on a Friday") {
			t.Errorf("GitHub was told %+v", r)
		}
	})
	t.Run("no rule fits", func(t *testing.T) {
		p, box := stageWithGitHub(t, func(_ *stage, box *githubbox.GitHub) {
			box.ChangeRun("acme/payments", 7001, func(r *githubbox.Run) { r.HeadBranch = "evil" })
		})
		deploys(t, box, 7001)
		if r := told(t, box, 7001, 1); r.State != "rejected" || !strings.Contains(r.Comment, "payments-production") {
			t.Errorf("GitHub was told %+v", r)
		}
		if n := p.events(t, "request.refused")["request.refused"]; n != 1 || len(p.slack.Messages("C0DEPLOYS")) != 0 {
			t.Errorf("%d refusals are recorded, %d messages", n, len(p.slack.Messages("C0DEPLOYS")))
		}
	})
	t.Run("a rule that needs what is not told", func(t *testing.T) {
		_, box := stageWithGitHub(t, func(s *stage, _ *githubbox.GitHub) {
			s.rewrite(t, "ref: [refs/heads/main, refs/tags/v*]", "runner: github-hosted")
		})
		deploys(t, box, 7001)
		if r := told(t, box, 7001, 1); r.State != "rejected" || !strings.Contains(r.Comment, "GitHub does not tell every claim") || !strings.Contains(r.Comment, "needs runner") {
			t.Errorf("GitHub was told %+v", r)
		}
	})
	t.Run("approval: none", func(t *testing.T) {
		p, box := stageWithGitHub(t, func(s *stage, _ *githubbox.GitHub) {
			s.rewrite(t, "approval:\n      approvers: [slack:S0RELEASE]", "approval: none")
		})
		deploys(t, box, 7001)
		if r := told(t, box, 7001, 1); r.State != "approved" || !strings.Contains(r.Comment, "asks nobody") {
			t.Errorf("GitHub was told %+v", r)
		}
		if got := <-p.step(t, nil); got.code != 0 {
			t.Errorf("exit %d\n%s", got.code, got.stderr)
		}
	})
	t.Run("another owner's installation", func(t *testing.T) {
		_, box := stageWithGitHub(t, func(s *stage, _ *githubbox.GitHub) { s.cfg.Issuers[0].Owners = []string{"other"} })
		deploys(t, box, 7001)
		if r := told(t, box, 7001, 1); r.State != "rejected" || !strings.Contains(r.Comment, "owners") {
			t.Errorf("GitHub was told %+v", r)
		}
	})
	t.Run("revoked before other rules let it run", func(t *testing.T) {
		p, box := stageWithGitHub(t, func(_ *stage, box *githubbox.GitHub) {
			box.Repo(githubbox.Repository{
				ID: 1234567, Name: "acme/payments", OwnerID: 99, Branches: map[string]string{"main": deploySHA},
				Environments: map[string]*githubbox.Environment{"production": {Rule: true, OthersWait: true}},
			})
			box.Run("acme/payments", pushed)
		})
		deploys(t, box, 7001)
		m := p.asked(t)
		if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
			t.Fatal(err)
		}
		told(t, box, 7001, 1)
		id := p.pendingRequest(t)
		if _, err := p.svc.gate.Vote(t.Context(), id, gatekeeper.Vote{Person: gatekeeper.Person{Slack: "U0BOB", Team: "T0ACME"}, Choice: gatekeeper.Revoke, Via: "test"}); err != nil {
			t.Fatal(err)
		}
		if r := told(t, box, 7001, 2); r.State != "rejected" || !strings.Contains(r.Comment, "revoked") {
			t.Errorf("GitHub was told %+v", r)
		}
	})
}

// rewrite changes the stage's rules.
func (s *stage) rewrite(t testing.TB, old, with string) {
	t.Helper()
	if !strings.Contains(stageRules, old) {
		t.Fatalf("the stage's rules have no %q", old)
	}
	if err := os.WriteFile(s.cfg.Rules, []byte(strings.Replace(stageRules, old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pendingRequest is the id of the newest request.
func (p *played) pendingRequest(t testing.TB) string {
	t.Helper()
	found, err := p.svc.store.Find(t.Context(), gatekeeper.Filter{Limit: 1})
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found[0].ID
}

// Threats row 41: a webhook that comes twice opens one request, and one that
// is lost is found by the sweep, which also finds what was missed while the
// service was down.
func TestWebhooksTwiceAndLost(t *testing.T) {
	p, box := stageWithGitHub(t, func(_ *stage, box *githubbox.GitHub) {
		box.Lose(true)
		_, _ = box.Deploy(t.Context(), "acme/payments", 7001, "production")
		box.Lose(false)
	})
	p.asked(t) // found at the start
	r, err := p.svc.store.Get(t.Context(), p.pendingRequest(t))
	if err != nil || r.Deployment == nil || r.Deployment.Via != "github.sweep" {
		t.Fatalf("%+v, %v", r.Deployment, err)
	}
	box.ChangeRun("acme/payments", 7001, func(run *githubbox.Run) { run.Waiting = nil })
	deploys(t, box, 7001)
	deploys(t, box, 7001)
	if err := p.svc.github.protection.SweepNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	told(t, box, 7001, 1)
	if n := p.events(t, "request.opened")["request.opened"]; n != 1 {
		t.Errorf("%d requests were opened", n)
	}
}

// Threats row 43: an approval of the deployment serves no job whose token is
// of another commit, environment or attempt, also when an admin bypassed the
// rule: it needs an approval of its own.
func TestDeploymentServesOnlyItsJob(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"other sha":         {"sha": "ffffffffffffffffffffffffffffffffffffffff"},
		"other attempt":     {"run_attempt": "2", "actor": "carol", "actor_id": "13"},
		"other run":         {"run_id": "7002"},
		"other ref":         {"ref": "refs/tags/v1"},
		"other environment": {"environment": "staging"},
	} {
		t.Run(name, func(t *testing.T) {
			p, box := stageWithGitHub(t, nil)
			deploys(t, box, 7001)
			if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
				t.Fatal(err)
			}
			told(t, box, 7001, 1)
			all := defaultClaims()
			for key, value := range claims {
				all[key] = value
			}
			token := p.ci.Token(p.cfg.URL, all)
			status, body := p.call(t, http.MethodPost, "/v1/requests", token, `{"environment":"production"}`)
			if name == "other environment" {
				if status != http.StatusForbidden {
					t.Errorf("answered %d %s", status, body)
				}
				return
			}
			if status != http.StatusCreated || !strings.Contains(body, `"state":"pending"`) {
				t.Errorf("answered %d %s, want a new request that waits", status, body)
			}
			if status, body := p.call(t, http.MethodPost, "/v1/requests/"+p.approvedRequest(t)+"/credentials", p.ci.Token(p.cfg.URL, all), `{"name":"deploy"}`); status != http.StatusNotFound {
				t.Errorf("the deployment's approval answered %d %s", status, body)
			}
		})
	}
}

func (p *played) approvedRequest(t testing.TB) string {
	t.Helper()
	found, err := p.svc.store.Find(t.Context(), gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Approved}})
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found[0].ID
}

// Of a run that was canceled on GitHub nobody is asked any more.
func TestCanceledRunIsWithdrawn(t *testing.T) {
	p, box := stageWithGitHub(t, nil)
	deploys(t, box, 7001)
	p.asked(t)
	box.ChangeRun("acme/payments", 7001, func(r *githubbox.Run) { r.Completed, r.Waiting = true, nil })
	changed, stop := p.svc.store.Watch(p.pendingRequest(t))
	defer stop()
	if err := p.svc.github.protection.SweepNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-changed
	if r, err := p.svc.store.Get(t.Context(), p.pendingRequest(t)); err != nil || r.State != gatekeeper.Canceled {
		t.Errorf("the request is %s, %v", r.State, err)
	}
	if n := len(box.Reports("acme/payments", 7001)); n != 0 {
		t.Errorf("GitHub was told %d outcomes of a run that is over", n)
	}
}

// A GitHub team approves: who belongs to it is asked at the click.
func TestGitHubTeamApproves(t *testing.T) {
	p, box := stageWithGitHub(t, func(s *stage, box *githubbox.GitHub) {
		s.rewrite(t, "slack:S0RELEASE", "github:acme/release-managers")
		box.Team("acme", "release-managers", map[string]string{"bob": "active"})
	})
	done := p.step(t, nil)
	m := p.asked(t)
	if err := p.decide(t.Context(), m, "U0CAROL", "approve"); err != nil {
		t.Fatal(err)
	}
	if !box.Wait(t.Context().Done(), func() bool { return box.Calls("/orgs/acme/teams/release-managers/memberships/carol") > 0 }) {
		t.Fatal("nobody asked GitHub about Carol")
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	r, err := p.svc.store.Get(t.Context(), p.approvedRequest(t))
	if err != nil || len(r.Votes) != 1 || r.Votes[0].Person.Slack != "U0BOB" {
		t.Errorf("votes are %+v, %v", r.Votes, err)
	}
}

// A message is never late because GitHub is slow: it is posted, and then
// shows what is being deployed. The commit shows the wait, too.
func TestMessageIsEnriched(t *testing.T) {
	var release func()
	p, box := stageWithGitHub(t, func(s *stage, box *githubbox.GitHub) {
		s.cfg.backoff = 10 * time.Millisecond
		box.Commit(githubbox.Commit{SHA: deploySHA, Message: "Round refunds <!channel>", Author: &githubbox.User{Login: "alice", ID: 11}}, 0)
		box.Compare("main", deploySHA, githubbox.Comparison{Status: "ahead"})
		release = box.Hold("GET /repos/{owner}/{repo}/commits/{sha}")
	})
	done := p.step(t, nil)
	m := p.asked(t)
	if text := m.Words(); strings.Contains(text, "Round refunds") {
		t.Fatalf("the message shows what GitHub has not told: %s", text)
	}
	release()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.slack.WaitMessage(ctx, func(m slackbox.Message) bool {
		text := m.Words()
		return strings.Contains(text, "Round refunds <!channel>") && strings.Contains(text, "the commit is not on main")
	}); err != nil {
		queue, _ := p.svc.store.Queue(t.Context())
		t.Fatalf("%v\nthe message: %s\nwork: %+v\nlog: %s", err, p.slack.Messages("C0DEPLOYS")[0].Words(), queue, p.log)
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if n := p.askedTimes(); n != 1 {
		t.Errorf("%d messages were posted, want one", n)
	}
	if !box.Wait(ctx.Done(), func() bool {
		checks := box.Checks()
		return len(checks) == 1 && checks[0].Conclusion == "success" && checks[0].Name == "Gatekeeper: production" &&
			strings.HasPrefix(checks[0].DetailsURL, p.cfg.URL+"/requests/req_") && strings.Contains(checks[0].Output.Title, "Approved by Bob")
	}) {
		t.Errorf("the commit shows %+v", box.Checks())
	}
}

// `github check` says what is there and what is missing, and fails when
// something is.
func TestGitHubCheck(t *testing.T) {
	s := newStaged(t)
	box := withGitHub(t, s)
	path, env := s.configFile(t)
	pem := filepath.Join(s.dir, "app.pem")
	if err := os.WriteFile(pem, box.PrivateKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file = append(file, fmt.Sprintf("github: {app_id: %d, private_key_file: %q, webhook_secret: s, api_url: %q}\n", githubbox.AppID, pem, box.URL())...)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	got := command(t.Context(), env, "github", "check", "--config", path)
	if got.code != 0 || !strings.Contains(got.stdout, "ok       acme/payments, environment production: the App's rule is enabled") || !strings.Contains(got.stdout, "note     acme/payments, environment production: administrators may bypass") || !strings.Contains(got.stdout, "Everything is there.") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	box.Change(func(a *githubbox.App) { a.Events = nil })
	if got := command(t.Context(), env, "github", "check", "--config", path); got.code != 1 || !strings.Contains(got.stdout, "MISSING  the App does not subscribe") || !strings.Contains(got.stderr, "one thing is missing") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

// An admin bypassed the rule, so the job runs while people still decide: its
// step waits for the same question.
func TestJobWaitsForItsDeploymentsRequest(t *testing.T) {
	p, box := stageWithGitHub(t, nil)
	deploys(t, box, 7001)
	m := p.asked(t)
	id := p.pendingRequest(t)
	changed, stop := p.svc.store.Watch(id)
	defer stop()
	done := p.step(t, nil, "--reason", "Release 1.2")
	<-changed // the step found the request and pinned its claims
	if _, err := p.slack.WaitMessage(t.Context(), func(m slackbox.Message) bool { return strings.Contains(m.Words(), "Release 1.2") }); err != nil {
		t.Fatal(err)
	}
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	if n := p.askedTimes(); n != 1 || p.pendingRequest(t) != id {
		t.Errorf("%d messages were posted, want one", n)
	}
}

// A second job of the run that no rule lets in hears of it as well.
func TestSecondRefusalIsTold(t *testing.T) {
	_, box := stageWithGitHub(t, func(s *stage, _ *githubbox.GitHub) { s.rewrite(t, "refs/heads/main", "refs/heads/release") })
	deploys(t, box, 7001)
	told(t, box, 7001, 1)
	box.ChangeRun("acme/payments", 7001, func(r *githubbox.Run) { r.Completed = false })
	deploys(t, box, 7001)
	if r := told(t, box, 7001, 2); r.State != "rejected" {
		t.Errorf("GitHub was told %+v", r)
	}
}
