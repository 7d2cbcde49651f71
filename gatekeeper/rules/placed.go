package rules

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper/conf"
)

// Place is where something stands in the files.
type Place struct {
	File         string
	Line, Column int
}

// Warn is a warning at the place.
func (p Place) Warn(message string) conf.Fault {
	return conf.Fault{File: p.File, Line: p.Line, Column: p.Column, Warning: true, Message: message}
}

// PlacedGroup is a group of people as the files name it, for those who look
// whether its people are there.
type PlacedGroup struct {
	Quorum    int // 0: they are told, and do not have to agree
	QuorumAt  Place
	Approvers []gatekeeper.Approver
	At        []Place // of each approver
}

// Groups are all groups of people that rules, freezes and break glass name,
// in the order of the files. They are kept with [Options.Groups] only.
func (r *Rules) Groups() []PlacedGroup { return r.placed }

func placeOf(v conf.Value) Place { return Place{v.File(), v.Line(), v.Column()} }

// placed reads again who stands where; the files have no errors by now.
func (p *parser) placed() []PlacedGroup {
	var all []PlacedGroup
	for _, at := range p.at {
		all = append(all, approvalGroups(at.approval)...)
		if to := at.notify.Object().Get("escalate").Object().Get("to"); to.Present() {
			all = append(all, placedGroup(to, conf.Value{}, 0))
		}
	}
	for _, at := range p.other.freezes {
		if effect := at.rule.Object().Get("effect"); effect.IsMap() {
			all = append(all, groupIn(effect))
		}
	}
	for _, at := range p.other.glass {
		all = append(all, groupIn(at.rule))
	}
	return all
}

func approvalGroups(v conf.Value) []PlacedGroup {
	if !v.IsMap() {
		return nil
	}
	several := v.Object().Get("all_of")
	if !several.Present() {
		return []PlacedGroup{groupIn(v)}
	}
	var all []PlacedGroup
	for _, g := range several.List() {
		all = append(all, groupIn(g))
	}
	return all
}

// groupIn is the group of a map with approvers and quorum.
func groupIn(v conf.Value) PlacedGroup {
	o := v.Object()
	quorum := o.Get("quorum")
	return placedGroup(o.Get("approvers"), quorum, quorum.Int(1, 1))
}

func placedGroup(approvers, quorum conf.Value, n int) PlacedGroup {
	g := PlacedGroup{Quorum: n}
	if n > 0 {
		g.QuorumAt = placeOf(quorum)
	}
	for _, item := range approvers.Items() {
		g.Approvers = append(g.Approvers, gatekeeper.Approver(item.String("")))
		g.At = append(g.At, placeOf(item))
	}
	return g
}
