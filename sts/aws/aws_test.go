package aws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
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
	w := ststest.Workload()
	w.Repository = repository
	return ststest.GrantFor(t, gatekeeper.CredentialSpec{Type: "aws", AWS: &spec}, w, environment)
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
	ours := ststest.Issuer(t, nil)
	b.sts.Provider(ours.URL(), "sts.amazonaws.com")
	b.sts.Role(stsbox.Role{ARN: role, Issuer: ours.URL(), Claims: map[string]string{"sub": "repo:acme/payments:environment:production"}})
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
	if _, err := ours.Mint(t.Context(), gatekeeper.Grant{}, "x"); err == nil {
		t.Error("a token was minted from no grant")
	}
}
