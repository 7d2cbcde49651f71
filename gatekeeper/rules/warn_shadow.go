package rules

import (
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// shadows finds rules that an earlier one always decides before. Only rules
// that can concern one of the same repositories are compared.
type shadows struct {
	under    map[string][]int // as in index
	anywhere []int
	left     int // comparisons: strangers' pull requests are checked as well
}

// maxCompared is some seconds' worth. Rules that name repositories never come
// near it.
const maxCompared = 20_000_000

// spent says whether rules are no longer compared.
func (s *shadows) spent() bool { return s.left <= 0 }

// by is the first earlier rule that covers r; then r joins the earlier ones.
func (s *shadows) by(all []*rule, i int) *rule {
	r := all[i]
	if s.spent() {
		return nil
	}
	var found *rule
	near := s.near(r)
	s.left -= len(near)
	for _, j := range near {
		if other := all[j]; !other.observe && other.covers(r) {
			found = other
			break
		}
	}
	s.add(i, r)
	return found
}

func (s *shadows) add(i int, r *rule) {
	keys := r.match.indexKeys()
	if keys == nil {
		s.anywhere = append(s.anywhere, i)
	}
	for _, key := range keys {
		s.under[key] = append(s.under[key], i)
	}
}

// near are the rules that could cover r. What a rule is indexed by, r has to
// name as well, as the same or as something within it.
func (s *shadows) near(r *rule) []int {
	found := slices.Clone(s.anywhere)
	look := func(prefix, text string) {
		if text != "" && !strings.Contains(text, "*") {
			found = append(found, s.under[prefix+gatekeeper.FoldEnvironment(text)]...)
		}
	}
	for _, p := range r.match.named("repository") {
		look("repository=", p.source)
		look("owner=", ownerPart(p.source))
	}
	for key, prefix := range map[string]string{"repository_id": "repository_id=", "repository_owner": "owner=", "repository_owner_id": "owner_id="} {
		for _, p := range r.match.named(key) {
			look(prefix, p.source)
		}
	}
	slices.Sort(found)
	return found
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
