package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/azurebox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/gcpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/vaultbox"
)

// skyFile is the stage's configuration with all clouds in it.
func (p *played) skyFile(t *testing.T) (string, map[string]string) {
	t.Helper()
	path, env := p.configFile(t)
	key := filepath.Join(p.dir, "app.pem")
	if err := os.WriteFile(key, p.cfg.GitHub.PrivateKey, 0o600); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := p.cfg.Clouds
	more := fmt.Sprintf("gcp: {sts_endpoint: %q, iam_credentials_endpoint: %q}\nazure: {authority: %q}\ngithub: {app_id: %d, private_key_file: %q, api_url: %q}\n",
		c.GCPSTS, c.GCPIAM, c.Azure, p.cfg.GitHub.AppID, key, p.cfg.GitHub.APIURL)
	if err := os.WriteFile(path, append(body, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range p.jobEnv(nil) {
		env[name] = value
	}
	return path, env
}

// A job's own token is presented to each cloud of the rules. Where the cloud
// trusts the gatekeeper alone it is refused; each cloud that trusts the CI as
// well is found out (threats row 37).
func TestCredentialsCheck(t *testing.T) {
	var all sky
	p := play(t, func(s *stage) { all = rise(t, s) })
	path, env := p.skyFile(t)
	check := func(code int, says ...string) {
		t.Helper()
		got := command(t.Context(), env, "credentials", "check", "--config", path)
		if got.code != code {
			t.Errorf("exit %d, want %d\n%s%s", got.code, code, got.stdout, got.stderr)
		}
		for _, want := range says {
			if !strings.Contains(got.stdout+got.stderr, want) {
				t.Errorf("it does not say %q:\n%s%s", want, got.stdout, got.stderr)
			}
		}
		if strings.Contains(got.stdout+got.stderr, "eyJ") {
			t.Errorf("a token is shown:\n%s%s", got.stdout, got.stderr)
		}
	}
	check(0, "payments-production/aws  aws "+cloudRole+" (gatekeeper_token): refused. AWS STS refused: ", "payments-production/gcp", "payments-production/azure", "payments-production/vault",
		"Tried as repo:acme/payments:environment:production", "payments-production/github  github: no way around")

	ci := p.ci.URL()
	weaken := map[string]func(){
		"aws": func() {
			p.sts.Role(stsbox.Role{ARN: cloudRole, Issuer: ci, Claims: map[string]string{"sub": cloudSubject}})
		},
		"gcp": func() {
			all.gcp.Provider(gcpbox.Provider{Name: cloudProvider, Issuer: ci})
		},
		"azure": func() {
			_ = all.azure.App(cloudID, cloudID, azurebox.Federated{Issuer: ci, Subject: cloudSubject, Audience: "api://AzureADTokenExchange"})
		},
		"vault": func() {
			all.vault.Role("", "jwt", "deploy", vaultbox.Role{Issuer: ci, Audiences: []string{all.vault.URL()}, Subject: cloudSubject, TTL: 20 * time.Minute})
		},
	}
	for n, name := range []string{"aws", "gcp", "azure", "vault"} {
		weaken[name]()
		got := command(t.Context(), env, "credentials", "check", "--config", path)
		if got.code != 1 || strings.Count(got.stdout, "CAN BE GONE AROUND") != n+1 || !strings.Contains(got.stderr, fmt.Sprintf("%d of 6 credentials", n+1)) {
			t.Errorf("%s trusts the CI: exit %d\n%s%s", name, got.code, got.stdout, got.stderr)
		}
	}
	p.verified(t)
}

// What proves nothing is not taken for a proof.
func TestCredentialsCheckProvesNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	p := play(t, nil)
	path, env := p.configFile(t)
	file := filepath.Join(t.TempDir(), "token")
	token := func(audience string, claims map[string]any) {
		t.Helper()
		if err := os.WriteFile(file, []byte(p.ci.Token(audience, ciissuer.Claims(claims))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		before func()
		args   []string
		code   int
		says   string
	}{
		"no token":        {func() {}, nil, 2, "no OIDC token"},
		"goes around":     {func() { token("sts.amazonaws.com", nil) }, []string{"--token-file", file}, 1, "CAN BE GONE AROUND"},
		"other audience":  {func() { token("https://elsewhere", nil) }, []string{"--token-file", file}, 1, "NOT TRIED"},
		"expired":         {func() { token("sts.amazonaws.com", map[string]any{"exp": 1}) }, []string{"--token-file", file}, 1, "NOT TRIED"},
		"another's job":   {func() { token("sts.amazonaws.com", map[string]any{"environment": "staging"}) }, []string{"--token-file", file}, 0, "none that the rule is for"},
		"cloud throttles": {func() { token("sts.amazonaws.com", nil); p.sts.Fail(throttled(3)...) }, []string{"--token-file", file}, 1, "NOT TRIED"},
		"cloud is down":   {func() { token("sts.amazonaws.com", nil); p.sts.Fail(stsbox.Fault{}) }, []string{"--token-file", file}, 1, "NOT TRIED"},
	} {
		t.Run(name, func(t *testing.T) {
			c.before()
			got := command(t.Context(), env, append([]string{"credentials", "check", "--config", path}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.stdout+got.stderr, c.says) {
				t.Errorf("exit %d, want %d and %q\n%s%s", got.code, c.code, c.says, got.stdout, got.stderr)
			}
		})
	}
}

func throttled(n int) []stsbox.Fault {
	var all []stsbox.Fault
	for range n {
		all = append(all, stsbox.Fault{Status: 400, Code: "Throttling"})
	}
	return all
}
