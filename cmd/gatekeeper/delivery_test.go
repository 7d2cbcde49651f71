package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/api"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// oneOfEach is a credential of each type. Whatever is secret starts with
// canary, and some of it holds what ends a line, a string or an assignment.
func oneOfEach() []gatekeeper.Credential {
	at := time.Date(2026, 3, 2, 10, 15, 0, 0, time.UTC)
	return []gatekeeper.Credential{
		{Name: "deploy", Type: "aws", ExpiresAt: at, AWS: &gatekeeper.AWSCredential{AccessKeyID: "canary-key", SecretAccessKey: "canary'secret", SessionToken: "canary\nsession", Region: "eu-west-1"}},
		{Name: "gcs", Type: "gcp", ExpiresAt: at, GCP: &gatekeeper.GCPCredential{AccessToken: "canary\"gcp", IDToken: "canary-id", ServiceAccount: "d@acme.iam.gserviceaccount.com", ProjectID: "acme"}},
		{Name: "az", Type: "azure", ExpiresAt: at, Azure: &gatekeeper.AzureCredential{AccessToken: "canary-az", FederatedToken: "canary-fed", TenantID: "tenant", ClientID: "client", SubscriptionID: "sub"}},
		{Name: "kv", Type: "vault", ExpiresAt: at, Vault: &gatekeeper.VaultCredential{Token: "canary-vault", Address: "https://vault.acme.com", Namespace: "ns"}},
		{Name: "repo", Type: "github", ExpiresAt: at, GitHub: &gatekeeper.GitHubCredential{Token: "canary-gh"}},
		{Name: "k8s", Type: "oidc", ExpiresAt: at, OIDC: &gatekeeper.OIDCCredential{Token: "canary-oidc"}},
	}
}

// delivered is what a delivery wrote.
type delivered struct {
	stdout string
	env    map[string]string // GITHUB_ENV, parsed as the runner does
	output map[string]string
	files  map[string]string
}

func deliverAll(t *testing.T, o deliveryOptions, credentials ...gatekeeper.Credential) delivered {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{"RUNNER_TEMP": filepath.Join(dir, "temp")}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		env[name] = filepath.Join(dir, name)
	}
	if err := os.Mkdir(env["RUNNER_TEMP"], 0o700); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	d, err := newDelivery(world{env: func(name string) string { return env[name] }, stdout: &out, stderr: &log}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range credentials {
		d.mask(c)
	}
	masked := out.String()
	if err := d.approved(anAnswer(), credentials); err != nil {
		t.Fatal(err)
	}
	got := delivered{stdout: out.String(), env: runnerFile(t, env["GITHUB_ENV"]), output: runnerFile(t, env["GITHUB_OUTPUT"]), files: map[string]string{}}
	if o.output == "github" {
		for _, c := range []string{"canary-key", "canary'secret", "canary\nsession", "canary\"gcp", "canary-id", "canary-az", "canary-fed", "canary-vault", "canary-gh", "canary-oidc"} {
			for _, line := range strings.Split(c, "\n") {
				if slices.ContainsFunc(credentials, func(x gatekeeper.Credential) bool { return strings.Contains(jsonOf(x), inJSON(c)) }) && !strings.Contains(masked, "::add-mask::"+line+"\n") {
					t.Errorf("%q is not masked before anything is written", line)
				}
			}
		}
		if strings.Contains(strings.TrimPrefix(got.stdout, masked), "canary") {
			t.Errorf("the log shows a secret: %s", got.stdout)
		}
	}
	found, _ := filepath.Glob(filepath.Join(env["RUNNER_TEMP"], "*", "*"))
	for _, path := range found {
		info, err := os.Stat(path)
		body, readErr := os.ReadFile(path)
		if err != nil || readErr != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		got.files[path] = string(body)
	}
	return got
}

func jsonOf(c gatekeeper.Credential) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(c)
	return b.String()
}

var heredoc = regexp.MustCompile(`(?s)([^\n]*?)<<(ghadelimiter_[^\n]+)\n(.*?)\n(ghadelimiter_[^\n]+)\n`)

func runnerFile(t *testing.T, path string) map[string]string {
	t.Helper()
	body, _ := os.ReadFile(path)
	got := map[string]string{}
	for _, m := range heredoc.FindAllStringSubmatch(string(body), -1) {
		if m[2] != m[4] {
			t.Fatalf("a value ends another's: %q", m)
		}
		got[m[1]] = m[3]
	}
	return got
}

// Each kind is exported under the names that its users' tools read.
func TestExportsOfEachKind(t *testing.T) {
	got := deliverAll(t, deliveryOptions{output: "github", export: "env"}, oneOfEach()...)
	for name, want := range map[string]string{
		"AWS_ACCESS_KEY_ID": "canary-key", "AWS_SECRET_ACCESS_KEY": "canary'secret", "AWS_SESSION_TOKEN": "canary\nsession", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
		"GOOGLE_OAUTH_ACCESS_TOKEN": "canary\"gcp", "CLOUDSDK_AUTH_ACCESS_TOKEN": "canary\"gcp", "CLOUDSDK_CORE_PROJECT": "acme", "GOOGLE_CLOUD_PROJECT": "acme", "GATEKEEPER_GCP_ID_TOKEN": "canary-id",
		"ARM_CLIENT_ID": "client", "ARM_TENANT_ID": "tenant", "ARM_SUBSCRIPTION_ID": "sub", "ARM_OIDC_TOKEN": "canary-fed", "ARM_USE_OIDC": "true",
		"AZURE_CLIENT_ID": "client", "AZURE_TENANT_ID": "tenant", "AZURE_SUBSCRIPTION_ID": "sub", "AZURE_ACCESS_TOKEN": "canary-az",
		"VAULT_TOKEN": "canary-vault", "VAULT_ADDR": "https://vault.acme.com", "VAULT_NAMESPACE": "ns", "GATEKEEPER_OIDC_TOKEN": "canary-oidc",
		"GITHUB_TOKEN": "", "GATEKEEPER_GITHUB_TOKEN": "",
	} {
		if got.env[name] != want {
			t.Errorf("%s is %q, want %q", name, got.env[name], want)
		}
	}
	for name, want := range map[string]string{"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "canary\"gcp", "AZURE_FEDERATED_TOKEN_FILE": "canary-fed", "GATEKEEPER_OIDC_TOKEN_FILE": "canary-oidc"} {
		if got.files[got.env[name]] != want {
			t.Errorf("%s leads to %q", name, got.files[got.env[name]])
		}
	}
	if got.output["github-token"] != "canary-gh" || got.output["vault-token"] != "" || got.output["credentials"] != "" {
		t.Errorf("outputs beside variables: %v", got.output)
	}
	asked := deliverAll(t, deliveryOptions{output: "github", export: "env", githubEnv: "GH_TOKEN"}, oneOfEach()...)
	if asked.env["GH_TOKEN"] != "canary-gh" {
		t.Error("GH_TOKEN was asked for")
	}
}

// Every output that a kind has is declared by the action, and the other way.
func TestOutputsOfEachKind(t *testing.T) {
	got := deliverAll(t, deliveryOptions{output: "github", export: "outputs"}, oneOfEach()...)
	if len(got.env) != 0 {
		t.Errorf("variables: %v", got.env)
	}
	declared := readAction(t).Outputs
	for name := range got.output {
		if declared[name].Value != "${{ steps.request.outputs."+name+" }}" {
			t.Errorf("action.yml does not pass on %s", name)
		}
	}
	for name := range declared {
		if name == "attestation" { // what was approved, not what was handed out
			continue
		}
		if _, set := got.output[name]; !set {
			t.Errorf("action.yml declares %s, which nothing sets", name)
		}
	}
	var all map[string]gatekeeper.Credential
	if err := json.Unmarshal([]byte(got.output["credentials"]), &all); err != nil || all["kv"].Vault.Token != "canary-vault" {
		t.Errorf("credentials: %v", err)
	}
	for _, c := range oneOfEach() {
		if _, secret, _ := strings.Cut(jsonOf(c), "canary"); strings.Contains(secret, `\u00`) {
			t.Errorf("a secret stands in JSON as it is not masked: %s", secret)
		}
	}
	if none := deliverAll(t, deliveryOptions{output: "github", export: "none"}, oneOfEach()...); len(none.env)+len(none.files) != 0 || strings.Contains(jsonMap(none.output), "canary") {
		t.Errorf("export: none delivers %v", none.output)
	}
}

func jsonMap(m map[string]string) string {
	body, _ := json.Marshal(m)
	return string(body)
}

// A shell takes what --output env prints, whatever the values hold.
func TestShellTakesExports(t *testing.T) {
	sh := parts.Find(t, "sh", "a POSIX shell")
	got := deliverAll(t, deliveryOptions{output: "env", export: "env"}, oneOfEach()...)
	out, err := shell(t, sh, got.stdout+"\nprintf '%s|' \"$AWS_SECRET_ACCESS_KEY\" \"$AWS_SESSION_TOKEN\" \"$GOOGLE_OAUTH_ACCESS_TOKEN\" \"$GATEKEEPER_GITHUB_TOKEN\" \"$GATEKEEPER_OIDC_TOKEN\"; cat \"$GATEKEEPER_OIDC_TOKEN_FILE\"")
	if want := "canary'secret|canary\nsession|canary\"gcp|canary-gh|canary-oidc|canary-oidc"; err != nil || out != want {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
}

// Two credentials of one kind never take each other's place silently.
func TestClash(t *testing.T) {
	two := []api.Spec{{Name: "deploy", Type: "aws"}, {Name: "Deploy", Type: "aws"}, {Name: "kv", Type: "vault"}}
	for name, c := range map[string]struct {
		o     deliveryOptions
		specs []api.Spec
		says  string
	}{
		"env":                        {deliveryOptions{output: "env"}, two, "--only"},
		"github":                     {deliveryOptions{output: "github", export: "env"}, two, "--prefix"},
		"outputs":                    {deliveryOptions{output: "github", export: "outputs"}, two, "same names"},
		"no export":                  {deliveryOptions{output: "github", export: "none"}, two, ""},
		"json":                       {deliveryOptions{output: "json"}, two, ""},
		"prefixes that are the same": {deliveryOptions{output: "env", prefix: true}, two, "same names"},
		"prefixes":                   {deliveryOptions{output: "env", prefix: true}, []api.Spec{{Name: "a", Type: "aws"}, {Name: "b", Type: "aws"}}, ""},
		"different kinds":            {deliveryOptions{output: "env"}, two[1:], ""},
		"two for the process":        {deliveryOptions{output: "credential-process"}, two, "name it with --only"},
		"none for the process":       {deliveryOptions{output: "credential-process"}, two[2:], "0 of them"},
		"one for the process":        {deliveryOptions{output: "credential-process"}, two[1:], ""},
	} {
		err := delivery{deliveryOptions: c.o}.clash(c.specs)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	evil := oneOfEach()[0]
	evil.Name = "a;b=$(x)\n::set"
	got := deliverAll(t, deliveryOptions{output: "github", export: "env", prefix: true}, evil)
	if got.env["A_B___X____SET_AWS_REGION"] != "eu-west-1" || len(got.env) != 5 {
		t.Errorf("variables: %v", got.env)
	}
}

func shell(t *testing.T, sh, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), sh, "-eu")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.Output()
	return string(out), err
}
