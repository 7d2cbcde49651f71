package slack

import (
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// The form that asks for a reason.
const (
	formReason = "gatekeeper_reason" // callback id
	blockInput = "reason"            // block id and action id of its input
)

// carried is what the form brings back. Slack keeps it and people cannot
// change it; what it says is checked as any click's all the same.
type carried struct {
	Request string            `json:"request"`
	Choice  gatekeeper.Choice `json:"choice"`
	Channel string            `json:"channel"`
	TS      string            `json:"ts"`
}

// askReason opens the form. It runs behind the acknowledgement, and within
// the three seconds that Slack lets a click open one.
func (s *Slack) askReason(ctx context.Context, trigger string, c click) {
	r, err := s.Gate.Lookup(ctx, c.Request)
	if err == nil {
		var view slackgo.ModalViewRequest
		if view, err = form(r, c); err == nil {
			if _, err = s.api.OpenViewContext(ctx, trigger, view); err == nil {
				return
			}
			err = s.failed(err, "views.open", c.Channel)
		}
	}
	s.Logger.WarnContext(ctx, "slack: the form for a reason did not open", "request", c.Request, "person", c.Person.Slack, "error", s.scrubbed(err))
	failed := answer{text: "The form for your reason could not be opened, so nothing is decided. Please click again."}
	if err := s.tell(context.WithoutCancel(ctx), c.key()+"/form", c, failed); err != nil {
		s.Logger.ErrorContext(ctx, "slack: a private answer cannot be recorded", "person", c.Person.Slack, "error", err)
	}
}

func form(r gatekeeper.Request, c click) (slackgo.ModalViewRequest, error) {
	back, err := json.Marshal(carried{Request: c.Request, Choice: c.Choice, Channel: c.Channel, TS: c.TS})
	if err != nil {
		return slackgo.ModalViewRequest{}, err
	}
	verb := "Deny"
	if c.Choice == gatekeeper.Approve {
		verb = "Approve"
	}
	where := line(r.Workload.Repository, maxValue) + " → " + cut(exact(r.Environment), maxField)
	input := slackgo.NewPlainTextInputBlockElement(nil, blockInput).WithMultiline(true).WithMinLength(1).WithMaxLength(maxModal)
	return slackgo.ModalViewRequest{
		Type: slackgo.VTModal, CallbackID: formReason, PrivateMetadata: string(back),
		Title: words(verb + " request"), Submit: words(verb), Close: words("Cancel"),
		Blocks: slackgo.Blocks{BlockSet: []slackgo.Block{
			section(words(where + "\n" + line(r.Workload.Ref, maxValue) + " at " + line(short(r.Workload.SHA), 70))),
			slackgo.NewInputBlock(blockInput, words("Reason"), words("The job and everybody in the channel can read it."), input),
		}},
	}, nil
}

// submitted records the vote of a form. The form closes on an empty answer
// and shows what is wrong on the other one.
func (s *Slack) submitted(ctx context.Context, p payload) (any, error) {
	c, err := s.readForm(p)
	if err != nil {
		return nil, err
	}
	if wrong := unfit(c.Reason); wrong != "" {
		return map[string]any{"response_action": "errors", "errors": map[string]string{blockInput: wrong}}, nil
	}
	return nil, s.record(ctx, c)
}

func (s *Slack) readForm(p payload) (click, error) {
	var back carried
	if p.View.CallbackID != formReason || p.View.ID == "" {
		return click{}, bad("payload is of a form that is not ours")
	}
	if err := json.Unmarshal([]byte(p.View.Metadata), &back); err != nil {
		return click{}, bad("payload's private_metadata is not ours")
	}
	known := back.Choice == gatekeeper.Approve || back.Choice == gatekeeper.Deny
	if !known || !requestID.MatchString(back.Request) || !placeID.MatchString(back.Channel) || !messageTS.MatchString(back.TS) {
		return click{}, bad("payload's private_metadata is not ours")
	}
	return click{
		Request: back.Request, Choice: back.Choice, Person: p.person(s.Team), Via: "slack.modal",
		Reason:  strings.TrimSpace(p.View.State.Values[blockInput][blockInput].Value),
		Channel: back.Channel, TS: back.TS, Once: p.View.ID, At: s.Clock(),
	}, nil
}

func unfit(reason string) string {
	switch {
	case strings.TrimSpace(reason) == "":
		return "Please say why."
	case utf8.RuneCountInString(reason) > maxModal:
		return "Please use at most 1,000 characters."
	}
	return ""
}
