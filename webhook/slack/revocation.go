package slack

import (
	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// actionRevokeCredentials takes back what a redeemed request handed out.
const actionRevokeCredentials = "gatekeeper_revoke_credentials"

// credentialsRevocable says whether the button is offered: while something
// that was handed out may live.
func credentialsRevocable(r gatekeeper.Request, v View) bool {
	return !r.Rule.Approval.None && !v.Now.IsZero() && r.CredentialsRevocable(v.Now)
}

func revokeCredentialsButton(r gatekeeper.Request) *slackgo.ButtonBlockElement {
	return button(actionRevokeCredentials, r.ID, "Revoke credentials").WithStyle(slackgo.StyleDanger).
		WithConfirm(slackgo.NewConfirmationBlockObject(words("Revoke the credentials?"),
			words("The clouds are asked to end what was handed out, in the middle of whatever the job does with it. Nothing more is handed out for this request."),
			words("Revoke"), words("Keep")).WithStyle(slackgo.StyleDanger))
}

// maxTodo is how much of what people can paste is shown: a section takes
// 3,000 characters.
const maxTodo = 2500

// revocations tells who had the credentials revoked, and what became of each.
// What people have to do themselves stands there ready to paste, as literal
// text.
func revocations(r gatekeeper.Request, v View) []slackgo.Block {
	if r.TakenBack == nil {
		return nil
	}
	by := "an operator, " + line(r.TakenBack.By.ID, 60)
	if vote := revokedBy(r); vote != nil {
		by = mention(vote.Person.Slack, vote.Person.Name)
	} else {
		by = escape(by)
	}
	blocks := []slackgo.Block{section(markup("*Credentials revoked* by " + by + ", " + date(r.TakenBack.At) + "."))}
	if reason := lines(r.TakenBack.Reason, maxReason); reason != "" {
		blocks = append(blocks, section(words("“"+reason+"”")))
	}
	const most = 5
	for _, d := range r.Redemptions[max(0, len(r.Redemptions)-most):] {
		if d.Taken == nil || d.State == gatekeeper.RedemptionFailed {
			continue
		}
		told := map[gatekeeper.RevocationState]string{
			gatekeeper.RevocationRequested: "the cloud is being asked", gatekeeper.RevocationDone: "revoked", gatekeeper.RevocationFailed: "⚠️ not revoked",
		}[d.Taken.State]
		what := line(d.Credential, 60) + ": " + told
		if d.Taken.Detail != "" {
			what += ". " + line(d.Taken.Detail, 300)
		}
		blocks = append(blocks, small(words(what)))
		if d.Taken.Todo != "" && !v.Short {
			blocks = append(blocks, section(words(lines(d.Taken.Todo, maxTodo))))
		}
	}
	return blocks
}

// revokedBy is the vote that had the credentials revoked, nil for an operator.
func revokedBy(r gatekeeper.Request) *gatekeeper.Vote {
	for _, v := range r.Votes {
		if v.Choice == gatekeeper.RevokeCredentials && !v.At.After(r.TakenBack.At) && r.TakenBack.By.ID == "slack:"+v.Person.Slack {
			return &v
		}
	}
	return nil
}
