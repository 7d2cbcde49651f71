package slack

import (
	"context"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// Slack reaches us through two ways in: signed HTTP and Socket Mode. Both
// come to the methods of this file. What they return is the acknowledgement's
// content, nil for nothing; an error means that it must not be acknowledged:
// then Slack shows the person that it failed, or delivers an event again.

const (
	// triggerTime is how long Slack lets a click open a modal, and how long it
	// waits for an acknowledgement.
	triggerTime = 3 * time.Second
	// roomAtDoor is how many deliveries are taken in at once, over all ways
	// together. More wait (Socket Mode) or are refused (HTTP).
	roomAtDoor = 64
)

// kind is what a delivery is.
type kind string

const (
	kindInteraction kind = "interactive"
	kindCommand     kind = "slash_commands"
	kindEvent       kind = "events_api"
)

// take does what a delivery asks, as JSON, whichever way it came in.
func (s *Slack) take(ctx context.Context, k kind, raw []byte) (any, error) {
	switch k {
	case kindInteraction:
		return s.receive(ctx, raw)
	case kindCommand:
		return s.command(ctx, raw)
	case kindEvent:
		return s.event(ctx, raw)
	}
	return nil, bad("a delivery of this kind is not asked for")
}

// enter takes one of the places at the door; leave gives it back. Without
// waiting it says at once whether there was one.
func (s *Slack) enter(ctx context.Context, wait bool) bool {
	if !wait {
		select {
		case s.door <- struct{}{}:
			return true
		default:
			return false
		}
	}
	select {
	case s.door <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Slack) leave() { <-s.door }

var errCrowded = gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: time.Second, Description: "too much comes in at once"}
