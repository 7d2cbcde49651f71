package rules

import "github.com/gatekeeper-ci/gatekeeper/gatekeeper"

// EachApprover visits everybody whom the rules name, with where: approvers,
// those who are told in an escalation, and those of freezes and break glass.
// Who stands in several places is visited for each.
func (r *Rules) EachApprover(visit func(where string, a gatekeeper.Approver)) {
	all := func(where string, list []gatekeeper.Approver) {
		for _, a := range list {
			visit(where, a)
		}
	}
	for _, rule := range r.rules {
		all("rule "+rule.Name, rule.Approval.Approvers())
		all("escalation of rule "+rule.Name, rule.Notify.EscalateTo)
	}
	for _, f := range r.freezes {
		all("freeze "+f.Name, f.Group.Approvers)
	}
	for _, g := range r.glass {
		all("break_glass", g.Group.Approvers)
	}
}

// EachChannel visits every channel that the rules name, with where.
func (r *Rules) EachChannel(visit func(where, channel string)) {
	for _, rule := range r.rules {
		if rule.Notify.Channel != "" {
			visit("rule "+rule.Name, rule.Notify.Channel)
		}
	}
	for _, g := range r.glass {
		if g.Channel != "" {
			visit("break_glass", g.Channel)
		}
	}
}
