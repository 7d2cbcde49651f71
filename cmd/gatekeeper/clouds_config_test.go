package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/kmsbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws/kms"
)

// With keys in AWS KMS the service starts while KMS is down: it says so, takes
// requests and approvals, issues nothing, and is well when KMS
// is; the step waits for it.
func TestKeysInKMS(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOURS")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	box := kmsbox.Start()
	t.Cleanup(box.Close)
	arn, err := box.Create("SIGN_VERIFY", 2048)
	if err != nil {
		t.Fatal(err)
	}
	box.Disable(arn, true)
	p := play(t, func(s *stage) {
		rise(t, s)
		s.cfg.Clouds.KMSKeys, s.cfg.Clouds.KMSEndpoint = []kms.Key{{ARN: arn}}, box.URL()
	})
	ready := func() (int, string) {
		resp, err := http.Get("http://" + p.doors.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, `"signing_key":"out of reach"`) {
		t.Errorf("without KMS: %d %s", status, body)
	}
	box.Disable(arn, false)
	token := p.approvedStep(t)["cluster"].OIDC.Token
	if _, err := (cloudbox.Trust{Issuer: p.cfg.URL, Audiences: []string{cloudCluster}}).Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	if status, body := ready(); status != http.StatusOK {
		t.Errorf("KMS is back: %d %s", status, body)
	}
}

// What rules ask for and the gatekeeper cannot give is told when they load.
func TestUnmetCredentials(t *testing.T) {
	aws := func(arn, region string) gatekeeper.CredentialSpec {
		return gatekeeper.CredentialSpec{AWS: &gatekeeper.AWSSpec{RoleARN: arn, Region: region}}
	}
	const here, china = "arn:aws:iam::111122223333:role/x", "arn:aws-cn:iam::111122223333:role/x"
	hub := gatekeeper.CredentialSpec{GitHub: &gatekeeper.GitHubSpec{}}
	for _, c := range []struct {
		cfg  config
		spec gatekeeper.CredentialSpec
		want string
	}{
		{config{}, hub, "set github.app_id"},
		{config{GitHub: &githubConfig{}}, hub, ""},
		{config{}, aws(here, ""), "set aws.region"},
		{config{}, aws(here, "eu-west-1"), ""},
		{config{Clouds: cloudsConfig{AWSRegion: "eu-west-1"}}, aws(here, ""), ""},
		{config{Clouds: cloudsConfig{AWSRegion: "eu-west-1"}}, aws(china, ""), "another partition"},
		{config{Clouds: cloudsConfig{AWSRegion: "eu-west-1"}}, aws(china, "cn-north-1"), ""},
		{config{}, gatekeeper.CredentialSpec{OIDC: &gatekeeper.OIDCSpec{}}, ""},
	} {
		if got := c.cfg.unmet(c.spec); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.spec, got, c.want)
		}
	}
	p := play(t, func(s *stage) { rise(t, s); s.cfg.GitHub, s.cfg.Clouds.AWSRegion = nil, "" })
	for _, name := range []string{"github", "aws"} {
		if !strings.Contains(p.log.String(), `"rule":"payments-production","credential":"`+name+`","why":"it needs`) {
			t.Errorf("%s is not told: %s", name, p.log)
		}
	}
}
