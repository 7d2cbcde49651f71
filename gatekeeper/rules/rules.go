// Package rules turns files into an immutable set of rules and decides by it.
// The same parser and the same evaluator serve the gatekeeper, `rules check`,
// `rules explain` and `rules test`.
package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Rules is a compiled set. It never changes; its zero value refuses all.
type Rules struct {
	rules   []*rule
	freezes []freeze
	glass   []glass
	tests   []Test
	digest  string
	index   index
	placed  []PlacedGroup
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

// Tests is how many tests stand beside the rules.
func (r *Rules) Tests() int { return len(r.tests) }

// Names are the rules' names in the order in which they are looked at.
func (r *Rules) Names() []string {
	names := make([]string, len(r.rules))
	for i, rule := range r.rules {
		names[i] = rule.Name
	}
	return names
}

// Each visits the rules in the order in which they are looked at.
func (r *Rules) Each(visit func(gatekeeper.Rule)) {
	for _, rule := range r.rules {
		visit(rule.Rule)
	}
}

// seal indexes the rules and digests them.
func (r *Rules) seal() {
	r.index = newIndex(r.rules)
	parts := make([]string, len(r.rules))
	for i, rule := range r.rules {
		parts[i] = rule.Digest
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

// Places visits the rules with where they stand.
func (r *Rules) Places(visit func(name, file string, line, column int)) {
	for _, rule := range r.rules {
		visit(rule.Name, rule.file, rule.line, rule.column)
	}
}
