// Package rules turns files into an immutable set of rules and decides by it.
// The same parser and the same evaluator serve the gatekeeper, `rules check`,
// `rules explain` and `rules test`.
package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Rules is a compiled set. It never changes; its zero value refuses all.
type Rules struct {
	rules   []*rule
	freezes []freeze
	glass   []glass
	tests   []Test
	digest  string

	byRepository map[string][]int // folded literal repository → rules
	anywhere     []int            // rules whose repository is a pattern, or not named
}

// rule is one compiled rule.
type rule struct {
	gatekeeper.Rule
	file         string
	line, column int
	observe      bool
	match        matcher
	environments []pattern
}

// Digest is a hex SHA-256 over everything that decides.
func (r *Rules) Digest() string { return r.digest }

// Len is how many rules there are.
func (r *Rules) Len() int { return len(r.rules) }

// Names are the rules' names in the order in which they are looked at.
func (r *Rules) Names() []string {
	names := make([]string, len(r.rules))
	for i, rule := range r.rules {
		names[i] = rule.Name
	}
	return names
}

// Credentials are all credentials that rules give, with their rule's name.
func (r *Rules) Each(visit func(gatekeeper.Rule)) {
	for _, rule := range r.rules {
		visit(rule.Rule)
	}
}

// seal indexes the rules by repository and digests them.
func (r *Rules) seal() {
	r.byRepository = map[string][]int{}
	for i, rule := range r.rules {
		names, literal := rule.match.literalRepositories()
		if !literal {
			r.anywhere = append(r.anywhere, i)
			continue
		}
		for _, name := range names {
			key := strings.ToLower(name)
			if at := r.byRepository[key]; len(at) == 0 || at[len(at)-1] != i {
				r.byRepository[key] = append(at, i)
			}
		}
	}
	var parts []string
	for _, rule := range r.rules {
		parts = append(parts, rule.Digest)
	}
	r.digest = digest(struct{ Rules, Freezes, Glass any }{parts, r.freezes, r.glass})
}

// digest hashes the JSON of plain data of ours, which always marshals.
func digest(v any) string {
	body, err := json.Marshal(v)
	if err != nil {
		panic("rules: digest of a value that has no JSON: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
