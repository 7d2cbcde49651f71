package aws_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
)

const role = "arn:aws:iam::111122223333:role/deploy"

// grantOf is what the request's state machine gives for an approved request.
func grantOf(t testing.TB, spec gatekeeper.AWSSpec) gatekeeper.Grant {
	t.Helper()
	return grantFor(t, spec, "acme/payments", "production")
}

func grantFor(t testing.TB, spec gatekeeper.AWSSpec, repository, environment string) gatekeeper.Grant {
	t.Helper()
	if spec.SessionDuration == 0 {
		spec.SessionDuration = 15 * time.Minute
	}
	if spec.RoleARN == "" {
		spec.RoleARN = role
	}
	now := time.Now().UTC()
	rule := gatekeeper.Rule{Name: "payments", Credentials: []gatekeeper.CredentialSpec{{Name: "deploy", Type: "aws", AWS: &spec}},
		Approval: gatekeeper.Approval{None: true, ValidFor: time.Hour, ExpiresAfter: time.Hour, Redemptions: 1, Scope: gatekeeper.ScopeRun, StepUp: gatekeeper.StepUpNone}}
	d := gatekeeper.Decision{Outcome: gatekeeper.Allow, Rule: &rule}
	w := gatekeeper.Workload{IssuerURL: "https://ci", Repository: repository, RepositoryID: "1", RunID: "7001", RunAttempt: "1", SHA: "4f2c", Ref: "refs/heads/main"}
	r, _, err := gatekeeper.NewRequest(gatekeeper.Admission{ID: "req_abc", Workload: w, Ask: gatekeeper.Ask{Environment: environment}, Decision: d, Credentials: rule.Credentials, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	_, g, _, err := r.Redeem(gatekeeper.Claim{ID: "red_1", Workload: w, Credential: "deploy", Current: d, SettleBy: now.Add(time.Minute)}, now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type bench struct {
	ci       *ciissuer.Issuer
	sts      *stsbox.STS
	exchange sts.Exchangers
}

func begin(t testing.TB) bench {
	t.Helper()
	ci, err := ciissuer.Start(ciissuer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ci.Close)
	box := stsbox.Start(nil)
	t.Cleanup(box.Close)
	box.Provider(ci.URL(), "sts.amazonaws.com")
	box.Role(stsbox.Role{ARN: role, Issuer: ci.URL(), AccessKeys: []string{"AKIAOURS"}})
	box.Identity("AKIAOURS", "secret")
	return bench{ci, box, sts.Exchangers{"aws": aws.New(aws.Options{Region: "eu-west-1", Endpoint: box.URL(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAOURS", "secret", "")})}}
}

func (b bench) token() string { return b.ci.Token("sts.amazonaws.com", ciissuer.Defaults()) }

func web() gatekeeper.AWSSpec {
	return gatekeeper.AWSSpec{Exchange: gatekeeper.ExchangeWorkloadToken, Audience: "sts.amazonaws.com"}
}

func TestWorkloadToken(t *testing.T) {
	b := begin(t)
	c, err := b.exchange.Exchange(t.Context(), grantOf(t, web()), b.token())
	if err != nil || c.Name != "deploy" || c.AWS.SecretAccessKey == "" || c.AWS.Region != "eu-west-1" || c.AWS.RoleARN != role {
		t.Fatalf("%v, %v", c, err)
	}
	if s := b.sts.Sessions(); len(s) != 1 || s[0].Name != "req_abc-acme-payments" || s[0].Duration != 15*time.Minute {
		t.Fatalf("%+v", s)
	}
	if until := time.Until(c.ExpiresAt); until < 14*time.Minute || until > 15*time.Minute {
		t.Errorf("expires in %s", until)
	}
	if _, err := b.exchange.Exchange(t.Context(), grantOf(t, web()), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeInvalidRequest {
		t.Errorf("without a subject token: %v", err)
	}
}

func TestAssumeRole(t *testing.T) {
	b := begin(t)
	spec := gatekeeper.AWSSpec{Exchange: gatekeeper.ExchangeAssumeRole, SessionPolicy: `{"Statement":[]}`}
	if _, err := b.exchange.Exchange(t.Context(), grantOf(t, spec), ""); err != nil {
		t.Fatal(err)
	}
	s := b.sts.Sessions()[0]
	for key, want := range map[string]string{"repository": "acme/payments", "environment": "production", "run": "7001", "request": "req_abc"} {
		if s.Tags[key] != want {
			t.Errorf("tag %s is %q, want %q", key, s.Tags[key], want)
		}
	}
	if s.SourceIdentity != "req_abc" || s.Policy != spec.SessionPolicy {
		t.Errorf("%+v", s)
	}
}

// A role that trusts only the gatekeeper's issuer takes its token, and not
// the CI's own (threats row 37).
func TestGatekeeperToken(t *testing.T) {
	b := begin(t)
	key, err := issuer.LoadOrCreate(t.TempDir() + "/signing.pem")
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	ours, err := issuer.New(issuer.Options{URL: server.URL, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	handler = ours.Handler()
	b.sts.Provider(server.URL, "sts.amazonaws.com")
	b.sts.Role(stsbox.Role{ARN: role, Issuer: server.URL, Claims: map[string]string{"sub": "repo:acme/payments:environment:production"}})
	exchange := aws.New(aws.Options{Region: "eu-west-1", Endpoint: b.sts.URL(), Minter: ours})
	spec := gatekeeper.AWSSpec{Exchange: gatekeeper.ExchangeGatekeeperToken, Audience: "sts.amazonaws.com"}
	if _, err := exchange.Exchange(t.Context(), grantOf(t, spec), ""); err != nil {
		t.Fatal(err)
	}
	if s := b.sts.Sessions()[0]; s.Tags["request"] != "req_abc" || s.SourceIdentity != "req_abc" {
		t.Errorf("%+v", s)
	}
	if _, err := b.exchange.Exchange(t.Context(), grantOf(t, web()), b.token()); gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("the CI's own token: %v", err)
	}
	if _, err := ours.Mint(gatekeeper.Grant{}, "x"); err == nil {
		t.Error("a token was minted from no grant")
	}
}
