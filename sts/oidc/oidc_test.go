package oidc_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/kmsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws/kms"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/oidc"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
)

const cluster = "https://kubernetes.default.svc"

func spec() gatekeeper.CredentialSpec {
	return gatekeeper.CredentialSpec{Type: "oidc", OIDC: &gatekeeper.OIDCSpec{Audience: cluster, Lifetime: 3 * time.Minute}}
}

// What can go wrong is the signature: the suite takes it from AWS KMS.
func TestSuite(t *testing.T) {
	ststest.Run(t, func(t *testing.T) ststest.Vendor {
		box := kmsbox.Start()
		t.Cleanup(box.Close)
		arn, err := box.Create("SIGN_VERIFY", 2048)
		if err != nil {
			t.Fatal(err)
		}
		denied := kmsbox.Denied()
		denied.Path = "TrentService.Sign"
		return ststest.Vendor{
			Box: box, Spec: spec(), Local: true, Secrets: []string{"c4n4ry"},
			New: func(url string, log *slog.Logger) gatekeeper.Exchanger {
				keys, err := kms.New(kms.Options{Keys: []kms.Key{{ARN: arn}}, Endpoint: url, Credentials: credentials.NewStaticCredentialsProvider("AKIAOURS", "c4n4ry", ""), Logger: log})
				if err != nil {
					t.Fatal(err)
				}
				ours, err := issuer.New(issuer.Options{URL: "https://gatekeeper.test", Keys: keys})
				if err != nil {
					t.Fatal(err)
				}
				return oidc.New(ours)
			},
			Steps:      []string{"TrentService.Sign"},
			Throttle:   kmsbox.Throttled(),
			Refusals:   map[string]ststest.Refusal{"denied": ststest.Says(denied, "AccessDeniedException")},
			Incomplete: []string{`{"KeyId":"x"}`, `{"Signature":""}`, `{"Signature":"eA=="}`},
			Complete: func(c gatekeeper.Credential) string {
				if o := c.OIDC; strings.Count(o.Token, ".") != 2 || o.Audience != cluster || o.Issuer != "https://gatekeeper.test" || o.Subject != "repo:acme/payments:environment:production" || c.Handle != "red_1" {
					return "something of " + o.String()
				}
				return ""
			},
		}
	})
}

// The token is what a cluster verifies: ours, for it, and short.
func TestToken(t *testing.T) {
	ours := ststest.Issuer(t, nil)
	c, err := oidc.New(ours).Exchange(t.Context(), ststest.Grant(t, spec()), "")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := cloudbox.Trust{Issuer: ours.URL(), Audiences: []string{cluster}}.Verify(t.Context(), c.OIDC.Token)
	if err != nil || claims["sub"] != c.OIDC.Subject {
		t.Fatalf("%v, %v", claims, err)
	}
	if until := time.Unix(int64(claims["exp"].(float64)), 0); c.ExpiresAt.Sub(until).Abs() > time.Second || time.Until(until) > 3*time.Minute {
		t.Errorf("it ends at %s, and %s is told", until, c.ExpiresAt)
	}
	if _, err := (cloudbox.Trust{Issuer: ours.URL(), Audiences: []string{"https://elsewhere"}}).Verify(t.Context(), c.OIDC.Token); err == nil {
		t.Error("another takes it")
	}
	got, err := oidc.New(ours).Revoke(t.Context(), spec(), gatekeeper.Redemption{Handle: c.Handle})
	if err != nil || got.Revoked || !strings.Contains(got.Todo, "red_1") {
		t.Errorf("%+v, %v", got, err)
	}
}
