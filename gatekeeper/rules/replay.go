package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Asking is one workload that asked, or may ask, for an environment.
type Asking struct {
	ID          string // of the request, or of the event that refused it
	At          time.Time
	Workload    gatekeeper.Workload
	Environment string
}

// Verdict is what a decision comes to: whose word it takes and what it gives.
// Where people are told is no part of it.
type Verdict struct {
	Outcome string `json:"outcome"` // approve, allow or deny
	Rule    string `json:"rule,omitempty"`
	Freeze  string `json:"freeze,omitempty"`
	Reason  string `json:"reason"` // for people; two reasons make no difference

	approval, glass part
	credentials     map[string]part // by name
}

// part is one thing that a verdict gives or takes, in a word and by all its
// terms.
type part struct {
	word  string
	terms map[string]string
}

// VerdictOf is what the decision comes to.
func VerdictOf(d gatekeeper.Decision) Verdict {
	v := Verdict{Outcome: d.Outcome.String(), Freeze: d.Freeze, Reason: d.Reason, credentials: map[string]part{}}
	if d.Rule != nil {
		v.Rule = d.Rule.Name
	}
	if d.Rule == nil || d.Outcome == gatekeeper.Refuse {
		return v
	}
	if d.Outcome == gatekeeper.NeedApproval {
		v.approval = approvalPart(d.Rule.Approval)
		if d.BreakGlass != nil {
			v.glass = partOf(groupWord(d.BreakGlass.Group), d.BreakGlass)
		}
	}
	for _, c := range d.Rule.Credentials {
		v.credentials[c.Name] = partOf(c.Type, c)
	}
	return v
}

func approvalPart(a gatekeeper.Approval) part {
	groups := a.Groups
	a.Groups = nil
	p := partOf("", a)
	var words []string
	for i, g := range groups {
		at := ""
		if len(groups) > 1 || g.Name != "" {
			at = "." + orElse(g.Name, strconv.Itoa(i+1))
		}
		p.terms[at+".quorum"] = strconv.Itoa(g.Quorum)
		p.terms[at+".approvers"] = approverNames(g)
		words = append(words, groupWord(g))
	}
	p.word = strings.Join(words, " and ")
	return p
}

func groupWord(g gatekeeper.Group) string { return strconv.Itoa(g.Quorum) + " of " + approverNames(g) }

func approverNames(g gatekeeper.Group) string {
	names := make([]string, len(g.Approvers))
	for i, approver := range g.Approvers {
		names[i] = string(approver)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// partOf keeps plain data of ours by the paths of its JSON.
func partOf(word string, data any) part {
	p := part{word, map[string]string{}}
	body, err := json.Marshal(data)
	var plain any
	if err == nil {
		err = json.Unmarshal(body, &plain)
	}
	if err != nil {
		panic("rules: a term that has no JSON: " + err.Error())
	}
	p.keep("", plain)
	return p
}

func (p part) keep(path string, data any) {
	switch data := data.(type) {
	case map[string]any:
		for key, value := range data {
			p.keep(path+"."+key, value)
		}
	case []any:
		for i, value := range data {
			p.keep(path+"."+strconv.Itoa(i+1), value)
		}
	case float64:
		p.terms[path] = strconv.FormatFloat(data, 'f', -1, 64)
		if data >= float64(time.Second) { // no count of ours is as large
			p.terms[path] = time.Duration(data).String()
		}
	case nil:
	default:
		p.terms[path] = fmt.Sprint(data)
	}
}

// Differences are what makes two verdicts two, a line each: path: old → new.
func (v Verdict) Differences(to Verdict) []string {
	var all differences
	all.add("outcome", v.Outcome, to.Outcome)
	all.add("rule", v.Rule, to.Rule)
	all.add("freeze", v.Freeze, to.Freeze)
	all.parts("approval", v.approval, to.approval)
	all.parts("break_glass", v.glass, to.glass)
	for _, name := range keysOf(v.credentials, to.credentials) {
		all.parts("credentials."+name, v.credentials[name], to.credentials[name])
	}
	return all
}

type differences []string

func (d *differences) add(path, from, to string) {
	if from != to {
		*d = append(*d, path+": "+orElse(from, "(none)")+" → "+orElse(to, "(none)"))
	}
}

// parts tells term by term what both have, and in a word what only one has.
func (d *differences) parts(path string, from, to part) {
	if from.terms == nil || to.terms == nil {
		d.add(path, from.word, to.word)
		return
	}
	for _, term := range keysOf(from.terms, to.terms) {
		d.add(path+term, from.terms[term], to.terms[term])
	}
}

func keysOf[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Replay decides one asking under two sets of rules, as of its own time, and
// says what differs.
func Replay(before, after *Rules, a Asking) (was, is Verdict, differences []string) {
	d := before.Decide(a.Workload, a.Environment, a.At)
	e := after.Decide(a.Workload, a.Environment, a.At)
	if plainlySame(d, e) {
		return Verdict{}, Verdict{}, nil
	}
	was, is = VerdictOf(d), VerdictOf(e)
	return was, is, was.Differences(is)
}

// plainlySame spares most of a long ledger the comparison: the same rule, and
// nothing beside it that changes its terms.
func plainlySame(d, e gatekeeper.Decision) bool {
	if d.Outcome != e.Outcome || d.Freeze != "" || e.Freeze != "" || d.BreakGlass != nil || e.BreakGlass != nil {
		return false
	}
	return d.Rule == nil && e.Rule == nil || d.Rule != nil && e.Rule != nil && d.Rule.Digest == e.Rule.Digest
}
