package slack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/gatekeeper-ci/gatekeeper/webhook/internal/door"
)

// maxCallback is the largest body of a callback (contract 3).
const maxCallback = 1 << 20

var callbackDoor = door.Door{Limit: maxCallback, NotPost: "callbacks are sent by POST", TooLong: "a callback has at most 1 MiB"}

// Interactions is POST /webhook/slack/interactions: verify, record,
// acknowledge. Anything that is slow or can fail happens afterwards, as
// durable work. What could not be recorded is never acknowledged: Slack then
// shows the person that their click failed.
func (s *Slack) Interactions() http.Handler {
	return s.signedDoor(kindInteraction, func(body []byte) ([]byte, error) {
		form, err := formOf(body)
		return []byte(form.Get("payload")), err
	})
}

// Commands is POST /webhook/slack/commands.
func (s *Slack) Commands() http.Handler {
	return s.signedDoor(kindCommand, func(body []byte) ([]byte, error) {
		form, err := formOf(body)
		if err != nil {
			return nil, err
		}
		fields := map[string]string{}
		for name := range form {
			fields[name] = form.Get(name)
		}
		return json.Marshal(fields)
	})
}

// Events is POST /webhook/slack/events.
func (s *Slack) Events() http.Handler {
	return s.signedDoor(kindEvent, func(body []byte) ([]byte, error) { return body, nil })
}

// signedDoor is one URL of the HTTP way. read gives the delivery's JSON.
func (s *Slack) signedDoor(k kind, read func(body []byte) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ack, err := s.answered(w, r, k, read)
		if err != nil {
			s.refuse(r.Context(), w, err)
			return
		}
		acknowledge(w, ack)
	})
}

func (s *Slack) answered(w http.ResponseWriter, r *http.Request, k kind, read func([]byte) ([]byte, error)) (any, error) {
	body, err := s.verified(w, r)
	if err != nil {
		return nil, err
	}
	raw, err := read(body)
	if err != nil {
		return nil, err
	}
	if !s.enter(r.Context(), false) {
		return nil, &errCrowded
	}
	defer s.leave()
	return s.take(r.Context(), k, raw)
}

// verified is the body after its signature held; nothing parses it before.
func (s *Slack) verified(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := callbackDoor.Body(w, r)
	if err != nil {
		return nil, err
	}
	return body, s.signed(r.Header, body)
}

func formOf(body []byte) (url.Values, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, bad("the body is no form")
	}
	return form, nil
}

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

func (s *Slack) refuse(ctx context.Context, w http.ResponseWriter, err error) {
	status, coded := callbackDoor.Status(err)
	id := door.Refuse(w, status, coded)
	s.Logger.WarnContext(ctx, "slack: callback refused", "status", status, "request_id", id, "error", s.scrubbed(err))
}
