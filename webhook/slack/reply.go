package slack

import (
	"context"
	"encoding/json"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// private is an answer for one person's eyes.
type private struct {
	Channel string    `json:"channel"`
	User    string    `json:"user"`
	Text    string    `json:"text"`
	Page    string    `json:"page,omitempty"` // URL of ours to go to
	Until   time.Time `json:"until"`          // not told after this
}

// answer is what a person is told: a text and, where they have to go on
// there, a page of ours. The zero answer is none.
type answer struct {
	text, page string
	plain      bool // the text is whole; otherwise it is why their click does not count
}

// tell records a private answer, so that it survives a restart.
func (s *Slack) tell(ctx context.Context, key string, c click, a answer) error {
	if c.Via == viaHome {
		return s.notify(ctx, c.Person.Slack, a)
	}
	body, err := json.Marshal(private{Channel: c.Channel, User: c.Person.Slack, Text: a.text, Page: a.page, Until: s.Clock().Add(notices)})
	if err != nil {
		return err
	}
	return s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkReply, Key: key, Payload: body}}})
}

// reply delivers a recorded answer while it makes sense.
func (s *Slack) reply(ctx context.Context, w gatekeeper.Work) error {
	var p private
	if !readable(w, &p) {
		s.Logger.ErrorContext(ctx, "slack: a recorded answer cannot be read", "key", w.Key)
		return nil
	}
	if !s.Clock().Before(p.Until) {
		s.Logger.WarnContext(ctx, "slack: a private answer came too late and was dropped", "person", p.User)
		return nil
	}
	return s.whisper(ctx, p)
}

// whisper shows a text to one person in the channel, or in their direct
// messages where the channel is not open to the app. Slack's response_url
// would do as well, but it lets whoever reads it post, and is not stored.
func (s *Slack) whisper(ctx context.Context, p private) error {
	if err := s.turn("chat.postEphemeral", p.Channel, ""); err != nil {
		return err
	}
	blocks := []slackgo.Block{section(words(lines(p.Text, 2500)))}
	if p.Page != "" {
		blocks = append(blocks, section(markup(link(p.Page, "Open the request's page"))))
	}
	options := []slackgo.MsgOption{
		slackgo.MsgOptionText(escape(line(p.Text, 1500)), false), slackgo.MsgOptionBlocks(blocks...),
		slackgo.MsgOptionParse(false), slackgo.MsgOptionLinkNames(false), slackgo.MsgOptionDisableLinkUnfurl(),
	}
	if p.Channel != "" {
		_, err := s.api.PostEphemeralContext(ctx, p.Channel, p.User, options...)
		if err == nil {
			return nil
		}
		switch slackCode(err) {
		case "channel_not_found", "not_in_channel", "user_not_in_channel", "is_archived":
		default:
			return s.failed(err, "chat.postEphemeral", p.Channel)
		}
	}
	if _, _, err := s.api.PostMessageContext(ctx, p.User, options...); err != nil {
		s.Logger.WarnContext(ctx, "slack: a private answer reaches nobody", "person", p.User, "error", s.fault(err, "chat.postMessage", p.User))
	}
	return nil
}
