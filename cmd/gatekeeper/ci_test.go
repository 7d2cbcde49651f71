package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/goccy/go-yaml"
)

// documentedJob is a snippet of docs/ci.md with what its CI gives the job.
type documentedJob struct {
	file     string // the snippet's first line names it
	issuer   string
	claims   string         // in gatekeeper/oidc/testdata/claims
	change   map[string]any // so that it deploys to production
	script   func(doc map[string]any) []string
	env      func(t *testing.T, job map[string]any, token func(audience string) string) map[string]string
	mints    int    // how many tokens the CI's program gave, at least
	identity string // of the repository
}

func documentedJobs() map[string]documentedJob {
	given := func(name string) func(*testing.T, map[string]any, func(string) string) map[string]string {
		return func(_ *testing.T, _ map[string]any, token func(string) string) map[string]string {
			return map[string]string{name: token("us"), "GATEKEEPER_SUBJECT_TOKEN": token("sts.amazonaws.com")}
		}
	}
	agent := func(name string) func(*testing.T, map[string]any, func(string) string) map[string]string {
		return func(*testing.T, map[string]any, func(string) string) map[string]string {
			return map[string]string{name: "true"}
		}
	}
	return map[string]documentedJob{
		"GitLab": {file: ".gitlab-ci.yml", issuer: "gitlab", claims: "gitlab", change: map[string]any{"environment": "production"}, identity: "20",
			script: func(d map[string]any) []string { return lines(at(d, "deploy", "script")) },
			env: func(_ *testing.T, d map[string]any, token func(string) string) map[string]string {
				env := map[string]string{"GITLAB_CI": "true"}
				for name, of := range at(d, "deploy", "id_tokens").(map[string]any) {
					env[name] = token(of.(map[string]any)["aud"].(string))
				}
				return env
			}},
		"Buildkite": {file: ".buildkite/pipeline.yml", issuer: "buildkite", claims: "buildkite", identity: "0184990a-4782-42b5-afc1-16715b10b1f0", mints: 4,
			script: func(d map[string]any) []string {
				all := lines(at(d, "steps", "0", "command"))
				for i := range all { // what an upload makes of it
					all[i] = strings.ReplaceAll(all[i], "$$", "$")
				}
				return all
			}, env: agent("BUILDKITE")},
		"CircleCI": {file: ".circleci/config.yml", issuer: "circleci", claims: "circleci", identity: "ab70c257-7c86-45e2-b988-86003f49734d", mints: 4,
			script: func(d map[string]any) []string { return lines(at(d, "jobs", "deploy", "steps", "1", "run", "command")) }, env: agent("CIRCLECI")},
		"Bitbucket": {file: "bitbucket-pipelines.yml", issuer: "bitbucket", claims: "bitbucket", change: map[string]any{"deploymentEnvironment": "production"},
			identity: "{1de489be-ce6a-42a0-a8c8-eadbf1174ac7}",
			script: func(d map[string]any) []string {
				return lines(at(d, "pipelines", "branches", "main", "0", "step", "script"))
			},
			env: given("BITBUCKET_STEP_OIDC_TOKEN")},
		"Kubernetes": {file: "job.yaml", issuer: "oidc", claims: "kubernetes", identity: "system:serviceaccount:my-namespace:my-serviceaccount",
			script: func(d map[string]any) []string {
				return lines(at(d, "spec", "template", "spec", "containers", "0", "args", "0"))
			},
			env: func(t *testing.T, d map[string]any, token func(string) string) map[string]string {
				source := at(d, "spec", "template", "spec", "volumes", "0", "projected", "sources", "0", "serviceAccountToken").(map[string]any)
				mount := at(d, "spec", "template", "spec", "containers", "0", "volumeMounts", "0", "mountPath").(string)
				if got := mount + "/" + source["path"].(string); got != projectedToken {
					t.Errorf("the job mounts %s, and %s is looked at", got, projectedToken)
				}
				path := filepath.Join(t.TempDir(), "token")
				if err := os.WriteFile(path, []byte(token(source["audience"].(string))), 0o600); err != nil {
					t.Fatal(err)
				}
				return map[string]string{"GATEKEEPER_TOKEN_FILE": path, "GATEKEEPER_SUBJECT_TOKEN": token("sts.amazonaws.com")}
			}},
	}
}

// Each CI's snippet in docs/ci.md, run as that CI runs it, with claims as
// that CI documents them: people approve, and the deployment has a session. A
// denial stops it.
func TestDocumentedJobs(t *testing.T) {
	t.Parallel() // it mostly waits
	if runtime.GOOS == "windows" {
		t.Skip("the snippets are for sh")
	}
	for name, job := range documentedJobs() {
		for _, choice := range []string{"approve", "deny"} {
			t.Run(name+"/"+choice, func(t *testing.T) { job.run(t, choice) })
		}
	}
}

func (j documentedJob) run(t *testing.T, choice string) {
	claims := j.documented(t)
	p := play(t, func(s *stage) {
		owners := []string{"my-group", "f892efa9-103e-4d28-97a1-3b8616a0994d"}
		if j.issuer != "gitlab" && j.issuer != "buildkite" {
			owners = nil
		}
		s.cfg.Issuers = []oidc.Issuer{{Name: j.issuer, Type: j.issuer, URL: s.ci.URL(), Audience: s.cfg.URL, Owners: owners}}
		s.sts.Role(stsbox.Role{ARN: "arn:aws:iam::111122223333:role/payments-deploy", Issuer: s.ci.URL()})
		rule := fmt.Sprintf(`rules:
  - name: deploy
    match: {repository_id: %q}
    environment: production
    approval: {approvers: [slack:U0BOB], self_approval: %t}
    credentials: {deploy: {aws: {role_arn: "arn:aws:iam::111122223333:role/payments-deploy", exchange: workload_token}}}
`, j.identity, j.issuer != "gitlab")
		if err := os.WriteFile(s.cfg.Rules, []byte(rule), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	doc := snippet(t, j.file, p.cfg.URL)
	token := func(audience string) string {
		if audience == "us" {
			audience = p.cfg.URL
		}
		return p.ci.Token(audience, claims)
	}
	env := j.env(t, doc, token)
	env["SANDBOX_MINT_URL"], env["SANDBOX_MINT_TOKEN"] = p.ci.Job(claims)
	env["SANDBOX_MINTED"] = filepath.Join(t.TempDir(), "minted")
	done := make(chan outcomeOf, 1)
	go func() { done <- asJob(t, j.script(doc), env) }()
	if err := p.decide(t.Context(), p.asked(t), "U0BOB", choice); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if choice == "deny" {
		if got.code != 3 || strings.Contains(got.stdout, "deployed") {
			t.Fatalf("after a denial: exit %d\n%s\n%s", got.code, got.stdout, got.stderr)
		}
		return
	}
	if got.code != 0 || !strings.Contains(got.stdout, "deployed with ASIA") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.stdout, got.stderr)
	}
	minted, _ := os.ReadFile(env["SANDBOX_MINTED"])
	if n := strings.Count(string(minted), "\n"); n < j.mints {
		t.Errorf("%d tokens were minted, want at least %d:\n%s", n, j.mints, minted)
	}
}

// documented are the claims of the vendor's page.
func (j documentedJob) documented(t *testing.T) map[string]any {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "gatekeeper", "oidc", "testdata", "claims", j.claims+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Claims map[string]any }
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	maps.Copy(d.Claims, j.change)
	return d.Claims
}

// asJob runs lines as a CI does: each has to succeed. gatekeeper and the CIs'
// programs on its PATH are this test's binary, see TestMain.
func asJob(t *testing.T, script []string, env map[string]string) outcomeOf {
	dir, bin := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	for _, name := range []string{"gatekeeper", "buildkite-agent", "circleci"} {
		if err == nil {
			err = os.Symlink(self, filepath.Join(bin, name))
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "deploy.sh"), []byte("#!/bin/sh\ntest -n \"$AWS_SESSION_TOKEN\" && echo deployed with $AWS_ACCESS_KEY_ID\n"), 0o700)
	}
	if err != nil {
		return outcomeOf{code: -1, stderr: err.Error()}
	}
	var stdout, stderr buffer
	c := exec.CommandContext(t.Context(), "sh", "-ec", strings.Join(script, "\n"))
	c.Dir, c.Stdout, c.Stderr = dir, &stdout, &stderr
	c.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + dir}
	for name, value := range env {
		c.Env = append(c.Env, name+"="+value)
	}
	_ = c.Run()
	return outcomeOf{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// fakeAgent is a CI's program that mints tokens, as its vendor documents its
// arguments; it runs in a process of its own.
func fakeAgent() {
	audience := ""
	switch args := os.Args[1:]; {
	case len(args) == 6 && slices.Equal([]string{args[0], args[1], args[2], args[4], args[5]}, []string{"oidc", "request-token", "--audience", "--claim", "organization_id,pipeline_id"}):
		audience = args[3]
	case len(args) == 5 && slices.Equal(args[:4], []string{"run", "oidc", "get", "--claims"}):
		var claims struct{ Aud string }
		_ = json.Unmarshal([]byte(args[4]), &claims)
		audience = claims.Aud
	}
	token, err := mint(context.Background(), os.Getenv("SANDBOX_MINT_URL"), os.Getenv("SANDBOX_MINT_TOKEN"), audience)
	if err != nil || audience == "" {
		fmt.Fprintln(os.Stderr, "fatal: cannot request a token:", os.Args, err)
		os.Exit(1)
	}
	log, err := os.OpenFile(os.Getenv("SANDBOX_MINTED"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(log, audience)
	fmt.Println(token)
}

// snippet is the block of docs/ci.md that begins with the file's name.
func snippet(t *testing.T, file, url string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(block(t, "ci.md", file, url)), &doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return doc
}

func block(t *testing.T, page, file, url string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(body), "```yaml\n# "+file+"\n")
	text, _, ends := strings.Cut(after, "```")
	if !ok || !ends {
		t.Fatalf("docs/%s has no block that begins with # %s", page, file)
	}
	return strings.ReplaceAll(text, "https://gatekeeper.example.com", url)
}

// at walks maps by key and lists by index.
func at(v any, path ...string) any {
	for _, key := range path {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			v = in[int(key[0]-'0')]
		}
	}
	return v
}

func lines(v any) []string {
	if text, ok := v.(string); ok {
		return []string{text}
	}
	var all []string
	for _, line := range v.([]any) {
		all = append(all, line.(string))
	}
	return all
}

// The workflow of docs/ci.md is one that GitHub takes.
func TestDocumentedWorkflow(t *testing.T) {
	actionlint := parts.Find(t, "actionlint", "go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
	path := filepath.Join(t.TempDir(), "deploy.yml")
	if err := os.WriteFile(path, []byte(block(t, "ci.md", ".github/workflows/deploy.yml", "https://gatekeeper.example.com")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), actionlint, path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The issuers of docs/ci.md are a configuration without faults.
func TestDocumentedIssuers(t *testing.T) {
	dir := t.TempDir()
	text := "url: https://gatekeeper.example.com\nrules: rules.yaml\nslack: {bot_token: x, signing_secret: x, team: T0ACME}\n" + block(t, "ci.md", "gatekeeper.yaml", "https://gatekeeper.example.com")
	for name, body := range map[string]string{"gatekeeper.yaml": text, "rules.yaml": "rules: []\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, faults := loadConfig(filepath.Join(dir, "gatekeeper.yaml"), func(string) string { return "" })
	if faults.Err() != nil || len(cfg.Issuers) != 9 {
		t.Errorf("%d issuers\n%v", len(cfg.Issuers), faults)
	}
}
