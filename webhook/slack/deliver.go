package slack

import (
	"context"
	"errors"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// deliver brings a request's message up to date: it posts where there is
// none, updates where what is shown is not what should be, and does nothing
// otherwise. It may run at any time, any number of times, from any replica
// that holds the work.
func (s *Slack) deliver(ctx context.Context, w gatekeeper.Work) error {
	r, err := s.Gate.Lookup(ctx, w.Key)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		s.Logger.ErrorContext(ctx, "slack: no such request to tell of", "request", w.Key)
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.reconcile(ctx, r); err != nil {
		s.Logger.WarnContext(ctx, "slack: message is not up to date", "request", r.ID, "attempt", w.Attempt, "error", err)
		return err
	}
	return nil
}

func (s *Slack) reconcile(ctx context.Context, r gatekeeper.Request) error {
	f, err := s.located(ctx, r)
	if err != nil {
		return err
	}
	view := s.view(ctx, r)
	switch {
	case f.posted() && f.Shown == Render(r, view).fingerprint():
		return nil
	case f.posted():
		return s.update(ctx, r, f, view)
	case unasked(r):
		return nil
	}
	return s.post(ctx, r, view)
}

// located is where the message is. A post whose answer is not noted is
// searched for first: a crash between the two must not post twice.
func (s *Slack) located(ctx context.Context, r gatekeeper.Request) (reference, error) {
	f, err := s.reference(ctx, r.ID)
	if err != nil || f.posted() || !f.Posting {
		return f, err
	}
	ts, err := s.find(ctx, f.Channel, r)
	if err != nil {
		return f, err
	}
	if ts == "" {
		return reference{}, nil
	}
	f = reference{Channel: f.Channel, TS: ts}
	return f, s.remember(ctx, r.ID, f)
}

// unasked says whether telling people now would tell them of something that
// never was theirs to decide: approval: none, or over before Slack was back.
func unasked(r gatekeeper.Request) bool {
	if r.Rule.Approval.None {
		return true
	}
	return r.State != gatekeeper.Pending && len(r.ApprovedBy()) == 0
}

func (s *Slack) view(ctx context.Context, r gatekeeper.Request) View {
	v := View{PublicURL: s.PublicURL, Now: s.Clock(), People: s.People}
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

// post notes that it is about to post, posts, and notes where.
func (s *Slack) post(ctx context.Context, r gatekeeper.Request, v View) error {
	channel, err := s.channel(r)
	if err != nil {
		return err
	}
	if err := s.turn("chat.postMessage", channel); err != nil {
		return err
	}
	if err := s.remember(ctx, r.ID, reference{Channel: channel, Posting: true}); err != nil {
		return err
	}
	m := Render(r, v)
	at, ts, err := s.api.PostMessageContext(ctx, channel, m.options()...)
	if tooBig(err) {
		v.Short = true
		at, ts, err = s.api.PostMessageContext(ctx, channel, Render(r, v).options()...)
	}
	if err == nil && (ts == "" || at == "") {
		err = errors.New("chat.postMessage answered no ts") // posted or not: the search tells
	}
	if err != nil {
		return s.unposted(ctx, r.ID, channel, err)
	}
	return s.remember(ctx, r.ID, reference{Channel: at, TS: ts, Shown: m.fingerprint()})
}

// settle is how long a post that we stopped waiting for may still be under
// way at Slack. A search before that could miss it.
const settle = 15 * time.Second

// unposted takes the intent back where Slack certainly did not post.
func (s *Slack) unposted(ctx context.Context, id, channel string, err error) error {
	f := s.failed(err, "chat.postMessage", channel)
	if ctx.Err() != nil || f.RetryAfter == 0 && errors.Is(err, context.DeadlineExceeded) {
		f.RetryAfter = settle
	}
	if refusedWhole(err) {
		if err := s.remember(ctx, id, reference{}); err != nil {
			return err
		}
	}
	return f
}

func (s *Slack) update(ctx context.Context, r gatekeeper.Request, f reference, v View) error {
	if err := s.turn("chat.update", f.Channel); err != nil {
		return err
	}
	m := Render(r, v)
	_, _, _, err := s.api.UpdateMessageContext(ctx, f.Channel, f.TS, m.options()...)
	if tooBig(err) {
		v.Short = true
		_, _, _, err = s.api.UpdateMessageContext(ctx, f.Channel, f.TS, Render(r, v).options()...)
	}
	if gone(err) {
		return s.lost(ctx, r, v, f, err)
	}
	if err != nil {
		return s.failed(err, "chat.update", f.Channel)
	}
	f.Shown = m.fingerprint()
	return s.remember(ctx, r.ID, f)
}

// lost is for a message that somebody deleted, or that is not ours to change:
// people are asked again while there is something to decide.
func (s *Slack) lost(ctx context.Context, r gatekeeper.Request, v View, f reference, err error) error {
	s.Logger.WarnContext(ctx, "slack: the message is gone", "request", r.ID, "channel", f.Channel, "ts", f.TS, "error", s.scrubbed(err))
	if r.State != gatekeeper.Pending {
		return nil
	}
	if err := s.remember(ctx, r.ID, reference{}); err != nil {
		return err
	}
	return s.post(ctx, r, v)
}

func gone(err error) bool {
	code := slackCode(err)
	return code == "message_not_found" || code == "cant_update_message"
}

func tooBig(err error) bool {
	code := slackCode(err)
	return code == "msg_blocks_too_long" || code == "msg_too_long"
}

// turn is an error while Slack should be left alone.
func (s *Slack) turn(method, channel string) error {
	if d := s.pace.wait(method, channel); d > 0 {
		return &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: d,
			Description: "waiting for the next turn in channel " + channel}
	}
	return nil
}

// failed is fault, with Retry-After kept for the calls to come.
func (s *Slack) failed(err error, method, subject string) *gatekeeper.Error {
	if d, ok := limited(err); ok {
		s.pace.hold(method, d)
	}
	return s.fault(err, method, subject)
}
