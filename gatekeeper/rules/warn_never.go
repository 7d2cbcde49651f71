package rules

import (
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// warnNever tells what no token can fit.
func warnNever(r *rule, at places) {
	never := func(v conf.Value, format string, args ...any) { v.Warn("never matches: "+format, args...) }
	r.each(at, "ref", func(p pattern, v conf.Value) {
		if !strings.HasPrefix(p.source, "refs/") && !strings.HasPrefix(p.source, "*") {
			never(v, "%q is no full ref; a branch is refs/heads/%s, a tag refs/tags/%s", p.source, p.source, p.source)
		}
	})
	r.each(at, "workflow", func(p pattern, v conf.Value) {
		_, ref, ok := strings.Cut(p.source, "@")
		switch {
		case !ok && !strings.Contains(p.source, "**"):
			never(v, "%q says not at which ref; %s@refs/heads/main is the workflow of that branch", p.source, p.source)
		case ref != "" && strings.Trim(ref, "*/") == "" || ref == "refs/heads/**" || ref == "refs/heads/*":
			v.Warn("%q takes the workflow from any branch, so whoever can push one can change it", p.source)
		}
	})
	r.each(at, "runner", func(p pattern, v conf.Value) {
		if p.re == nil && !strings.HasSuffix(p.source, "-hosted") {
			never(v, "no CI calls a runner %q; github-hosted and self-hosted are such names", p.source)
		}
	})
	warnApart(r, at, never)
	if same, holds := r.match.when.always(); same && holds {
		at.when.Warn("is true for every workload; leave it out, or name a claim")
	} else if same {
		never(at.when, "it is false for every workload")
	}
}

// warnApart tells keys of one rule that contradict each other.
func warnApart(r *rule, at places, never func(conf.Value, string, ...any)) {
	if owners := r.match.named("repository_owner"); owners != nil {
		if apart(ownersOf(r.match.named("repository")), owners) {
			never(at.key("repository_owner"), "%s is not the owner of %s", sources(owners), sources(r.match.named("repository")))
		}
	}
	if environments := r.match.named("claims.environment"); apart(environments, r.environments) {
		never(at.claims.Get("environment"), "a token of environment %s cannot ask for %s", sources(environments), sources(r.environments))
	}
}

// ownersOf are the owners of repositories, nil where one is not told.
func ownersOf(repositories []pattern) []pattern {
	var owners []pattern
	for _, p := range repositories {
		name := ownerPart(p.source)
		if name == "" || strings.Contains(name, "**") {
			return nil
		}
		owners = append(owners, compile(name, p.fold))
	}
	return owners
}

// apart says whether certainly no value fits both; two globs may always meet.
func apart(one, other []pattern) bool {
	for _, a := range one {
		for _, b := range other {
			if a.re != nil && b.re != nil || a.re == nil && b.matches(a.source) || b.re == nil && a.matches(b.source) {
				return false
			}
		}
	}
	return len(one) > 0 && len(other) > 0
}

// warnOthers looks at what stands beside the rules.
func (p *parser) warnOthers() {
	for i, f := range p.rules.freezes {
		p.warnNowhere(p.other.freezes[i].environment, f.patterns)
	}
	for i, g := range p.rules.glass {
		p.warnNowhere(p.other.glass[i].environment, g.patterns)
		if !p.other.glass[i].notify.Present() {
			p.other.glass[i].notify.Warn("is missing; that the glass was broken is said in the request's own channel only")
		}
	}
	for i, t := range p.rules.tests {
		if t.Rule != "" && !p.named(t.Rule) {
			p.other.tests[i].wanted.Warn("there is no rule %q, so the test fails", t.Rule)
		}
	}
}

// warnNowhere tells environments that no rule is for: a freeze of Prodution
// freezes nothing.
func (p *parser) warnNowhere(v conf.Value, patterns []pattern) {
	items := v.Items()
	for i, pat := range patterns {
		meets := false
		for _, r := range p.rules.rules {
			meets = meets || !apart([]pattern{pat}, r.environments)
		}
		if !meets && i < len(items) {
			items[i].Warn("no rule is for %s", pat.source)
		}
	}
}

func (p *parser) named(rule string) bool {
	for _, r := range p.rules.rules {
		if r.Name == rule {
			return true
		}
	}
	return false
}
