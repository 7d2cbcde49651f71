package slackbox

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Message is one message, and how it came to be what it is.
type Message struct {
	Channel   string    `json:"channel"` // D… for direct messages
	TS        string    `json:"ts"`
	ThreadTS  string    `json:"thread_ts,omitempty"` // of the message that it replies to
	User      string    `json:"user"`                // BotUser, or the person who wrote it
	Ephemeral string    `json:"ephemeral,omitempty"` // the person who alone sees it
	Text      string    `json:"text"`
	Blocks    []Block   `json:"blocks,omitempty"`
	Metadata  *Metadata `json:"metadata,omitempty"`
	At        time.Time `json:"at"`
	EditedTS  string    `json:"edited_ts,omitempty"`
	Deleted   bool      `json:"deleted,omitempty"`
	Broadcast bool      `json:"reply_broadcast,omitempty"`
	Versions  []Version `json:"versions,omitempty"` // what it was before, oldest first
}

// Version is what a message once said.
type Version struct {
	Text     string    `json:"text"`
	Blocks   []Block   `json:"blocks,omitempty"`
	Metadata *Metadata `json:"metadata,omitempty"`
	Until    time.Time `json:"until"`
}

// Metadata is what an app hangs on a message, unseen by people.
type Metadata struct {
	EventType    string         `json:"event_type"`
	EventPayload map[string]any `json:"event_payload"`
}

// Button is one that people can press.
type Button struct {
	ActionID string `json:"action_id"`
	BlockID  string `json:"block_id"`
	Value    string `json:"value"`
	Text     string `json:"text"`
	Style    string `json:"style,omitempty"`
	URL      string `json:"url,omitempty"`
	Confirm  bool   `json:"confirm,omitempty"`
}

// Buttons are all of a message's, from top to bottom.
func (m Message) Buttons() []Button { return buttonsOf(m.Blocks) }

// Button is the first with that action id.
func (m Message) Button(action string) (Button, bool) {
	return get(m.Buttons(), func(b Button) bool { return b.ActionID == action })
}

// Words are all texts of a message's blocks, each in a line of its own: what
// somebody reads who sees it, with markup as it was sent.
func (m Message) Words() string { return words(m.Blocks) }

func buttonsOf(blocks []Block) []Button {
	var out []Button
	for _, b := range blocks {
		for _, e := range elementsOf(b) {
			if kindOf(e) != "button" {
				continue
			}
			b := Button{ActionID: field(e, "action_id"), BlockID: field(b, "block_id"), Value: field(e, "value"),
				Text: textOf(e["text"]), Style: field(e, "style"), URL: field(e, "url"), Confirm: e["confirm"] != nil}
			out = append(out, b)
		}
	}
	return out
}

// elementsOf are a block's elements, its accessory and its input element.
func elementsOf(b Block) []map[string]any {
	list, _ := b["elements"].([]any)
	var out []map[string]any
	for _, x := range append(slices.Clone(list), b["accessory"], b["element"]) {
		if o, ok := x.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

func field(o map[string]any, key string) string {
	s, _ := o[key].(string)
	return s
}

func textOf(v any) string {
	o, _ := v.(map[string]any)
	return field(o, "text")
}

func words(blocks []Block) string {
	out := ""
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if s, ok := v["text"].(string); ok {
				out += s + "\n"
			}
			for _, k := range []string{"title", "text", "fields", "label", "hint", "elements", "accessory", "element", "placeholder"} {
				walk(v[k])
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	for _, b := range blocks {
		walk(map[string]any(b))
	}
	return out
}

// Messages are all messages of a channel ("": of all), in the order of their
// posting: deleted ones, thread replies and ephemeral ones, too.
func (w *Workspace) Messages(channel string) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.messages {
		if channel == "" || m.Channel == channel {
			out = append(out, m.copy())
		}
	}
	return out
}

// copy is deep where later changes reach: blocks are never changed in place.
func (m *Message) copy() Message {
	out := *m
	out.Blocks, out.Versions = slices.Clone(m.Blocks), slices.Clone(m.Versions)
	return out
}

// Direct are the messages of the app's direct conversation with a person.
func (w *Workspace) Direct(user string) []Message {
	var id string
	for _, c := range w.Channels() {
		if c.IM == user {
			id = c.ID
		}
	}
	if id == "" {
		return nil
	}
	return w.Messages(id)
}

// Message is the one with that channel and ts.
func (w *Workspace) Message(channel, ts string) (Message, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.message(channel, ts); m != nil {
		return m.copy(), true
	}
	return Message{}, false
}

func (w *Workspace) message(channel, ts string) *Message {
	for _, m := range w.messages {
		if m.TS == ts && (channel == "" || m.Channel == channel) {
			return m
		}
	}
	return nil
}

// WaitMessage waits for a message, old or new, of which fits is true. fits
// sees each message again whenever something changes.
func (w *Workspace) WaitMessage(ctx context.Context, fits func(Message) bool) (Message, error) {
	var found Message
	err := w.Wait(ctx, func() bool {
		for _, m := range w.Messages("") {
			if fits(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found, err
}

// Wait waits until done is true. It asks at once and after each change of
// anything in the workspace: a call, a message, a modal, a click.
func (w *Workspace) Wait(ctx context.Context, done func() bool) error {
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}

// asSlack is a message as the API tells it. It needs w.mu.
func (w *Workspace) asSlack(m *Message, metadata bool) map[string]any {
	out := map[string]any{"type": "message", "user": m.User, "text": m.Text, "ts": m.TS, "team": TeamID}
	if u, _ := w.user(m.User); u.Bot {
		maps.Copy(out, map[string]any{"bot_id": BotID, "app_id": AppID})
	}
	if len(m.Blocks) > 0 {
		out["blocks"] = m.Blocks
	}
	if m.ThreadTS != "" {
		out["thread_ts"] = m.ThreadTS
	}
	if n := w.repliesTo(m); len(n) > 0 {
		maps.Copy(out, map[string]any{"thread_ts": m.TS, "reply_count": len(n), "latest_reply": n[len(n)-1].TS})
	}
	if m.EditedTS != "" {
		out["edited"] = map[string]any{"user": m.User, "ts": m.EditedTS}
	}
	if metadata && m.Metadata != nil {
		out["metadata"] = m.Metadata
	}
	return out
}

// repliesTo needs w.mu.
func (w *Workspace) repliesTo(m *Message) []*Message {
	var out []*Message
	for _, r := range w.messages {
		if r.Channel == m.Channel && r.ThreadTS == m.TS && r.TS != m.TS && !r.Deleted && r.Ephemeral == "" {
			out = append(out, r)
		}
	}
	return out
}
