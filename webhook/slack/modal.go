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
	Channel string            `json:"channel,omitempty"`
	TS      string            `json:"ts,omitempty"`
	Via     string            `json:"via,omitempty"` // the door, where it is not the request's message
	Seal    string            `json:"seal,omitempty"`
	Glass   bool              `json:"break_glass,omitempty"`
}

// back is what the form of a click carries.
func (c click) back() carried {
	b := carried{Request: c.Request, Choice: c.Choice, Channel: c.Channel, TS: c.TS, Glass: c.Glass}
	if c.Seal != "" {
		b.Via, b.Seal = c.Via, c.Seal
	}
	return b
}

// complete says whether a form brought back all that a click from its door
// has.
func (b carried) complete() bool {
	known := b.Choice == gatekeeper.Approve || b.Choice == gatekeeper.Deny
	placed := placeID.MatchString(b.Channel) && messageTS.MatchString(b.TS)
	switch b.Via {
	case viaHome:
		placed = b.Seal != "" && b.Channel == ""
	case viaCommand:
		placed = placed && b.Seal != ""
	case "":
	default:
		return false
	}
	return known && placed && requestID.MatchString(b.Request)
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
	back, err := json.Marshal(c.back())
	if err != nil {
		return slackgo.ModalViewRequest{}, err
	}
	title, verb, hint := "Deny request", "Deny", "The job and everybody in the channel can read it."
	switch {
	case c.Glass:
		title, verb, hint = "Break the glass", "Break glass", "It is said aloud, with your name, and stays in the ledger."
	case c.Choice == gatekeeper.Approve:
		title, verb = "Approve request", "Approve"
	}
	where := line(r.Workload.Repository, maxValue) + " → " + gatekeeper.Shorten(exact(r.Environment), maxField)
	input := slackgo.NewPlainTextInputBlockElement(nil, blockInput).WithMultiline(true).WithMinLength(1).WithMaxLength(maxModal)
	return slackgo.ModalViewRequest{
		Type: slackgo.VTModal, CallbackID: formReason, PrivateMetadata: string(back),
		Title: words(title), Submit: words(verb), Close: words("Cancel"),
		Blocks: slackgo.Blocks{BlockSet: append(emergency(r, c), []slackgo.Block{
			section(words(where + "\n" + line(r.Workload.Ref, maxValue) + " at " + line(short(r.Workload.SHA), 70))),
			slackgo.NewInputBlock(blockInput, words("Reason"), words(hint), input),
		}...)},
	}, nil
}

// emergency says what breaking the glass does, before it is done.
func emergency(r gatekeeper.Request, c click) []slackgo.Block {
	if !c.Glass {
		return nil
	}
	text := "🚨 For emergencies only: your approval then counts without those that rule " + line(r.Rule.Name, 80) + " asks for"
	if r.Freeze != "" {
		text += ", and in spite of freeze " + line(r.Freeze, 80)
	}
	return []slackgo.Block{section(words(text + "."))}
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
	if !back.complete() {
		return click{}, bad("payload's private_metadata is not ours")
	}
	via := viaModal
	if back.Via != "" {
		via = back.Via
	}
	return click{
		Request: back.Request, Choice: back.Choice, Glass: back.Glass && back.Choice == gatekeeper.Approve, Person: p.person(s.Team), Via: via,
		Reason:  strings.TrimSpace(p.View.State.Values[blockInput][blockInput].Value),
		Channel: back.Channel, TS: back.TS, Seal: back.Seal, Once: p.View.ID, At: s.Clock(),
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
