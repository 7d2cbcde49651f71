package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/enclave/enclavetest"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw/versitygwtest"
)

// The hosts of the enclave.
const (
	ciHost  = "ci.gatekeeper.example"
	ourHost = "gatekeeper.example"
)

// The whole way through a real STS: versitygw verifies tokens against their
// issuers' keys, holds IAM providers and trust policies, and answers
// GetCallerIdentity for the session at the end. It takes issuers over HTTPS at
// public addresses only, so the test runs itself again in a network namespace
// that has one.
func TestRealSTS(t *testing.T) {
	versitygwtest.Find(t)
	dir := enclavetest.Inside(t, ciHost, ourHost)
	if dir == "" {
		return
	}
	iam := realSTS{versitygwtest.Start(t, versitygwtest.Options{Dir: dir})}
	weak := iam.role(t, "weak", ciHost)
	strong := iam.role(t, "strong", ourHost)
	s := newStagedBehind(t, "https://"+ciHost)
	enclavetest.Serve(t, dir, map[string]http.Handler{
		ciHost: s.ci.Handler(), ourHost: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.ears.Addr().String()}),
	})
	iam.provider(t, ciHost)
	s.cfg.URL, s.cfg.Issuers[0].Audience, s.cfg.Clouds.STSEndpoint = "https://"+ourHost, "https://"+ourHost, iam.URL
	rules := strings.Replace(stageRules, "arn:aws:iam::111122223333:role/payments-deploy", weak, 1) +
		"      strong:\n        aws: {role_arn: \"" + strong + "\", exchange: gatekeeper_token}\n"
	if err := os.WriteFile(s.cfg.Rules, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &buffer{}
	logger, _ := newLogger(log, "text", "info")
	_, stop, err := s.serve(context.WithoutCancel(t.Context()), logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	iam.provider(t, ourHost)

	done := s.step(t, nil, "--output", "json")
	if err := s.decide(t.Context(), s.asked(t), "U0BOB", "approve"); err != nil {
		t.Fatal(err)
	}
	got := <-done
	if got.code != 0 {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.stderr, log)
	}
	var answer struct {
		Credentials []gatekeeper.Credential `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || len(answer.Credentials) != 2 {
		t.Fatalf("%d credentials, %v", len(answer.Credentials), err)
	}
	for i, role := range []string{"weak", "strong"} {
		if arn := iam.callerOf(t, *answer.Credentials[i].AWS); !strings.Contains(arn, "assumed-role/"+role+"/req_") {
			t.Errorf("the session of %s is %s", role, arn)
		}
	}
	// Who goes around the gatekeeper, with the CI's own token or for another
	// repository or environment, is refused.
	for name, c := range map[string]struct {
		role   string
		claims map[string]any
	}{
		"the CI's own token":  {strong, nil},
		"another repository":  {weak, map[string]any{"sub": "repo:acme/web:environment:production"}},
		"another environment": {weak, map[string]any{"sub": "repo:acme/payments:environment:staging"}},
		"an expired token":    {weak, map[string]any{"iat": time.Now().Add(-3 * time.Hour).Unix(), "exp": time.Now().Add(-2 * time.Hour).Unix()}},
	} {
		if err := iam.assume(t, c.role, s.ci.Token("sts.amazonaws.com", ciissuer.Claims(c.claims))); err == nil {
			t.Errorf("%s was taken for %s", name, c.role)
		}
	}
	if err := iam.assume(t, weak, s.ci.Token("sts.amazonaws.com", ciissuer.Defaults())); err != nil {
		t.Errorf("workload_token can be gone around, as the documentation says, and could not: %v", err)
	}
	// `credentials check` finds that out by itself.
	path, env := s.configFile(t)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(body), s.sts.URL(), iam.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range s.jobEnv(nil) {
		env[name] = value
	}
	tried := command(t.Context(), env, "credentials", "check", "--config", path)
	for _, want := range []string{"role/weak (workload_token): CAN BE GONE AROUND", "role/strong (gatekeeper_token): refused"} {
		if tried.code != 1 || !strings.Contains(tried.stdout, want) {
			t.Errorf("credentials check: exit %d, want %q\n%s%s", tried.code, want, tried.stdout, tried.stderr)
		}
	}
}

// realSTS is what the session is asked about, and who goes around the gatekeeper asks.
type realSTS struct{ versitygwtest.Gateway }

func (i realSTS) client(credentials aws.CredentialsProvider) *sts.Client {
	return sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(i.URL), Credentials: credentials, RetryMaxAttempts: 1})
}

func (i realSTS) callerOf(t *testing.T, c gatekeeper.AWSCredential) string {
	t.Helper()
	static := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	})
	out, err := i.client(static).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.Arn)
}

func (i realSTS) assume(t *testing.T, role, token string) error {
	_, err := i.client(aws.AnonymousCredentials{}).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("around"), WebIdentityToken: &token,
	})
	return err
}

func (i realSTS) provider(t *testing.T, host string) {
	t.Helper()
	if err := i.Provider(t.Context(), host); err != nil {
		t.Fatal(err)
	}
}

func (i realSTS) role(t *testing.T, name, host string) string {
	t.Helper()
	arn, err := i.Role(t.Context(), name, versitygw.Trust(host, map[string]string{"aud": versitygw.Audience, "sub": "repo:acme/payments:environment:production"}))
	if err != nil {
		t.Fatal(err)
	}
	return arn
}
