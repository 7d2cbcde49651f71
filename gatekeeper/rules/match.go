package rules

import (
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// matcher is a rule's match block: every key has to fit.
type matcher struct {
	keys  []keyMatcher
	when  *condition
	event bool // the rule names events itself
}

type keyMatcher struct {
	key      string
	value    func(*gatekeeper.Workload) string
	patterns []pattern
}

// matchKeys are the keys of a match block, in the order in which they are
// looked at: what tells rules apart best comes first.
func matchKeys() []struct {
	name  string
	fold  bool
	value func(*gatekeeper.Workload) string
} {
	type w = gatekeeper.Workload
	return []struct {
		name  string
		fold  bool
		value func(*w) string
	}{
		{"repository", true, func(w *w) string { return w.Repository }},
		{"repository_id", false, func(w *w) string { return w.RepositoryID }},
		{"repository_owner", true, func(w *w) string { return w.RepositoryOwner }},
		{"repository_owner_id", false, func(w *w) string { return w.RepositoryOwnerID }},
		{"issuer", false, func(w *w) string { return w.Issuer }},
		{"ref", false, func(w *w) string { return w.Ref }},
		{"workflow", false, func(w *w) string { return w.Workflow }},
		{"event", false, func(w *w) string { return w.Event }},
		{"runner", false, func(w *w) string { return w.Runner }},
	}
}

// mismatch is the first key that does not fit, nil when all do; fits counts
// those before it.
func (m matcher) mismatch(w *gatekeeper.Workload) (miss *gatekeeper.Mismatch, fits int) {
	for _, k := range m.keys {
		value := k.value(w)
		if !anyMatches(k.patterns, value) {
			return &gatekeeper.Mismatch{Key: k.key, Want: sources(k.patterns), Got: value, Absent: value == ""}, fits
		}
		fits++
	}
	if !m.event && pullRequest(w.Event) {
		return &gatekeeper.Mismatch{Key: "event", Want: "no pull request or child pipeline, unless the rule names its event", Got: w.Event}, fits
	}
	if m.when != nil {
		if why := m.when.mismatch(w.Claims); why != "" {
			return &gatekeeper.Mismatch{Key: "when", Want: m.when.source, Got: why}, fits
		}
		fits++
	}
	return nil, fits
}

// pullRequest events run code that nobody of the repository may have seen; a
// pull_request_target carries the default branch's ref and sha (row 8), and a
// GitLab child pipeline does not tell whether a merge request started its
// parent (row 12).
func pullRequest(event string) bool {
	return strings.HasPrefix(event, "pull_request") || strings.HasPrefix(event, "merge_request") || event == "parent_pipeline"
}

// claimText is a claim as patterns see it; only plain values match.
func claimText(claims map[string]any, name string) string {
	switch v := claims[name].(type) {
	case string:
		return v
	case bool:
		if v {
			return "true"
		}
		return "false"
	case interface{ String() string }: // json.Number
		return v.String()
	}
	return ""
}

// literalRepositories are the repositories that a rule names, if it names
// them without patterns.
func (m matcher) literalRepositories() ([]string, bool) {
	for _, k := range m.keys {
		if k.key != "repository" {
			continue
		}
		var names []string
		for _, p := range k.patterns {
			if p.re != nil {
				return nil, false
			}
			names = append(names, p.source)
		}
		return names, true
	}
	return nil, false
}

// named are the patterns under a key, nil where the rule does not name it.
func (m matcher) named(key string) []pattern {
	for _, k := range m.keys {
		if k.key == key {
			return k.patterns
		}
	}
	return nil
}
