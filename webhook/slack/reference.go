package slack

import (
	"context"
	"encoding/json"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// reference is where a card stands, kept as a note. A request's is of the kind
// gatekeeper.WorkMessage under its id.
type reference struct {
	Channel string `json:"channel"`
	TS      string `json:"ts,omitempty"` // empty: see Posting
	Thread  string `json:"thread,omitempty"`
	Digest  string `json:"digest,omitempty"` // the digest whose message this is, which shows the request among others
	// Posting is set before the first post and unset with its answer. Where it
	// is found set, the message may be there without us knowing.
	Posting bool   `json:"posting,omitempty"`
	Shown   string `json:"shown,omitempty"` // fingerprint of what is shown
}

func (f reference) posted() bool { return f.TS != "" }

// root is the ts under which answers to the message go.
func (f reference) root() string {
	if f.Thread != "" {
		return f.Thread
	}
	return f.TS
}

func (s *Slack) noted(ctx context.Context, kind, key string) (reference, error) {
	var f reference
	_, err := s.recall(ctx, kind, key, &f)
	return f, err
}

// recall reads a note of ours, and says whether there is one.
func (s *Slack) recall(ctx context.Context, kind, key string, into any) (bool, error) {
	body, err := s.Memory.Note(ctx, kind, key)
	if err != nil && gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		return false, err
	}
	if len(body) == 0 {
		return false, nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return false, gatekeeper.Wrap(err, gatekeeper.CodeInternal, "the note %s about %s cannot be read", kind, key)
	}
	return true, nil
}

// remember is not given up with the work that calls it: an answer of Slack that
// was not noted costs a search.
func (s *Slack) remember(ctx context.Context, kind, key string, value any) error {
	n, err := noteOf(kind, key, value)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return s.Memory.SetNote(ctx, kind, key, n.Value)
}

func noteOf(kind, key string, value any) (gatekeeper.Note, error) {
	body, err := json.Marshal(value)
	return gatekeeper.Note{Kind: kind, Key: key, Value: body}, err
}
