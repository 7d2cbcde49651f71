package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// remind tells those who are still needed, once, in the request's thread.
func (s *Slack) remind(ctx context.Context, w gatekeeper.Work) error {
	return s.about(ctx, w, func(ctx context.Context, r gatekeeper.Request) error {
		return s.ping(ctx, r, w, r.Rule.Notify.RemindAfter)
	})
}

// escalate tells the people whom the rule names. Being told lets nobody
// approve who could not before.
func (s *Slack) escalate(ctx context.Context, w gatekeeper.Work) error {
	return s.about(ctx, w, func(ctx context.Context, r gatekeeper.Request) error {
		return s.ping(ctx, r, w, r.Rule.Notify.EscalateAfter)
	})
}

// ping posts a reminder or an escalation while the request is pending. Where
// people were not even asked yet, it waits as long again.
func (s *Slack) ping(ctx context.Context, r gatekeeper.Request, w gatekeeper.Work, after time.Duration) error {
	if r.State != gatekeeper.Pending {
		return nil
	}
	f, err := s.located(ctx, r)
	if err != nil {
		return err
	}
	if !f.posted() {
		later := gatekeeper.Work{Kind: w.Kind, Key: w.Key, After: max(after, time.Second)}
		return s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{later}})
	}
	for _, c := range s.pings(ctx, r, f) {
		if c.kind != w.Kind {
			continue
		}
		if _, err := s.ensure(ctx, c); err != nil && !s.unreachable(ctx, c, err) {
			return err
		}
	}
	return nil
}

// pings are all cards that ping people about a request, posted or not.
func (s *Slack) pings(ctx context.Context, r gatekeeper.Request, f reference) []card {
	names := s.called(ctx, r)
	of := func(kind, key, channel, thread string, text func() string) card {
		return card{kind: kind, key: key, channel: channel, thread: thread, broadcast: kind == gatekeeper.WorkEscalate, since: r.CreatedAt,
			render: func(bool) Message {
				return pingMessage(r, f, thread == "", text(), noteMetadata(kind, key), s.PublicURL)
			}}
	}
	n := r.Rule.Notify
	var cards []card
	if n.RemindAfter > 0 {
		cards = append(cards, of(gatekeeper.WorkRemind, r.ID, f.Channel, f.root(), func() string { return reminder(r) }))
	}
	if n.EscalateAfter <= 0 {
		return cards
	}
	cards = append(cards, of(gatekeeper.WorkEscalate, r.ID, f.Channel, f.root(), func() string { return escalation(r, names, mentions(n.EscalateTo, nil)) }))
	for _, a := range n.EscalateTo {
		if a.Kind() == gatekeeper.ApproverSlackUser { // who may not be in the channel, where a mention then reaches nobody
			cards = append(cards, of(gatekeeper.WorkEscalate, r.ID+"/"+a.ID(), a.ID(), "", func() string { return escalation(r, names, "you") }))
		}
	}
	return cards
}

// reminder names who is missing: only the rule's own approvers, and none who
// voted already.
func reminder(r gatekeeper.Request) string {
	var needed []string
	for _, p := range missingOf(r) {
		needed = append(needed, fmt.Sprintf("%d more of %s", p.Missing, mentions(p.Group.Approvers, r.ApprovedBy())))
	}
	return "⏰ Still waiting for " + strings.Join(needed, ", and ") + ". Decide until " + date(r.ExpiresAt) + "."
}

func escalation(r gatekeeper.Request, names map[gatekeeper.Approver]string, to string) string {
	var needed []string
	for _, p := range missingOf(r) {
		needed = append(needed, fmt.Sprintf("%d more of %s", p.Missing, who(p.Group.Approvers, names)))
	}
	return fmt.Sprintf("🔺 Escalated to %s: not decided since %s. It takes %s, until %s.", to, date(r.CreatedAt), strings.Join(needed, ", and "), date(r.ExpiresAt))
}

// missingOf are the groups that still need people; in a freeze that only an
// emergency gets through, those who may break the glass.
func missingOf(r gatekeeper.Request) []gatekeeper.Progress {
	if r.Rule.Approval.BreakGlassOnly && r.BreakGlass != nil {
		return []gatekeeper.Progress{{Group: r.BreakGlass.Group, Missing: r.BreakGlass.Group.Quorum}}
	}
	return slices.DeleteFunc(r.Progress(), func(p gatekeeper.Progress) bool { return p.Missing == 0 })
}

// mentions notify approvers: people and user groups. Teams of other systems
// are only named. At most a dozen are, for a message stays a message.
func mentions(approvers []gatekeeper.Approver, voted []gatekeeper.Vote) string {
	var all []string
	for _, a := range approvers {
		has := func(v gatekeeper.Vote) bool { return v.Person.Slack == a.ID() }
		if a.Kind() == gatekeeper.ApproverSlackUser && slices.ContainsFunc(voted, has) {
			continue
		}
		all = append(all, mentionOf(a))
	}
	return listed(all)
}

func mentionOf(a gatekeeper.Approver) string {
	switch {
	case a.Kind() == gatekeeper.ApproverSlackUser && userID.MatchString(a.ID()):
		return "<@" + a.ID() + ">"
	case a.Kind() == gatekeeper.ApproverSlackGroup && groupID.MatchString(a.ID()):
		return "<!subteam^" + a.ID() + ">"
	}
	return escape(line(a.ID(), 80))
}

// who is mentions without notifying anybody.
func who(approvers []gatekeeper.Approver, names map[gatekeeper.Approver]string) string {
	all := make([]string, len(approvers))
	for i, a := range approvers {
		all[i] = names[a]
		if all[i] == "" {
			all[i] = line(a.ID(), 80)
		}
		all[i] = escape(all[i])
	}
	return listed(all)
}

func listed(all []string) string {
	if more := len(all) - maxPeople; more > 0 {
		all = append(slices.Clone(all[:maxPeople]), fmt.Sprintf("%d others", more))
	}
	if len(all) == 0 {
		return "nobody"
	}
	return strings.Join(all, ", ")
}

// pingMessage is a reminder or an escalation, or what is left of it once the
// request is decided. direct messages say what they are about.
func pingMessage(r gatekeeper.Request, f reference, direct bool, text string, m slackgo.SlackMetadata, publicURL string) Message {
	if r.State != gatekeeper.Pending {
		text = "✓ Settled: " + settledBy(r) + ", " + date(r.DecidedAt) + "."
	}
	blocks := append(ofDigest(r, direct || f.Digest != ""), section(markup(text)))
	if direct && publicURL != "" {
		blocks = append(blocks, slackgo.NewActionBlock("gatekeeper_actions", button(actionDetails, "", "Details").WithURL(pageOf(publicURL, r.ID))))
	}
	return Message{Text: text + " " + escape(target(r)), Blocks: blocks, Metadata: m}
}
