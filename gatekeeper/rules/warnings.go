package rules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// warn tells what works but is probably not meant.
func (p *parser) warn() {
	s := &shadows{under: map[string][]int{}, left: cmp.Or(p.o.compared, maxCompared)}
	for i, r := range p.rules.rules {
		at := p.at[i]
		if at.broken {
			continue
		}
		warnNames(r, at)
		warnOwners(r, at)
		warnEvents(r, at)
		warnNever(r, at)
		p.warnExchange(r, at)
		warnApproval(r, at)
		told := s.spent()
		if other := s.by(p.rules.rules, i); other != nil {
			at.rule.Warn("rule %s can never match: rule %s before it (%s:%d) matches everything that it does", r.Name, other.Name, other.file, other.line)
		}
		if s.spent() && !told {
			at.rule.Warn("rules after this one are not compared with those before: there are too many that name no repository")
		}
		if len(r.Credentials) == 0 {
			at.rule.Warn("rule %s gives no credentials: a job learns that it was approved, and nothing stops one that does not ask", r.Name)
		}
	}
	p.warnOthers()
}

// each visits a key's patterns with their places.
func (r *rule) each(at places, key string, visit func(pattern, conf.Value)) {
	items := at.key(key).Items()
	for i, pat := range r.match.named(key) {
		if i < len(items) {
			visit(pat, items[i])
		}
	}
}

// warnNames: a deleted repository's name can be taken by someone else, its id
// cannot (threats row 2).
func warnNames(r *rule, at places) {
	repository, owner := r.match.named("repository_id"), r.match.named("repository_owner_id")
	if repository != nil || owner != nil {
		return
	}
	if v := at.key("repository"); v.Present() {
		v.Warn("names a repository without repository_id or repository_owner_id; whoever takes the name after a rename or deletion would match")
	}
	if v := at.key("repository_owner"); v.Present() {
		v.Warn("names an owner without repository_owner_id; whoever takes the name after a rename or deletion would match")
	}
}

// warnOwners: a name under any owner is anybody's to take.
func warnOwners(r *rule, at places) {
	if r.match.named("repository_owner_id") != nil {
		return
	}
	if r.match.when == nil && len(r.match.keys) > 0 && !slices.ContainsFunc(r.match.keys, func(k keyMatcher) bool {
		return strings.HasPrefix(k.key, "repository") || strings.HasPrefix(k.key, "claims.")
	}) {
		at.match.Warn("names neither a repository nor an owner, so it is for every repository whose tokens are trusted")
	}
	owned := slices.ContainsFunc(r.match.named("repository_owner"), func(p pattern) bool { return p.re == nil })
	r.each(at, "repository", func(p pattern, v conf.Value) {
		name, _, _ := strings.Cut(p.source, "/")
		if strings.Contains(name, "*") && !owned {
			v.Warn("%q matches repositories of any owner", p.source)
		}
	})
	r.each(at, "repository_owner", func(p pattern, v conf.Value) {
		if p.re != nil {
			v.Warn("%q matches any owner of such a name", p.source)
		}
	})
}

func warnEvents(r *rule, at places) {
	r.each(at, "event", func(p pattern, v conf.Value) {
		for _, event := range []string{p.source, "pull_request", "pull_request_target", "merge_request_event", "parent_pipeline"} {
			if pullRequest(event) && (event == p.source || p.matches(event)) {
				v.Warn("%q lets pull requests in, whose code nobody may have reviewed", p.source)
				return
			}
		}
	})
}

func warnApproval(r *rule, at places) {
	if r.Approval.None && !r.observe && slices.ContainsFunc(r.environments, likeProduction) {
		at.approval.Warn("nobody is asked for %s; if that is meant, leave it", sources(r.environments))
	}
	if r.Approval.None {
		return
	}
	late := func(key string, after, expires interface{ String() string }) {
		at.notify.Object().Get(key).Warn("%s is not before expires_after (%s), so it never happens", after, expires)
	}
	n, expires := r.Notify, r.Approval.ExpiresAfter
	if n.RemindAfter > 0 && n.RemindAfter >= expires {
		late("remind_after", n.RemindAfter, expires)
	}
	if n.EscalateAfter > 0 && n.EscalateAfter >= expires {
		late("escalate", n.EscalateAfter, expires)
	}
	if n.Digest && n.DigestEvery >= expires {
		late("digest_every", n.DigestEvery, expires)
	}
}

// likeProduction says whether a name is, or may be, production's.
func likeProduction(p pattern) bool {
	name := strings.ToLower(p.source)
	return strings.Contains(name, "prod") || strings.Contains(name, "live") || name == "prd" || p.re != nil
}
