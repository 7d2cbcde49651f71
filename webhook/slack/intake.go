package slack

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
)

// maxCallback is the largest body of a callback (contract 3).
const maxCallback = 1 << 20

// triggerTime is how long Slack lets a click open a modal.
const triggerTime = 3 * time.Second

// Interactions is POST /webhook/slack/interactions: verify, record,
// acknowledge. Anything that is slow or can fail happens afterwards, as
// durable work. What could not be recorded is never acknowledged: Slack then
// shows the person that their click failed.
func (s *Slack) Interactions() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		form, err := s.verified(w, r)
		if err == nil {
			var ack any
			if ack, err = s.receive(r.Context(), []byte(form.Get("payload"))); err == nil {
				acknowledge(w, ack)
				return
			}
		}
		s.refuse(r.Context(), w, err)
	})
}

// verified reads the body and gives its form only after the signature held.
func (s *Slack) verified(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, errMethod
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		return nil, err
	}
	if err := s.signed(r.Header, body); err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, bad("the body is no form")
	}
	return form, nil
}

// receive takes one interaction, whichever way it came in, and returns what
// its acknowledgement carries as JSON, nil for nothing. An error means that it
// must not be acknowledged.
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
	case actionApprove, actionRevoke:
		return s.record(ctx, c)
	}
	if p.TriggerID == "" {
		return bad("payload has no trigger_id to open the form with")
	}
	if !s.behind(ctx, triggerTime, func(ctx context.Context) { s.askReason(ctx, p.TriggerID, c) }) {
		return &gatekeeper.Error{Code: gatekeeper.CodeUnavailable, RetryAfter: time.Second, Description: "too many forms are being opened at once"}
	}
	return nil
}

// choice is what a button says. Any other action id is refused.
func choice(actionID string) (gatekeeper.Choice, bool) {
	switch actionID {
	case actionApprove, actionApproveReason:
		return gatekeeper.Approve, true
	case actionDeny:
		return gatekeeper.Deny, true
	case actionRevoke:
		return gatekeeper.Revoke, true
	}
	return "", false
}

// read makes a click of a button's payload. That the request's message is
// the one clicked on is checked when the click is counted.
func (s *Slack) read(p payload, a action) (click, error) {
	chosen, ok := choice(a.ID)
	if !ok {
		return click{}, bad("payload has an action that no message of ours offers")
	}
	if !requestID.MatchString(a.Value) {
		return click{}, bad("payload names no request")
	}
	once := a.TS
	if once == "" {
		once = p.TriggerID // a retry repeats it, too
	}
	if once == "" {
		return click{}, bad("payload has neither action_ts nor trigger_id to tell a retry by")
	}
	channel, ts, err := p.where()
	return click{
		Request: a.Value, Choice: chosen, Person: p.person(s.Team), Via: "slack.button",
		Channel: channel, TS: ts, Once: once, At: s.Clock(),
	}, err
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

var errMethod = errors.New("method not allowed")

// acknowledge answers 200, with an empty body where there is nothing to say:
// Slack takes any other one for an answer.
func acknowledge(w http.ResponseWriter, ack any) {
	if ack == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(ack) // a broken connection has nobody to tell
}

// refuse answers in the API's error shape. The one who reads it is Slack, or
// a stranger: it says nothing about secrets or the request.
func (s *Slack) refuse(ctx context.Context, w http.ResponseWriter, err error) {
	status, coded := statusOf(err)
	s.Logger.WarnContext(ctx, "slack: callback refused", "status", status, "error", s.scrubbed(err))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": string(coded.Code), "error_description": coded.Description})
}

func statusOf(err error) (int, *gatekeeper.Error) {
	var large *http.MaxBytesError
	var coded *gatekeeper.Error
	switch {
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "callbacks are sent by POST")
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "a callback has at most 1 MiB")
	case !errors.As(err, &coded):
		return http.StatusBadRequest, gatekeeper.Errorf(gatekeeper.CodeInvalidRequest, "the body cannot be read")
	case coded.Code == gatekeeper.CodeInvalidToken:
		return http.StatusUnauthorized, coded
	case coded.Code == gatekeeper.CodeInvalidRequest:
		return http.StatusBadRequest, coded
	}
	return http.StatusServiceUnavailable, coded
}
