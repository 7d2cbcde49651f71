package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/webhook/github"
)

// onGitHub keeps the stage's rules in acme/platform, under gatekeeper/.
func onGitHub(t *testing.T, s *stage) *githubbox.GitHub {
	t.Helper()
	box := withGitHub(t, s)
	box.Repo(githubbox.Repository{ID: 5, Name: "acme/platform", OwnerID: 99})
	pushRules(box, stageRules)
	at, err := github.ParseLocation("github:acme/platform//gatekeeper?ref=main")
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Rules, s.cfg.RulesAt = "", &at
	return box
}

func pushRules(box *githubbox.GitHub, text string) (commit string) {
	return box.Push("acme/platform", "main", map[string]githubbox.Entry{"gatekeeper/rules.yaml": {Body: text}, "README.md": {Body: text}})
}

// Rules in a repository: read at the start, pinned to a commit, read again
// when a push is told, kept when what was pushed has faults.
func TestRulesOnGitHub(t *testing.T) {
	var box *githubbox.GitHub
	p := play(t, func(s *stage) { box = onGitHub(t, s) })
	first := p.svc.rulesDetail()
	if first["rules"] != "ok" || len(first["rules_commit"]) != 40 || first["rules_source"] != "github:acme/platform//gatekeeper?ref=main" {
		t.Fatalf("%v", first)
	}
	done := p.step(t, nil)
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}

	told := func(text string) string {
		commit := pushRules(box, text)
		if status, err := box.SendPush(t.Context(), "acme/platform", "main"); err != nil || status != http.StatusAccepted {
			t.Fatalf("the push's webhook: %d, %v", status, err)
		}
		return commit
	}
	second := told(named("second"))
	p.until(t, func() bool { return p.svc.ruleNames() == "second" })
	if d := p.svc.rulesDetail(); d["rules_commit"] != second {
		t.Errorf("in force is %s, pushed was %s", d["rules_commit"], second)
	}
	if _, body := p.admin(t, "/metrics"); !strings.Contains(body, `gatekeeper_rules_info{commit="`+second+`"`) {
		t.Errorf("the metrics do not tell the commit:\n%s", body)
	}

	broken := told("rules: [{nam: x}]")
	p.until(t, func() bool { return p.svc.rules.trouble() != "" })
	if d := p.svc.rulesDetail(); p.svc.ruleNames() != "second" || d["rules_commit"] != second || !strings.Contains(d["rules"], "gatekeeper/rules.yaml:1:") {
		t.Errorf("after a broken push: %v", d)
	}
	path, env := p.configFile(t)
	got := command(t.Context(), env, "audit", "export", "--config", path)
	for _, commit := range []string{first["rules_commit"], second, broken} {
		if !strings.Contains(got.stdout, `"commit":"`+commit+`"`) {
			t.Errorf("the ledger does not tell of commit %s", commit)
		}
	}
}

// until waits for what the service does after an answer of GitHub's stand-in.
func (p *played) until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about; rules %q, %v\n%s", p.svc.ruleNames(), p.svc.rulesDetail(), p.log)
		}
		_, _ = p.admin(t, "/readyz")
	}
}

// A push to another branch, or of another repository, makes nobody ask GitHub.
func TestPushesElsewhere(t *testing.T) {
	var box *githubbox.GitHub
	_, svc := still(t, func(s *stage) { box = onGitHub(t, s) })
	before := box.Calls("GET /repos/{owner}/{repo}/git/trees/{sha}")
	push := svc.rulesSubscriptions()["push"]
	for _, body := range []string{
		`{"ref":"refs/heads/other","repository":{"full_name":"acme/platform","default_branch":"main"}}`,
		`{"ref":"refs/tags/main","repository":{"full_name":"acme/platform","default_branch":"main"}}`,
		`{"ref":"refs/heads/main","repository":{"full_name":"acme/payments","default_branch":"main"}}`,
		`{"ref":"refs/heads/main"}`, `{}`, `[]`,
	} {
		if err := push.Handle(t.Context(), github.Event{Name: "push", Payload: []byte(body)}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if n := box.Calls("GET /repos/{owner}/{repo}/git/trees/{sha}"); n != before {
		t.Errorf("GitHub was asked %d times", n-before)
	}
	// The webhook says only that something was pushed: what is in force is what
	// GitHub gives when it is asked, whatever commit the webhook names.
	commit := pushRules(box, named("second"))
	if err := push.Handle(t.Context(), github.Event{Name: "push", Payload: []byte(`{"ref":"refs/heads/main","after":"` + strings.Repeat("f", 40) + `","repository":{"full_name":"acme/platform"}}`)}); err != nil {
		t.Fatal(err)
	}
	if d := svc.rulesDetail(); d["rules_commit"] != commit || svc.ruleNames() != "second" {
		t.Errorf("%v", d)
	}
}

// The last good rules serve while GitHub is down, and over a restart in that
// time; readiness, the log and the ledger say so. Without any the service does
// not start.
func TestRulesWhileGitHubIsDown(t *testing.T) {
	var box *githubbox.GitHub
	s, svc := still(t, func(s *stage) { box = onGitHub(t, s) })
	commit := svc.rulesDetail()["rules_commit"]
	box.Fail(http.StatusBadGateway)
	if err := svc.reload(t.Context(), false); err == nil {
		t.Error("an outage is no error")
	}
	if d := svc.rulesDetail(); svc.ruleNames() != "payments-production" || d["rules_commit"] != commit || !strings.Contains(d["rules"], "cannot be read") {
		t.Errorf("during the outage: %v", d)
	}
	svc.close()

	// The restart. Whatever else the service asks GitHub is waited out.
	log := &buffer{}
	again, err := newService(t.Context(), s.cfg, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatalf("it does not start: %v", err)
	}
	d := again.rulesDetail()
	if again.ruleNames() != "payments-production" || d["rules_commit"] != commit || !strings.Contains(d["rules"], "the last good rules are in force") {
		t.Errorf("after the restart: %v", d)
	}
	if !strings.Contains(log.String(), "started with the last good rules") {
		t.Errorf("the log does not say so:\n%s", log)
	}
	if wait := again.rules.wait(); wait != faultyEvery {
		t.Errorf("GitHub is asked again after %s", wait)
	}
	box.Fail(0)
	if err := again.reload(t.Context(), false); err != nil || again.rulesDetail()["rules"] != "ok" {
		t.Errorf("after the outage: %v, %v", err, again.rulesDetail())
	}
	again.close()
	path, env := s.configFile(t)
	if got := command(t.Context(), env, "audit", "export", "--config", path); !strings.Contains(got.stdout, `"last_good":true`) {
		t.Errorf("the ledger does not tell of it:\n%s%s", got.stdout, got.stderr)
	}

	// What is pushed broken does not keep a service from starting either.
	pushRules(box, "rules: [")
	broken, err := newService(t.Context(), s.cfg, newSilent())
	if err != nil || broken.ruleNames() != "payments-production" || !strings.Contains(broken.rules.trouble(), "have faults") {
		t.Fatalf("%v", err)
	}
	broken.close()

	box.Fail(http.StatusBadGateway)
	fresh := s.cfg
	fresh.Database = fresh.Database + ".new"
	if svc, err := newService(t.Context(), fresh, newSilent()); err == nil || !strings.Contains(err.Error(), "GitHub") {
		t.Errorf("a first start without GitHub: %v", err)
		svc.close()
	}
}

// A pull request of a fork gets its check run, by the same parser that the
// service loads rules with: its webhook comes while GitHub fails, and is
// worked on when it is back.
func TestPullRequestIsChecked(t *testing.T) {
	t.Parallel() // it mostly waits
	var box *githubbox.GitHub
	p := play(t, func(s *stage) { box = onGitHub(t, s) })
	proposed := named("second") + `tests:
  - {name: a push to main, environment: production, claims: {repository: acme/payments, repository_id: "1234567", ref: refs/heads/main, environment: production, event_name: push}, want: {outcome: approve}}
  - {name: everybody, environment: production, claims: {repository: evil/x, environment: production}, want: {outcome: allow}}
`
	sha := box.Push("mallory/platform", "change", map[string]githubbox.Entry{"gatekeeper/rules.yaml": {Body: proposed}})
	box.Request("acme/platform", githubbox.PullRequest{Number: 12, Base: "main", HeadRepo: "mallory/platform", HeadSHA: sha, Files: []string{"gatekeeper/rules.yaml"}})
	box.FailNext("GET /repos/{owner}/{repo}/pulls/{number}", githubbox.Fault{Status: http.StatusBadGateway})
	if status, err := box.SendRequest(t.Context(), "acme/platform", 12, "opened"); err != nil || status != http.StatusAccepted {
		t.Fatalf("the webhook: %d, %v", status, err)
	}
	if !box.Wait(t.Context().Done(), func() bool { return len(box.Checks()) > 0 }) {
		t.Fatal("there is no check run")
	}
	c := box.Checks()[0]
	if c.HeadSHA != sha || c.Conclusion != "failure" || c.Output.Title != "1 rule, 0 errors, 1 warning, 1 of 2 tests passed" {
		t.Fatalf("%+v", c)
	}
	if a := c.Output.Annotations; len(a) != 2 || a[0].Level != "warning" || a[1].Path != "gatekeeper/rules.yaml" || a[1].Title != "rules test: everybody" || a[1].Level != "failure" || a[1].StartLine < 15 || !strings.Contains(a[1].Message, "- outcome: allow") {
		t.Errorf("%+v", a)
	}
	if p.svc.ruleNames() != "payments-production" {
		t.Errorf("a proposal is in force: %s", p.svc.ruleNames())
	}

	sha = box.Push("mallory/platform", "change", map[string]githubbox.Entry{"gatekeeper/rules.yaml": {Body: strings.Replace(proposed, "outcome: allow", "outcome: deny", 1)}})
	box.Request("acme/platform", githubbox.PullRequest{Number: 12, Base: "main", HeadRepo: "mallory/platform", HeadSHA: sha, Files: []string{"gatekeeper/rules.yaml"}})
	if _, err := box.SendRequest(t.Context(), "acme/platform", 12, "synchronize"); err != nil {
		t.Fatal(err)
	}
	if !box.Wait(t.Context().Done(), func() bool { return len(box.Checks()) > 1 }) {
		t.Fatal("there is no second check run")
	}
	if c := box.Checks()[1]; c.Conclusion != "success" || c.HeadSHA != sha {
		t.Errorf("%+v", c)
	}
	if _, err := box.SendRerequest(t.Context(), "acme/platform", box.Checks()[1]); err != nil {
		t.Fatal(err)
	}
	if !box.Wait(t.Context().Done(), func() bool { return len(box.Checks()) > 2 }) {
		t.Fatal("the check is not made again")
	}
}

// What pull requests may make us compute is bounded, and each fault is a
// remark at its place.
func TestProposedRules(t *testing.T) {
	file := func(text string) []rules.File { return []rules.File{{Name: "g/r.yaml", Body: []byte(text)}} }
	many := strings.Builder{}
	many.WriteString(stageRules + "tests:\n")
	for range 10 {
		many.WriteString("  - {name: x, environment: production, claims: {repository: evil/x}, want: {outcome: deny}}\n")
	}
	for name, c := range map[string]struct {
		files   []rules.File
		failed  bool
		title   string
		remarks int
	}{
		"nothing":       {nil, true, "There are no rule files", 0},
		"good":          {file(stageRules), false, "1 rule, 0 errors", 0},
		"two faults":    {file("rules:\n  - {name: a, match: {repostory: x}, environment: e, approval: {approvers: [bob]}}\n"), true, "error", 2},
		"tests":         {file(many.String()), false, "10 of 10 tests passed", 0},
		"not YAML":      {file("rules: ["), true, "1 error", 1},
		"a name, twice": {append(file(stageRules), rules.File{Name: "g/s.yaml", Body: []byte(stageRules)}), true, "1 error", 1},
	} {
		got := proposedRules(c.files, surroundings{}, time.Now())
		if got.Failed != c.failed || !strings.Contains(got.Title, c.title) || len(got.Remarks) < c.remarks {
			t.Errorf("%s: %+v", name, got)
		}
		for _, r := range got.Remarks {
			if r.File == "" || r.Line < 1 || r.Message == "" {
				t.Errorf("%s: a remark without its place: %+v", name, r)
			}
		}
	}
}
