package slackbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// items are a channel's messages, or a thread's without its root.
func (w *Workspace) items(me User, channel, root string, now time.Time) []item {
	var out []item
	for _, m := range w.messages {
		inThread := m.ThreadTS != "" && m.ThreadTS != m.TS
		here := root == "" && (!inThread || m.Broadcast) || root != "" && inThread && m.ThreadTS == root
		if m.Channel == channel && here && !m.Deleted && (m.Ephemeral == "" || m.Ephemeral == me.ID) {
			i := w.item(m, me, now)
			i.AlsoSent = inThread && m.Broadcast && root != ""
			if inThread && root == "" {
				i.ReplyTo, i.ThreadAt, i.Count = w.opening(m), at(me.ID, m.Channel, m.ThreadTS), 0
			}
			out = append(out, i)
		}
	}
	if root == "" {
		out = append(out, w.complaints(me, channel)...)
		slices.SortStableFunc(out, func(a, b item) int { return a.At.Compare(b.At) })
	}
	for i := range out {
		if i == 0 || !day(out[i].At.Local()).Equal(day(out[i-1].At.Local())) {
			out[i].Day = dayName(out[i].At.Local(), now)
			continue
		}
		before := out[i-1]
		out[i].Follows = before.Author.ID == out[i].Author.ID && before.Ephemeral == out[i].Ephemeral && before.ThreadTS == out[i].ThreadTS &&
			out[i].At.Sub(before.At) < 5*time.Minute && len(out[i].Blocks) == 0 && len(before.Blocks) == 0
	}
	return out
}

// opening is what the thread of a reply is about.
func (w *Workspace) opening(reply *Message) string {
	root := w.message(reply.Channel, reply.ThreadTS)
	if root == nil || root.Deleted {
		return "a message that was deleted"
	}
	for _, b := range root.Blocks {
		if text := textOf(b["text"]); kindOf(b) == "header" && text != "" {
			return text
		}
	}
	return root.Text
}

func dayName(t, now time.Time) string {
	switch int(day(now).Sub(day(t)).Hours() / 24) {
	case 0:
		return "Today"
	case 1:
		return "Yesterday"
	}
	return t.Format("Monday, January 2")
}

func (w *Workspace) item(m *Message, me User, now time.Time) item {
	author, _ := w.user(m.User)
	i := item{Message: m.copy(), Author: author, IsApp: m.User == BotUser, Anchor: anchor(m.TS), Clock: m.At.Local().Format("15:04"),
		Stamp: m.At.Local().Format("Monday, January 2 at 15:04:05"), ThreadAt: at(me.ID, m.Channel, m.TS)}
	seen := map[string]bool{}
	for _, r := range w.repliesTo(m) {
		i.Count++
		i.LastSeen = dayTime(r.At.Local(), now)
		if u, ok := w.user(r.User); ok && !seen[u.ID] && len(i.Replies) < 5 {
			seen[u.ID] = true
			i.Replies = append(i.Replies, face{User: u})
		}
	}
	for _, n := range w.notices {
		if n.User == me.ID && n.TS == m.TS && n.Channel == m.Channel && !n.past {
			i.Notice = n.Text
		}
	}
	return i
}

func dayTime(t, now time.Time) string {
	return strings.ToLower(dayName(t, now)) + " at " + t.Format("15:04")
}

// complaints are what Slackbot says privately of commands that failed.
func (w *Workspace) complaints(me User, channel string) []item {
	var out []item
	for n, c := range w.notices {
		if c.User == me.ID && c.Channel == channel && c.TS == "" && c.View == "" {
			ts := fmt.Sprintf("notice-%d", n)
			out = append(out, item{Message: Message{Channel: channel, TS: ts, User: "USLACKBOT", Ephemeral: me.ID, Text: c.Text, At: c.At},
				Author: User{ID: "USLACKBOT", RealName: "Slackbot"}, Anchor: ts, Clock: c.At.Local().Format("15:04"), Stamp: c.At.Local().Format(time.RFC1123)})
		}
	}
	return out
}
