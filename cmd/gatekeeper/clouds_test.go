package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/azurebox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/gcpbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/vaultbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	cloudSubject  = "repo:acme/payments:environment:production"
	cloudProvider = "projects/123456789/locations/global/workloadIdentityPools/gatekeeper/providers/gatekeeper"
	cloudAccount  = "deploy@acme-payments.iam.gserviceaccount.com"
	cloudID       = "11111111-2222-3333-4444-555555555555"
	cloudRole     = "arn:aws:iam::111122223333:role/payments-strong"
	cloudCluster  = "https://kubernetes.default.svc"
)

// sky is every cloud, trusting the gatekeeper alone.
type sky struct {
	gcp   *gcpbox.GCP
	azure *azurebox.Entra
	vault *vaultbox.Vault
	hub   *githubbox.GitHub
}

// rise puts the clouds over a stage, and rules for all of them into it.
func rise(t *testing.T, s *stage) sky {
	t.Helper()
	hub, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	all := sky{gcpbox.Start(nil), azurebox.Start(nil), vaultbox.Start(nil), hub}
	for _, stop := range []func(){all.gcp.Close, all.azure.Close, all.vault.Close, hub.Close} {
		t.Cleanup(stop)
	}
	ours := s.cfg.URL
	s.sts.Provider(ours, "sts.amazonaws.com")
	s.sts.Role(stsbox.Role{ARN: cloudRole, Issuer: ours, Claims: map[string]string{"sub": cloudSubject}})
	all.gcp.Provider(gcpbox.Provider{Name: cloudProvider, Issuer: ours})
	all.gcp.Account(gcpbox.Account{Email: cloudAccount, Subjects: []string{cloudSubject}})
	if err := all.azure.App(cloudID, cloudID, azurebox.Federated{Issuer: ours, Subject: cloudSubject, Audience: "api://AzureADTokenExchange"}); err != nil {
		t.Fatal(err)
	}
	all.vault.Role("", "jwt", "deploy", vaultbox.Role{Issuer: ours, Audiences: []string{all.vault.URL()}, Subject: cloudSubject, TTL: 20 * time.Minute})
	hub.Repo(githubbox.Repository{ID: 1234567, Name: "acme/payments"})
	hub.Repo(githubbox.Repository{ID: 2, Name: "acme/infra"})
	s.cfg.Clouds.GCPSTS, s.cfg.Clouds.GCPIAM, s.cfg.Clouds.Azure = all.gcp.URL(), all.gcp.URL(), all.azure.URL()
	s.cfg.Clouds.Vaults = []vaultConfig{{Address: all.vault.URL(), Token: all.vault.Operator("", "auth/token/revoke-accessor")}}
	s.cfg.GitHub = &githubConfig{AppID: githubbox.AppID, PrivateKey: hub.PrivateKey(), APIURL: hub.URL()}
	head, _, _ := strings.Cut(stageRules, "    credentials:\n")
	rules := head + fmt.Sprintf(`    credentials:
      aws: {aws: {role_arn: %q, exchange: gatekeeper_token}}
      gcp: {gcp: {workload_identity_provider: %q, service_account: %q}}
      azure: {azure: {tenant_id: %q, client_id: %q}}
      vault: {vault: {address: %q, role: deploy}}
      github: {github: {repositories: [acme/infra], permissions: {contents: read}}}
      cluster: {oidc: {audience: %q}}
`, cloudRole, cloudProvider, cloudAccount, cloudID, cloudID, all.vault.URL(), cloudCluster)
	if err := os.WriteFile(s.cfg.Rules, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return all
}

// One approval, and a credential of every kind: each cloud trusts the
// gatekeeper alone, takes its token, and nothing of it is left behind.
func TestEveryCloud(t *testing.T) {
	var clouds sky
	p := play(t, func(s *stage) { clouds = rise(t, s) })
	got := p.approvedStep(t)
	secrets := []string{got["aws"].AWS.SessionToken, got["gcp"].GCP.AccessToken, got["azure"].Azure.AccessToken, got["vault"].Vault.Token,
		got["github"].GitHub.Token, got["cluster"].OIDC.Token}
	p.noSecrets(t, secrets...)
	if !clouds.vault.Alive(got["vault"].Vault.Token) || !clouds.hub.Alive(got["github"].GitHub.Token) || len(clouds.gcp.Tokens()) != 1 || clouds.gcp.Tokens()[0].Subject != cloudSubject {
		t.Errorf("%+v", clouds.gcp.Tokens())
	}
	if s := p.sts.Sessions(); len(s) != 1 || s[0].SourceIdentity != "U0BOB" || s[0].Tags["approvers"] != "U0BOB" || s[0].Tags["repository"] != "acme/payments" {
		t.Errorf("CloudTrail would not show who approved: %+v", s)
	}
	claims, err := cloudbox.Trust{Issuer: p.cfg.URL, Audiences: []string{cloudCluster}}.Verify(t.Context(), got["cluster"].OIDC.Token)
	if err != nil || claims["sub"] != cloudSubject || fmt.Sprint(claims["approvers"]) != "[U0BOB]" {
		t.Errorf("%v, %v", claims, err)
	}
	p.verified(t)
}

// Over a rotation of the signing key under the running service every cloud
// goes on taking its tokens, and the CI's own are refused before and after.
func TestEveryCloudOverARotation(t *testing.T) {
	var clouds sky
	p := play(t, func(s *stage) { clouds = rise(t, s) })
	before := kidOf(t, p.approvedStep(t)["cluster"].OIDC.Token)
	if _, err := issuer.Rotate(p.cfg.SigningKey, issuer.Rotation{Compromised: true, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	after := p.approvedStepOf(t, map[string]any{"run_id": "7002"})
	if kid := kidOf(t, after["cluster"].OIDC.Token); kid == before {
		t.Error("the old key signs")
	}
	if n := len(clouds.gcp.Tokens()); n != 2 {
		t.Errorf("Google issued %d tokens", n)
	}
	ci := p.ci.Token("api://AzureADTokenExchange", ciissuer.Defaults())
	if _, err := (cloudbox.Trust{Issuer: p.cfg.URL, Audiences: []string{"api://AzureADTokenExchange"}}).Verify(t.Context(), ci); err == nil {
		t.Error("the CI's own token passes for the gatekeeper's")
	}
}

// kidOf is the key that signed a token.
func kidOf(t *testing.T, raw string) string {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return token.Headers[0].KeyID
}

func (p *played) approvedStep(t *testing.T) map[string]gatekeeper.Credential {
	t.Helper()
	return p.approvedStepOf(t, nil)
}

// approvedStepOf is what a job gets that Bob approves, by the credentials' names.
func (p *played) approvedStepOf(t *testing.T, claims map[string]any) map[string]gatekeeper.Credential {
	t.Helper()
	done := p.step(t, claims, "--output", "json")
	m := p.asked(t)
	if err := p.decide(t.Context(), m, "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	p.closed(t, m)
	var out struct {
		Credentials []gatekeeper.Credential `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &out); err != nil || got.code != 0 || len(out.Credentials) != 6 {
		t.Fatalf("exit %d, %d credentials, %v\n%s\n%s", got.code, len(out.Credentials), err, got.stderr, p.log)
	}
	all := map[string]gatekeeper.Credential{}
	for _, c := range out.Credentials {
		all[c.Name] = c
	}
	return all
}

// What was handed out is taken back where the cloud can, and where it cannot
// people are told what to do, ready to paste.
func TestTakenBackFromEveryCloud(t *testing.T) {
	var clouds sky
	p := play(t, func(s *stage) { clouds = rise(t, s) })
	got := p.approvedStep(t)
	id := p.requestOf(t)
	changed, stop := p.svc.store.Watch(id)
	defer stop()
	if _, err := p.svc.gate.TakeBack(t.Context(), id, gatekeeper.Actor{Kind: "person", ID: "slack:U0BOB"}, "a wrong commit"); err != nil {
		t.Fatal(err)
	}
	r, err := p.svc.store.Get(t.Context(), id)
	for ; err == nil && slices.ContainsFunc(r.Redemptions, func(d gatekeeper.Redemption) bool {
		return d.Taken == nil || d.Taken.State == gatekeeper.RevocationRequested
	}); r, err = p.svc.store.Get(t.Context(), id) {
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
	if err != nil || clouds.vault.Alive(got["vault"].Vault.Token) || clouds.hub.Alive(got["github"].GitHub.Token) {
		t.Errorf("vault's token lives: %t, GitHub's: %t, %v", clouds.vault.Alive(got["vault"].Vault.Token), clouds.hub.Alive(got["github"].GitHub.Token), err)
	}
	for _, d := range r.Redemptions {
		want := map[string]string{"aws": "aws:TokenIssueTime", "gcp": "gcloud iam service-accounts disable " + cloudAccount, "azure": "az ad sp update", "cluster": cloudCluster}[d.Credential]
		if done := d.Taken.State == gatekeeper.RevocationDone; done != (want == "") || !strings.Contains(d.Taken.Todo, want) {
			t.Errorf("%s: %+v", d.Credential, d.Taken)
		}
	}
}

// requestOf is the only request's id.
func (p *played) requestOf(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`"request":"(req_[^"]+)"`).FindStringSubmatch(p.exported(t))
	if found == nil {
		t.Fatal("there is no request in the ledger")
	}
	return found[1]
}

// The proofs that docs/credentials gives, as people paste them, at clouds that
// trust the gatekeeper alone: each refuses the CI's own token as it is said to.
func TestDocumentedProofs(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		parts.Find(t, program, "apt-get install "+program)
	}
	page, err := os.ReadFile("../../docs/credentials.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "# Google Cloud: invalid_grant")
	script, _, ok := strings.Cut(after, "# Kubernetes")
	if !ok {
		t.Fatal("the page has no proofs")
	}
	var clouds sky
	p := play(t, func(s *stage) { clouds = rise(t, s) })
	script = "token() { case $1 in https:*) echo \"$GOOGLE\";; *) echo \"$OTHER\";; esac; }\n#" + strings.NewReplacer(
		"https://sts.googleapis.com", clouds.gcp.URL(), "https://login.microsoftonline.com", clouds.azure.URL(), "TENANT", cloudID, "CLIENT", cloudID,
		"curl -s https://vault.acme.com:8200", "curl -s "+clouds.vault.URL(), "payments-deploy", "deploy",
	).Replace(script)
	cmd := exec.CommandContext(t.Context(), "bash", "-ec", script)
	cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1", "GOOGLE="+p.ci.Token("https://iam.googleapis.com/"+cloudProvider, ciissuer.Defaults()),
		"OTHER="+p.ci.Token("api://AzureADTokenExchange", ciissuer.Defaults()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{`"error":"invalid_grant"`, "does not match the expected ones", "AADSTS700211", "error validating token"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if issued := len(clouds.gcp.Issued()) + len(clouds.azure.Issued()); issued != 0 || len(clouds.vault.Issued()) != 1 { // the operator's own
		t.Errorf("something was issued: %d", issued)
	}
}
