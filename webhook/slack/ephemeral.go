package slack

import (
	"encoding/json"
	"fmt"

	slackgo "github.com/slack-go/slack"
)

// ephemeral is an acknowledgement that shows something to one person.
type ephemeral struct {
	Text   string
	Blocks []slackgo.Block
}

// add appends blocks.
func (e *ephemeral) add(blocks ...slackgo.Block) { e.Blocks = append(e.Blocks, blocks...) }

// MarshalJSON says that it is for the person alone: without it Slack would
// take the same for default, and a reader could not tell.
func (e ephemeral) MarshalJSON() ([]byte, error) {
	out := map[string]any{"response_type": "ephemeral", "text": e.Text}
	if len(e.Blocks) > 0 {
		out["blocks"] = e.Blocks
	}
	return json.Marshal(out)
}

const (
	maxCards     = 6  // requests shown at once in an answer
	maxEphemeral = 45 // blocks; Slack takes 50 in a message
)

// fitting is the answer with as many requests as a socket takes, and Slack.
func (s *Slack) fitting(make func(most int) ephemeral) ephemeral {
	for most := maxCards; ; most-- {
		e := make(most)
		body, err := json.Marshal(e)
		fits := err == nil && len(body) < maxSocketAck-1<<10 && len(e.Blocks) <= maxEphemeral
		if fits || most == 0 {
			return e
		}
	}
}

func amount(n int, one, more string) string {
	switch n {
	case 0:
		return "No " + more
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
