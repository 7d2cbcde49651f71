package aws_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	realsts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/enclave/enclavetest"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/versitygw/versitygwtest"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

// The issuers are called as docs/credentials.md calls them, so that its trust
// policies are the ones that are tried.
const (
	ciHost  = "token.actions.githubusercontent.com"
	ourHost = "gatekeeper.example.com"
)

// cloud is a real STS, IAM and S3 with the documented trust policies in place.
type cloud struct {
	gateway  versitygwtest.Gateway
	ci       *ciissuer.Issuer
	key      *rsa.PrivateKey
	ours     *issuer.Issuer
	keys     string        // the file with key, and the next one
	fetches  *atomic.Int32 // of our key set
	exchange sts.Exchangers
	weak     string // trusts the CI's issuer
	strong   string // trusts the gatekeeper's alone
}

// The exchange with a real STS: versitygw verifies tokens against their
// issuers' keys and evaluates the trust policies that docs/credentials.md
// gives. It fetches keys from public addresses only (its guard against SSRF),
// so the test runs itself again in an enclave, where there is one.
func TestVersityGW(t *testing.T) {
	versitygwtest.Find(t)
	dir := enclavetest.Inside(t, ciHost, ourHost)
	if dir == "" {
		return
	}
	r := beginReal(t, dir)
	t.Run("rotation", r.rotation) // first, so that all the others are after one
	t.Run("sessions", r.sessions)
	t.Run("narrowed", r.narrowed)
	t.Run("refusals", r.refusals)
}

func beginReal(t *testing.T, dir string) cloud {
	t.Helper()
	gateway := versitygwtest.Start(t, versitygwtest.Options{Dir: dir, Buckets: []string{"releases"}})
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
	enclavetest.Serve(t, dir, map[string]http.Handler{ciHost: ci.Handler(), ourHost: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/jwks.json" {
			fetches.Add(1)
		}
		ours.Handler().ServeHTTP(w, r)
	})})
	for _, host := range []string{ciHost, ourHost} {
		if err := gateway.Provider(t.Context(), host); err != nil {
			t.Fatal(err)
		}
	}
	return cloud{gateway: gateway, ci: ci, key: key, ours: ours, keys: path, fetches: fetches, exchange: exchangers(gateway, ours),
		weak: makeRole(t, gateway, "weak", documented(t, "workload_token")), strong: makeRole(t, gateway, "strong", documented(t, "gatekeeper_token"))}
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

func exchangers(g versitygwtest.Gateway, ours *issuer.Issuer) sts.Exchangers {
	return sts.Exchangers{"aws": aws.New(aws.Options{Region: "us-east-1", Endpoint: g.URL, Minter: ours})}
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
	return strings.ReplaceAll(string(found[1]), "111122223333", versitygw.Account)
}

// makeRole makes a role that may do everything with one bucket.
func makeRole(t *testing.T, g versitygwtest.Gateway, name, trust string) string {
	t.Helper()
	arn, err := g.Role(t.Context(), name, trust)
	if err == nil {
		err = g.Allow(t.Context(), name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::releases","arn:aws:s3:::releases/*"]}]}`)
	}
	if err != nil {
		t.Fatal(err)
	}
	return arn
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
			client := realsts.New(realsts.Options{Region: "us-east-1", BaseEndpoint: sdk.String(r.gateway.URL),
				Credentials: credentials.NewStaticCredentialsProvider(c.AWS.AccessKeyID, c.AWS.SecretAccessKey, c.AWS.SessionToken)})
			out, err := client.GetCallerIdentity(t.Context(), &realsts.GetCallerIdentityInput{})
			if err != nil || sdk.ToString(out.Arn) != c.AWS.AssumedRoleARN || !strings.HasSuffix(c.AWS.AssumedRoleARN, "/req_abc-acme-payments") {
				t.Errorf("it is %q to itself and %q to STS, %v", c.AWS.AssumedRoleARN, sdk.ToString(out.Arn), err)
			}
			if status := r.s3(t, c.AWS, http.MethodPut, "/releases/web/app"); status != http.StatusOK {
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
		if status := r.s3(t, c.AWS, http.MethodPut, path); status != want {
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
		"ours, expired":                                 {grantOf(t, strong), exchangers(r.gateway, minter(t, r.key, old)), "", "ExpiredTokenException"},
		"ours, signed by another key":                   {grantOf(t, strong), exchangers(r.gateway, minter(t, forger, time.Now)), "", "InvalidIdentityToken"},
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

// s3 is the status of a call with the session.
func (r cloud) s3(t *testing.T, c *gatekeeper.AWSCredential, method, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.gateway.S3+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, _, err := versitygw.Do(req, versitygw.Call{Service: "s3", Credentials: sdk.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}})
	if err != nil {
		t.Fatal(err)
	}
	return status
}
