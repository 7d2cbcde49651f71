package rules

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
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

// matchKey is a key of a match block: what it is called and where its value
// stands in a workload.
type matchKey struct {
	name  string
	fold  bool // compared without regard to case
	value func(*gatekeeper.Workload) string
}

// matchKeys are in the order in which they are looked at: what tells rules
// apart best comes first.
var matchKeys = []matchKey{
	{"repository", true, func(w *gatekeeper.Workload) string { return w.Repository }},
	{"repository_id", false, func(w *gatekeeper.Workload) string { return w.RepositoryID }},
	{"repository_owner", true, func(w *gatekeeper.Workload) string { return w.RepositoryOwner }},
	{"repository_owner_id", false, func(w *gatekeeper.Workload) string { return w.RepositoryOwnerID }},
	{"issuer", false, func(w *gatekeeper.Workload) string { return w.Issuer }},
	{"ref", false, func(w *gatekeeper.Workload) string { return w.Ref }},
	{"workflow", false, func(w *gatekeeper.Workload) string { return w.Workflow }},
	{"event", false, func(w *gatekeeper.Workload) string { return w.Event }},
	{"runner", false, func(w *gatekeeper.Workload) string { return w.Runner }},
}

// key is where a key of the match block stands.
func (at places) key(name string) conf.Value {
	for i, k := range matchKeys {
		if k.name == name && i < len(at.keys) {
			return at.keys[i]
		}
	}
	return at.match
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

// named are the patterns under a key, nil where the rule does not name it.
func (m matcher) named(key string) []pattern {
	for _, k := range m.keys {
		if k.key == key {
			return k.patterns
		}
	}
	return nil
}

// canonical spells the match block in one way, for the rule's digest.
func (m matcher) canonical() string {
	var b strings.Builder
	for _, k := range m.keys {
		fmt.Fprintf(&b, "%q=%q\n", k.key, sources(k.patterns))
	}
	if m.when != nil {
		fmt.Fprintf(&b, "when=%q\n", m.when.source)
	}
	return b.String()
}
