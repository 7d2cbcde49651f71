package slack

import (
	"context"
	"errors"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// card is one message of ours and where it belongs: a request's, a digest, a
// reminder, a direct message. ensure brings it up to date. It may run at any
// time, any number of times, from any replica that holds the work.
type card struct {
	kind, key string    // of the note that remembers where it stands
	channel   string    // C…, G…; or U…, W… for a person's direct messages
	thread    string    // ts of the message that it answers; "": none
	broadcast bool      // an answer that the channel shows as well
	since     time.Time // it was not posted before
	again     bool      // it is posted anew where somebody deleted it
	render    func(short bool) Message
}

// ensure posts a card where there is none, updates it where what is shown is not
// what should be, and does nothing otherwise.
func (s *Slack) ensure(ctx context.Context, c card) (reference, error) {
	f, err := s.stands(ctx, c)
	if err != nil {
		return f, err
	}
	switch {
	case !f.posted():
		return s.post(ctx, c)
	case f.Shown == c.render(false).fingerprint():
		return f, nil
	}
	return s.update(ctx, c, f)
}

// stands is where the card is. A post whose answer is not noted is searched
// for first: a crash between the two must not post twice.
func (s *Slack) stands(ctx context.Context, c card) (reference, error) {
	f, err := s.noted(ctx, c.kind, c.key)
	if err != nil || f.posted() || !f.Posting {
		return f, err
	}
	ts, err := s.find(ctx, f, c)
	if err != nil {
		return f, err
	}
	f.Posting, f.TS = false, ts
	if ts == "" {
		return reference{}, nil
	}
	s.worked(f.Channel)
	return f, s.remember(ctx, c.kind, c.key, f)
}

// post notes that it is about to post, posts, and notes where.
func (s *Slack) post(ctx context.Context, c card) (reference, error) {
	f := reference{Thread: c.thread, Posting: true}
	var err error
	if f.Channel, err = s.conversation(ctx, c.channel); err != nil {
		return f, err
	}
	if err := s.turn("chat.postMessage", f.Channel, c.kind+" "+c.key); err != nil {
		return f, err
	}
	if err := s.remember(ctx, c.kind, c.key, f); err != nil {
		return f, err
	}
	m := c.render(false)
	at, ts, err := s.api.PostMessageContext(ctx, f.Channel, c.options(m)...)
	if tooBig(err) {
		at, ts, err = s.api.PostMessageContext(ctx, f.Channel, c.options(c.render(true))...)
	}
	if err == nil && (ts == "" || at == "") {
		err = errors.New("chat.postMessage answered no ts") // posted or not: the search tells
	}
	if err != nil {
		return f, s.unposted(ctx, c, f.Channel, err)
	}
	s.worked(f.Channel)
	f = reference{Channel: at, TS: ts, Thread: c.thread, Shown: m.fingerprint()}
	return f, s.remember(ctx, c.kind, c.key, f)
}

func (c card) options(m Message) []slackgo.MsgOption {
	options := m.options()
	if c.thread != "" {
		options = append(options, slackgo.MsgOptionTS(c.thread))
	}
	if c.thread != "" && c.broadcast {
		options = append(options, slackgo.MsgOptionBroadcast())
	}
	return options
}

// conversation is where to post: a person's direct messages are opened first,
// since a message there can be found again only by their conversation's id.
func (s *Slack) conversation(ctx context.Context, place string) (string, error) {
	if !userID.MatchString(place) {
		return place, nil
	}
	const method = "conversations.open"
	if err := s.turn(method, place, ""); err != nil {
		return "", err
	}
	c, _, _, err := s.api.OpenConversationContext(ctx, &slackgo.OpenConversationParameters{Users: []string{place}})
	if err != nil {
		return "", s.failed(err, method, place)
	}
	s.worked(place)
	return c.ID, nil
}

// settle is how long a post that we stopped waiting for may still be under
// way at Slack. A search before that could miss it.
const settle = 15 * time.Second

// unposted takes the intent back where Slack certainly did not post.
func (s *Slack) unposted(ctx context.Context, c card, channel string, err error) error {
	f := s.failed(err, "chat.postMessage", channel)
	if ctx.Err() != nil || f.RetryAfter == 0 && errors.Is(err, context.DeadlineExceeded) {
		f.RetryAfter = settle
	}
	if refusedWhole(err) {
		if err := s.remember(ctx, c.kind, c.key, reference{}); err != nil {
			return err
		}
	}
	return f
}

func (s *Slack) update(ctx context.Context, c card, f reference) (reference, error) {
	if err := s.turn("chat.update", f.Channel, ""); err != nil {
		return f, err
	}
	m := c.render(false)
	_, _, _, err := s.api.UpdateMessageContext(ctx, f.Channel, f.TS, m.options()...)
	if tooBig(err) {
		_, _, _, err = s.api.UpdateMessageContext(ctx, f.Channel, f.TS, c.render(true).options()...)
	}
	if gone(err) {
		return s.lost(ctx, c, f, err)
	}
	if err != nil {
		return f, s.failed(err, "chat.update", f.Channel)
	}
	s.worked(f.Channel)
	f.Shown = m.fingerprint()
	return f, s.remember(ctx, c.kind, c.key, f)
}

// lost is for a message that somebody deleted, or that is not ours to change:
// people are asked again while there is something to decide.
func (s *Slack) lost(ctx context.Context, c card, f reference, err error) (reference, error) {
	s.Logger.WarnContext(ctx, "slack: the message is gone", "kind", c.kind, "key", c.key, "channel", f.Channel, "ts", f.TS, "error", s.scrubbed(err))
	if !c.again {
		return f, nil
	}
	if err := s.remember(ctx, c.kind, c.key, reference{}); err != nil {
		return f, err
	}
	c.thread = f.Thread
	return s.post(ctx, c)
}

func gone(err error) bool {
	code := slackCode(err)
	return code == "message_not_found" || code == "cant_update_message"
}

func tooBig(err error) bool {
	code := slackCode(err)
	return code == "msg_blocks_too_long" || code == "msg_too_long"
}

// turn is an error while Slack should be left alone. queued names what waits
// for its turn, so that it keeps it.
func (s *Slack) turn(method, channel, queued string) error {
	if d := s.pace.wait(method, channel, queued); d > 0 {
		return &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: d,
			Description: "waiting for the next turn in channel " + channel}
	}
	return nil
}

// failed is fault, with Retry-After kept for the calls to come and the fault
// kept for the operator.
func (s *Slack) failed(err error, method, subject string) *gatekeeper.Error {
	if d, ok := limited(err); ok {
		s.pace.hold(method, d)
	}
	f := s.fault(err, method, subject)
	s.health.failed(subject, method, slackCode(err), f)
	return f
}

// worked takes back what was said of the channel: Slack takes calls again.
func (s *Slack) worked(subject string) { s.health.worked(subject) }
