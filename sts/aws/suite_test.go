package aws_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/ciissuer"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/stsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
)

// failing is STS behind what fails.
type failing struct {
	*cloudbox.Box
	sts *stsbox.STS
}

func (f failing) Issued() []string { return f.sts.Secrets() }

func TestSuite(t *testing.T) {
	ststest.Run(t, func(t *testing.T) ststest.Vendor {
		ci, err := ciissuer.Start(ciissuer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ci.Close)
		sts := stsbox.Start(nil)
		t.Cleanup(sts.Close)
		sts.Provider(ci.URL(), "sts.amazonaws.com")
		sts.Role(stsbox.Role{ARN: role, Issuer: ci.URL()})
		to, err := url.Parse(sts.URL())
		if err != nil {
			t.Fatal(err)
		}
		box := cloudbox.Start(httputil.NewSingleHostReverseProxy(to))
		t.Cleanup(box.Close)
		return ststest.Vendor{
			Box: failing{box, sts}, Token: ci.Token("sts.amazonaws.com", ciissuer.Defaults()),
			Spec: gatekeeper.CredentialSpec{Type: "aws", AWS: &gatekeeper.AWSSpec{RoleARN: role, Exchange: gatekeeper.ExchangeWorkloadToken, Audience: "sts.amazonaws.com", SessionDuration: 15 * time.Minute}},
			New: func(url string, log *slog.Logger) gatekeeper.Exchanger {
				return aws.New(aws.Options{Region: "eu-west-1", Endpoint: url, Logger: log})
			},
			Steps:    []string{"/"},
			Throttle: xmlError(http.StatusBadRequest, "Throttling"),
			Refusals: map[string]ststest.Refusal{
				"denied":  ststest.Says(xmlError(http.StatusForbidden, "AccessDenied"), "AWS STS refused: AccessDenied; the role's trust policy"),
				"expired": ststest.Says(xmlError(http.StatusBadRequest, "ExpiredTokenException"), "ExpiredTokenException"),
			},
			Incomplete: []string{answerWith("<AccessKeyId>ASIA</AccessKeyId>"), answerWith("")},
			Complete: func(c gatekeeper.Credential) string {
				if a := c.AWS; a.AccessKeyID == "" || a.SecretAccessKey == "" || a.SessionToken == "" || a.Region != "eu-west-1" || a.RoleARN != role || a.AssumedRoleARN == "" {
					return "something of " + a.String()
				}
				return ""
			},
		}
	})
}

func xmlError(status int, code string) cloudbox.Fault {
	return cloudbox.Fault{Status: status, Body: fmt.Sprintf(`<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code)}
}
