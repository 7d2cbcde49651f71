package slack

import (
	"context"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// What a home tab shows at most; Slack takes 100 blocks in a view.
const (
	homeWaiting = 14 // of at most five blocks each
	homeOthers  = 10
	homeRecent  = 5
)

// homeNotice is the answer to a click in a home tab, which has no private
// messages.
type homeNotice struct {
	Text  string    `json:"text"`
	Page  string    `json:"page,omitempty"`
	Until time.Time `json:"until"`
}

// notify shows an answer in the person's home tab for a while.
func (s *Slack) notify(ctx context.Context, user string, a answer) error {
	if err := s.keep(ctx, noteNotice, user, homeNotice{Text: a.text, Page: a.page, Until: s.Clock().Add(notices)}); err != nil {
		return err
	}
	return s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkHome, Key: user}}})
}

// homeOf is the person's home tab. until is when it has to be looked at again
// for its own sake; zero: never.
func (s *Slack) homeOf(ctx context.Context, p gatekeeper.Person) (view slackgo.HomeTabViewRequest, until time.Time, err error) {
	in, err := s.Gate.Inbox(ctx, p)
	var blocks []slackgo.Block
	switch {
	case gatekeeper.CodeOf(err) == gatekeeper.CodeAccessDenied:
		blocks = []slackgo.Block{section(words("You see no requests here: " + line(err.Error(), 200) + "."))}
	case err != nil:
		return view, until, err
	default:
		var n homeNotice
		if _, err := s.note(ctx, noteNotice, p.Slack, &n); err != nil {
			return view, until, err
		}
		if n.Text != "" && s.Clock().Before(n.Until) {
			until = n.Until
			blocks = append(blocks, banner(n)...)
		}
		blocks = append(blocks, s.inbox(ctx, in)...)
	}
	return slackgo.HomeTabViewRequest{Type: slackgo.VTHomeTab, Blocks: slackgo.Blocks{BlockSet: blocks}}, until, nil
}

func banner(n homeNotice) []slackgo.Block {
	blocks := []slackgo.Block{section(words("ℹ️ " + lines(n.Text, 1500)))}
	if n.Page != "" {
		blocks = append(blocks, section(markup(link(n.Page, "Open the request's page"))))
	}
	return append(blocks, slackgo.NewDividerBlock())
}

func (s *Slack) inbox(ctx context.Context, in gatekeeper.Inbox) []slackgo.Block {
	blocks := []slackgo.Block{slackgo.NewHeaderBlock(words("Waiting for you"))}
	if len(in.Waiting) == 0 {
		blocks = append(blocks, section(words("Nothing waits for you. 🎉")))
	}
	for _, item := range in.Waiting[:min(len(in.Waiting), homeWaiting)] {
		blocks = append(blocks, s.card(viaHome, in.Person, item, s.called(ctx, item.Request))...)
		blocks = append(blocks, slackgo.NewDividerBlock())
	}
	if more := len(in.Waiting) - homeWaiting; more > 0 {
		blocks = append(blocks, small(words(amount(more, "more request waits", "more requests wait")+" for you.")))
	}
	blocks = append(blocks, s.elsewhere(in)...)
	return append(blocks, s.recent(in)...)
}

// elsewhere are requests of the person's rules that wait for others.
func (s *Slack) elsewhere(in gatekeeper.Inbox) []slackgo.Block {
	var list []string
	for _, o := range in.Others {
		if o.Mine && len(list) < homeOthers {
			list = append(list, "• "+s.brief(o.Request)+": "+whyNot(in.Person, o))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return []slackgo.Block{slackgo.NewHeaderBlock(words("Waiting for others")), section(markup(fit(list, 2500)))}
}

// whyNot says why a request waits for others: a vote of theirs that counted is
// no refusal.
func whyNot(p gatekeeper.Person, o gatekeeper.InboxItem) string {
	missing := 0
	for _, g := range o.Request.Progress() {
		missing += g.Missing
	}
	for _, v := range o.Request.ApprovedBy() {
		if v.Person.Slack == p.Slack {
			return "you approved; " + amount(missing, "more approval is needed", "more approvals are needed")
		}
	}
	return escape(line(o.Why, 160))
}

func (s *Slack) recent(in gatekeeper.Inbox) []slackgo.Block {
	if len(in.Recent) == 0 {
		return nil
	}
	blocks := []slackgo.Block{slackgo.NewHeaderBlock(words("Decided lately"))}
	for _, r := range in.Recent[:min(len(in.Recent), homeRecent)] {
		text := s.brief(r) + "\n" + fit([]string{ending(r, View{Now: s.Clock()})}, 1500)
		blocks = append(blocks, section(markup(text)))
		if revocable(r, View{Now: s.Clock()}) {
			blocks = append(blocks, s.choices(viaHome, in.Person.Slack, gatekeeper.InboxItem{Request: r, Mine: true})...)
		}
	}
	return blocks
}
