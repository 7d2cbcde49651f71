package issuer

import (
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Approvers are who approved, as Slack ids.
func Approvers(r gatekeeper.Request) []string {
	ids := []string{}
	for _, v := range r.ApprovedBy() {
		ids = append(ids, v.Person.Slack)
	}
	return ids
}

// Tags are what a session tells about its origin, each value within what AWS
// takes: 256 of letters, digits, spaces and _.:/=+-@
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html).
func Tags(g gatekeeper.Grant) [][2]string {
	r, w := g.Request(), g.Workload()
	emergency := ""
	if r.BrokenGlass {
		emergency = "true"
	}
	var tags [][2]string
	for _, t := range [][2]string{
		{"repository", w.Repository}, {"environment", gatekeeper.FoldEnvironment(r.Environment)}, {"run", w.RunID}, {"request", r.ID},
		{"rule", r.Rule.Name}, {"approvers", strings.Join(Approvers(r), "+")}, {"ref", w.Ref}, {"sha", w.SHA}, {"break_glass", emergency},
	} {
		if value := keep(t[1], " _.:/=+-@", 256); value != "" {
			tags = append(tags, [2]string{t[0], value})
		}
	}
	return tags
}

// SourceIdentity is who approved, or the request where nobody had to: 2 to 64
// of letters, digits and _+=,.@-. It stays with a session over role chaining.
func SourceIdentity(r gatekeeper.Request) string {
	who := strings.Join(Approvers(r), "+")
	if len(who) < 2 || len(who) > 64 {
		who = r.ID
	}
	return keep(who, "_+=,.@-", 64)
}

// SessionName is what CloudTrail calls the session: the request first, since
// it is unique, then the repository.
func SessionName(g gatekeeper.Grant) string {
	return keep(g.Request().ID+"-"+g.Workload().Repository, "_+=,.@-", 64)
}

// keep replaces what AWS does not take by a dash and cuts at most bytes; all
// that is kept is ASCII.
func keep(s, also string, most int) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || (r < 0x80 && strings.ContainsRune(also, r)):
			return r
		}
		return '-'
	}, s)
	return mapped[:min(len(mapped), most)]
}
