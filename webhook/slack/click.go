package slack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// click is one person's choice as it was recorded before Slack was answered.
type click struct {
	Request string            `json:"request"`
	Choice  gatekeeper.Choice `json:"choice"`
	Reason  string            `json:"reason,omitempty"`
	Digest  string            `json:"digest,omitempty"`      // Approve all: instead of a request
	Glass   bool              `json:"break_glass,omitempty"` // an approval in an emergency
	Person  gatekeeper.Person `json:"person"`
	Via     string            `json:"via"` // slack.button, slack.modal, slack.home, slack.command
	Channel string            `json:"channel,omitempty"`
	TS      string            `json:"ts,omitempty"`   // of the message
	Seal    string            `json:"seal,omitempty"` // of a button that is not in the request's message
	Once    string            `json:"once"`           // what Slack made unique: action_ts, or the view's id
	At      time.Time         `json:"at"`
}

// key identifies the click by what it means, so that Slack's retries of it
// are one click (threats rows 21 and 27).
func (c click) key() string {
	body, err := json.Marshal([]string{c.Person.Slack, c.Request + c.Digest, string(c.Choice), c.Via, c.Once})
	if err != nil {
		panic("slack: strings have no JSON: " + err.Error())
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

const (
	// patience is how long a recorded click is tried while the person cannot be
	// looked up. After that it does not count and they are told so.
	patience = 10 * time.Minute
	// notices bounds private answers: one that comes late only confuses.
	notices = 5 * time.Minute
)

// process counts a recorded click, once. It runs again after a crash at any
// point: a click that is done leaves a note, and a vote that counted is seen
// in the request.
func (s *Slack) process(ctx context.Context, w gatekeeper.Work) error {
	var c click
	if !readable(w, &c) {
		s.Logger.ErrorContext(ctx, "slack: a recorded click cannot be read", "key", w.Key)
		return nil
	}
	done, err := s.Memory.Note(ctx, WorkClick, w.Key)
	if err != nil && gatekeeper.CodeOf(err) != gatekeeper.CodeNotFound {
		return err
	}
	if len(done) > 0 {
		return nil
	}
	told, err := s.countOrAll(ctx, w.Key, c, w.Attempt > 1)
	if err != nil && s.Clock().Sub(c.At) < patience {
		return s.postponed(ctx, w, c, err)
	}
	if err != nil {
		s.Logger.ErrorContext(ctx, "slack: a click could not be counted", "request", c.Request, "person", c.Person.Slack, "error", err)
		told = answer{text: "it could not be checked who you are. Please click again"}
	}
	if told.text != "" {
		if !told.plain {
			told.text = sentence(c, told.text)
		}
		if err := s.tell(ctx, w.Key, c, told); err != nil {
			return err
		}
	}
	return s.Memory.SetNote(ctx, WorkClick, w.Key, []byte(`"done"`))
}

// readable decodes the payload of work. What cannot be read will not get
// better by trying again.
func readable(w gatekeeper.Work, into any) bool { return json.Unmarshal(w.Payload, into) == nil }

// postponed tells the person once that their click waits.
func (s *Slack) postponed(ctx context.Context, w gatekeeper.Work, c click, err error) error {
	s.Logger.WarnContext(ctx, "slack: a click waits to be counted", "request", c.Request, "person", c.Person.Slack, "attempt", w.Attempt, "error", err)
	if w.Attempt == 2 {
		waits := answer{text: "Your click is recorded but not counted yet: you cannot be looked up right now. It is tried again for some minutes."}
		if err := s.tell(ctx, w.Key+"/wait", c, waits); err != nil {
			return err
		}
	}
	return err
}

func (s *Slack) countOrAll(ctx context.Context, key string, c click, again bool) (answer, error) {
	if c.Digest != "" {
		told, err := s.countAll(ctx, key, c, again)
		told.plain = true
		return told, err
	}
	return s.count(ctx, c, again)
}

// count hands the click to the gate. What it answers is for the person, none
// when their vote counted; an error means try again.
func (s *Slack) count(ctx context.Context, c click, again bool) (answer, error) {
	r, err := s.Gate.Lookup(ctx, c.Request)
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		return answer{text: "there is no such request"}, s.refused(ctx, gatekeeper.Request{}, c, "no such request")
	}
	if err != nil {
		return answer{}, err
	}
	if told, why, err := s.misplaced(ctx, r, c); err != nil || why != "" {
		if err == nil {
			err = s.refused(ctx, r, c, why)
		}
		return answer{text: told}, err
	}
	if counted(r, c, again) {
		return answer{}, nil
	}
	next, err := s.Gate.Vote(ctx, c.Request, gatekeeper.Vote{Person: c.Person, Choice: c.Choice, Reason: c.Reason, Via: c.Via, BreakGlass: c.Glass})
	if err == nil {
		return s.thanks(ctx, next, c)
	}
	return s.verdict(r, err)
}

// verdict tells a vote that does not count from one that was not decided.
func (s *Slack) verdict(r gatekeeper.Request, err error) (answer, error) {
	var coded *gatekeeper.Error
	if err == nil || !errors.As(err, &coded) {
		return answer{}, err
	}
	switch coded.Code {
	case gatekeeper.CodeStepUp:
		return s.stepUp(r), nil
	case gatekeeper.CodeVoteRefused, gatekeeper.CodeNotFound, gatekeeper.CodeInvalidRequest, gatekeeper.CodeAccessDenied:
	default:
		return answer{}, err
	}
	return answer{text: coded.Description}, nil
}

// stepUp sends an approver to where their proof is taken. Nothing was
// recorded: the approval is cast there.
func (s *Slack) stepUp(r gatekeeper.Request) answer {
	how := map[gatekeeper.StepUp]string{gatekeeper.StepUpPasskey: "your passkey", gatekeeper.StepUpSSO: "a fresh sign-in"}[r.Rule.Approval.StepUp]
	if how == "" { // the rules in force want it, not yet those that admitted the request
		how = "a proof beyond the click"
	}
	page := ""
	if s.StepUpURL != nil {
		page = s.StepUpURL(r.ID)
	}
	if page == "" {
		return answer{text: "Your approval does not count yet: this rule wants " + how + " (step_up), and step-up is not configured here. Please tell the platform team.", plain: true}
	}
	return answer{text: "Your approval counts once you confirm it with " + how + ". Open the page to see what you approve, and to confirm.", page: page, plain: true}
}

// clocks is how far the database's clock, which times votes, may be behind
// ours, which times clicks.
const clocks = time.Minute

// counted says whether this very click is among the votes already: an earlier
// run of the work was stopped right after it. A first run looks closely, so
// that a second click of the same person is told apart.
func counted(r gatekeeper.Request, c click, again bool) bool {
	since := c.At
	if again {
		since = since.Add(-clocks)
	}
	return slices.ContainsFunc(r.Votes, func(v gatekeeper.Vote) bool {
		return v.Person.Slack == c.Person.Slack && v.Choice == c.Choice && v.Via == c.Via && v.BreakGlass == c.Glass && !v.At.Before(since)
	})
}

// refused records a click that never reaches the gate: its message is not the
// request's (threats row 26).
func (s *Slack) refused(ctx context.Context, r gatekeeper.Request, c click, why string) error {
	return s.Memory.Record(ctx, gatekeeper.Change{Events: []gatekeeper.Event{{
		ID: "evt_" + strings.ToLower(rand.Text()), Type: gatekeeper.EventVoteRefused, Time: s.Clock().UTC(), Request: r.ID, State: r.State,
		Actor: gatekeeper.Actor{Kind: "person", ID: "slack:" + c.Person.Slack, Name: c.Person.Name},
		Data: map[string]any{
			"choice": c.Choice, "via": c.Via, "team": c.Person.Team, "refused": why,
			"claimed_request": c.Request, "channel": c.Channel, "message_ts": c.TS,
		},
	}}})
}

// sentence makes the gate's reason an answer.
func sentence(c click, why string) string {
	what := map[gatekeeper.Choice]string{
		gatekeeper.Approve: "Your approval", gatekeeper.Deny: "Your denial", gatekeeper.Revoke: "Your revocation",
		gatekeeper.RevokeCredentials: "Your revocation of the credentials",
	}[c.Choice]
	return what + " does not count: " + strings.TrimRight(why, ".") + "."
}
