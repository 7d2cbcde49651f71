package slack

import (
	"context"
	"fmt"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// sayAloud tells everybody whom the rules name that a request was approved in
// an emergency: in a message of its own, which says what came of it.
func (s *Slack) sayAloud(ctx context.Context, w gatekeeper.Work) error {
	return s.about(ctx, w, func(ctx context.Context, r gatekeeper.Request) error {
		c, err := s.glassCard(ctx, r)
		if err == nil && c.render != nil {
			_, err = s.ensure(ctx, c)
		}
		return err
	})
}

// glassCard is the loud message. A break_glass that names no channel is told
// where the request was asked.
func (s *Slack) glassCard(ctx context.Context, r gatekeeper.Request) (card, error) {
	if !r.BrokenGlass || r.BreakGlass == nil {
		return card{}, nil
	}
	c := card{
		kind: gatekeeper.WorkBreakGlass, key: r.ID, channel: r.BreakGlass.Channel, since: r.CreatedAt, again: true,
		render: func(bool) Message { return glassMessage(r, s.PublicURL) },
	}
	if c.channel != "" {
		return c, nil
	}
	f, err := s.located(ctx, r)
	if err == nil && f.posted() {
		c.channel, c.thread, c.broadcast = f.Channel, f.root(), true
		return c, nil
	}
	if err == nil {
		c.channel, err = s.channel(r)
	}
	return c, err
}

func glassMessage(r gatekeeper.Request, publicURL string) Message {
	title := "🚨 Break glass: " + line(r.Workload.Repository, 60) + " → " + shownEnvironment(r)
	if width(title) > maxHeader {
		title = "🚨 Break glass"
	}
	blocks := []slackgo.Block{
		slackgo.NewHeaderBlock(words(title)),
		section(markup(fmt.Sprintf("<!here> %s approved a deployment in an emergency, %s, without the approvals that its rule asks for. %s",
			approvers(r), date(r.DecidedAt), glassState(r)))),
	}
	for _, v := range r.ApprovedBy() {
		if v.BreakGlass {
			blocks = append(blocks, section(words("“"+lines(v.Reason, maxReason)+"”")))
		}
	}
	rows := []row{{"Environment", words(shownEnvironment(r))}, {"Repository", words(line(r.Workload.Repository, maxValue))}, {"Commit", commit(r.Workload)}, {"Rule", words(line(r.Rule.Name, maxValue))}}
	if r.Freeze != "" {
		rows = append(rows, row{"Freeze", words(line(r.Freeze, maxValue))})
	}
	blocks = append(blocks, table(rows)...)
	blocks = append(blocks, small(markup(runLink(r.Workload)), words(line(r.ID, 80))))
	if publicURL != "" {
		blocks = append(blocks, slackgo.NewActionBlock("gatekeeper_actions", button(actionDetails, "", "Details").WithURL(pageOf(publicURL, r.ID))))
	}
	return Message{Text: escape(title) + ", by " + approvers(r), Blocks: blocks[:min(len(blocks), 45)], Metadata: noteMetadata(gatekeeper.WorkBreakGlass, r.ID)}
}

func glassState(r gatekeeper.Request) string {
	switch {
	case r.State == gatekeeper.Revoked:
		return "It was revoked since."
	case r.Redeemed():
		return "Credentials were handed out."
	}
	return "It can be revoked until credentials are handed out."
}
