package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// noteRun is the kind of the notes that say which request of a run was asked
// first in a channel.
const noteRun = "slack.run"

// runKey is one run attempt in one channel.
func runKey(r gatekeeper.Request, channel string) string {
	w := r.Workload
	body, err := json.Marshal([]string{channel, gatekeeper.RepositoryKey(w), w.RunID, w.RunAttempt})
	if err != nil {
		panic("slack: strings have no JSON: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// parent is the ts of the message under which a request's own goes: several
// requests of one run are one conversation. The channel shows each of them as
// well (reply_broadcast), since a phone tells of nothing that is only in a
// thread which nobody follows yet. It is "" for the run's first request.
func (s *Slack) parent(ctx context.Context, r gatekeeper.Request, channel string) (string, error) {
	if r.Workload.RunID == "" {
		return "", nil
	}
	first, err := s.firstOfRun(ctx, r, channel)
	if err != nil || first == r.ID {
		return "", err
	}
	f, err := s.noted(ctx, gatekeeper.WorkMessage, first)
	switch {
	case err != nil:
		return "", err
	case f.posted() && f.Channel == channel:
		return f.root(), nil
	}
	older, err := s.Gate.Lookup(ctx, first)
	if gone := gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound; !gone && err != nil {
		return "", err
	} else if gone || unasked(older) {
		return "", s.remember(ctx, noteRun, runKey(r, channel), r.ID) // nobody was asked about the first one
	}
	again := time.Second
	if s.Clock().Sub(r.CreatedAt) > time.Minute { // Slack is not what it should be
		again = 15 * time.Second
	}
	return "", &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: again,
		Description: "waiting for the message of " + first + ", the run's first request"}
}

// firstOfRun is the request whose message begins the run's conversation. Two
// replicas that ask at the same moment may begin two.
func (s *Slack) firstOfRun(ctx context.Context, r gatekeeper.Request, channel string) (string, error) {
	s.runs.Lock()
	defer s.runs.Unlock()
	var first string
	known, err := s.recall(ctx, noteRun, runKey(r, channel), &first)
	if err != nil || known {
		return first, err
	}
	return r.ID, s.remember(ctx, noteRun, runKey(r, channel), r.ID)
}

// thread tells, where the request was asked, what became of its approval. It
// also takes back what reminders and escalations asked for.
func (s *Slack) thread(ctx context.Context, w gatekeeper.Work) error {
	return s.about(ctx, w, func(ctx context.Context, r gatekeeper.Request) error {
		f, err := s.located(ctx, r)
		if err != nil {
			return err
		}
		switch {
		case f.posted():
		case unasked(r) || r.Collected(): // a digest that is under way comes back here
			return nil
		default:
			return &gatekeeper.Error{Code: gatekeeper.CodeSlowDown, RetryAfter: 2 * time.Second, Description: "waiting for the request's message"}
		}
		for _, c := range s.answers(r, f) {
			if _, err := s.ensure(ctx, c); err != nil {
				return err
			}
		}
		return s.settled(ctx, r, f)
	})
}
