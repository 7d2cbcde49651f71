package oidc

import (
	"errors"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Issuer is one trusted issuer.
type Issuer struct {
	Name       string   // what rules call it; "" is the type
	Type       string   // github, gitlab, buildkite, circleci, bitbucket or oidc
	URL        string   // exactly the tokens' iss; "" is the type's default
	Audience   string   // the one audience that tokens for us have
	Owners     []string // whose workloads: needed where an issuer signs for everybody
	Algorithms []string // nil: RS256; ES256 can be added
}

// Complete fills in the type's defaults and says what is wrong with the rest.
func (i Issuer) Complete() (Issuer, error) {
	known, ok := vendors()[i.Type]
	if !ok {
		return i, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer type %q is none of github, gitlab, buildkite, circleci, bitbucket, oidc", i.Type)
	}
	if i.Name == "" {
		i.Name = i.Type
	}
	if i.URL == "" {
		i.URL = known.url
	}
	if i.Algorithms == nil {
		i.Algorithms = []string{oidc.RS256}
	}
	for _, alg := range i.Algorithms {
		if alg != oidc.RS256 && alg != oidc.ES256 {
			return i, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer %s: algorithm %q is not taken; RS256 and ES256 are", i.Name, alg)
		}
	}
	if err := secureURL(i.URL); err != nil {
		return i, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer %s: url %q %v", i.Name, i.URL, err)
	}
	if i.Audience == "" {
		return i, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer %s: audience is missing", i.Name)
	}
	if other := vendorOf(i.URL); i.Type == "oidc" && other != "" {
		return i, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer %s: %s is %s's issuer; configure it as type: %s, which knows its dangers", i.Name, i.URL, other, other)
	}
	if len(i.Owners) == 0 && (known.owned || i.URL == known.everybody) {
		return i, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer %s: %s signs for everybody, so owners has to say whose workloads are meant", i.Name, i.URL)
	}
	return i, nil
}

// vendorOf is the vendor whose issuer for everybody the URL is, "" for any
// other: as a plain OIDC issuer it would be trusted for everybody.
func vendorOf(url string) string {
	for name, v := range vendors() {
		if v.everybody != "" && v.everybody == url {
			return name
		}
	}
	return ""
}

// secureURL takes https, and http on loopback only.
func secureURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("is no plain URL such as https://issuer.example.com")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && gatekeeper.Loopback(u.Hostname()):
		return nil
	}
	return errors.New("has to be https")
}
