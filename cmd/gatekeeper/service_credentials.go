package main

import (
	"context"
	"os"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/rules"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/store"
	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws/kms"
	"github.com/gatekeeper-ci/gatekeeper/sts/azure"
	"github.com/gatekeeper-ci/gatekeeper/sts/gcp"
	"github.com/gatekeeper-ci/gatekeeper/sts/github"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
	"github.com/gatekeeper-ci/gatekeeper/sts/oidc"
	"github.com/gatekeeper-ci/gatekeeper/sts/vault"
)

// openIssuer makes the gatekeeper an OIDC issuer, with keys from a file or in
// AWS KMS. KMS is not asked yet; a file that is bad stops the start.
func (s *service) openIssuer(context.Context) error {
	keys, err := s.signingKeys()
	if err != nil {
		return err
	}
	s.issuer, err = issuer.New(issuer.Options{URL: s.cfg.URL, Keys: keys})
	return err
}

func (s *service) signingKeys() (issuer.Source, error) {
	if c := s.cfg.Clouds; len(c.KMSKeys) > 0 {
		return kms.New(kms.Options{Keys: c.KMSKeys, Endpoint: c.KMSEndpoint, Logger: s.log})
	}
	return issuer.OpenFile(s.cfg.SigningKey, s.log)
}

// openExchangers makes one exchanger for each type of credential, and asks
// nobody.
func (s *service) openExchangers() (sts.Exchangers, error) {
	c, app := s.cfg.Clouds, github.Options{Transport: s.watched("github")}
	if g := s.cfg.GitHub; g != nil {
		app = github.Options{Transport: app.Transport, APIURL: g.APIURL, AppID: g.AppID, PrivateKey: g.PrivateKey, Replicas: store.Postgres(s.cfg.Database)}
	}
	tokens, err := github.New(app)
	if err != nil {
		return nil, err
	}
	return sts.Exchangers{
		"aws":    aws.New(aws.Options{Region: c.AWSRegion, Endpoint: c.STSEndpoint, Minter: s.issuer, Logger: s.log, Watch: s.watchAWS()}),
		"gcp":    gcp.New(gcp.Options{STSEndpoint: c.GCPSTS, IAMEndpoint: c.GCPIAM, Minter: s.issuer, Transport: s.watched("google")}),
		"azure":  azure.New(azure.Options{Authority: c.Azure, Minter: s.issuer, Transport: s.watched("entra")}),
		"vault":  vault.New(vault.Options{Minter: s.issuer, Revokers: c.vaultTokens(), Transport: s.watched("vault")}),
		"github": tokens,
		"oidc":   oidc.New(s.issuer),
	}, nil
}

func (c cloudsConfig) vaultTokens() []vault.Own {
	var all []vault.Own
	for _, v := range c.Vaults {
		all = append(all, vault.Own{Address: v.Address, Namespace: v.Namespace, Token: v.token})
	}
	return all
}

// token is read at each use, where it stands in a file.
func (v vaultConfig) token() (string, error) {
	if v.TokenFile == "" {
		return v.Token, nil
	}
	body, err := os.ReadFile(v.TokenFile)
	return strings.TrimSpace(string(body)), err
}

// warnUnmet tells what rules ask for and this gatekeeper is not configured to
// give, before a job learns it.
func (s *service) warnUnmet(set *rules.Rules) {
	set.Each(func(r gatekeeper.Rule) {
		for _, spec := range r.Credentials {
			if why := s.cfg.unmet(spec); why != "" {
				s.log.Warn("a credential of the rules cannot be obtained as this gatekeeper is configured", "rule", r.Name, "credential", spec.Name, "why", why)
			}
		}
	})
}

// unmet says what a credential needs and is not there; "": nothing.
func (c config) unmet(spec gatekeeper.CredentialSpec) string {
	switch region := c.Clouds.AWSRegion; {
	case spec.GitHub != nil && c.GitHub == nil:
		return "it needs the gatekeeper's GitHub App; set github.app_id and github.private_key_file"
	case spec.AWS == nil || spec.AWS.Region != "":
		return ""
	case region == "":
		return "it needs a region; set aws.region, or region in the credential"
	case !strings.HasPrefix(spec.AWS.RoleARN, "arn:"+gatekeeper.AWSPartition(region)+":"):
		return "aws.region " + region + " is of another partition than the role; name a region in the credential"
	}
	return ""
}
