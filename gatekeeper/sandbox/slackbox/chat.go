package slackbox

import (
	"maps"
	"strings"
)

func (w *Workspace) authTest(args) (reply, *failure) {
	return reply{"url": "https://" + TeamDomain + ".slack.com/", "team": TeamName, "user": "gatekeeper", "team_id": TeamID,
		"user_id": BotUser, "bot_id": BotID, "app_id": AppID, "is_enterprise_install": false}, nil
}

// place finds where to post: a channel's id or name, or a person's id, whose
// direct conversation it opens.
func (w *Workspace) place(name string) (Channel, *failure) {
	if name == "" {
		return Channel{}, fails("channel_not_found")
	}
	if u, ok := w.user(name); ok {
		if u.ID == BotUser || u.Deactivated {
			return Channel{}, fails("channel_not_found")
		}
		return w.im(u.ID), nil
	}
	c, ok := w.channel(name)
	if !ok {
		c, ok = get(w.channels, func(c Channel) bool { return c.Name != "" && c.Name == strings.TrimPrefix(name, "#") })
	}
	if !ok || c.Private && !c.Member {
		return Channel{}, fails("channel_not_found") // private channels are not there for those outside
	}
	return c, nil
}

// postable is place, and everything that can forbid posting there.
func (w *Workspace) postable(name string) (Channel, *failure) {
	c, f := w.place(name)
	switch {
	case f != nil:
		return c, f
	case c.Archived:
		return c, fails("is_archived")
	case c.ReadOnly:
		return c, fails("restricted_action_read_only_channel")
	case !c.Member && !w.granted("chat:write.public"):
		return c, fails("not_in_channel")
	}
	return c, nil
}

// content is what a message says, checked. most is the text's limit.
func content(a args, most int) (blocks []Block, m *Metadata, f *failure) {
	if length(a.str("text")) > most {
		return nil, nil, fails("msg_too_long")
	}
	if a.has("blocks") {
		if blocks, f = messageBlocks(a); f != nil {
			return nil, nil, f
		}
	}
	if !a.has("metadata") {
		return blocks, nil, nil
	}
	m, f = metadata(a)
	return blocks, m, f
}

func messageBlocks(a args) ([]Block, *failure) {
	raw, ok := a.structured("blocks")
	if !ok {
		return nil, fails("invalid_blocks_format")
	}
	if _, ok := raw.([]any); !ok {
		return nil, fails("invalid_blocks_format")
	}
	c := &checker{surface: "message"}
	blocks := c.checkBlocks("/blocks", raw, maxMessageBlocks)
	switch {
	case len(c.messages) > 0:
		return nil, fails("invalid_blocks", c.messages...)
	case c.weight > maxAllBlocks:
		return nil, fails("msg_blocks_too_long")
	}
	return blocks, nil
}

// metadata: an empty object takes it away.
func metadata(a args) (*Metadata, *failure) {
	raw, ok := a.structured("metadata")
	o, isObject := raw.(map[string]any)
	if !ok || !isObject {
		return nil, fails("invalid_metadata_format")
	}
	if len(o) == 0 {
		return &Metadata{}, nil
	}
	payload, ok := o["event_payload"].(map[string]any)
	if field(o, "event_type") == "" || !ok {
		return nil, fails("invalid_metadata_schema")
	}
	if size(o) > maxMetadata {
		return nil, fails("metadata_too_large")
	}
	return &Metadata{EventType: field(o, "event_type"), EventPayload: payload}, nil
}

func (w *Workspace) postMessage(a args) (reply, *failure) {
	c, f := w.postable(a.str("channel"))
	if f != nil {
		return nil, f
	}
	blocks, meta, f := content(a, maxText)
	if f != nil {
		return nil, f
	}
	if a.str("text") == "" && len(blocks) == 0 {
		return nil, fails("no_text")
	}
	if f := w.turn(c.ID); f != nil {
		return nil, f
	}
	m := w.post(&Message{Channel: c.ID, ThreadTS: a.str("thread_ts"), Broadcast: a.yes("reply_broadcast"),
		User: BotUser, Text: a.str("text"), Blocks: blocks, Metadata: meta})
	return reply{"channel": c.ID, "ts": m.TS, "message": w.asSlack(m, true)}, nil
}

// post stores a new message. It needs w.mu.
func (w *Workspace) post(m *Message) *Message {
	m.TS, m.At = w.ts(), w.o.Clock()
	w.messages = append(w.messages, m)
	w.touch()
	return m
}

func (w *Workspace) updateMessage(a args) (reply, *failure) {
	c, ok := w.channel(a.str("channel")) // ids only: names and people do not do here
	if !ok || c.Private && !c.Member {
		return nil, fails("channel_not_found")
	}
	m := w.message(c.ID, a.str("ts"))
	switch {
	case m == nil || m.Deleted || m.Ephemeral != "":
		return nil, fails("message_not_found")
	case m.User != BotUser:
		return nil, fails("cant_update_message")
	case c.Archived:
		return nil, fails("is_archived")
	}
	blocks, meta, f := content(a, maxUpdateText)
	if f != nil {
		return nil, f
	}
	if a.str("text") == "" && !a.has("blocks") && !a.has("metadata") {
		return nil, fails("no_text")
	}
	w.edit(m, a, blocks, meta)
	return reply{"channel": c.ID, "ts": m.TS, "text": m.Text, "message": w.asSlack(m, true)}, nil
}

// edit keeps blocks and metadata where the call does not name them, as Slack
// documents for chat.update. It needs w.mu.
func (w *Workspace) edit(m *Message, a args, blocks []Block, meta *Metadata) {
	m.Versions = append(m.Versions, Version{Text: m.Text, Blocks: m.Blocks, Metadata: m.Metadata, Until: w.o.Clock()})
	if a.has("text") {
		m.Text = a.str("text")
	}
	if a.has("blocks") {
		m.Blocks = blocks
	}
	if meta != nil {
		m.Metadata = meta
		if meta.EventType == "" {
			m.Metadata = nil
		}
	}
	m.EditedTS = stamp(w.o.Clock())
	w.touch()
}

func (w *Workspace) deleteMessage(a args) (reply, *failure) {
	m := w.message(a.str("channel"), a.str("ts"))
	switch {
	case m == nil || m.Deleted || m.Ephemeral != "":
		return nil, fails("message_not_found")
	case m.User != BotUser:
		return nil, fails("cant_delete_message")
	}
	m.Deleted = true
	w.touch()
	return reply{"channel": m.Channel, "ts": m.TS}, nil
}

// DeleteMessage deletes a message as an administrator would.
func (w *Workspace) DeleteMessage(channel, ts string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.message(channel, ts)
	if m == nil {
		return false
	}
	m.Deleted = true
	w.touch()
	return true
}

func (w *Workspace) postEphemeral(a args) (reply, *failure) {
	c, f := w.postable(a.str("channel"))
	if f != nil {
		return nil, f
	}
	if !c.Member {
		return nil, fails("not_in_channel") // chat:write.public does not help here
	}
	u, ok := w.user(a.str("user"))
	if !ok || u.Deactivated || !c.has(u) {
		return nil, fails("user_not_in_channel")
	}
	blocks, _, f := content(a, maxText)
	if f != nil {
		return nil, f
	}
	if a.str("text") == "" && len(blocks) == 0 {
		return nil, fails("no_text")
	}
	m := w.post(&Message{Channel: c.ID, ThreadTS: a.str("thread_ts"), User: BotUser, Ephemeral: u.ID, Text: a.str("text"), Blocks: blocks})
	return reply{"message_ts": m.TS}, nil
}

func (w *Workspace) permalink(a args) (reply, *failure) {
	c, f := w.place(a.str("channel"))
	if f != nil {
		return nil, f
	}
	m := w.message(c.ID, a.str("message_ts"))
	if m == nil || m.Deleted || m.Ephemeral != "" {
		return nil, fails("message_not_found")
	}
	body := reply{"channel": c.ID, "permalink": w.URL() + "?in=" + c.ID + "#" + anchor(m.TS)}
	maps.Copy(body, reply{"message_ts": m.TS})
	return body, nil
}

// anchor is the id of a message on the page.
func anchor(ts string) string { return "p" + strings.ReplaceAll(ts, ".", "") }

// Say posts a message by a person, as if they typed it.
func (w *Workspace) Say(user, channel, text, thread string) Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.post(&Message{Channel: channel, ThreadTS: thread, User: user, Text: text}).copy()
}
