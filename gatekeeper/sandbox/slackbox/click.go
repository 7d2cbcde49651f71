package slackbox

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Click is a person pressing a button.
type Click struct {
	User     string `json:"user"`    // U…; anybody the workspace knows, deactivated ones too
	Channel  string `json:"channel"` // empty: any
	TS       string `json:"ts"`      // of the message; empty: the newest with such a button
	View     string `json:"view"`    // a view's id, "modal" or "home", where the button is not in a message
	ActionID string `json:"action_id"`
	Value    string `json:"value"` // picks among buttons with one action id; empty: the first
	Forge    *Forge `json:"forge"`
}

// Notice is what Slack itself shows to a person when the app failed them.
type Notice struct {
	User    string    `json:"user"`
	Channel string    `json:"channel,omitempty"`
	TS      string    `json:"ts,omitempty"`
	View    string    `json:"view,omitempty"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`

	past bool // the person's next try went well
}

// Notices are all so far.
func (w *Workspace) Notices() []Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notices)
}

// Click presses a button and waits for the acknowledgement. An error means
// that there is nothing to press; what the app made of it is in the Delivery.
func (w *Workspace) Click(ctx context.Context, c Click) (Delivery, error) {
	w.mu.Lock()
	p, n, err := w.clickPayload(c)
	target := w.o.InteractionsURL
	w.mu.Unlock()
	if err != nil {
		return Delivery{}, err
	}
	d := w.deliver(ctx, outgoing{kind: "block_actions", envelope: "interactive", url: target, payload: p, encode: asPayload, forge: c.Forge})
	w.notice(n, d)
	return d, nil
}

// notice keeps what the person sees of a failure; nothing of a success.
func (w *Workspace) notice(n Notice, d Delivery) {
	switch {
	case d.Acked():
		w.forgive(n)
		return
	case d.Error == errNoURL:
		n.Text = "This app is not configured to handle interactive responses. Please contact the developer."
	case d.Error == errTimeout:
		n.Text = "This app is not responding. Please try again in a moment."
	case d.Status != 0:
		n.Text = fmt.Sprintf("This app responded with status code %d.", d.Status)
	default:
		n.Text = "This app could not be reached. Please try again in a moment."
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n.At = w.o.Clock()
	w.notices = append(w.notices, n)
	w.touch()
}

// forgive takes a person's older notices off the same message.
func (w *Workspace) forgive(n Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, old := range w.notices {
		if old.User == n.User && old.Channel == n.Channel && old.TS == n.TS && old.View == n.View {
			w.notices[i].past = true
		}
	}
}

// clickPayload is a block_actions payload
// (docs.slack.dev/reference/interaction-payloads/block_actions-payload).
// It needs w.mu.
func (w *Workspace) clickPayload(c Click) (map[string]any, Notice, error) {
	u, ok := w.user(c.User)
	if !ok {
		return nil, Notice{}, fmt.Errorf("slackbox: no user %q", c.User)
	}
	p := w.envelope("block_actions", u)
	if c.View != "" {
		return w.viewClick(c, u, p)
	}
	m, block, element := w.findButton(c)
	if m == nil {
		return nil, Notice{}, fmt.Errorf("slackbox: no message in %q (ts %q) has a button %q with value %q", c.Channel, c.TS, c.ActionID, c.Value)
	}
	in, _ := w.channel(m.Channel)
	name := in.Name
	if in.IM != "" {
		name = "directmessage"
	}
	container := map[string]any{"type": "message", "message_ts": m.TS, "channel_id": m.Channel, "is_ephemeral": m.Ephemeral != ""}
	if m.ThreadTS != "" {
		container["thread_ts"] = m.ThreadTS
	}
	p["container"] = container
	p["channel"] = map[string]any{"id": m.Channel, "name": name}
	p["trigger_id"] = w.newTrigger(u.ID, "")
	p["response_url"] = w.newResponseURL(responseURL{channel: m.Channel, ts: m.TS, thread: m.ThreadTS, user: u.ID})
	p["state"] = map[string]any{"values": map[string]any{}}
	// Of an ephemeral message Slack does not tell what it says.
	p["message"] = map[string]any{"type": "message", "ts": m.TS, "is_ephemeral": true}
	if m.Ephemeral == "" {
		p["message"] = w.asSlack(m, true)
	}
	p["actions"] = []any{w.action(block, element)}
	return p, Notice{User: u.ID, Channel: m.Channel, TS: m.TS}, nil
}

// viewClick is a click in a modal or a home tab.
func (w *Workspace) viewClick(c Click, u User, p map[string]any) (map[string]any, Notice, error) {
	var v *View
	switch c.View {
	case "home":
		v = w.home(u.ID)
	case "modal":
		v = w.modal(u.ID)
	default:
		v = w.view(c.View)
	}
	if v == nil {
		return nil, Notice{}, fmt.Errorf("slackbox: %s has no view %q", u.ID, c.View)
	}
	block, element := pick(v.Blocks, c)
	if element == nil {
		return nil, Notice{}, fmt.Errorf("slackbox: view %s has no button %q with value %q", v.ID, c.ActionID, c.Value)
	}
	p["container"] = map[string]any{"type": "view", "view_id": v.ID}
	p["view"] = viewAsSlack(v)
	p["trigger_id"] = w.newTrigger(u.ID, v.ID)
	p["actions"] = []any{w.action(block, element)}
	return p, Notice{User: u.ID, View: v.ID}, nil
}

// envelope is what every interaction says. The team is the person's own, as
// in shared channels. It needs w.mu.
func (w *Workspace) envelope(kind string, u User) map[string]any {
	domain := TeamDomain
	if u.team() != TeamID {
		domain = "elsewhere"
	}
	p := map[string]any{"type": kind, "team": map[string]any{"id": u.team(), "domain": domain}, "enterprise": nil, "is_enterprise_install": false,
		"user":       map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.team()},
		"api_app_id": AppID, "token": "deprecated0verification0"}
	if u.Enterprise != "" {
		p["enterprise"] = map[string]any{"id": u.Enterprise, "name": u.Enterprise}
	}
	return p
}

// action is one item of "actions".
func (w *Workspace) action(block Block, e map[string]any) map[string]any {
	out := map[string]any{"type": e["type"], "action_id": e["action_id"], "block_id": block["block_id"], "action_ts": w.ts()}
	for _, k := range []string{"text", "value", "style", "url", "confirm"} {
		if e[k] != nil {
			out[k] = e[k]
		}
	}
	return out
}

// findButton is the message and button that a click means. It needs w.mu.
func (w *Workspace) findButton(c Click) (*Message, Block, map[string]any) {
	for i := len(w.messages) - 1; i >= 0; i-- {
		m := w.messages[i]
		if m.Deleted || c.TS != "" && m.TS != c.TS || c.Channel != "" && m.Channel != c.Channel || m.Ephemeral != "" && m.Ephemeral != c.User {
			continue
		}
		if block, element := pick(m.Blocks, c); element != nil {
			return m, block, element
		}
	}
	return nil, nil, nil
}

func pick(blocks []Block, c Click) (Block, map[string]any) {
	for _, b := range blocks {
		for _, e := range elementsOf(b) {
			if kindOf(e) == "button" && field(e, "action_id") == c.ActionID && (c.Value == "" || field(e, "value") == c.Value) {
				return b, e
			}
		}
	}
	return nil, nil
}
