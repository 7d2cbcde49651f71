package github_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/cloudbox"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/sandbox/githubbox"
	"github.com/gatekeeper-ci/gatekeeper/sts/github"
	"github.com/gatekeeper-ci/gatekeeper/sts/ststest"
)

func spec() gatekeeper.CredentialSpec {
	return gatekeeper.CredentialSpec{Type: "github", GitHub: &gatekeeper.GitHubSpec{Repositories: []string{"acme/charts", "acme/infra"}, Permissions: map[string]string{"contents": "read", "deployments": "write"}}}
}

// failing is GitHub behind what fails.
type failing struct {
	*cloudbox.Box
	*githubbox.GitHub
}

func (f failing) URL() string                   { return f.Box.URL() }
func (f failing) Issued() []string              { return f.GitHub.Issued() }
func (f failing) Calls(path string) int         { return f.Box.Calls(path) }
func (f failing) Fail(faults ...cloudbox.Fault) { f.Box.Fail(faults...) }

func begin(t *testing.T) failing {
	t.Helper()
	hub, err := githubbox.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	for i, name := range []string{"acme/infra", "acme/charts", "acme/payments"} {
		hub.Repo(githubbox.Repository{ID: int64(i + 1), Name: name})
	}
	hub.Repo(githubbox.Repository{ID: 9, Name: "acme/secret", NotInstalled: true})
	to, err := url.Parse(strings.TrimSuffix(hub.URL(), "/"))
	if err != nil {
		t.Fatal(err)
	}
	box := cloudbox.Start(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(box.Close)
	return failing{box, hub}
}

func (f failing) exchanger(t *testing.T, url string, now func() time.Time) *github.Exchanger {
	t.Helper()
	e, err := github.New(github.Options{APIURL: url + "/", AppID: githubbox.AppID, PrivateKey: f.PrivateKey(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSuite(t *testing.T) {
	ststest.Run(t, func(t *testing.T) ststest.Vendor {
		f := begin(t)
		return ststest.Vendor{
			Box: f, Spec: spec(), Secrets: []string{string(f.PrivateKey())},
			New:      func(url string, _ *slog.Logger) gatekeeper.Exchanger { return f.exchanger(t, url, nil) },
			Steps:    []string{"/access_tokens"},
			Throttle: cloudbox.Fault{Status: http.StatusForbidden, Header: map[string]string{"Retry-After": "1"}, Body: `{"message":"You have exceeded a secondary rate limit."}`},
			Refusals: map[string]ststest.Refusal{
				"permissions": ststest.Says(refused(422, "The permissions requested are not granted to this installation."), "GitHub refused: 422 (The permissions requested are not granted to this installation.); the App has to be installed on each repository"),
				"suspended":   ststest.Says(refused(403, "This installation has been suspended"), "refused: 403 (This installation has been suspended)"),
				"no JSON":     ststest.Says(cloudbox.Fault{Path: "/access_tokens", Status: http.StatusNotFound, Body: "<html>"}, "refused: 404"),
			},
			Incomplete: []string{`{"token":"x"}`, `{"expires_at":"2030-01-01T00:00:00Z"}`, `{"token":"","expires_at":"2030-01-01T00:00:00Z"}`},
			Complete: func(c gatekeeper.Credential) string {
				if g := c.GitHub; g.Token == "" || !slices.Equal(g.Repositories, []string{"acme/charts", "acme/infra"}) || g.Permissions["deployments"] != "write" || c.Handle != "installation/70" {
					return "something of " + g.String() + " at " + c.Handle
				}
				return ""
			},
		}
	})
}

func refused(status int, text string) cloudbox.Fault {
	return cloudbox.Fault{Path: "/access_tokens", Status: status, Body: fmt.Sprintf(`{"message":%q,"documentation_url":"https://docs.github.com"}`, text)}
}

// To find the installation issues nothing: what fails there may be repeated.
func TestInstallation(t *testing.T) {
	for name, c := range map[string]struct {
		fault cloudbox.Fault
		code  gatekeeper.Code
		says  string
	}{
		"hang-up":       {cloudbox.Fault{}, gatekeeper.CodeUnavailable, "lost"},
		"malformed":     {cloudbox.Fault{Body: "<html>"}, gatekeeper.CodeUnavailable, "cannot be read"},
		"no id":         {cloudbox.Fault{Body: "{}"}, gatekeeper.CodeUnavailable, "names no installation"},
		"not installed": {cloudbox.Fault{Status: 404, Body: `{"message":"Not Found"}`}, gatekeeper.CodeExchangeFailed, "404 (Not Found); is the App installed on acme/charts?"},
		"echo":          {cloudbox.Fault{Status: 401, Echo: true, Body: `{"message":"ECHO"}`}, gatekeeper.CodeExchangeFailed, "401"},
	} {
		t.Run(name, func(t *testing.T) {
			f := begin(t)
			c.fault.Path = "/installation"
			f.Fail(c.fault)
			_, err := f.exchanger(t, f.URL(), nil).Exchange(t.Context(), ststest.Grant(t, spec()), "")
			if gatekeeper.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "eyJ") || len(f.Issued()) != 0 {
				t.Errorf("got %v, want %s", err, c.says)
			}
		})
	}
}

// GitHub holds the App to what it was granted.
func TestRefusals(t *testing.T) {
	f := begin(t)
	e := f.exchanger(t, f.URL(), nil)
	for name, c := range map[string]struct {
		repositories []string
		permissions  map[string]string
		says         string
	}{
		"a permission that the App has not": {[]string{"acme/infra"}, map[string]string{"administration": "write"}, "permissions requested are not granted"},
		"more than the App has":             {[]string{"acme/infra"}, map[string]string{"contents": "write"}, "permissions requested are not granted"},
		"a repository out of reach":         {[]string{"acme/infra", "acme/secret"}, map[string]string{"contents": "read"}, "not accessible to the parent installation"},
		"nobody's repository":               {[]string{"acme/nothing"}, map[string]string{"contents": "read"}, "is the App installed on acme/nothing?"},
	} {
		t.Run(name, func(t *testing.T) {
			s := gatekeeper.CredentialSpec{Type: "github", GitHub: &gatekeeper.GitHubSpec{Repositories: c.repositories, Permissions: c.permissions}}
			_, err := e.Exchange(t.Context(), ststest.Grant(t, s), "")
			if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v", err)
			}
		})
	}
	if len(f.Issued()) != 0 {
		t.Error("a token was issued")
	}
}

// A token that may more than the rule says is revoked, and not handed out.
func TestWiderToken(t *testing.T) {
	for name, body := range map[string]string{
		"repositories": `{"token":"TOKEN","expires_at":"2030-01-01T00:00:00Z","permissions":{"contents":"read"}}`,
		"another":      `{"token":"TOKEN","expires_at":"2030-01-01T00:00:00Z","permissions":{"contents":"read"},"repositories":[{"full_name":"acme/charts"},{"full_name":"acme/payments"}]}`,
		"permissions":  `{"token":"TOKEN","expires_at":"2030-01-01T00:00:00Z","permissions":{"contents":"write"},"repositories":[{"full_name":"acme/charts"},{"full_name":"acme/infra"}]}`,
		"one more":     `{"token":"TOKEN","expires_at":"2030-01-01T00:00:00Z","permissions":{"issues":"read"},"repositories":[{"full_name":"acme/charts"},{"full_name":"acme/infra"}]}`,
		"metadata":     `{"token":"TOKEN","expires_at":"2030-01-01T00:00:00Z","permissions":{"metadata":"write"},"repositories":[{"full_name":"acme/charts"},{"full_name":"acme/infra"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := begin(t)
			e := f.exchanger(t, f.URL(), nil)
			first, err := e.Exchange(t.Context(), ststest.Grant(t, spec()), "") // a live token of GitHub's
			if err != nil {
				t.Fatal(err)
			}
			f.Fail(cloudbox.Fault{Path: "/access_tokens", Body: strings.ReplaceAll(body, "TOKEN", first.GitHub.Token)})
			c, err := e.Exchange(t.Context(), ststest.Grant(t, spec()), "")
			if gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeUnknown || c.GitHub != nil || f.Alive(first.GitHub.Token) {
				t.Errorf("handed out %v, %v; alive: %t", c.GitHub, err, f.Alive(first.GitHub.Token))
			}
		})
	}
}

// The process that handed a token out revokes it; another says what people do.
func TestRevoke(t *testing.T) {
	f := begin(t)
	now := time.Now()
	e := f.exchanger(t, f.URL(), func() time.Time { return now })
	g := ststest.Grant(t, spec())
	c, err := e.Exchange(t.Context(), g, "")
	if err != nil {
		t.Fatal(err)
	}
	d := gatekeeper.Redemption{ID: g.Redemption().ID, Handle: c.Handle, ExpiresAt: c.ExpiresAt}
	f.Fail(cloudbox.Fault{Path: "/installation/token"}, cloudbox.Fault{Path: "/installation/token", Status: 500, Echo: true}, cloudbox.Fault{Path: "/installation/token", Status: 500}, cloudbox.Fault{Path: "/installation/token", Status: 500})
	for range 2 {
		if got, err := e.Revoke(t.Context(), spec(), d); gatekeeper.CodeOf(err) != gatekeeper.CodeUnavailable || got.Revoked || strings.Contains(err.Error(), c.GitHub.Token) {
			t.Errorf("GitHub is down: %+v, %v", got, err)
		}
	}
	other, err := f.exchanger(t, f.URL(), nil).Revoke(t.Context(), spec(), d)
	if err != nil || other.Revoked || !strings.Contains(other.Todo, "suspend the gatekeeper's App at acme (installation/70)") || !strings.Contains(other.Detail, "it ends at ") {
		t.Errorf("another process: %+v, %v", other, err)
	}
	replica, err := github.New(github.Options{APIURL: f.URL(), AppID: githubbox.AppID, PrivateKey: f.PrivateKey(), Replicas: true})
	if err != nil {
		t.Fatal(err)
	}
	var later *gatekeeper.Error
	if got, err := replica.Revoke(t.Context(), spec(), d); !errors.As(err, &later) || later.Code != gatekeeper.CodeUnavailable || later.RetryAfter == 0 || got.Todo != other.Todo {
		t.Errorf("a replica that holds it not: %+v, %v", got, err)
	}
	for range 2 {
		if got, err := e.Revoke(t.Context(), spec(), d); err != nil || !got.Revoked || f.Alive(c.GitHub.Token) {
			t.Errorf("%+v, %v; alive: %t", got, err, f.Alive(c.GitHub.Token))
		}
	}
	now = now.Add(2 * time.Hour)
	if got, err := e.Revoke(t.Context(), spec(), d); err != nil || !got.Revoked || got.Detail != "the token ended by itself" {
		t.Errorf("it is over: %+v, %v", got, err)
	}
	if _, err := e.Revoke(t.Context(), gatekeeper.CredentialSpec{}, d); gatekeeper.CodeOf(err) != gatekeeper.CodeInternal {
		t.Errorf("no token: %v", err)
	}
}

func TestNoApp(t *testing.T) {
	e, err := github.New(github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Exchange(t.Context(), ststest.Grant(t, spec()), ""); gatekeeper.CodeOf(err) != gatekeeper.CodeExchangeFailed || !strings.Contains(err.Error(), "set github.app_id") {
		t.Errorf("got %v", err)
	}
	if _, err := github.New(github.Options{AppID: 1, PrivateKey: []byte("canary")}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("no key: %v", err)
	}
}
