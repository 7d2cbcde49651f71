package main

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/sts"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws"
	"github.com/gatekeeper-ci/gatekeeper/sts/aws/kms"
	"github.com/gatekeeper-ci/gatekeeper/sts/issuer"
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
	return issuer.OpenFile(s.cfg.SigningKey, s.log, nil)
}

// exchangers are one for each type of credential.
func (s *service) exchangers() sts.Exchangers {
	c := s.cfg.Clouds
	return sts.Exchangers{
		"aws": aws.New(aws.Options{Region: c.AWSRegion, Endpoint: c.STSEndpoint, Minter: s.issuer, Logger: s.log}),
	}
}
