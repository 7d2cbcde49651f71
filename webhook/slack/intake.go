package slack

import (
	"context"
	"encoding/json"
	"regexp"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// receive takes one interaction: a click or a submitted form.
func (s *Slack) receive(ctx context.Context, raw []byte) (any, error) {
	p, err := parsePayload(raw, s.AppID)
	if err != nil {
		return nil, err
	}
	switch p.Type {
	case typeActions:
		return nil, s.clicked(ctx, p)
	case typeSubmit:
		return s.submitted(ctx, p)
	}
	return nil, bad("payload is of a type that no message of ours causes")
}

// clicked records a click on a button, or has the form opened that it needs.
func (s *Slack) clicked(ctx context.Context, p payload) error {
	if len(p.Actions) != 1 {
		return bad("payload has not exactly one action")
	}
	a := p.Actions[0]
	if a.ID == actionDetails {
		return nil // the browser follows the link; Slack only wants a 200
	}
	c, err := s.read(p, a)
	if err != nil {
		return err
	}
	switch a.ID {
	case actionApprove, actionRevoke, actionRevokeCredentials, actionApproveAll:
		return s.record(ctx, c)
	}
	if p.TriggerID == "" {
		return bad("payload has no trigger_id to open the form with")
	}
	// Slack opens a form within three seconds of the click or not at all; its
	// answer may come much later.
	if !s.behind(ctx, callTimeout, func(ctx context.Context) { s.askReason(ctx, p.TriggerID, c) }) {
		return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: time.Second, Description: "too many forms are being opened at once"}
	}
	return nil
}

// choice is what a button says. Any other action id is refused.
func choice(actionID string) (gatekeeper.Choice, bool) {
	switch actionID {
	case actionApprove, actionApproveReason, actionApproveAll, actionBreakGlass:
		return gatekeeper.Approve, true
	case actionDeny:
		return gatekeeper.Deny, true
	case actionRevoke:
		return gatekeeper.Revoke, true
	case actionRevokeCredentials:
		return gatekeeper.RevokeCredentials, true
	}
	return "", false
}

// read makes a click of a button's payload. That the button was offered there
// for that request is checked when the click is counted.
func (s *Slack) read(p payload, a action) (click, error) {
	chosen, ok := choice(a.ID)
	if !ok {
		return click{}, bad("payload has an action that no message of ours offers")
	}
	if known := map[bool]*regexp.Regexp{true: digestID, false: requestID}[a.ID == actionApproveAll]; !known.MatchString(a.Value) {
		return click{}, bad("payload names no request")
	}
	once := a.TS
	if once == "" {
		once = p.TriggerID // a retry repeats it, too
	}
	if once == "" {
		return click{}, bad("payload has neither action_ts nor trigger_id to tell a retry by")
	}
	c := click{Request: a.Value, Choice: chosen, Glass: a.ID == actionBreakGlass, Person: p.person(s.Team), Once: once, At: s.Clock()}
	if a.ID == actionApproveAll {
		c.Request, c.Digest = "", a.Value
	}
	err := p.comesFrom(a, &c)
	if c.Digest != "" && c.Via == viaButton {
		c.Via = viaDigest
	}
	return c, err
}

// record makes a click durable. Clicks with the same meaning are one.
func (s *Slack) record(ctx context.Context, c click) error {
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	err = s.Memory.Record(ctx, gatekeeper.Change{Work: []gatekeeper.Work{{Kind: WorkClick, Key: c.key(), Payload: body}}})
	if err == nil {
		return nil
	}
	s.behind(ctx, triggerTime, func(ctx context.Context) {
		lost := private{Channel: c.Channel, User: c.Person.Slack, Text: "Your click was not counted: the gatekeeper cannot record anything right now. Please try again."}
		if err := s.whisper(ctx, lost); err != nil {
			s.Logger.WarnContext(ctx, "slack: somebody could not be told that their click is lost", "person", c.Person.Slack, "error", err)
		}
	})
	return gatekeeper.Wrap(err, gatekeeper.CodeUnavailable, "the click cannot be recorded right now, so it does not count")
}
