package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// Notes about home tabs, by the user's id.
const (
	noteOpened = "slack.home.opened" // when they last looked; written as they do
	noteShown  = WorkHome            // what is shown; written by the work alone
	noteNotice = "slack.home.notice" // an answer to a click in it
)

const (
	// lately is how long after somebody looked their home tab is kept up to
	// date; it is brought up to date at the next look in any case.
	lately = 24 * time.Hour
	// forgotten is when nothing is remembered of a look any more.
	forgotten = 7 * 24 * time.Hour
	// crowdHomes bounds the tabs that one change refreshes: views.publish takes
	// about a hundred calls a minute.
	crowdHomes = 100
)

// opened is somebody looking at their home tab.
type opened struct {
	Team string    `json:"team"`
	At   time.Time `json:"at"`
}

// homeEvent is what is read of an Events API callback.
type homeEvent struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	AppID     string `json:"api_app_id"`
	Team      string `json:"team_id"`
	Event     struct {
		Type string `json:"type"`
		User string `json:"user"`
		Tab  string `json:"tab"`
	} `json:"event"`
}

// event takes what Slack tells of by itself: that somebody looks at the app's
// home. It is noted before it is acknowledged. Retries merge.
func (s *Slack) event(ctx context.Context, raw []byte) (any, error) {
	var e homeEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, bad("the event is no JSON object as Slack sends it")
	}
	switch {
	case e.Type == "url_verification": // signed as all callbacks are
		return map[string]string{"challenge": gatekeeper.Shorten(e.Challenge, 200)}, nil
	case s.AppID != "" && e.AppID != s.AppID:
		return nil, bad("the event is for another app than slack.app_id")
	case e.Type != "event_callback" || e.Event.Type != "app_home_opened":
		return nil, nil // not asked for; an error would make Slack repeat it
	case e.Event.Tab != "home":
		return nil, nil // the messages tab
	case !userID.MatchString(e.Event.User) || !teamID.MatchString(e.Team):
		return nil, bad("the event names no user and team by their ids")
	}
	body, err := json.Marshal(opened{Team: e.Team, At: s.Clock()})
	if err != nil {
		return nil, err
	}
	if err := s.Memory.SetNote(ctx, noteOpened, e.Event.User, body); err != nil {
		return nil, err
	}
	return nil, s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkHome, Key: e.Event.User}}})
}

// refreshHomes brings the home tabs of those who looked lately up to date.
func (s *Slack) refreshHomes(ctx context.Context, _ gatekeeper.Work) error {
	notes, err := s.Memory.Notes(ctx, noteOpened, 10*crowdHomes)
	if err != nil {
		return err
	}
	type look struct {
		user string
		at   time.Time
	}
	var looks []look
	for user, body := range notes {
		var o opened
		if err := json.Unmarshal(body, &o); err != nil || s.Clock().Sub(o.At) > forgotten {
			s.forget(ctx, user)
		} else if s.Clock().Sub(o.At) < lately {
			looks = append(looks, look{user, o.At})
		}
	}
	slices.SortFunc(looks, func(a, b look) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.user, b.user)) })
	var c gatekeeper.Change
	for _, l := range looks[:min(len(looks), crowdHomes)] {
		c.Work = append(c.Work, gatekeeper.Work{Kind: WorkHome, Key: l.user})
	}
	if len(c.Work) == 0 {
		return nil
	}
	return s.Memory.Record(ctx, c)
}

func (s *Slack) forget(ctx context.Context, user string) {
	for _, kind := range []string{noteShown, noteNotice, noteOpened} {
		if err := s.Memory.DropNote(ctx, kind, user); err != nil {
			s.Logger.WarnContext(ctx, "slack: a note about a home tab cannot be dropped", "person", user, "error", err)
		}
	}
}

// publishHome shows a person's inbox in their home tab, where that would show
// anything new.
func (s *Slack) publishHome(ctx context.Context, w gatekeeper.Work) error {
	var o opened
	if ok, err := s.note(ctx, noteOpened, w.Key, &o); err != nil || !ok {
		return err
	}
	view, until, err := s.homeOf(ctx, gatekeeper.Person{Slack: w.Key, Team: o.Team})
	if err != nil {
		s.Logger.WarnContext(ctx, "slack: a home tab is not up to date", "person", w.Key, "attempt", w.Attempt, "error", err)
		return err
	}
	m := Message{Blocks: view.Blocks.BlockSet}
	var shown string
	if _, err := s.note(ctx, noteShown, w.Key, &shown); err != nil {
		return err
	}
	if shown != m.fingerprint() {
		if err := s.publish(ctx, w.Key, view, m.fingerprint()); err != nil {
			return err
		}
	}
	if until.IsZero() {
		return nil
	}
	return s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkHome, Key: w.Key, After: max(until.Sub(s.Clock()), time.Second)}}})
}

func (s *Slack) publish(ctx context.Context, user string, view slackgo.HomeTabViewRequest, fingerprint string) error {
	const method = "views.publish"
	if err := s.turn(method, "", ""); err != nil {
		return err
	}
	_, err := s.api.PublishViewContext(ctx, slackgo.PublishViewContextRequest{UserID: user, View: view})
	switch code := slackCode(err); code {
	case "user_not_found", "not_enabled":
		s.Logger.WarnContext(ctx, "slack: somebody has no home tab: turn it on under App Home, or install the app again with the printed manifest", "person", user, "error", code)
		s.forget(ctx, user)
		return nil
	}
	if err != nil {
		return s.failed(err, method, user)
	}
	return s.keep(ctx, noteShown, user, fingerprint)
}

// note reads a note of JSON; ok is false where there is none that can be read.
func (s *Slack) note(ctx context.Context, kind, key string, into any) (ok bool, err error) {
	body, err := s.Memory.Note(ctx, kind, key)
	if err != nil && gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		return false, err
	}
	return len(body) > 0 && json.Unmarshal(body, into) == nil, nil
}

// keep writes a note of JSON.
func (s *Slack) keep(ctx context.Context, kind, key string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.Memory.SetNote(ctx, kind, key, body)
}
