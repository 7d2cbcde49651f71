package aws_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
)

// All that a rule says of a session reaches STS, by each way.
func TestSpecReachesSTS(t *testing.T) {
	b := begin(t)
	b.sts.Role(stsbox.Role{ARN: role, Issuer: b.ci.URL(), AccessKeys: []string{"AKIAOURS"}, ExternalID: "acme"})
	arns := []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::111122223333:policy/deploy"}
	for _, spec := range []gatekeeper.AWSSpec{web(), {Exchange: gatekeeper.ExchangeAssumeRole, ExternalID: "acme"}} {
		spec.SessionPolicy, spec.PolicyARNs, spec.SessionDuration, spec.Region = `{"Version":"2012-10-17","Statement":[]}`, arns, 30*time.Minute, "us-east-2"
		c, err := b.exchange.Exchange(t.Context(), grantOf(t, spec), b.token())
		if err != nil {
			t.Fatal(err)
		}
		s := b.sts.Sessions()[len(b.sts.Sessions())-1]
		if s.Policy != spec.SessionPolicy || !slices.Equal(s.PolicyARNs, arns) || s.Duration != 30*time.Minute || c.AWS.Region != "us-east-2" {
			t.Errorf("%s: %+v", spec.Exchange, s)
		}
	}
	if _, err := b.exchange.Exchange(t.Context(), grantOf(t, gatekeeper.AWSSpec{Exchange: gatekeeper.ExchangeAssumeRole, ExternalID: "other"}), ""); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("another external id: %v", err)
	}
	broken := web()
	broken.SessionPolicy = "{"
	if _, err := b.exchange.Exchange(t.Context(), grantOf(t, broken), b.token()); err == nil || !strings.Contains(err.Error(), "MalformedPolicyDocument; the rule's session_policy") {
		t.Errorf("a broken policy: %v", err)
	}
}

// asked tells where a call would have gone.
type asked struct{ host string }

func (a *asked) Do(r *http.Request) (*http.Response, error) {
	a.host = r.URL.Scheme + "://" + r.URL.Host
	return nil, errors.New("nobody is there")
}

// STS is asked in the session's region, at the endpoint of its partition.
func TestRegionalEndpoints(t *testing.T) {
	for region, c := range map[string]struct{ arn, want string }{
		"eu-west-1":      {"arn:aws:iam::111122223333:role/deploy", "https://sts.eu-west-1.amazonaws.com"},
		"us-east-1":      {"arn:aws:iam::111122223333:role/deploy", "https://sts.us-east-1.amazonaws.com"},
		"cn-north-1":     {"arn:aws-cn:iam::111122223333:role/deploy", "https://sts.cn-north-1.amazonaws.com.cn"},
		"us-gov-west-1":  {"arn:aws-us-gov:iam::111122223333:role/deploy", "https://sts.us-gov-west-1.amazonaws.com"},
		"eusc-de-east-1": {"arn:aws-eusc:iam::111122223333:role/deploy", "https://sts.eusc-de-east-1.amazonaws.eu"},
	} {
		t.Run(region, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_STS", "")
			t.Setenv("AWS_CA_BUNDLE", "") // the SDK wants a client of its own for one
			a := &asked{}
			e := aws.New(aws.Options{Region: "eu-west-1", HTTP: a, Credentials: credentials.NewStaticCredentialsProvider("AKIAOURS", "secret", "")})
			spec := web()
			spec.Region, spec.RoleARN = region, c.arn
			if _, err := e.Exchange(t.Context(), grantOf(t, spec), "x.y.z"); err == nil || a.host != c.want {
				t.Errorf("asked %s, want %s: %v", a.host, c.want, err)
			}
		})
	}
	for region, arn := range map[string]string{"eu-west-1": "arn:aws-cn:iam::111122223333:role/deploy", "us-gov-west-1": "arn:aws:iam::111122223333:role/deploy"} {
		a, spec := &asked{}, web()
		spec.Region, spec.RoleARN = region, arn
		_, err := aws.New(aws.Options{HTTP: a}).Exchange(t.Context(), grantOf(t, spec), "x.y.z")
		if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), "is of partition") || a.host != "" {
			t.Errorf("%s for %s: %v", region, arn, err)
		}
	}
}
