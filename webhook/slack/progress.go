package slack

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// votes tell who agreed and who is still needed.
func votes(r gatekeeper.Request, v View) []slackgo.Block {
	if r.Rule.Approval.None {
		return nil
	}
	missing := r.Missing()
	var told []string
	for i, g := range r.Rule.Approval.Groups {
		told = append(told, progress(g, missing[i]))
	}
	if !v.Short {
		told = append(told, cast(r)...)
	}
	return []slackgo.Block{section(markup(fit(told, 2000)))}
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

func progress(g gatekeeper.Group, missing int) string {
	name := "Approvals"
	if g.Name != "" {
		name = escape(line(g.Name, 60))
	}
	text := fmt.Sprintf("*%s:* %d of %d", name, g.Quorum-missing, g.Quorum)
	if missing > 0 {
		text += fmt.Sprintf(", %d more needed", missing)
	}
	return text
}

// cast lists the votes that counted, with their times.
func cast(r gatekeeper.Request) []string {
	var list []string
	for _, v := range r.ApprovedBy() {
		said := "✓ " + mention(v.Person.Slack, v.Person.Name) + ", " + date(v.At)
		if v.Reason != "" {
			said += ": “" + escape(line(v.Reason, 120)) + "”"
		}
		list = append(list, said)
	}
	return list
}

// handedOut tells what became of the approval: which job took credentials.
func handedOut(r gatekeeper.Request, v View) []slackgo.Block {
	told := map[gatekeeper.RedemptionState]string{
		gatekeeper.RedemptionSucceeded: "handed out", gatekeeper.RedemptionFailed: "refused by the cloud",
		gatekeeper.RedemptionUnknown: "result unknown, see the ledger", gatekeeper.RedemptionIntended: "being handed out",
	}
	const most = 5
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

// footer is the deadline while there is one, and the id to search for.
func footer(r gatekeeper.Request) slackgo.Block {
	id := words(line(r.ID, 80))
	if r.State == gatekeeper.Pending {
		return small(markup("Decide until "+date(r.ExpiresAt)), id)
	}
	return small(markup("Asked "+date(r.CreatedAt)), id)
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
		out = append(out,
			button(approve, r.ID, "Approve").WithStyle(slackgo.StylePrimary),
			button(actionDeny, r.ID, "Deny").WithStyle(slackgo.StyleDanger))
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
