package slack

import (
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// eventDigest is the metadata event type of a digest's message; its payload is
// {"digest_id": …}.
const eventDigest = "gatekeeper_digest"

// digestMessage lists a digest's requests, each with its own buttons. The
// same requests and views give the same message.
func digestMessage(d digest, items []item, short bool) Message {
	pending := 0
	for _, i := range items {
		if i.r.State == gatekeeper.Pending {
			pending++
		}
	}
	title := digestTitle(len(items), pending)
	blocks := []slackgo.Block{slackgo.NewHeaderBlock(words(title))}
	for _, i := range items {
		i.v.Short = short
		blocks = append(blocks, i.blocks()...)
	}
	if pending > 1 {
		all := button(actionApproveAll, d.ID, "Approve all").WithStyle(slackgo.StylePrimary).WithConfirm(sureOfAll(pending))
		blocks = append(blocks, slackgo.NewDividerBlock(), slackgo.NewActionBlock("gatekeeper_all", all))
	}
	return Message{Text: title + digestText(items), Blocks: blocks, Metadata: digestMetadata(d)}
}

func digestMetadata(d digest) slackgo.SlackMetadata {
	return slackgo.SlackMetadata{EventType: eventDigest, EventPayload: map[string]any{"digest_id": d.ID}}
}

func digestTitle(all, pending int) string {
	requests := map[bool]string{true: "1 request", false: fmt.Sprintf("%d requests", all)}[all == 1]
	switch pending {
	case all:
		return "Approval needed: " + requests
	case 0:
		return "Nothing left to decide: " + requests
	}
	return fmt.Sprintf("Approval needed: %d of %s", pending, requests)
}

// digestText is the list for notifications and screen readers.
func digestText(items []item) string {
	var b strings.Builder
	for _, i := range items {
		said := fallback(i.r)
		if width(b.String())+width(said) > 3500 {
			b.WriteString("; and more")
			break
		}
		b.WriteString("; " + said)
	}
	return b.String()
}

// blocks are at most four: a line between, what, who and why, how far it is,
// and the buttons.
func (i item) blocks() []slackgo.Block {
	r := i.r
	aside := []*slackgo.TextBlockObject{markup(i.state())}
	if !i.v.Short {
		aside = append(aside, markup(runLink(r.Workload)), words(line(r.Rule.Name, 60)))
	}
	blocks := []slackgo.Block{slackgo.NewDividerBlock(), section(words(i.what())), small(aside...)}
	if list := buttons(r, i.v); len(list) > 0 {
		blocks = append(blocks, slackgo.NewActionBlock("gatekeeper_"+r.ID, list...))
	}
	return blocks
}

// what is cut shorter than in a message of its own: ten have to fit.
func (i item) what() string {
	r, most := i.r, 80
	if i.v.Short {
		most = 30
	}
	where := shownEnvironment(r)
	if tooLong(r) {
		where = "(an environment too long to show: decide on its page)"
	}
	text := line(r.Workload.Repository, most) + " → " + where + "\n" +
		line(starter(r.Workload, i.v.People), most) + ", " + refName(r.Workload.Ref, most) + " at " + line(short(r.Workload.SHA), 64)
	if i.v.Context != nil && i.v.Context.Title != "" {
		text += ": " + line(i.v.Context.Title, most)
	}
	if why := line(r.Reason, 2*most); why != "" {
		text += "\nWhy: " + why
	}
	if flags := risks(r); len(flags) > 0 {
		text += "\n⚠️ " + gatekeeper.Shorten(strings.Join(flags, ", "), 2*most)
	}
	return text
}

// state is how far the request is, or how it ended.
func (i item) state() string {
	r := i.r
	if r.State != gatekeeper.Pending {
		return titles[r.State] + " · " + settledBy(r) + ", " + date(r.DecidedAt) + redeemedNote(r)
	}
	var parts []string
	for _, p := range r.Progress() {
		parts = append(parts, progress(p, true, i.v.Names))
	}
	most := 400
	if i.v.Short {
		most = 120
	}
	return fit(parts, most) + " · until " + date(r.ExpiresAt)
}

func redeemedNote(r gatekeeper.Request) string {
	if r.Redeemed() {
		return " · credentials taken"
	}
	return ""
}

func sureOfAll(n int) *slackgo.ConfirmationBlockObject {
	return slackgo.NewConfirmationBlockObject(words(fmt.Sprintf("Approve all %d requests?", n)),
		words("Your vote counts once on each, and only where you may approve. You are told which counted."), words("Approve all"), words("Not yet"))
}
