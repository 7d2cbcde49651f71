// Package github is the gatekeeper as a GitHub App: it takes the webhooks that
// GitHub sends, answers deployment protection rules, shows people what is
// being deployed, and asks GitHub what a token does not tell, such as who
// re-ran a run and who belongs to a team.
package github

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/google/go-github/v60/github"
)

// Options say which App asks, and where. APIURL, AppID and PrivateKey are
// needed.
type Options struct {
	APIURL     string // https://api.github.com/ or https://HOST/api/v3/
	AppID      int64
	PrivateKey []byte // PEM
	Issuer     Issuer // whose runs wait at protection rules
	HTTP       http.RoundTripper
	Logger     *slog.Logger // nil: silent
}

// Issuer is the configured issuer of the tokens that runs on this GitHub
// present: what waits there has the same identity.
type Issuer struct {
	Name, URL string
	Owners    []string // whose repositories; logins or ids; empty: any that installed the App
}

// callTimeout bounds one call: nothing that people wait for may hang on
// GitHub.
const callTimeout = 5 * time.Second

// Client talks to GitHub as an App's installations. It is safe for concurrent
// use.
type Client struct {
	o      Options
	api    *url.URL
	apps   *ghinstallation.AppsTransport
	app    *github.Client // signed as the App itself
	logger *slog.Logger

	mu      sync.Mutex
	found   map[string]int64         // installation by owner/name, or by owner, in lower case
	clients map[int64]*github.Client // by installation: rate limits are each one's own
}

// New checks the key and the URL and asks nobody yet.
func New(o Options) (*Client, error) {
	if o.HTTP == nil {
		o.HTTP = http.DefaultTransport
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	api, err := url.Parse(strings.TrimSuffix(o.APIURL, "/") + "/")
	if err != nil || api.Host == "" {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "github.api_url %q is no URL; it would be https://api.github.com/", o.APIURL)
	}
	apps, err := ghinstallation.NewAppsTransport(&breaker{next: o.HTTP, clock: time.Now}, o.AppID, o.PrivateKey)
	if err != nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "github.private_key_file holds no RSA private key in PEM, as GitHub gives it for an App")
	}
	apps.BaseURL = strings.TrimSuffix(api.String(), "/")
	c := &Client{o: o, api: api, apps: apps, logger: o.Logger, found: map[string]int64{}, clients: map[int64]*github.Client{}}
	c.app = c.client(apps)
	return c, nil
}

// installation is a client with a token for that repository's installation.
// Tokens are renewed by ghinstallation.
func (c *Client) installation(ctx context.Context, owner, repo string) (*github.Client, error) {
	return c.lookUp(owner+"/"+repo, func() (*github.Installation, *github.Response, error) {
		return c.app.Apps.FindRepositoryInstallation(ctx, owner, repo)
	})
}

// organization is one for an organisation's teams.
func (c *Client) organization(ctx context.Context, org string) (*github.Client, error) {
	return c.lookUp(org, func() (*github.Installation, *github.Response, error) {
		return c.app.Apps.FindOrganizationInstallation(ctx, org)
	})
}

func (c *Client) lookUp(name string, find func() (*github.Installation, *github.Response, error)) (*github.Client, error) {
	key := strings.ToLower(name)
	c.mu.Lock()
	id, known := c.found[key]
	c.mu.Unlock()
	if !known {
		found, _, err := find()
		if err != nil {
			return nil, unavailable(err, "find the App's installation on "+name)
		}
		id = found.GetID()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[key] = id
	return c.installed(id), nil
}

// installed is the one client of an installation; the lock is held.
func (c *Client) installed(id int64) *github.Client {
	if c.clients[id] == nil {
		c.clients[id] = c.client(ghinstallation.NewFromAppsTransport(c.apps, id))
	}
	return c.clients[id]
}

// installedOn learns from a signed webhook which installation a repository
// belongs to: one call less, and a new installation takes the old one's place.
func (c *Client) installedOn(repository string, payload []byte) {
	var e struct {
		Installation struct {
			ID int64 `json:"id"`
		} `json:"installation"`
	}
	if json.Unmarshal(payload, &e) != nil || e.Installation.ID <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[strings.ToLower(repository)] = e.Installation.ID
}

// ofInstallation is the client of an installation by its id.
func (c *Client) ofInstallation(id int64) *github.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.installed(id)
}

// forget drops an installation that GitHub no longer knows: the App was
// installed anew since.
func (c *Client) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.ToLower(name)
	delete(c.clients, c.found[key])
	delete(c.found, key)
}

func (c *Client) client(rt http.RoundTripper) *github.Client {
	client := github.NewClient(&http.Client{Transport: rt, Timeout: callTimeout, CheckRedirect: sameHost})
	client.BaseURL = c.api
	return client
}

// sameHost follows renamed repositories and nothing else: the transport signs
// whatever it is sent.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > 5 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// server is where people see this GitHub: https://github.com for its API, the
// host for GitHub Enterprise Server's /api/v3 and for the api. host of
// enterprises with data residency.
func (c *Client) server() string {
	host := c.api.Host
	if bare, ok := strings.CutPrefix(host, "api."); ok {
		host = bare
	}
	return c.api.Scheme + "://" + host
}

// get and post are the calls that go-github v60 lacks. path is relative.
func get(ctx context.Context, client *github.Client, path string, out any) (*github.Response, error) {
	r, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(ctx, r, out)
}

func post(ctx context.Context, client *github.Client, path string, in any) (*github.Response, error) {
	r, err := client.NewRequest(http.MethodPost, path, in)
	if err != nil {
		return nil, err
	}
	return client.Do(ctx, r, nil)
}

// repoPath is the beginning of a repository's calls.
func repoPath(owner, repo string) string {
	return "repos/" + url.PathEscape(owner) + "/" + url.PathEscape(repo)
}
