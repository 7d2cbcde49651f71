package slack

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// votes tell who agreed and how many more of whom are needed, by the very
// seats that decide.
func votes(r gatekeeper.Request, v View) []slackgo.Block {
	if r.Rule.Approval.None {
		return nil
	}
	var told []string
	seated := map[string]bool{}
	for _, p := range groupsOf(r) {
		told = append(told, progress(p, r.State == gatekeeper.Pending, v.Names))
		for _, vote := range p.By {
			told, seated[vote.Person.Slack] = append(told, spoken(vote, v)), true
		}
	}
	for _, vote := range r.ApprovedBy() { // beyond what a group needs
		if !seated[vote.Person.Slack] {
			told = append(told, spoken(vote, v))
		}
	}
	return []slackgo.Block{section(markup(fit(told, 2000)))}
}

// groupsOf are the rule's groups and, where it matters, those who may break
// the glass.
func groupsOf(r gatekeeper.Request) []gatekeeper.Progress {
	all := r.Progress()
	if r.BreakGlass == nil {
		return all
	}
	glass := gatekeeper.Progress{Group: r.BreakGlass.Group, Missing: r.BreakGlass.Group.Quorum}
	glass.Group.Name = "Break glass"
	for _, v := range r.ApprovedBy() {
		if v.BreakGlass {
			glass.By, glass.Missing = append(glass.By, v), max(0, glass.Missing-1)
		}
	}
	switch {
	case r.Rule.Approval.BreakGlassOnly:
		return []gatekeeper.Progress{glass}
	case len(glass.By) > 0:
		return append(all, glass)
	}
	return all
}

// fit joins as many whole lines as have room: markup that is cut in the
// middle would not be what it was.
func fit(list []string, limit int) string {
	var b strings.Builder
	for i, s := range list {
		if width(b.String())+width(s) > limit {
			fmt.Fprintf(&b, "and %d more", len(list)-i)
			break
		}
		b.WriteString(s + "\n")
	}
	return strings.TrimSpace(b.String())
}

// progress is one group's line; open names who could still be asked.
func progress(p gatekeeper.Progress, open bool, names map[gatekeeper.Approver]string) string {
	name := "Approvals"
	if p.Group.Name != "" {
		name = escape(line(p.Group.Name, 60))
	}
	text := fmt.Sprintf("*%s:* %d of %d", name, p.Group.Quorum-p.Missing, p.Group.Quorum)
	if p.Missing > 0 && open {
		text += fmt.Sprintf(", %d more of %s", p.Missing, who(p.Group.Approvers, names))
	}
	return text
}

// spoken is a vote that counted, with its time and reason.
func spoken(v gatekeeper.Vote, view View) string {
	text := "✓ " + mention(v.Person.Slack, v.Person.Name)
	if v.BreakGlass {
		text = "🚨 " + mention(v.Person.Slack, v.Person.Name) + " broke the glass"
	}
	if view.Short {
		return text
	}
	text += ", " + date(v.At)
	if v.Reason != "" {
		text += ": “" + escape(line(v.Reason, 120)) + "”"
	}
	return text
}

// handedOut tells what became of the approval: which job took credentials.
func handedOut(r gatekeeper.Request, v View) []slackgo.Block {
	told := map[gatekeeper.RedemptionState]string{
		gatekeeper.RedemptionSucceeded: "handed out", gatekeeper.RedemptionFailed: "refused by the cloud",
		gatekeeper.RedemptionUnknown: "result unknown, see the ledger", gatekeeper.RedemptionIntended: "being handed out",
	}
	most := maxRedemptions
	if r.TakenBack != nil {
		most = maxTaken // what became of each follows
	}
	var blocks []slackgo.Block
	for _, d := range r.Redemptions[max(0, len(r.Redemptions)-most):] {
		what := fmt.Sprintf("Credentials %s: %s", line(d.Credential, 60), told[d.State])
		if d.State == gatekeeper.RedemptionFailed && !v.Short {
			what += " (" + line(d.Detail, 120) + ")"
		}
		blocks = append(blocks, small(words(what), words("job "+line(strings.TrimPrefix(d.Job, "job:"), 60)), markup(date(d.At))))
	}
	return append(blocks, revocations(r, v)...)
}

// footer is the deadline while there is one, where it comes from, and the id
// to search for.
func footer(r gatekeeper.Request) slackgo.Block {
	when := "Asked " + date(r.CreatedAt)
	if r.State == gatekeeper.Pending {
		when = "Decide until " + date(r.ExpiresAt)
	}
	return small(markup(when), markup(runLink(r.Workload)), words("rule "+line(r.Rule.Name, 80)), words(line(r.ID, 80)))
}

// buttons are what can still be done. Their value is the request's id alone:
// everything else about a click is checked on our side (threats row 26).
func buttons(r gatekeeper.Request, v View) []slackgo.BlockElement {
	var out []slackgo.BlockElement
	switch {
	case r.State == gatekeeper.Pending && !tooLong(r):
		approve := actionApprove
		if r.Rule.Approval.RequireReason {
			approve = actionApproveReason
		}
		if !r.Rule.Approval.BreakGlassOnly {
			out = append(out, button(approve, r.ID, "Approve").WithStyle(slackgo.StylePrimary))
		}
		out = append(out, button(actionDeny, r.ID, "Deny").WithStyle(slackgo.StyleDanger))
	case r.State == gatekeeper.Pending:
		out = append(out, button(actionDeny, r.ID, "Deny").WithStyle(slackgo.StyleDanger))
	case revocable(r, v):
		out = append(out, button(actionRevoke, r.ID, "Revoke").WithStyle(slackgo.StyleDanger).WithConfirm(sure()))
	case credentialsRevocable(r, v):
		out = append(out, revokeCredentialsButton(r))
	}
	if v.PublicURL != "" {
		out = append(out, button(actionDetails, "", "Details").WithURL(pageOf(v.PublicURL, r.ID)))
	}
	if r.State == gatekeeper.Pending && r.BreakGlass != nil && !tooLong(r) { // last, and no colour: a form asks before anything happens
		out = append(out, button(actionBreakGlass, r.ID, "🚨 Break glass…"))
	}
	return out
}

func revocable(r gatekeeper.Request, v View) bool {
	lapsed := !v.Now.IsZero() && r.Lapsed(v.Now)
	return r.State == gatekeeper.Approved && !r.Rule.Approval.None && !r.Redeemed() && !lapsed
}

func button(action, value, text string) *slackgo.ButtonBlockElement {
	return slackgo.NewButtonBlockElement(action, value, words(text))
}

func sure() *slackgo.ConfirmationBlockObject {
	return slackgo.NewConfirmationBlockObject(words("Revoke the approval?"),
		words("The job will get no credentials. It can ask again, and people decide again."), words("Revoke"), words("Keep")).WithStyle(slackgo.StyleDanger)
}

func pageOf(publicURL, id string) string { return publicURL + "/requests/" + id }
