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

// maxTodo is how long all that people can paste may be to be shown here: a part
// of a command must not be pasted, and a message takes about 13,000 characters.
const maxTodo = 800

// How many redemptions a message lists, and how many beside what became of
// their revocation.
const (
	maxRedemptions = 5
	maxTaken       = 3
)

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
	if reason := lines(r.TakenBack.Reason, 200); reason != "" {
		blocks = append(blocks, section(words("“"+reason+"”")))
	}
	room := maxTodo
	for _, d := range r.Redemptions[max(0, len(r.Redemptions)-maxTaken):] {
		if d.Taken == nil || d.State == gatekeeper.RedemptionFailed {
			continue
		}
		told := map[gatekeeper.RevocationState]string{
			gatekeeper.RevocationRequested: "the cloud is being asked", gatekeeper.RevocationDone: "revoked", gatekeeper.RevocationFailed: "⚠️ not revoked",
		}[d.Taken.State]
		what := line(d.Credential, 60) + ": " + told
		if d.Taken.Detail != "" {
			what += ". " + line(d.Taken.Detail, 120)
		}
		blocks = append(blocks, small(words(what)))
		switch {
		case d.Taken.Todo == "":
		case v.Short || width(d.Taken.Todo) > room:
			blocks = append(blocks, small(words("What to do, ready to paste: gatekeeper audit show "+line(r.ID, 80))))
		default:
			room -= width(d.Taken.Todo)
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
