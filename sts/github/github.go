// Package github obtains installation tokens of the gatekeeper's own GitHub
// App, limited to the repositories and permissions that a rule names.
package github

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/sts/internal/ask"
)

const cloud = "GitHub"

// Options say which App. Without AppID and PrivateKey nothing is issued.
type Options struct {
	APIURL     string // https://api.github.com/ or https://HOST/api/v3/
	AppID      int64
	PrivateKey []byte // PEM, as GitHub gives it
	Replicas   bool   // others share the database: one of them may hold a token that this one does not
	Transport  http.RoundTripper
	Now        func() time.Time
}

// Exchanger implements gatekeeper.Exchanger for credentials of type github.
type Exchanger struct {
	o   Options
	key *rsa.PrivateKey
	ask *ask.Client

	mu   sync.Mutex
	held map[string]held // by redemption
}

// New checks the key and asks nobody.
func New(o Options) (*Exchanger, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.APIURL = strings.TrimSuffix(o.APIURL, "/")
	e := &Exchanger{o: o, ask: ask.New(ask.Options{Transport: o.Transport}), held: map[string]held{}}
	if o.AppID == 0 && o.PrivateKey == nil {
		return e, nil
	}
	var err error
	e.key, err = parseKey(o.PrivateKey)
	return e, err
}

// Exchange implements gatekeeper.Exchanger.
func (e *Exchanger) Exchange(ctx context.Context, g gatekeeper.Grant, _ string) (gatekeeper.Credential, error) {
	spec := g.Credential().GitHub
	if !g.Valid() || spec == nil || len(spec.Repositories) == 0 || len(spec.Permissions) == 0 {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeInternal, "there is no grant for a GitHub token")
	}
	if e.key == nil {
		return gatekeeper.Credential{}, gatekeeper.Errorf(gatekeeper.CodeExchangeFailed, "credentials of type github need the gatekeeper's GitHub App; set github.app_id and github.private_key_file")
	}
	app, err := e.appToken()
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	id, err := e.installation(ctx, app, spec.Repositories[0])
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	t, err := e.token(ctx, app, id, *spec)
	if err != nil {
		return gatekeeper.Credential{}, err
	}
	e.hold(g.Redemption().ID, t.Token, t.ExpiresAt)
	return gatekeeper.Credential{Type: "github", ExpiresAt: t.ExpiresAt.UTC(), Handle: "installation/" + strconv.FormatInt(id, 10),
		GitHub: &gatekeeper.GitHubCredential{Token: t.Token, Repositories: t.names(), Permissions: t.Permissions}}, nil
}

// installation is the App's at the owner of a repository. Asking issues
// nothing, so it may be repeated.
func (e *Exchanger) installation(ctx context.Context, app, repository string) (int64, error) {
	owner, name, _ := strings.Cut(repository, "/")
	var out struct {
		ID int64 `json:"id"`
	}
	err := e.ask.Do(ctx, ask.Call{
		Cloud: cloud, Method: http.MethodGet, URL: e.o.APIURL + "/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name) + "/installation",
		Header: headers(app), Secrets: []string{app}, Refusal: refusal("is the App installed on " + repository + "?"), Repeatable: true,
	}, &out)
	if err == nil && out.ID == 0 {
		err = gatekeeper.Errorf(gatekeeper.CodeUnavailable, "the answer of GitHub names no installation; try again")
	}
	return out.ID, err
}

// issued is the answer of https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app.
type issued struct {
	Token        string            `json:"token"`
	ExpiresAt    time.Time         `json:"expires_at"`
	Permissions  map[string]string `json:"permissions"`
	Repositories []struct {
		Name string `json:"full_name"`
	} `json:"repositories"`
}

func (i issued) names() []string {
	var all []string
	for _, r := range i.Repositories {
		all = append(all, r.Name)
	}
	slices.Sort(all)
	return all
}

func (e *Exchanger) token(ctx context.Context, app string, id int64, spec gatekeeper.GitHubSpec) (issued, error) {
	var names []string
	for _, r := range spec.Repositories {
		_, name, _ := strings.Cut(r, "/")
		names = append(names, name)
	}
	var t issued
	err := e.ask.Do(ctx, ask.Call{
		Cloud: cloud, URL: e.o.APIURL + "/app/installations/" + strconv.FormatInt(id, 10) + "/access_tokens",
		Header: headers(app), Secrets: []string{app}, Refusal: refusal("the App has to be installed on each repository and to have been granted each permission"),
		JSON: map[string]any{"repositories": names, "permissions": spec.Permissions},
	}, &t)
	switch {
	case err != nil:
		return t, err
	case t.Token == "" || t.ExpiresAt.IsZero():
		return t, ask.Incomplete(cloud)
	case t.wider(spec):
		// Never handed out, and not left alive.
		_ = e.end(ctx, t.Token)
		return t, gatekeeper.Errorf(gatekeeper.CodeExchangeUnknown, "GitHub issued a token that may more than the rule says; it was revoked and not handed out")
	}
	return t, nil
}

// wider says whether a token reaches beyond what was asked for. Reading
// metadata comes with every token.
func (i issued) wider(spec gatekeeper.GitHubSpec) bool {
	if len(i.Repositories) != len(spec.Repositories) {
		return true
	}
	for _, r := range i.Repositories {
		if !slices.ContainsFunc(spec.Repositories, func(name string) bool { return strings.EqualFold(name, r.Name) }) {
			return true
		}
	}
	levels := []string{"", "read", "write", "admin"}
	for name, level := range i.Permissions {
		got, asked := slices.Index(levels, level), slices.Index(levels, spec.Permissions[name])
		if (got < 0 || got > asked) && (name != "metadata" || level != "read") {
			return true
		}
	}
	return false
}

func headers(bearer string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + bearer, "X-GitHub-Api-Version": "2022-11-28"}
}

// refusal is GitHub's message; its codes are HTTP's.
func refusal(hint string) func([]byte) ask.Refusal {
	return func(body []byte) ask.Refusal {
		var e struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(body, &e) != nil {
			return ask.Refusal{}
		}
		return ask.Refusal{Message: e.Message, Hint: hint}
	}
}
