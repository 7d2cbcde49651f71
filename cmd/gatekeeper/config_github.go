package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/oidc"
)

type githubConfig struct {
	AppID         int64
	PrivateKey    []byte
	WebhookSecret string // "": no webhooks are taken, and nothing waits at protection rules
	APIURL        string
	Issuer        string // the name of the issuer whose tokens runs on this GitHub present
}

func (r *configReader) github(v conf.Value) {
	if !v.Present() {
		return
	}
	o := v.Object()
	g := &githubConfig{
		AppID: int64(o.Get("app_id").Int(0, 1)), PrivateKey: []byte(o.Secret("private_key", r.dir)),
		WebhookSecret: o.Secret("webhook_secret", r.dir), APIURL: secureURL(o.Get("api_url"), defaultGitHub),
		Issuer: o.Get("issuer").String(""),
	}
	o.Close()
	if g.AppID == 0 {
		o.Get("app_id").Fault("is missing; GitHub shows it on the App's page")
	}
	if len(g.PrivateKey) == 0 {
		o.Get("private_key_file").Fault("is missing; GitHub makes it on the App's page")
	}
	if v := o.Get("webhook_secret"); v.Present() && g.WebhookSecret == "" {
		v.Fault("is empty, so anybody could sign webhooks; set the secret of the App's page, or leave the key out to take none")
	}
	r.c.GitHub = g
	if why := r.c.wrongIssuer(); why != "" {
		o.Get("issuer").Fault("%s", why)
	}
}

// wrongIssuer says why it cannot be told whose runs wait on this GitHub.
func (c config) wrongIssuer() string {
	if c.GitHub.WebhookSecret == "" && c.GitHub.Issuer == "" {
		return ""
	}
	if _, ok := c.githubIssuer(); ok {
		return ""
	}
	return "it cannot be told which issuer's tokens runs on " + c.GitHub.APIURL + " present; name one of `issuers` that is of type github"
}

// githubIssuer is the issuer of runs on the configured GitHub: the one that is
// named, else the only one of type github, else the one of the same server.
func (c config) githubIssuer() (oidc.Issuer, bool) {
	of := func(fits func(oidc.Issuer) bool) (oidc.Issuer, bool) {
		var found []oidc.Issuer
		for _, i := range c.Issuers {
			if i.Type == "github" && fits(i) {
				found = append(found, i)
			}
		}
		if len(found) != 1 {
			return oidc.Issuer{}, false
		}
		return found[0], true
	}
	if c.GitHub.Issuer != "" {
		return of(func(i oidc.Issuer) bool { return i.Name == c.GitHub.Issuer })
	}
	if only, ok := of(func(oidc.Issuer) bool { return true }); ok {
		return only, true
	}
	return of(func(i oidc.Issuer) bool { return slices.Contains(issuerHosts(c.GitHub.APIURL), hostOf(i.URL)) })
}

// issuerHosts are the hosts of the issuers that belong to an API: GHES has
// both at one host, github.com and data residency under names of their own.
func issuerHosts(api string) []string {
	host := hostOf(api)
	bare := strings.TrimPrefix(host, "api.")
	if bare == "github.com" {
		return []string{"token.actions.githubusercontent.com"}
	}
	return []string{host, "token.actions." + bare}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
