package slack

import (
	"context"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// deliver brings a request's message up to date, or the digest that shows it.
func (s *Slack) deliver(ctx context.Context, w gatekeeper.Work) error {
	return s.about(ctx, w, s.reconcile)
}

// about does work whose key is a request, and says in the log what fails.
func (s *Slack) about(ctx context.Context, w gatekeeper.Work, do func(context.Context, gatekeeper.Request) error) error {
	r, err := s.Gate.Lookup(ctx, w.Key)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		s.Logger.ErrorContext(ctx, "slack: no such request to tell of", "request", w.Key)
		return nil
	}
	if err != nil {
		return err
	}
	if err := do(ctx, r); err != nil {
		s.Logger.WarnContext(ctx, "slack: people are not told yet", "work", w.Kind, "request", r.ID, "attempt", w.Attempt, "error", err)
		return err
	}
	return nil
}

func (s *Slack) reconcile(ctx context.Context, r gatekeeper.Request) error {
	f, err := s.located(ctx, r)
	switch {
	case err != nil:
		return err
	case f.Digest != "":
		return s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkDigestMessage, Key: f.Digest}}})
	case !f.posted() && (unasked(r) || r.Collected()):
		return nil
	}
	c, err := s.requestCard(ctx, r)
	if err != nil {
		return err
	}
	if !f.posted() {
		if c.thread, err = s.parent(ctx, r, c.channel); err != nil {
			return err
		}
	}
	_, err = s.ensure(ctx, c)
	return err
}

// requestCard is the message that asks for a request and shows its outcome.
func (s *Slack) requestCard(ctx context.Context, r gatekeeper.Request) (card, error) {
	channel, err := s.channel(r)
	if err != nil {
		return card{}, err
	}
	v := s.view(ctx, r)
	return card{
		kind: gatekeeper.WorkMessage, key: r.ID, channel: channel, broadcast: true, since: r.CreatedAt, again: r.State == gatekeeper.Pending,
		render: func(short bool) Message { v.Short = short; return Render(r, v) },
	}, nil
}

// located is where the request is shown: in a message of its own, or in a
// digest's.
func (s *Slack) located(ctx context.Context, r gatekeeper.Request) (reference, error) {
	f, err := s.stands(ctx, card{
		kind: gatekeeper.WorkMessage, key: r.ID, since: r.CreatedAt,
		render: func(bool) Message { return Message{Metadata: metadata(r)} },
	})
	if err == nil && !f.posted() && r.Collected() {
		return s.locatedUnderWay(ctx, r)
	}
	return f, err
}

// unasked says whether telling people now would tell them of something that
// never was theirs to decide: approval: none where nobody wants to know, or
// over before Slack was back.
func unasked(r gatekeeper.Request) bool {
	if r.Rule.Approval.None {
		return !r.Told()
	}
	return r.State != gatekeeper.Pending && len(r.ApprovedBy()) == 0
}

func (s *Slack) view(ctx context.Context, r gatekeeper.Request) View {
	v := View{PublicURL: s.PublicURL, Now: s.Clock(), People: s.People, Names: s.called(ctx, r)}
	if s.Context == nil {
		return v
	}
	more, err := s.Context(ctx, r)
	if err != nil {
		s.Logger.WarnContext(ctx, "slack: message goes out without its commits", "request", r.ID, "error", err)
		return v
	}
	v.Context = &more
	return v
}

func (s *Slack) channel(r gatekeeper.Request) (string, error) {
	channel := r.Rule.Notify.Channel
	if channel == "" {
		channel = s.DefaultChannel
	}
	if !placeID.MatchString(channel) {
		return "", &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: later,
			Description: "rule " + r.Rule.Name + " names no Slack channel by its id (C…), and slack.channel does not either"}
	}
	return channel, nil
}
