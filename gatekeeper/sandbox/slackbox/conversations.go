package slackbox

import (
	"encoding/base64"
	"slices"
	"strings"
)

// seen finds a conversation that the token may look into.
func (w *Workspace) seen(a args, what string) (Channel, *failure) {
	c, ok := w.channel(a.str("channel"))
	if !ok || c.Private && !c.Member {
		return c, fails("channel_not_found")
	}
	if !w.granted(c.kindScope(what)) {
		return c, w.lacks(c.kindScope(what))
	}
	return c, nil
}

func (w *Workspace) history(a args) (reply, *failure) {
	c, f := w.seen(a, "history")
	if f != nil {
		return nil, f
	}
	if !c.Member {
		return nil, fails("not_in_channel")
	}
	return w.page(a, func(m *Message) bool {
		return m.Channel == c.ID && (m.ThreadTS == "" || m.ThreadTS == m.TS || m.Broadcast)
	}, true)
}

func (w *Workspace) replies(a args) (reply, *failure) {
	c, f := w.seen(a, "history")
	if f != nil {
		return nil, f
	}
	root := w.message(c.ID, a.str("ts"))
	if root == nil || root.Ephemeral != "" {
		return nil, fails("thread_not_found")
	}
	return w.page(a, func(m *Message) bool {
		return m.Channel == c.ID && (m.TS == root.TS || m.ThreadTS == root.TS)
	}, false)
}

// page is a page of messages: a channel's newest first, a thread's oldest
// first. Nobody's ephemeral or deleted messages are in it.
func (w *Workspace) page(a args, fits func(*Message) bool, newestFirst bool) (reply, *failure) {
	from, f := cursor(a)
	if f != nil {
		return nil, f
	}
	var all []*Message
	for _, m := range w.messages {
		if !m.Deleted && m.Ephemeral == "" && fits(m) && within(m.TS, a) {
			all = append(all, m)
		}
	}
	if newestFirst {
		slices.Reverse(all)
	}
	if from != "" {
		at := slices.IndexFunc(all, func(m *Message) bool { return m.TS == from })
		if at < 0 {
			return nil, fails("invalid_cursor")
		}
		all = all[at:]
	}
	n := min(a.limit(100, 999), len(all))
	list := make([]map[string]any, n)
	for i, m := range all[:n] {
		list[i] = w.asSlack(m, a.yes("include_all_metadata"))
	}
	next := ""
	if n < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("next_ts:" + all[n].TS))
	}
	return reply{"messages": list, "has_more": next != "", "pin_count": 0, "response_metadata": reply{"next_cursor": next}}, nil
}

func cursor(a args) (string, *failure) {
	if !a.has("cursor") {
		return "", nil
	}
	raw, err := base64.StdEncoding.DecodeString(a.str("cursor"))
	ts, ok := strings.CutPrefix(string(raw), "next_ts:")
	if err != nil || !ok {
		return "", fails("invalid_cursor")
	}
	return ts, nil
}

// within: oldest and latest are exclusive unless inclusive is set.
func within(ts string, a args) bool {
	oldest, latest := a.str("oldest"), a.str("latest")
	inclusive := a.yes("inclusive")
	after := oldest == "" || later(ts, oldest) || inclusive && ts == oldest
	before := latest == "" || later(latest, ts) || inclusive && ts == latest
	return after && before
}

// later compares timestamps, which may have fewer decimals than ours.
func later(a, b string) bool {
	as, af, _ := strings.Cut(a, ".")
	bs, bf, _ := strings.Cut(b, ".")
	if len(as) != len(bs) {
		return len(as) > len(bs)
	}
	if as != bs {
		return as > bs
	}
	return (af + "000000")[:6] > (bf + "000000")[:6]
}

func (w *Workspace) info(a args) (reply, *failure) {
	c, f := w.seen(a, "read")
	if f != nil {
		return nil, f
	}
	return reply{"channel": w.channelAsSlack(c)}, nil
}

func (w *Workspace) channelAsSlack(c Channel) map[string]any {
	if c.IM != "" {
		return map[string]any{"id": c.ID, "is_im": true, "user": c.IM, "is_archived": false, "context_team_id": TeamID}
	}
	members := 0
	for _, u := range w.users {
		if c.has(u) {
			members++
		}
	}
	return map[string]any{"id": c.ID, "name": c.Name, "name_normalized": c.Name, "is_channel": !c.Private, "is_group": false, "is_im": false, "is_mpim": false,
		"is_private": c.Private, "is_archived": c.Archived, "is_member": c.Member, "is_ext_shared": c.Shared, "is_shared": c.Shared, "is_general": false,
		"context_team_id": TeamID, "num_members": members, "topic": map[string]any{"value": c.Topic}, "purpose": map[string]any{"value": ""}}
}

func (w *Workspace) list(a args) (reply, *failure) {
	types := a.list("types")
	if len(types) == 0 {
		types = []string{"public_channel"}
	}
	scopes := map[string]string{"public_channel": "channels:read", "private_channel": "groups:read", "im": "im:read", "mpim": "mpim:read"}
	for _, t := range types {
		scope, ok := scopes[t]
		if !ok {
			return nil, fails("invalid_types")
		}
		if !w.granted(scope) {
			return nil, w.lacks(scope)
		}
	}
	list := []map[string]any{}
	for _, c := range w.channels {
		kind := map[bool]string{true: "private_channel", false: "public_channel"}[c.Private]
		if c.IM != "" {
			kind = "im"
		}
		hidden := c.Private && !c.Member || c.Archived && a.yes("exclude_archived")
		if slices.Contains(types, kind) && !hidden {
			list = append(list, w.channelAsSlack(c))
		}
	}
	return reply{"channels": list, "response_metadata": reply{"next_cursor": ""}}, nil
}

func (w *Workspace) members(a args) (reply, *failure) {
	c, f := w.seen(a, "read")
	if f != nil {
		return nil, f
	}
	ids := []string{}
	for _, u := range w.users {
		if c.has(u) {
			ids = append(ids, u.ID)
		}
	}
	return reply{"members": ids, "response_metadata": reply{"next_cursor": ""}}, nil
}

func (w *Workspace) join(a args) (reply, *failure) {
	for i, c := range w.channels {
		if c.ID != a.str("channel") || c.Private {
			continue
		}
		if c.Archived {
			return nil, fails("is_archived")
		}
		w.channels[i].Member = true
		w.touch()
		return reply{"channel": w.channelAsSlack(w.channels[i])}, nil
	}
	return nil, fails("channel_not_found")
}

func (w *Workspace) open(a args) (reply, *failure) {
	ids := a.list("users")
	switch {
	case len(ids) == 0 && !a.has("channel"):
		return nil, fails("users_list_not_supplied")
	case len(ids) > 1:
		return nil, fails("not_enough_users") // group conversations are not played
	case len(ids) == 0:
		return w.info(a)
	case !w.granted("im:write"):
		return nil, w.lacks("im:write")
	}
	u, ok := w.user(ids[0])
	switch {
	case !ok:
		return nil, fails("user_not_found")
	case u.Deactivated:
		return nil, fails("user_disabled")
	case u.Hidden:
		return nil, fails("user_not_visible")
	case u.ID == BotUser:
		return nil, fails("cannot_dm_bot")
	}
	c := w.im(u.ID)
	w.touch()
	return reply{"channel": map[string]any{"id": c.ID}}, nil
}
