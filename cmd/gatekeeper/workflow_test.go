package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
)

const evil = "x\n::set-env name=PATH::/evil\r\n::error::y | [a](b) <img> `c` \u202e\x1b[31m"

func aCredential() gatekeeper.Credential {
	return gatekeeper.Credential{Name: "deploy", Type: "aws", ExpiresAt: time.Date(2026, 3, 2, 10, 15, 0, 0, time.UTC), AWS: &gatekeeper.AWSCredential{
		AccessKeyID: "ASIACANARY", SecretAccessKey: "canary'secret", SessionToken: "canary\ntoken", Region: "eu-west-1",
	}}
}

func anAnswer() api.Request {
	return api.Request{ID: "req_1", State: "approved", Environment: evil, Rule: "r", Reason: evil, URL: "https://gatekeeper.test/requests/req_1",
		Approval: api.Approval{Quorum: 1, ApprovedBy: []api.Voter{{Slack: "U0BOB", Name: evil}}, DenyReason: evil}}
}

// deliver runs a delivery inside a made-up runner.
func deliver(t *testing.T, output, export string) (stdout string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		env[name] = filepath.Join(dir, name)
	}
	var out, log bytes.Buffer
	d, err := newDelivery(world{env: func(name string) string { return env[name] }, stdout: &out, stderr: &log}, deliveryOptions{output: output, export: export})
	if err != nil {
		t.Fatal(err)
	}
	d.mask(aCredential())
	if err := d.approved(anAnswer(), []gatekeeper.Credential{aCredential()}); err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for name, path := range env {
		if body, err := os.ReadFile(path); err == nil {
			files[name] = string(body)
		}
	}
	return out.String(), files
}

// Every secret is masked, line by line, before anything is written anywhere.
func TestMasks(t *testing.T) {
	stdout, files := deliver(t, "github", "env")
	for _, line := range []string{"::add-mask::ASIACANARY\n", "::add-mask::canary'secret\n", "::add-mask::canary\n", "::add-mask::token\n"} {
		if !strings.Contains(stdout, line) {
			t.Errorf("stdout lacks %q:\n%s", line, stdout)
		}
	}
	if !strings.Contains(files["GITHUB_ENV"], "AWS_SECRET_ACCESS_KEY<<ghadelimiter_") || !strings.Contains(files["GITHUB_ENV"], "AWS_REGION<<") {
		t.Errorf("GITHUB_ENV: %s", files["GITHUB_ENV"])
	}
	if strings.Contains(files["GITHUB_OUTPUT"], "canary") || strings.Contains(files["GITHUB_STEP_SUMMARY"], "canary") {
		t.Error("outputs or summary hold a secret with export: env")
	}
}

func TestExports(t *testing.T) {
	_, outputs := deliver(t, "github", "outputs")
	if outputs["GITHUB_ENV"] != "" || !strings.Contains(outputs["GITHUB_OUTPUT"], "aws-session-token<<") {
		t.Errorf("outputs: %v", outputs)
	}
	_, none := deliver(t, "github", "none")
	if none["GITHUB_ENV"] != "" || strings.Contains(none["GITHUB_OUTPUT"], "aws-") || !strings.Contains(none["GITHUB_OUTPUT"], "request-id<<") {
		t.Errorf("none: %v", none)
	}
}

// A stranger's text starts no workflow command, no variable of its own, no
// link and no cell (threats row 28's kin on the CI's side).
func TestStrangersText(t *testing.T) {
	_, files := deliver(t, "github", "env")
	for _, line := range strings.Split(files["GITHUB_OUTPUT"], "\n") {
		if strings.HasPrefix(line, "::") {
			t.Errorf("an output starts a command: %q", line)
		}
	}
	summary := files["GITHUB_STEP_SUMMARY"]
	for _, bad := range []string{"[a](b)", "<img>", "`c`", "\u202e", "\x1b", "\n::"} {
		if strings.Contains(summary, bad) {
			t.Errorf("the summary holds %q:\n%s", bad, summary)
		}
	}
	if !strings.Contains(summary, "Approved by") || !strings.Contains(summary, "2026-03-02T10:15:00Z") {
		t.Errorf("the summary does not tell who approved and until when:\n%s", summary)
	}
	if got := oneLine("ok ##[set-output name=x]y #\x1b#[error]"); strings.Contains(got, "##[") {
		t.Errorf("a command in the middle of a line: %q", got)
	}
	if got := oneLine(evil); strings.ContainsAny(got, "\n\r\x1b\u202e") {
		t.Errorf("one line: %q", got)
	}
}

func TestOtherOutputs(t *testing.T) {
	env, _ := deliver(t, "env", "env")
	if !strings.Contains(env, `export AWS_SECRET_ACCESS_KEY='canary'\''secret'`) {
		t.Errorf("env: %s", env)
	}
	process, _ := deliver(t, "credential-process", "env")
	var p map[string]any
	if err := json.Unmarshal([]byte(process), &p); err != nil || p["Version"] != 1.0 || p["AccessKeyId"] != "ASIACANARY" || p["Expiration"] != "2026-03-02T10:15:00Z" {
		t.Errorf("credential-process: %s", process)
	}
}
