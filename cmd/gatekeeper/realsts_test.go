package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/enclave"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/parts"
)

// The hosts of the enclave.
const (
	ciHost    = "ci.gatekeeper.example"
	ourHost   = "gatekeeper.example"
	gatewayAt = "127.0.0.1:7070"
)

// The whole way through a real STS: versitygw verifies tokens against their
// issuers' keys, holds IAM providers and trust policies, and answers
// GetCallerIdentity for the session at the end. It takes issuers over HTTPS at
// public addresses only, so the test runs itself again in a network namespace
// that has one.
func TestRealSTS(t *testing.T) {
	versitygw := parts.Find(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	for _, part := range []string{"unshare", "ip", "mount"} {
		parts.Find(t, part, "apt-get install util-linux iproute2 mount")
	}
	if os.Geteuid() != 0 {
		parts.Missing(t, "it takes root to make a network namespace; run the tests as root")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd, err := enclave.Command(ctx, enclave.Options{Dir: dir, Hosts: []string{ciHost, ourHost}}, os.Args[0], "-test.run", "^TestInsideNamespace$", "-test.v")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "GATEKEEPER_NAMESPACE="+dir, "GATEKEEPER_VERSITYGW="+versitygw)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInsideNamespace") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestInsideNamespace is the inner half of TestRealSTS.
func TestInsideNamespace(t *testing.T) {
	dir := os.Getenv("GATEKEEPER_NAMESPACE")
	if dir == "" {
		t.Skip("TestRealSTS runs it in a namespace")
	}
	iam := startGateway(t, dir)
	weak := iam.role(t, "weak", ciHost, map[string]string{"aud": "sts.amazonaws.com", "sub": "repo:acme/payments:environment:production"})
	strong := iam.role(t, "strong", ourHost, map[string]string{"aud": "sts.amazonaws.com", "sub": "repo:acme/payments:environment:production"})
	s, err := newStageBehind(t.Context(), t.TempDir(), "https://"+ciHost)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	server, err := enclave.Serve(dir, map[string]http.Handler{
		ciHost: s.ci.Handler(), ourHost: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.ears.Addr().String()}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	iam.provider(t, ciHost)
	s.cfg.URL, s.cfg.Issuers[0].Audience, s.cfg.Clouds.STSEndpoint = "https://"+ourHost, "https://"+ourHost, "http://"+gatewayAt
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
		if arn := callerOf(t, *answer.Credentials[i].AWS); !strings.Contains(arn, "assumed-role/"+role+"/req_") {
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
		if err := assume(t, c.role, s.ci.Token("sts.amazonaws.com", ciissuer.Claims(c.claims))); err == nil {
			t.Errorf("%s was taken for %s", name, c.role)
		}
	}
	if err := assume(t, weak, s.ci.Token("sts.amazonaws.com", ciissuer.Defaults())); err != nil {
		t.Errorf("workload_token can be gone around, as the documentation says, and could not: %v", err)
	}
	// `credentials check` finds that out by itself.
	path, env := s.configFile(t)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(body), s.sts.URL(), "http://"+gatewayAt)), 0o600); err != nil {
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

func client(credentials aws.CredentialsProvider) *sts.Client {
	return sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://" + gatewayAt), Credentials: credentials, RetryMaxAttempts: 1})
}

func callerOf(t *testing.T, c gatekeeper.AWSCredential) string {
	t.Helper()
	static := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
	})
	out, err := client(static).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.Arn)
}

func assume(t *testing.T, role, token string) error {
	_, err := client(aws.AnonymousCredentials{}).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role, RoleSessionName: aws.String("around"), WebIdentityToken: &token,
	})
	return err
}

// gateway is versitygw's IAM.
type gateway struct{}

func startGateway(t *testing.T, dir string) gateway {
	t.Helper()
	state := filepath.Join(dir, "iam")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Getenv("GATEKEEPER_VERSITYGW"), "-p", gatewayAt, "-a", "user", "-s", "password", "iam", "--dir", state)
	log := &buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", gatewayAt); err == nil {
			_ = conn.Close()
			return gateway{}
		}
	}
	t.Fatalf("versitygw does not answer\n%s", log)
	return gateway{}
}

func (gateway) provider(t *testing.T, host string) {
	t.Helper()
	iamCall(t, url.Values{"Action": {"CreateOpenIDConnectProvider"}, "Url": {"https://" + host}, "ClientIDList.member.1": {"sts.amazonaws.com"}})
}

var arnIn = regexp.MustCompile(`<Arn>([^<]+)</Arn>`)

func (gateway) role(t *testing.T, name, host string, conditions map[string]string) string {
	t.Helper()
	equals := map[string]string{}
	for claim, value := range conditions {
		equals[host+":"+claim] = value
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Federated": "arn:aws:iam::000000000000:oidc-provider/" + host},
		"Action": "sts:AssumeRoleWithWebIdentity", "Condition": map[string]any{"StringEquals": equals},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	found := arnIn.FindStringSubmatch(iamCall(t, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "AssumeRolePolicyDocument": {string(policy)}}))
	if found == nil {
		t.Fatal("no ARN in the answer")
	}
	return found[1]
}

// iamCall signs one call of the Query API.
func iamCall(t *testing.T, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-08")
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gatewayAt+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "user", SecretAccessKey: "password"}, req, hex.EncodeToString(sum[:]), "iam", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", form.Get("Action"), resp.Status, answer, err)
	}
	return string(answer)
}
