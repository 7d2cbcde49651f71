package slack

import (
	"context"
	"fmt"
	"reflect"
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

// find is the ts of the card's message where it was about to be posted, ""
// when it is certain that there is none. A history that is too long to be
// searched is an error: it is better to ask again later than to ask people
// twice.
func (s *Slack) find(ctx context.Context, f reference, c card) (string, error) {
	want := c.render(true).Metadata
	cursor := ""
	for range pages {
		messages, next, err := s.page(ctx, f, c.since.Add(-skew), cursor)
		if err != nil {
			return "", err
		}
		for _, m := range messages {
			if s.isOurs(m, want) {
				return m.Timestamp, nil
			}
		}
		if cursor = next; cursor == "" {
			return "", nil
		}
	}
	return "", &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: later,
		Description: "channel " + f.Channel + " has too many messages to tell whether this one was posted already"}
}

// page is some of a channel's messages, or of a thread's answers.
func (s *Slack) page(ctx context.Context, f reference, since time.Time, cursor string) (found []slackgo.Message, next string, err error) {
	method := "conversations.history"
	if f.Thread != "" {
		method = "conversations.replies"
	}
	if err := s.turn(method, f.Channel, ""); err != nil {
		return nil, "", err
	}
	oldest := fmt.Sprintf("%d.000000", since.Unix())
	if f.Thread != "" {
		found, _, next, err = s.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
			ChannelID: f.Channel, Timestamp: f.Thread, Cursor: cursor, Limit: page, Oldest: oldest, IncludeAllMetadata: true,
		})
	} else {
		var history *slackgo.GetConversationHistoryResponse
		history, err = s.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
			ChannelID: f.Channel, Cursor: cursor, Limit: page, Oldest: oldest, IncludeAllMetadata: true,
		})
		if err == nil && history.HasMore {
			next = history.ResponseMetaData.NextCursor
		}
		if err == nil {
			found = history.Messages
		}
	}
	if slackCode(err) == "thread_not_found" {
		return nil, "", nil // the message that it answered is gone, and its answers with it
	}
	if err != nil {
		return nil, "", s.failed(err, method, f.Channel)
	}
	return found, next, nil
}

// isOurs wants our metadata and, where it is known who we are, our hand:
// other apps in the channel can write the same metadata.
func (s *Slack) isOurs(m slackgo.Message, want slackgo.SlackMetadata) bool {
	if m.Metadata.EventType != want.EventType || !reflect.DeepEqual(m.Metadata.EventPayload, want.EventPayload) {
		return false
	}
	me := s.who.seen()
	other := func(theirs, ours string) bool { return theirs != "" && ours != "" && theirs != ours }
	return me == nil || !other(m.BotID, me.BotID) && !other(m.User, me.UserID)
}
