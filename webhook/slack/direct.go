package slack

import (
	"context"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// directWithin is how long after the end a person is still told of it.
const directWithin = 24 * time.Hour

// direct tells who asked how their request ended. They know that they asked,
// that they canceled and that they started a newer run, so of that nobody is
// told.
func (s *Slack) direct(ctx context.Context, w gatekeeper.Work) error {
	return s.about(ctx, w, func(ctx context.Context, r gatekeeper.Request) error {
		switch r.State {
		case gatekeeper.Approved, gatekeeper.Denied, gatekeeper.Revoked, gatekeeper.Expired:
		default:
			return nil
		}
		if s.Clock().Sub(r.DecidedAt) > directWithin {
			s.Logger.WarnContext(ctx, "slack: too late to tell who asked", "request", r.ID)
			return nil
		}
		for _, user := range s.askers(r) {
			c := s.directCard(r, user)
			if _, err := s.ensure(ctx, c); err != nil && !s.unreachable(ctx, c, err) {
				return err
			}
		}
		return nil
	})
}

// maxAskers bounds the direct messages of one request.
const maxAskers = 3

// askers are the people who started or re-ran the run, where the
// configuration knows who they are, but for whoever decided.
func (s *Slack) askers(r gatekeeper.Request) []string {
	accounts := append([]gatekeeper.Account{{Login: r.Workload.Actor, ID: r.Workload.ActorID}}, r.Initiators.People...)
	var users []string
	for _, a := range accounts {
		e, known := s.People.ByAccount(a)
		if known && userID.MatchString(e.Slack) && !slices.Contains(users, e.Slack) && !decider(r, e.Slack) {
			users = append(users, e.Slack)
		}
	}
	return users[:min(len(users), maxAskers)]
}

func decider(r gatekeeper.Request, user string) bool {
	last := len(r.Votes) - 1
	return last >= 0 && r.State != gatekeeper.Expired && r.Votes[last].Person.Slack == user
}

func (s *Slack) directCard(r gatekeeper.Request, user string) card {
	key := r.ID + "/" + string(r.State) + "/" + user
	return card{
		kind: gatekeeper.WorkDirect, key: key, channel: user, since: r.DecidedAt,
		render: func(bool) Message {
			// What the message becomes later, as when its credentials are taken, is told in the channel.
			blocks := []slackgo.Block{slackgo.NewHeaderBlock(words(header(r))), section(markup(ending(r, View{})))}
			if r.DenyReason != "" {
				blocks = append(blocks, section(words("“"+lines(r.DenyReason, maxReason)+"”")))
			}
			blocks = append(blocks, small(markup(runLink(r.Workload)), words(line(r.Workload.Ref, 80)+" at "+line(short(r.Workload.SHA), 70)), words(line(r.ID, 80))))
			if s.PublicURL != "" {
				blocks = append(blocks, slackgo.NewActionBlock("gatekeeper_actions", button(actionDetails, "", "Details").WithURL(pageOf(s.PublicURL, r.ID))))
			}
			return Message{Text: fallback(r), Blocks: blocks, Metadata: noteMetadata(gatekeeper.WorkDirect, key)}
		},
	}
}

// unreachable says whether a direct message reaches nobody, however often it
// is tried. It is told to the operator, and nothing waits for it.
func (s *Slack) unreachable(ctx context.Context, c card, err error) bool {
	if !userID.MatchString(c.channel) {
		return false
	}
	switch slackCode(err) {
	case "user_not_found", "users_not_found", "user_disabled", "user_not_visible", "cannot_dm_bot", "channel_not_found", "missing_scope", "restricted_action", "is_inactive", "account_inactive_user":
		s.Logger.WarnContext(ctx, "slack: somebody cannot be told by direct message", "person", c.channel, "about", c.key, "error", err)
		return true
	}
	return false
}
