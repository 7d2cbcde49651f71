package aws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	realsts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// The issuers are called as docs/credentials.md calls them, so that its trust
// policies are the ones that are tried.
const (
	ciHost  = "token.actions.githubusercontent.com"
	ourHost = "gatekeeper.example.com"
	account = "000000000000" // versitygw's only one
)

// cloud is a real STS, IAM and S3 with the documented trust policies in place.
type cloud struct {
	ci       *ciissuer.Issuer
	key      *rsa.PrivateKey
	ours     *issuer.Issuer
	keys     string        // the file with key, and the next one
	fetches  *atomic.Int32 // of our key set
	exchange sts.Exchangers
	weak     string // trusts the CI's issuer
	strong   string // trusts the gatekeeper's alone
}

// inNamespace is the inner half of TestVersityGW.
func inNamespace(t *testing.T, dir string) {
	t.Helper()
	r := beginReal(t, dir)
	t.Run("rotation", r.rotation) // first, so that all the others are after one
	t.Run("sessions", r.sessions)
	t.Run("narrowed", r.narrowed)
	t.Run("refusals", r.refusals)
}

func beginReal(t *testing.T, dir string) cloud {
	t.Helper()
	startGateway(t, dir)
	ci, err := ciissuer.Start(ciissuer.Options{URL: "https://" + ciHost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ci.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "signing.pem")
	ours := rotating(t, path, key)
	fetches := &atomic.Int32{}
	serveTLS(t, dir, map[string]http.Handler{ciHost: ci.Handler(), ourHost: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/jwks.json" {
			fetches.Add(1)
		}
		ours.Handler().ServeHTTP(w, r)
	})})
	for _, host := range []string{ciHost, ourHost} {
		iam(t, url.Values{"Action": {"CreateOpenIDConnectProvider"}, "Url": {"https://" + host}, "ClientIDList.member.1": {"sts.amazonaws.com"}})
	}
	return cloud{ci: ci, key: key, ours: ours, keys: path, fetches: fetches, exchange: exchangers(ours),
		weak: makeRole(t, "weak", documented(t, "workload_token")), strong: makeRole(t, "strong", documented(t, "gatekeeper_token"))}
}

func minter(t *testing.T, key *rsa.PrivateKey, now func() time.Time) *issuer.Issuer {
	t.Helper()
	k, err := issuer.FromRSA(key, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := issuer.New(issuer.Options{URL: "https://" + ourHost, Keys: issuer.Static{k}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func exchangers(ours *issuer.Issuer) sts.Exchangers {
	return sts.Exchangers{"aws": aws.New(aws.Options{Region: "us-east-1", Endpoint: "http://" + iamAt, Minter: ours})}
}

// documented is the trust policy that the documentation gives for a way.
func documented(t *testing.T, way string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/credentials.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n### " + way + "\n.*?```json\n(.*?)```").FindSubmatch(page)
	if found == nil {
		t.Fatalf("docs/credentials.md has no trust policy for %s", way)
	}
	return strings.ReplaceAll(string(found[1]), "111122223333", account)
}

// makeRole makes a role that may do everything with one bucket.
func makeRole(t *testing.T, name, trust string) string {
	t.Helper()
	answer := iam(t, url.Values{"Action": {"CreateRole"}, "RoleName": {name}, "AssumeRolePolicyDocument": {trust}})
	iam(t, url.Values{"Action": {"PutRolePolicy"}, "RoleName": {name}, "PolicyName": {"deploy"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::releases","arn:aws:s3:::releases/*"]}]}`}})
	found := regexp.MustCompile(`<Arn>([^<]+)</Arn>`).FindStringSubmatch(answer)
	if found == nil {
		t.Fatalf("no ARN in %s", answer)
	}
	return found[1]
}

func (r cloud) spec(exchange gatekeeper.Exchange, role string) gatekeeper.AWSSpec {
	return gatekeeper.AWSSpec{Exchange: exchange, Audience: "sts.amazonaws.com", RoleARN: role}
}

// Both ways end with a session that is the role's and names the request.
func (r cloud) sessions(t *testing.T) {
	for _, spec := range []gatekeeper.AWSSpec{r.spec(gatekeeper.ExchangeWorkloadToken, r.weak), r.spec(gatekeeper.ExchangeGatekeeperToken, r.strong)} {
		t.Run(string(spec.Exchange), func(t *testing.T) {
			c, err := r.exchange.Exchange(t.Context(), grantOf(t, spec), r.ci.Token("sts.amazonaws.com", ciissuer.Defaults()))
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(c.ExpiresAt); left < 14*time.Minute || left > 15*time.Minute {
				t.Errorf("the session lives %s", left)
			}
			client := realsts.New(realsts.Options{Region: "us-east-1", BaseEndpoint: sdk.String("http://" + iamAt),
				Credentials: credentials.NewStaticCredentialsProvider(c.AWS.AccessKeyID, c.AWS.SecretAccessKey, c.AWS.SessionToken)})
			out, err := client.GetCallerIdentity(t.Context(), &realsts.GetCallerIdentityInput{})
			if err != nil || sdk.ToString(out.Arn) != c.AWS.AssumedRoleARN || !strings.HasSuffix(c.AWS.AssumedRoleARN, "/req_abc-acme-payments") {
				t.Errorf("it is %q to itself and %q to STS, %v", c.AWS.AssumedRoleARN, sdk.ToString(out.Arn), err)
			}
			if status := s3(t, c.AWS, http.MethodPut, "/releases/web/app"); status != http.StatusOK {
				t.Errorf("S3 answers %d", status)
			}
		})
	}
}

// session_policy takes away from what the role may, at the cloud itself.
func (r cloud) narrowed(t *testing.T) {
	spec := r.spec(gatekeeper.ExchangeGatekeeperToken, r.strong)
	spec.SessionPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::releases/payments/*"}]}`
	c, err := r.exchange.Exchange(t.Context(), grantOf(t, spec), "")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/releases/payments/app": http.StatusOK, "/releases/web/app": http.StatusForbidden} {
		if status := s3(t, c.AWS, http.MethodPut, path); status != want {
			t.Errorf("%s: S3 answers %d, want %d", path, status, want)
		}
	}
}

// Threats row 37: with the documented trust policies, neither the CI's own
// token nor a token of ours for anything else opens the role. Each attempt
// differs from one that succeeds in exactly what its name says.
func (r cloud) refusals(t *testing.T) {
	old := func() time.Time { return time.Now().Add(-3 * time.Hour) }
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	token := func(changes map[string]any) string {
		return r.ci.Token("sts.amazonaws.com", ciissuer.Claims(changes))
	}
	weak, strong := r.spec(gatekeeper.ExchangeWorkloadToken, r.weak), r.spec(gatekeeper.ExchangeGatekeeperToken, r.strong)
	around, elsewhere, nowhere := weak, strong, strong
	around.RoleARN, elsewhere.Audience, nowhere.RoleARN = r.strong, "https://elsewhere", r.strong+"-not"
	for name, c := range map[string]struct {
		grant    gatekeeper.Grant
		exchange sts.Exchangers
		token    string
		code     string
	}{
		"the CI's own token at the role that trusts us": {grantOf(t, around), r.exchange, token(nil), "InvalidIdentityToken"},
		"ours for another repository":                   {grantFor(t, strong, "acme/web", "production"), r.exchange, "", "InvalidIdentityToken"},
		"ours for another environment":                  {grantFor(t, strong, "acme/payments", "staging"), r.exchange, "", "InvalidIdentityToken"},
		"ours for another audience":                     {grantOf(t, elsewhere), r.exchange, "", "InvalidIdentityToken"},
		"ours at a role that is not there":              {grantOf(t, nowhere), r.exchange, "", "AccessDenied"},
		"ours, expired":                                 {grantOf(t, strong), exchangers(minter(t, r.key, old)), "", "ExpiredTokenException"},
		"ours, signed by another key":                   {grantOf(t, strong), exchangers(minter(t, forger, time.Now)), "", "InvalidIdentityToken"},
		"the CI's for another repository":               {grantOf(t, weak), r.exchange, token(map[string]any{"repository_id": "7"}), "InvalidIdentityToken"},
		"the CI's without the environment":              {grantOf(t, weak), r.exchange, token(map[string]any{"environment": nil}), "InvalidIdentityToken"},
		"the CI's, expired":                             {grantOf(t, weak), r.exchange, token(map[string]any{"iat": old().Unix(), "nbf": old().Unix(), "exp": old().Add(time.Minute).Unix()}), "ExpiredTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.exchange.Exchange(t.Context(), c.grant, c.token)
			if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), c.code) || got.AWS != nil {
				t.Errorf("got %v, want %s", err, c.code)
			}
		})
	}
}

// iam signs one call of IAM's Query API as its administrator.
func iam(t *testing.T, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-08")
	status, answer := signed(t, sdk.Credentials{AccessKeyID: "admin", SecretAccessKey: "password"}, "iam", http.MethodPost, "http://"+iamAt+"/", []byte(form.Encode()))
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", form.Get("Action"), status, answer)
	}
	return answer
}

// s3 is the status of a call with the session.
func s3(t *testing.T, c *gatekeeper.AWSCredential, method, path string) int {
	t.Helper()
	status, _ := signed(t, sdk.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}, "s3", method, "http://"+s3At+path, nil)
	return status
}

func signed(t *testing.T, c sdk.Credentials, service, method, to string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	if service == "iam" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), c, req, digest, service, "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// startGateway runs versitygw twice: its IAM with STS, and its S3 over a
// directory, which asks the IAM about sessions over a socket.
func startGateway(t *testing.T, dir string) {
	t.Helper()
	state, files, socket := filepath.Join(dir, "iam"), filepath.Join(dir, "s3"), filepath.Join(dir, "iam.sock")
	for _, d := range []string{state, filepath.Join(files, "releases")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run(t, iamAt, "-p", iamAt, "-a", "admin", "-s", "password", "iam", "--dir", state, "--private-ports", socket)
	run(t, s3At, "-p", s3At, "-a", "admin", "-s", "password", "--iam-standalone-endpoint", socket, "posix", files)
}

func run(t *testing.T, address string, args ...string) {
	t.Helper()
	log := &bytes.Buffer{}
	cmd := exec.Command(os.Getenv("GATEKEEPER_VERSITYGW"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%v\n%s", args, log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := listens(ctx, address, ended); err != nil {
		t.Fatalf("versitygw at %s: %v", address, err)
	}
}
