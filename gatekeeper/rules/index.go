package rules

import (
	"slices"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// index finds the rules that can concern a workload without looking at all of
// them. Each rule stands under what narrows it most; the order of the files
// is kept by the numbers.
type index struct {
	under    map[string][]int // see indexKeys
	anywhere []int            // rules that nothing narrows
	// first is the first enforced rule for each environment pattern: what is
	// named to somebody whom no rule can concern.
	first []int
}

func newIndex(all []*rule) index {
	x := index{under: map[string][]int{}}
	seen := map[string]bool{}
	for i, r := range all {
		keys := r.match.indexKeys()
		if keys == nil {
			x.anywhere = append(x.anywhere, i)
		}
		for _, key := range keys {
			if at := x.under[key]; len(at) == 0 || at[len(at)-1] != i {
				x.under[key] = append(at, i)
			}
		}
		x.first = append(x.first, r.opens(seen, i)...)
	}
	return x
}

// opens is i if the rule has an environment pattern that no earlier one had.
func (r *rule) opens(seen map[string]bool, i int) (first []int) {
	if r.observe {
		return nil
	}
	for _, p := range r.environments {
		key := gatekeeper.FoldEnvironment(p.source)
		if !seen[key] && first == nil {
			first = []int{i}
		}
		seen[key] = true
	}
	return first
}

// indexKeys are where a rule is found: by its literal repositories, else by
// ids, else by owners; nil: anywhere.
func (m matcher) indexKeys() []string {
	if keys := literals("repository=", m.named("repository"), wholeName); keys != nil {
		return keys
	}
	if keys := literals("repository_id=", m.named("repository_id"), wholeName); keys != nil {
		return keys
	}
	if keys := literals("owner=", m.named("repository"), ownerPart); keys != nil {
		return keys
	}
	if keys := literals("owner=", m.named("repository_owner"), wholeName); keys != nil {
		return keys
	}
	return literals("owner_id=", m.named("repository_owner_id"), wholeName)
}

func literals(prefix string, patterns []pattern, part func(string) string) []string {
	var keys []string
	for _, p := range patterns {
		text := part(p.source)
		if text == "" || strings.Contains(text, "*") {
			return nil
		}
		keys = append(keys, prefix+gatekeeper.FoldEnvironment(text))
	}
	return keys
}

func wholeName(s string) string { return s }

// ownerPart is what stands before the slash; where a pattern has none, `**`
// may hold it.
func ownerPart(s string) string {
	owner, _, ok := strings.Cut(s, "/")
	if !ok {
		return ""
	}
	return owner
}

// candidates are the rules that can concern a workload, in the order of the
// files. An absent value is under no key, as it matches nothing.
func (x index) candidates(w *gatekeeper.Workload) []int {
	found := slices.Clone(x.anywhere)
	lists := 0
	for _, key := range []struct{ prefix, value string }{
		{"repository=", w.Repository}, {"repository_id=", w.RepositoryID}, {"owner=", ownerPart(w.Repository)}, {"owner_id=", w.RepositoryOwnerID},
	} {
		if key.value == "" {
			continue
		}
		if at := x.under[key.prefix+gatekeeper.FoldEnvironment(key.value)]; at != nil {
			found, lists = append(found, at...), lists+1
		}
	}
	if owner := w.RepositoryOwner; owner != "" && !strings.EqualFold(owner, ownerPart(w.Repository)) {
		found, lists = append(found, x.under["owner="+gatekeeper.FoldEnvironment(owner)]...), lists+1
	}
	if lists > 1 || lists == 1 && len(x.anywhere) > 0 {
		slices.Sort(found)
		found = slices.Compact(found)
	}
	return found
}
