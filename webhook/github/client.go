// Package github is the gatekeeper as a GitHub App: it takes the webhooks that
// GitHub sends, and asks GitHub what a token does not tell, such as who re-ran
// a run and who wrote what it deploys.
package github

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// Options say which App asks, and where. All but HTTP are needed.
type Options struct {
	APIURL     string // https://api.github.com/ or https://HOST/api/v3/
	AppID      int64
	PrivateKey []byte // PEM
	HTTP       http.RoundTripper
}

// callTimeout bounds one call: nothing that people wait for may hang on
// GitHub.
const callTimeout = 5 * time.Second

// Client talks to GitHub as an App's installations. It is safe for concurrent
// use.
type Client struct {
	api  *url.URL
	apps *ghinstallation.AppsTransport

	mu            sync.Mutex
	installations map[string]*github.Client // by owner/name in lower case
}

// New checks the key and the URL and asks nobody yet.
func New(o Options) (*Client, error) {
	if o.HTTP == nil {
		o.HTTP = http.DefaultTransport
	}
	api, err := url.Parse(strings.TrimSuffix(o.APIURL, "/") + "/")
	if err != nil || api.Host == "" {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "github.api_url %q is no URL; it would be https://api.github.com/", o.APIURL)
	}
	apps, err := ghinstallation.NewAppsTransport(o.HTTP, o.AppID, o.PrivateKey)
	if err != nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "github.private_key_file holds no RSA private key in PEM, as GitHub gives it for an App")
	}
	apps.BaseURL = strings.TrimSuffix(api.String(), "/")
	return &Client{api: api, apps: apps, installations: map[string]*github.Client{}}, nil
}

// installation is a client with a token for that repository's installation.
// Tokens are renewed by ghinstallation.
func (c *Client) installation(ctx context.Context, owner, repo string) (*github.Client, error) {
	key := strings.ToLower(owner + "/" + repo)
	c.mu.Lock()
	known := c.installations[key]
	c.mu.Unlock()
	if known != nil {
		return known, nil
	}
	found, _, err := c.client(c.apps).Apps.FindRepositoryInstallation(ctx, owner, repo)
	if err != nil {
		return nil, unavailable(err, "find the App's installation on "+owner+"/"+repo)
	}
	client := c.client(ghinstallation.NewFromAppsTransport(c.apps, found.GetID()))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.installations[key] = client
	return client, nil
}

func (c *Client) client(rt http.RoundTripper) *github.Client {
	client := github.NewClient(&http.Client{Transport: rt, Timeout: callTimeout})
	client.BaseURL = c.api
	return client
}

// unavailable keeps the cause for the log. go-github's errors name the URL
// and GitHub's message, never the token, which travels in a header.
func unavailable(err error, what string) error {
	return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "GitHub could not be asked to %s", what)
}
