package oidc

import (
	"maps"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// get reads one value of a token's claims, "" when it is absent.
type get func(claims map[string]any) string

func none(map[string]any) string { return "" }

func noURL(gatekeeper.Workload, map[string]any) string { return "" }

func claim(name string) get { return func(c map[string]any) string { return text(c, name) } }

// prefixed is a claim with something before it.
func prefixed(prefix, name string) get {
	return func(c map[string]any) string { return joined(prefix, "", text(c, name)) }
}

// joined is nothing where a part is absent: what is absent never matches.
func joined(first, between, second string) string {
	if first == "" || second == "" {
		return ""
	}
	return first + between + second
}

// either is the first that is there.
func either(first, second get) get {
	return func(c map[string]any) string {
		if v := first(c); v != "" {
			return v
		}
		return second(c)
	}
}

// text is a claim as a string: issuers write ids as numbers at times.
func text(c map[string]any, name string) string {
	switch v := c[name].(type) {
	case string:
		return v
	case interface{ String() string }: // json.Number
		return v.String()
	}
	return ""
}

func nested(c map[string]any, path ...string) string {
	for _, name := range path[:len(path)-1] {
		c, _ = c[name].(map[string]any)
	}
	return text(c, path[len(path)-1])
}

// workload maps a verified token's claims.
func (t *trusted) workload(claims map[string]any, token gatekeeper.Token) (gatekeeper.Workload, error) {
	w, err := t.vendor.read(t.Issuer, claims)
	if err != nil {
		return gatekeeper.Workload{}, err
	}
	if len(t.Owners) > 0 && !t.owned(claims) {
		return gatekeeper.Workload{}, invalid("the token is of %q, who is not among the owners configured for issuer %s", gatekeeper.Shorten(t.vendor.owner(claims), gatekeeper.MaxShown), t.Name)
	}
	w.Token = token
	return w, nil
}

func (t *trusted) owned(claims map[string]any) bool {
	return slices.ContainsFunc(t.Owners, func(want string) bool {
		for _, has := range []string{t.vendor.owner(claims), t.vendor.alias(claims)} {
			if has != "" && strings.EqualFold(want, has) {
				return true
			}
		}
		return false
	})
}

// WorkloadFromClaims maps claims that nobody verified, for trying rules out.
func WorkloadFromClaims(typ, name, issuerURL string, claims map[string]any) (gatekeeper.Workload, error) {
	v, ok := vendors()[typ]
	if !ok {
		return gatekeeper.Workload{}, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "issuer type %q is none of github, gitlab, buildkite, circleci, bitbucket, oidc", typ)
	}
	if issuerURL == "" {
		issuerURL = v.url
	}
	if name == "" {
		name = typ
	}
	return v.fields(Issuer{Name: name, Type: typ, URL: issuerURL}, maps.Clone(claims)), nil
}

// NeverTaken says why a token with these claims would be refused whatever the
// rules say, "" where it would not, for trying rules out. What claims leave
// out is taken to be harmless there; a token has to say it.
func NeverTaken(typ string, claims map[string]any) string {
	v, ok := vendors()[typ]
	if !ok || v.refuse == nil {
		return ""
	}
	if _, told := claims[circle+"ssh-rerun"]; typ == "circleci" && !told {
		return ""
	}
	return v.refuse(claims)
}

// read also wants what a request is bound to, and refuses what is never taken.
func (v vendor) read(i Issuer, claims map[string]any) (gatekeeper.Workload, error) {
	for _, name := range v.required {
		if text(claims, name) == "" {
			return gatekeeper.Workload{}, invalid("the token has no claim %q, which issuer %s's tokens carry%s", name, i.Name, v.hinted())
		}
	}
	if v.refuse != nil {
		if why := v.refuse(claims); why != "" {
			return gatekeeper.Workload{}, invalid("%s", why)
		}
	}
	w := v.fields(i, claims)
	if w.RunID == "" {
		return gatekeeper.Workload{}, invalid("the token does not say which run it is of (run_id), so nothing can be bound to it%s", v.hinted())
	}
	return w, nil
}

func (v vendor) hinted() string {
	if v.hint == "" {
		return ""
	}
	return "; " + v.hint
}

// fields maps claims, which the workload keeps from then on, but for those
// that tell one token from the next of the same job.
func (v vendor) fields(i Issuer, claims map[string]any) gatekeeper.Workload {
	for _, name := range []string{"jti", "iat", "nbf", "exp"} {
		delete(claims, name)
	}
	w := gatekeeper.Workload{
		Issuer: i.Name, IssuerType: i.Type, IssuerURL: i.URL, Subject: text(claims, "sub"),
		Repository: v.repository(claims), RepositoryID: v.repositoryID(claims), RepositoryOwnerID: v.ownerID(claims),
		Ref: v.ref(claims), SHA: v.sha(claims), Workflow: v.workflow(claims), WorkflowSHA: v.workflowSHA(claims),
		RunID: v.run(claims), RunAttempt: v.attempt(claims), Job: v.job(claims), Environment: v.environment(claims),
		Event: v.event(claims), Runner: v.runner(claims), Actor: v.actor(claims), ActorID: v.actorID(claims),
		Claims: claims,
	}
	w.RepositoryOwner, _, _ = strings.Cut(w.Repository, "/")
	if v.ownerName != nil {
		w.RepositoryOwner = v.ownerName(claims)
	}
	if w.Repository != "" && w.RunID != "" {
		w.RunURL = v.runURL(w, claims)
	}
	return w
}
