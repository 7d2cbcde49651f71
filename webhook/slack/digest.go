package slack

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// WorkDigestMessage is the work that brings a digest's message up to date.
// Its key is the digest's id.
const WorkDigestMessage = "slack.digest.message"

// noteDigest is the kind of the notes about what a digest lists.
const noteDigest = "slack.digest.list"

// maxListed is how many requests one digest lists: so many fit into one
// message (threats row 29), and onto a phone.
const maxListed = 10

// digest is one message that asks for several requests.
type digest struct {
	ID       string    `json:"id"` // dig_…
	Channel  string    `json:"channel"`
	Requests []string  `json:"requests"`
	Since    time.Time `json:"since"`          // of the oldest
	More     bool      `json:"more,omitempty"` // others wait for the next one
}

// sendDigest sends what was collected for a channel. A digest is noted before
// it is posted, so that after a crash the same one is looked for and finished.
func (s *Slack) sendDigest(ctx context.Context, w gatekeeper.Work) error {
	if w.Key == gatekeeper.DigestDefault { // one queue for each channel, whichever way rules name it
		return s.passOn(ctx)
	}
	d, err := s.underWay(ctx, w.Key)
	if err != nil || d.ID == "" {
		return err
	}
	if err = s.sendOne(ctx, d); err != nil {
		s.Logger.WarnContext(ctx, "slack: a digest is not sent yet", "channel", w.Key, "digest", d.ID, "attempt", w.Attempt, "error", err)
	}
	return err
}

func (s *Slack) passOn(ctx context.Context) error {
	if !placeID.MatchString(s.DefaultChannel) {
		return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: later,
			Description: "a digest is due and its rule names no Slack channel by its id (C…), nor does slack.channel"}
	}
	return s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: gatekeeper.WorkDigest, Key: s.DefaultChannel}}})
}

// underWay is the channel's digest that was noted and not finished, else a new
// one of all that waits; its ID is "" when nothing does.
func (s *Slack) underWay(ctx context.Context, channel string) (digest, error) {
	var d digest
	if _, err := s.recall(ctx, gatekeeper.WorkDigest, channel, &d); err != nil || d.ID != "" {
		return d, err
	}
	waiting, err := s.uncollected(ctx, channel)
	if err != nil || len(waiting) == 0 {
		return digest{}, err
	}
	d = digest{ID: "dig_" + strings.ToLower(rand.Text()), Channel: channel, Since: waiting[0].CreatedAt, More: len(waiting) > maxListed}
	for _, r := range waiting[:min(len(waiting), maxListed)] {
		d.Requests = append(d.Requests, r.ID)
	}
	list, err := noteOf(noteDigest, d.ID, d)
	if err != nil {
		return d, err
	}
	return d, s.Memory.Record(ctx, gatekeeper.Change{Notes: []gatekeeper.Note{list, {Kind: gatekeeper.WorkDigest, Key: channel, Value: list.Value}}})
}

// uncollected are the pending requests that a digest in the channel has to show
// and none does yet, the oldest first.
func (s *Slack) uncollected(ctx context.Context, channel string) ([]gatekeeper.Request, error) {
	if s.Finder == nil {
		return nil, gatekeeper.Errorf(gatekeeper.CodeInternal, "digests need a Finder")
	}
	pending, err := s.Finder.Find(ctx, gatekeeper.Filter{States: []gatekeeper.State{gatekeeper.Pending}, Limit: 1000})
	if err != nil {
		return nil, err
	}
	var found []gatekeeper.Request
	for _, r := range slices.Backward(pending) {
		if in, err := s.channel(r); err != nil || in != channel || !r.Collected() {
			continue
		}
		f, err := s.noted(ctx, gatekeeper.WorkMessage, r.ID)
		if err != nil {
			return nil, err
		}
		if !f.posted() {
			found = append(found, r)
		}
	}
	return found, nil
}

// sendOne posts the digest, notes for each request where it is shown, and
// ends what was under way, all in one change.
func (s *Slack) sendOne(ctx context.Context, d digest) error {
	done := gatekeeper.Change{Notes: []gatekeeper.Note{{Kind: gatekeeper.WorkDigest, Key: d.Channel}}}
	if d.More {
		done.Work = append(done.Work, gatekeeper.Work{Kind: gatekeeper.WorkDigest, Key: d.Channel})
	}
	f, err := s.showDigest(ctx, d)
	if err != nil {
		return err
	}
	if f.posted() {
		notes, err := shownIn(d, f)
		if err != nil {
			return err
		}
		done.Notes = append(done.Notes, notes...)
		done.Work = append(done.Work, gatekeeper.Work{Kind: WorkDigestMessage, Key: d.ID})
		for _, id := range d.Requests { // decided meanwhile, perhaps, and its thread was not there
			done.Work = append(done.Work, gatekeeper.Work{Kind: gatekeeper.WorkThread, Key: id})
		}
	}
	return s.Memory.Record(ctx, done)
}

// shownIn are the notes that say where the digest's requests are shown.
func shownIn(d digest, f reference) ([]gatekeeper.Note, error) {
	var notes []gatekeeper.Note
	for _, id := range d.Requests {
		n, err := noteOf(gatekeeper.WorkMessage, id, reference{Channel: f.Channel, TS: f.TS, Digest: d.ID})
		if err != nil {
			return nil, err
		}
		notes = append(notes, n)
	}
	return notes, nil
}

// showDigest brings the digest's message up to date. One of which everything
// is over before it was posted is not posted.
func (s *Slack) showDigest(ctx context.Context, d digest) (reference, error) {
	items, err := s.listed(ctx, d)
	if err != nil {
		return reference{}, err
	}
	open := slices.ContainsFunc(items, func(i item) bool { return i.r.State == gatekeeper.Pending })
	c := card{
		kind: WorkDigestMessage, key: d.ID, channel: d.Channel, since: d.Since, again: open,
		render: func(short bool) Message { return digestMessage(d, items, short) },
	}
	if f, err := s.stands(ctx, c); err != nil || !f.posted() && !open {
		return f, err
	}
	return s.ensure(ctx, c)
}

// item is one request as a digest shows it.
type item struct {
	r gatekeeper.Request
	v View
}

func (s *Slack) listed(ctx context.Context, d digest) ([]item, error) {
	var items []item
	for _, id := range d.Requests {
		r, err := s.Gate.Lookup(ctx, id)
		if err != nil {
			return nil, err
		}
		items = append(items, item{r, s.view(ctx, r)})
	}
	return items, nil
}

// digestOf is the digest with that id; its ID is "" when there is none.
func (s *Slack) digestOf(ctx context.Context, id string) (digest, error) {
	var d digest
	_, err := s.recall(ctx, noteDigest, id, &d)
	return d, err
}

// updateDigest follows the requests that a digest lists.
func (s *Slack) updateDigest(ctx context.Context, w gatekeeper.Work) error {
	d, err := s.digestOf(ctx, w.Key)
	if err != nil || d.ID == "" {
		return err
	}
	before, err := s.noted(ctx, WorkDigestMessage, d.ID)
	if err != nil {
		return err
	}
	f, err := s.showDigest(ctx, d)
	if err != nil {
		s.Logger.WarnContext(ctx, "slack: a digest is not up to date", "digest", d.ID, "attempt", w.Attempt, "error", err)
		return err
	}
	if f.TS == before.TS || !f.posted() {
		return nil
	}
	notes, err := shownIn(d, f) // posted anew: its buttons are elsewhere now
	if err != nil {
		return err
	}
	return s.Memory.Record(ctx, gatekeeper.Change{Notes: notes})
}

// standsDigest is where a digest's message is.
func (s *Slack) standsDigest(ctx context.Context, d digest) (reference, error) {
	return s.stands(ctx, card{
		kind: WorkDigestMessage, key: d.ID, since: d.Since,
		render: func(bool) Message { return Message{Metadata: digestMetadata(d)} },
	})
}

// locatedUnderWay finds a request in a digest that was posted and whose work
// was stopped before it noted that: people may click on it already.
func (s *Slack) locatedUnderWay(ctx context.Context, r gatekeeper.Request) (reference, error) {
	channel, err := s.channel(r)
	if err != nil {
		return reference{}, err
	}
	var d digest
	if _, err := s.recall(ctx, gatekeeper.WorkDigest, channel, &d); err != nil || !slices.Contains(d.Requests, r.ID) {
		return reference{}, err
	}
	f, err := s.standsDigest(ctx, d)
	if f.posted() {
		f.Digest = d.ID
	}
	return f, err
}
