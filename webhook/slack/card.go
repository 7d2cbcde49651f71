package slack

import (
	"slices"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// card is a request in a list: what somebody who approves many needs to see
// of each, and its buttons. names are what its approvers are called.
func (s *Slack) card(via string, p gatekeeper.Person, e gatekeeper.InboxItem, names map[gatekeeper.Approver]string) []slackgo.Block {
	r := e.Request
	blocks := []slackgo.Block{section(markup("*" + s.brief(r) + "*"))}
	if reason := lines(r.Reason, 240); reason != "" {
		blocks = append(blocks, section(words("Why: "+reason)))
	}
	blocks = append(blocks, small(
		words(refName(r.Workload.Ref, 120)+" at "+line(short(r.Workload.SHA), 70)), words("by "+line(starter(r.Workload, s.People), 80)),
		words("rule "+line(r.Rule.Name, 80)), markup("until "+date(r.ExpiresAt))))
	blocks = append(blocks, votes(r, View{Short: true, Names: names})...)
	return append(blocks, s.choices(via, p.Slack, e)...)
}

// brief names a request in markup, with its page behind it.
func (s *Slack) brief(r gatekeeper.Request) string {
	where := exact(r.Environment)
	if tooLong(r) {
		where = "an environment with a very long name"
	}
	return link(pageOf(s.PublicURL, r.ID), escape(line(r.Workload.Repository, 100)+" → "+gatekeeper.Shorten(where, maxField/2)))
}

// choices are the buttons that the person can use, sealed for them and this
// door.
func (s *Slack) choices(via, user string, e gatekeeper.InboxItem) []slackgo.Block {
	r := e.Request
	elements := slices.DeleteFunc(buttons(r, View{PublicURL: s.PublicURL, Now: s.Clock()}), func(b slackgo.BlockElement) bool {
		button, ok := b.(*slackgo.ButtonBlockElement)
		if !ok {
			return true
		}
		switch button.ActionID {
		case actionApprove, actionApproveReason:
			return e.Why != ""
		case actionBreakGlass:
			return !e.Glass
		case actionDeny, actionRevoke, actionRevokeCredentials:
			return !e.Mine
		}
		return false
	})
	if len(elements) == 0 {
		return nil
	}
	return []slackgo.Block{slackgo.NewActionBlock(s.offerBlock(via, user, r.ID), elements...)}
}
