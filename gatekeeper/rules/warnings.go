package rules

import (
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// warn tells what works but is probably not meant.
func (p *parser) warn() {
	earlier := &earlierRules{named: map[string][]int{}}
	for i, r := range p.rules.rules {
		at := p.at[i]
		p.warnNames(r, at)
		p.warnExchange(r, at)
		p.warnEvents(r, at)
		p.warnShadow(i, at, earlier)
		if r.Approval.None && !r.observe && slices.ContainsFunc(r.environments, likeProduction) {
			at.approval.Warn("nobody is asked for %s; if that is meant, leave it", sources(r.environments))
		}
		if len(r.Credentials) == 0 {
			at.rule.Warn("rule %s gives no credentials: a job learns that it was approved, and nothing stops one that does not ask", r.Name)
		}
	}
}

// warnNames: a deleted repository's name can be taken by someone else, its id
// cannot (threats row 2).
func (p *parser) warnNames(r *rule, at places) {
	owner := r.match.named("repository_owner_id") != nil
	if at.repository.Present() && !at.repositoryID.Present() && !owner {
		at.repository.Warn("names a repository without repository_id or repository_owner_id; whoever takes the name after a rename or deletion would match")
	}
	for _, pat := range r.match.named("repository") {
		if name, _, ok := strings.Cut(pat.source, "/"); ok && strings.Contains(name, "*") || pat.source == "**" || pat.source == "*" {
			at.repository.Warn("%q matches repositories of any owner", pat.source)
		}
	}
	for _, pat := range r.match.named("repository_owner") {
		if strings.Contains(pat.source, "*") {
			at.owner.Warn("%q matches any owner of such a name", pat.source)
		}
	}
}

// warnExchange: a role that trusts the CI's issuer can be assumed by any job
// that asks the CI for a token (threats row 37).
func (p *parser) warnExchange(r *rule, at places) {
	for i, c := range r.Credentials {
		if c.Way() == gatekeeper.ExchangeWorkloadToken {
			at.exchanges[i].Warn("workload_token can be gone around: any job can present its own token to %s; "+
				"exchange: gatekeeper_token cannot, or let %s want the environment and protect it in GitHub", cloudName(c.Type), trust(c.Type))
		}
	}
}

func cloudName(kind string) string {
	return map[string]string{"aws": "AWS", "gcp": "Google Cloud", "azure": "Entra ID", "vault": "Vault"}[kind]
}

// trust is what decides there whose tokens are taken.
func trust(kind string) string {
	return map[string]string{"aws": "the role's trust policy", "gcp": "the provider's attribute condition",
		"azure": "the federated credential's subject", "vault": "the role's bound_claims"}[kind]
}

func (p *parser) warnEvents(r *rule, at places) {
	for _, pat := range r.match.named("event") {
		if strings.HasPrefix(pat.source, "pull_request") || strings.HasPrefix(pat.source, "merge_request") || pat.matches("pull_request") {
			at.event.Warn("%q lets pull requests in, whose code nobody may have reviewed", pat.source)
		}
	}
}

// warnShadow tells rules that an earlier one always decides before. Only
// rules that can concern one of the same repositories are compared.
func (p *parser) warnShadow(i int, at places, earlier *earlierRules) {
	r := p.rules.rules[i]
	for _, j := range earlier.near(r) {
		if other := p.rules.rules[j]; !other.observe && other.covers(r) {
			at.rule.Warn("rule %s can never match: rule %s before it matches everything that it does", r.Name, other.Name)
			break
		}
	}
	earlier.add(i, r)
}

// earlierRules are those before a rule, by the repositories they name.
type earlierRules struct {
	named    map[string][]int
	anywhere []int
}

func (e *earlierRules) add(i int, r *rule) {
	names, literal := r.match.literalRepositories()
	if !literal {
		e.anywhere = append(e.anywhere, i)
	}
	for _, name := range names {
		e.named[strings.ToLower(name)] = append(e.named[strings.ToLower(name)], i)
	}
}

// near are the rules that could cover r: one that names repositories covers
// only rules that name some of them.
func (e *earlierRules) near(r *rule) []int {
	names, _ := r.match.literalRepositories()
	all := slices.Clone(e.anywhere)
	for _, name := range names {
		all = append(all, e.named[strings.ToLower(name)]...)
	}
	slices.Sort(all)
	return all
}

// covers says whether whatever fits other certainly fits r. It may miss some:
// conditions count only when they are the same.
func (r *rule) covers(other *rule) bool {
	if !within(other.environments, r.environments) {
		return false
	}
	for _, k := range r.match.keys {
		theirs := other.match.named(k.key)
		if theirs == nil || !within(theirs, k.patterns) {
			return false
		}
	}
	if r.match.when != nil && (other.match.when == nil || other.match.when.source != r.match.when.source) {
		return false
	}
	return r.match.event || !other.match.event
}

// within says whether each of inner is the same as, or matched as plain text
// by, one of outer.
func within(inner, outer []pattern) bool {
	for _, in := range inner {
		if !slices.ContainsFunc(outer, func(out pattern) bool {
			return out.source == in.source || out.source == "**" || (in.re == nil && out.matches(in.source))
		}) {
			return false
		}
	}
	return true
}

func likeProduction(p pattern) bool {
	name := strings.ToLower(p.source)
	return strings.Contains(name, "prod") || strings.Contains(name, "live") || p.re != nil
}
