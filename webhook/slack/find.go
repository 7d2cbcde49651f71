package slack

import (
	"context"
	"fmt"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

const (
	pages = 20  // of a channel's history are searched, newest first
	page  = 100 // messages each
	// skew is how far our clock may be ahead of Slack's, whose time is in ts.
	skew = 5 * time.Minute
)

// find is the ts of the request's message in the channel, "" when it is
// certain that there is none. A history that is too long to be searched is an
// error: it is better to ask again later than to ask people twice.
func (s *Slack) find(ctx context.Context, channel string, r gatekeeper.Request) (string, error) {
	const method = "conversations.history"
	cursor := ""
	for range pages {
		if err := s.turn(method, channel); err != nil {
			return "", err
		}
		history, err := s.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
			ChannelID: channel, Cursor: cursor, Limit: page, IncludeAllMetadata: true,
			Oldest: fmt.Sprintf("%d.000000", r.CreatedAt.Add(-skew).Unix()),
		})
		if err != nil {
			return "", s.failed(err, method, channel)
		}
		for _, m := range history.Messages {
			if s.isOurs(m, r.ID) {
				return m.Timestamp, nil
			}
		}
		if cursor = history.ResponseMetaData.NextCursor; cursor == "" || !history.HasMore {
			return "", nil
		}
	}
	return "", &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: later,
		Description: "channel " + channel + " has too many messages to tell whether the request was posted already"}
}

// isOurs wants our metadata and, where it is known who we are, our hand:
// other apps in the channel can write the same metadata.
func (s *Slack) isOurs(m slackgo.Message, id string) bool {
	if m.Metadata.EventType != EventType || m.Metadata.EventPayload["request_id"] != id {
		return false
	}
	me := s.who.seen()
	other := func(theirs, ours string) bool { return theirs != "" && ours != "" && theirs != ours }
	return me == nil || !other(m.BotID, me.BotID) && !other(m.User, me.UserID)
}
