package rules

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

var (
	// Names and paths of Vault: they become parts of URLs and headers.
	vaultPath = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	vaultRole = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,200}$`)
)

func vaultSpec(o *conf.Object) *gatekeeper.VaultSpec {
	s := &gatekeeper.VaultSpec{
		Address:   secureAddress(o.Get("address"), "https://vault.example.com:8200"),
		Namespace: vaultName(o.Get("namespace"), "", "a namespace such as admin/payments"),
		Mount:     vaultName(o.Get("mount"), "jwt", "the path of a jwt auth method such as jwt"),
		Role:      shaped(o.Get("role"), vaultRole, "a role's name: letters, digits, dot, dash and underscore", true),
		Exchange:  tokenWay(o.Get("exchange")),
	}
	s.Audience = audience(o.Get("audience"), s.Address)
	return s
}

// vaultName is a path without slashes around it. Parts that are dots would
// climb out of the path.
func vaultName(v conf.Value, def, wanted string) string {
	s := strings.Trim(v.String(def), "/")
	if v.Present() && !vaultPath.MatchString(s) || strings.Contains("/"+s+"/", "/../") || strings.Contains("/"+s+"/", "/./") {
		v.Fault("%q was found; %s is wanted", s, wanted)
	}
	return s
}

// maxTokenRepositories is what GitHub takes for one installation token
// (https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app).
const maxTokenRepositories = 500

var (
	githubRepository = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)
	githubPermission = regexp.MustCompile(`^[a-z][a-z0-9_]{1,63}$`)
)

func githubSpec(o *conf.Object) *gatekeeper.GitHubSpec {
	s := &gatekeeper.GitHubSpec{Repositories: repositories(o.Get("repositories")), Permissions: map[string]string{}}
	permissions := o.Get("permissions")
	permissions.Need("say what the token may, such as {contents: read}: without it the token may all that the App may")
	inner := permissions.Object()
	for _, name := range inner.Keys() {
		inner.KeyMatching(name, githubPermission, "is no permission; one such as contents or pull_requests is wanted")
		s.Permissions[name] = inner.Get(name).Enum("read", "read", "write", "admin")
	}
	inner.Close()
	return s
}

// repositories are those of one owner, each once, in the order of their names.
func repositories(v conf.Value) []string {
	var all []string
	for _, item := range v.Items() {
		name := shaped(item, githubRepository, "owner/name", true)
		switch {
		case name == "":
		case len(all) > 0 && !strings.EqualFold(owner(name), owner(all[0])):
			item.Fault("%s is not of %s; an installation token is for one owner, give each owner's repositories a credential", name, owner(all[0]))
		case slices.ContainsFunc(all, func(other string) bool { return strings.EqualFold(other, name) }):
			item.Fault("%s stands twice", name)
		default:
			all = append(all, name)
		}
	}
	v.Need("name the repositories that the token is for, owner/name")
	if len(all) > maxTokenRepositories {
		v.Fault("%d are given; GitHub takes %d at most", len(all), maxTokenRepositories)
	}
	slices.Sort(all)
	return all
}

func owner(repository string) string {
	name, _, _ := strings.Cut(repository, "/")
	return name
}

// maxOwnToken is how long tokens of the gatekeeper live at most.
const maxOwnToken = 5 * time.Minute

func oidcSpec(o *conf.Object) *gatekeeper.OIDCSpec {
	v, lifetime := o.Get("audience"), o.Get("lifetime")
	v.Need("name the audience that the token is for, such as https://kubernetes.default.svc")
	s := &gatekeeper.OIDCSpec{Audience: audience(v, ""), Lifetime: lifetime.Duration(maxOwnToken)}
	if s.Lifetime < time.Minute || s.Lifetime > maxOwnToken {
		lifetime.Fault("%s was found; 1m to %s is wanted: the token is for logging in at once", s.Lifetime, maxOwnToken)
	}
	return s
}
