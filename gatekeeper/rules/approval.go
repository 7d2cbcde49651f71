package rules

import (
	"regexp"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// What a rule says when it says nothing.
const (
	defaultExpiresAfter = time.Hour
	defaultValidFor     = 15 * time.Minute
	defaultDigestEvery  = 15 * time.Minute
)

func approval(v conf.Value) gatekeeper.Approval {
	a := gatekeeper.Approval{
		ExpiresAfter: defaultExpiresAfter, ValidFor: defaultValidFor, Redemptions: 1,
		Scope: gatekeeper.ScopeRun, StepUp: gatekeeper.StepUpNone,
	}
	v.Need("it is none, or says whose approval it takes")
	if !v.IsMap() {
		a.None = v.Enum("", "none") == "none"
		return a
	}
	o := v.Object()
	a.Groups = groups(o)
	a.SelfApproval = o.Get("self_approval").Bool(false)
	a.ExcludeAuthors = o.Get("exclude_authors").Bool(false)
	a.RequireReason = o.Get("require_reason").Bool(false)
	a.ExpiresAfter = o.Get("expires_after").Duration(defaultExpiresAfter)
	a.ValidFor = o.Get("valid_for").Duration(defaultValidFor)
	a.Redemptions = o.Get("redemptions").Int(1, 1)
	a.Scope = gatekeeper.Scope(o.Get("scope").Enum("run", "run", "job"))
	a.StepUp = gatekeeper.StepUp(o.Get("step_up").Enum("none", "none", "sso", "passkey"))
	for _, item := range o.Get("acr").Items() {
		a.ACR = append(a.ACR, item.Required())
	}
	if len(a.ACR) > 0 && a.StepUp != gatekeeper.StepUpSSO {
		o.Get("acr").Fault("is the class of a sign-in, so it stands beside step_up: sso only")
	}
	a.Supersede = o.Get("on_newer").Enum("keep", "keep", "supersede") == "supersede"
	o.Close()
	return a
}

// groups are the several of all_of, or the only one.
func groups(o *conf.Object) []gatekeeper.Group {
	o.Choice("name who may approve, or groups under all_of", "put those into a group of it", []string{"approvers"}, []string{"all_of"})
	list, quorum, all := o.Get("approvers"), o.Get("quorum"), o.Get("all_of")
	if !all.Present() {
		g := gatekeeper.Group{Approvers: approvers(list), Quorum: quorum.Int(1, 1)}
		enough(quorum, g)
		return []gatekeeper.Group{g}
	}
	if quorum.Present() {
		quorum.Fault("stands beside all_of; give each of its groups a quorum of its own")
	}
	var gs []gatekeeper.Group
	for _, v := range all.List() {
		g := v.Object()
		g.Get("approvers").Need("name who may approve")
		group := gatekeeper.Group{Name: g.Get("name").Required(), Approvers: approvers(g.Get("approvers")), Quorum: g.Get("quorum").Int(1, 1)}
		if group.Name != "" && slices.ContainsFunc(gs, func(had gatekeeper.Group) bool { return had.Name == group.Name }) {
			g.Get("name").Fault("a group %q stands already", group.Name)
		}
		enough(g.Get("quorum"), group)
		g.Close()
		gs = append(gs, group)
	}
	return gs
}

// enough wants a quorum that the listed people can reach.
func enough(v conf.Value, g gatekeeper.Group) {
	onlyPeople := !slices.ContainsFunc(g.Approvers, func(a gatekeeper.Approver) bool { return a.Kind() != gatekeeper.ApproverSlackUser })
	if onlyPeople && len(g.Approvers) > 0 && g.Quorum > len(g.Approvers) {
		v.Fault("%d people have to agree and only %d are listed", g.Quorum, len(g.Approvers))
	}
}

var somebody = regexp.MustCompile(`^(slack:[UWS][A-Z0-9]{2,}|github:[A-Za-z0-9-]+/[A-Za-z0-9._-]+)$`)

func approvers(v conf.Value) []gatekeeper.Approver {
	var all []gatekeeper.Approver
	for _, item := range v.Items() {
		s := item.Shaped(somebody, "is nobody; slack:U… is a user, slack:S… a user group, github:org/team a team")
		switch {
		case s == "":
		case slices.Contains(all, gatekeeper.Approver(s)):
			item.Fault("%s stands twice", s)
		default:
			all = append(all, gatekeeper.Approver(s))
		}
	}
	if v.Present() && len(v.Items()) == 0 {
		v.Fault("is empty; name who may approve")
	}
	return all
}

var slackChannel = regexp.MustCompile(`^[CGD][A-Z0-9]{2,}$`)

func channel(v conf.Value) string {
	return v.Shaped(slackChannel, "is no channel id; in Slack, a channel's details show it, such as C0DEPLOYS")
}

func notify(v conf.Value) gatekeeper.Notify {
	o := v.Object()
	n := gatekeeper.Notify{Channel: channel(o.Get("channel"))}
	n.Digest = o.Get("urgency").Enum("realtime", "realtime", "digest") == "digest"
	n.DigestEvery = o.Get("digest_every").Duration(defaultDigestEvery)
	n.RemindAfter = o.Get("remind_after").Duration(0)
	if e := o.Get("escalate"); e.Present() {
		inner := e.Object()
		inner.Get("after").Need("say after how long")
		inner.Get("to").Need("say who is told")
		n.EscalateAfter, n.EscalateTo = inner.Get("after").Duration(0), approvers(inner.Get("to"))
		inner.Close()
	}
	n.AutoApproved = o.Get("auto_approved").Bool(false)
	o.Close()
	if !n.Digest {
		n.DigestEvery = 0
	}
	return n
}
