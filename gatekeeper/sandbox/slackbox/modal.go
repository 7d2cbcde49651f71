package slackbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Submission is a person pressing a modal's submit button.
type Submission struct {
	User string `json:"user"`
	View string `json:"view"` // id; empty: the one on top
	// Values are what the person typed or chose, by block id; of one with
	// several inputs, by action id. Absent: what the modal proposes.
	Values map[string]string `json:"values"`
	Forge  *Forge            `json:"forge"` // given: not held to what the form itself checks
}

// SubmitModal submits a modal, and does to it what the app answers: close it,
// show errors, replace it. An error means that nothing was sent: no modal is
// open, or an input is not filled as it has to be, which the person sees.
func (w *Workspace) SubmitModal(ctx context.Context, s Submission) (Delivery, error) {
	w.mu.Lock()
	p, v, err := w.submission(s)
	target := w.o.InteractionsURL
	w.mu.Unlock()
	if err != nil {
		return Delivery{}, err
	}
	d := w.deliver(ctx, outgoing{kind: "view_submission", envelope: "interactive", url: target, payload: p, encode: asPayload, forge: s.Forge})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.submitted(v, d)
	w.touch()
	return d, nil
}

func (w *Workspace) openView(user, id string) *View {
	if id == "" || id == "modal" {
		return w.modal(user)
	}
	if v := w.view(id); v != nil && v.User == user && v.Open {
		return v
	}
	return nil
}

// submission is a view_submission payload
// (docs.slack.dev/reference/interaction-payloads/view-interactions-payload).
func (w *Workspace) submission(s Submission) (map[string]any, *View, error) {
	u, ok := w.user(s.User)
	v := w.openView(s.User, s.View)
	if !ok || v == nil {
		return nil, nil, fmt.Errorf("slackbox: %q has no modal %q open", s.User, s.View)
	}
	values, wrong := inputsOf(v, s.Values)
	v.Errors, v.Trouble = wrong, ""
	w.touch()
	if len(wrong) > 0 && s.Forge == nil {
		return nil, nil, fmt.Errorf("slackbox: the form itself refuses: %v", wrong)
	}
	view := viewAsSlack(v)
	view["state"] = map[string]any{"values": values}
	p := w.envelope("view_submission", u)
	p["view"], p["response_urls"], p["trigger_id"] = view, []any{}, w.newTrigger(u.ID, v.ID)
	return p, v, nil
}

// inputsOf is state.values, and what the client refuses to send.
func inputsOf(v *View, typed map[string]string) (values map[string]any, wrong map[string]string) {
	values, wrong = map[string]any{}, map[string]string{}
	for _, b := range v.Blocks {
		e, ok := b["element"].(map[string]any)
		if kindOf(b) != "input" || !ok {
			continue
		}
		block, action := field(b, "block_id"), field(e, "action_id")
		text, given := typed[block]
		if !given {
			text, given = typed[action]
		}
		if !given {
			text = initial(e)
		}
		if complaint := unfit(b, e, text); complaint != "" {
			wrong[block] = complaint
		}
		values[block] = map[string]any{action: inputState(e, text)}
	}
	return values, wrong
}

func initial(e map[string]any) string {
	for _, k := range []string{"initial_value", "initial_user", "initial_date"} {
		if s := field(e, k); s != "" {
			return s
		}
	}
	o, _ := e["initial_option"].(map[string]any)
	return field(o, "value")
}

func unfit(b Block, e map[string]any, text string) string {
	if strings.TrimSpace(text) == "" {
		if b["optional"] == true {
			return ""
		}
		return "Please complete this required field."
	}
	if low := whole(e["min_length"]); length(text) < low {
		return fmt.Sprintf("Must be at least %d characters.", low)
	}
	high := whole(e["max_length"])
	if high == 0 {
		high = 3000
	}
	if length(text) > high {
		return fmt.Sprintf("Must be at most %d characters.", high)
	}
	return ""
}

func whole(v any) int {
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		return 0
	}
	return n
}

// inputState is one input's part of state.values.
func inputState(e map[string]any, text string) map[string]any {
	out := map[string]any{"type": kindOf(e)}
	var value any
	if text != "" {
		value = text
	}
	switch kindOf(e) {
	case "static_select", "radio_buttons":
		out["selected_option"] = chosen(e, text)
	case "checkboxes":
		list := []any{}
		if o := chosen(e, text); o != nil {
			list = append(list, o)
		}
		out["selected_options"] = list
	case "users_select":
		out["selected_user"] = value
	case "datepicker":
		out["selected_date"] = value
	default:
		out["value"] = value
	}
	return out
}

func chosen(e map[string]any, value string) any {
	options, _ := e["options"].([]any)
	for _, o := range options {
		if m, ok := o.(map[string]any); ok && field(m, "value") == value {
			return m
		}
	}
	return nil
}

// submitted does what the app answered. It needs w.mu.
func (w *Workspace) submitted(v *View, d Delivery) {
	if !d.Acked() {
		v.Trouble = "We had some trouble connecting. Try again?"
		return
	}
	var answer struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   any               `json:"view"`
	}
	if strings.TrimSpace(d.Response) != "" && json.Unmarshal([]byte(d.Response), &answer) != nil {
		v.Trouble = "We had some trouble connecting. Try again?"
		return
	}
	switch answer.Action {
	case "":
		v.Open = false
	case "clear":
		w.closeModals(v.User)
	case "errors":
		v.Errors = answer.Errors
		for block := range answer.Errors {
			if !hasBlock(v, block) {
				v.Trouble = "We had some trouble connecting. Try again?" // Slack shows nothing of such an answer
			}
		}
	case "update", "push":
		next, f := checkView(plainly(answer.View), "modal")
		switch {
		case f != nil:
			v.Trouble = "We had some trouble connecting. Try again?"
		case answer.Action == "push":
			w.stack(next, v)
		default:
			w.replaceView(v, next)
		}
	default:
		v.Trouble = "We had some trouble connecting. Try again?"
	}
}

func hasBlock(v *View, id string) bool {
	for _, b := range v.Blocks {
		if field(b, "block_id") == id {
			return true
		}
	}
	return false
}

// CloseModal closes the modal on top. The app is told where it asked to be,
// by notify_on_close; the Delivery is zero otherwise.
func (w *Workspace) CloseModal(ctx context.Context, user string) (Delivery, error) {
	w.mu.Lock()
	v := w.modal(user)
	u, ok := w.user(user)
	if v == nil || !ok {
		w.mu.Unlock()
		return Delivery{}, fmt.Errorf("slackbox: %q has no modal open", user)
	}
	v.Open = false
	w.touch()
	p := w.envelope("view_closed", u)
	p["view"], p["is_cleared"] = viewAsSlack(v), false
	target, told := w.o.InteractionsURL, v.raw["notify_on_close"] == true
	w.mu.Unlock()
	if !told {
		return Delivery{}, nil
	}
	return w.deliver(ctx, outgoing{kind: "view_closed", envelope: "interactive", url: target, payload: p, encode: asPayload}), nil
}
