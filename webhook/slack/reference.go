package slack

import (
	"context"
	"encoding/json"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// reference is where a request's message is, kept as a note of the kind
// gatekeeper.WorkMessage under the request's id.
type reference struct {
	Channel string `json:"channel"`
	TS      string `json:"ts,omitempty"` // empty: see Posting
	// Posting is set before the first post and unset with its answer. Where it
	// is found set, the message may be there without us knowing.
	Posting bool   `json:"posting,omitempty"`
	Shown   string `json:"shown,omitempty"` // fingerprint of what is shown
}

func (f reference) posted() bool { return f.TS != "" }

func (s *Slack) reference(ctx context.Context, id string) (reference, error) {
	var f reference
	body, err := s.Memory.Note(ctx, gatekeeper.WorkMessage, id)
	if err != nil && gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		return f, err
	}
	if len(body) == 0 {
		return f, nil
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return f, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the note about the Slack message of %s cannot be read", id)
	}
	return f, nil
}

// remember is not given up with the work that calls it: an answer of Slack
// that was not noted costs a search.
func (s *Slack) remember(ctx context.Context, id string, f reference) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return s.Memory.SetNote(ctx, gatekeeper.WorkMessage, id, body)
}
