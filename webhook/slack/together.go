package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// viaDigest is the door of votes that Approve all casts.
const viaDigest = "slack.digest"

// countAll is Approve all: the person's vote goes to each request of the
// digest that is still pending, as if they had pressed each button. Each
// result is noted, so that a run after a crash does not vote, or refuse, again.
func (s *Slack) countAll(ctx context.Context, key string, c click, again bool) (answer, error) {
	d, err := s.digestOf(ctx, c.Digest)
	if err != nil {
		return answer{}, err
	}
	f, err := s.standsDigest(ctx, d)
	if err != nil {
		return answer{}, err
	}
	if d.ID == "" || !f.posted() || f.Channel != c.Channel || f.TS != c.TS {
		return answer{text: "That message lists nothing that you could approve."}, s.refused(ctx, gatekeeper.Request{}, c, "the click came from another message than the digest's")
	}
	var told []verdict
	var failed error
	for _, id := range d.Requests {
		v, err := s.countOne(ctx, key, id, c, again)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		told = append(told, v)
	}
	if failed != nil {
		return answer{}, failed
	}
	return summary(told), nil
}

// verdict is what became of one vote among several.
type verdict struct {
	Place   string `json:"place"`
	Counted bool   `json:"counted,omitempty"`
	Over    bool   `json:"over,omitempty"` // it was decided before
	Why     string `json:"why,omitempty"`
	Page    string `json:"page,omitempty"` // where it takes a proof first
}

func (s *Slack) countOne(ctx context.Context, key, id string, c click, again bool) (verdict, error) {
	var v verdict
	done := key + "/" + id
	if known, err := s.recall(ctx, WorkClick, done, &v); err != nil || known {
		return v, err
	}
	r, err := s.Gate.Lookup(ctx, id)
	if err != nil {
		return v, err
	}
	v.Place = target(r)
	c.Request, c.Digest = id, ""
	switch {
	case counted(r, c, again):
		v.Counted = true
	case r.State != gatekeeper.Pending:
		v.Over, v.Why = true, "it is already "+string(r.State)
	default:
		_, err := s.Gate.Vote(ctx, id, gatekeeper.Vote{Person: c.Person, Choice: gatekeeper.Approve, Via: c.Via})
		told, err := s.verdict(r, err)
		if err != nil {
			return v, err
		}
		v.Counted, v.Why, v.Page = told.text == "", told.text, told.page
	}
	return v, s.remember(ctx, WorkClick, done, v)
}

// summary tells which votes counted, and which not and why.
func summary(all []verdict) answer {
	var a answer
	var lines []string
	n, open := 0, 0
	for _, v := range all {
		switch {
		case v.Counted:
			n, open = n+1, open+1
			lines = append(lines, "✓ "+v.Place)
		case v.Over:
			lines = append(lines, "– "+v.Place+": "+v.Why)
		default:
			open++
			lines = append(lines, "✗ "+v.Place+": "+v.Why)
			if a.page == "" {
				a.page = v.Page
			}
		}
	}
	a.text = fmt.Sprintf("Your approval counts on %d of %d requests.\n%s", n, open, strings.Join(lines, "\n"))
	if open == 0 {
		a.text = "Nothing was left to approve.\n" + strings.Join(lines, "\n")
	}
	return a
}
