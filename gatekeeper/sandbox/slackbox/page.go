package slackbox

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// page is what one person sees.
type page struct {
	App, Workspace string
	Me             User
	MyNote         string // why the real Slack would not let this person do that
	People         []face
	Channels       []place
	AppUnread      int
	In             string // channel id, or "home"
	Title, Topic   string
	Kind           string // channel, private, app, home
	Members        int
	Items          []item
	Thread         *thread
	Home           *View
	Modal          *View
	Composer       string // placeholder; empty: nobody may write here
	Commands       []Command
	Revision       int
}

// face is somebody to act as.
type face struct {
	User
	Note   string // guest, deactivated, …
	Mine   bool
	Unread int // messages of the app to them
	URL    string
}

// place is a line of the sidebar.
type place struct {
	Channel
	Unread   bool
	Mentions int
	Here     bool
	URL      string
}

// item is a message as it is shown.
type item struct {
	Message
	Author   User
	IsApp    bool
	Day      string // shown above, where a new day begins
	Follows  bool   // the same author within minutes: without name and avatar
	Anchor   string
	Clock    string
	Stamp    string // full date, on hover
	Replies  []face
	Count    int
	LastSeen string
	ThreadAt string // URL
	ReplyTo  string // a broadcast reply in the channel: what it replies to
	AlsoSent bool   // a broadcast reply in its thread
	Notice   string
	NoticeID string
}

type thread struct {
	Root    item
	Replies []item
	Close   string // URL
}

// at is a page's address.
func at(me, in, thread string) string {
	q := url.Values{"as": {me}, "in": {in}}
	if thread != "" {
		q.Set("thread", thread)
	}
	return "?" + q.Encode()
}

// look gathers what a person sees. It needs w.mu.
func (w *Workspace) look(as, in, root string) (page, renderer) {
	me, ok := w.user(as)
	if !ok || me.Bot {
		me = w.users[0]
	}
	now := w.o.Clock().Local()
	p := page{App: w.o.AppName, Workspace: TeamName, Me: me, MyNote: standingNote(me), Revision: w.revision}
	if w.o.CommandsURL != "" || len(w.sockets) > 0 {
		p.Commands = w.commands // others fail, so they are not advertised
	}
	dm := w.im(me.ID)
	if in == "" {
		in = w.firstChannel(me)
	}
	p.In = in
	for _, u := range w.users {
		if !u.Bot {
			p.People = append(p.People, face{User: u, Note: shortNote(u), Mine: u.ID == me.ID, Unread: w.unreadOfApp(u), URL: at(u.ID, w.sameFor(u, in), "")})
		}
	}
	w.enter(&p, me, in, dm)
	w.markRead(me, in)
	for _, c := range w.channels {
		if c.IM == "" && !c.Archived && visible(c, me) {
			unread, mentions := w.unread(me, c)
			p.Channels = append(p.Channels, place{Channel: c, Unread: unread, Mentions: mentions, Here: c.ID == in, URL: at(me.ID, c.ID, "")})
		}
	}
	_, p.AppUnread = w.unread(me, dm)
	if in != "home" {
		p.Items = w.items(me, in, "", now)
	}
	if r := w.message(in, root); root != "" && r != nil {
		first := w.item(r, me, now)
		first.Count = 0 // the thread is open
		p.Thread = &thread{Root: first, Replies: w.items(me, in, root, now), Close: at(me.ID, in, "")}
	}
	if v := w.modal(me.ID); v != nil {
		shown := *v
		p.Modal = &shown
	}
	return p, w.rendererFor(me, now)
}

// enter fills in the place where the person is.
func (w *Workspace) enter(p *page, me User, in string, dm Channel) {
	c, ok := w.channel(in)
	switch {
	case in == "home" || c.ID == dm.ID:
		p.Kind, p.Title, p.Composer = "app", p.App, "Message "+p.App
		if in == "home" {
			p.Kind, p.Composer = "home", ""
			if v := w.home(me.ID); v != nil {
				shown := *v
				p.Home = &shown
			}
		}
	case !ok || !visible(c, me):
		p.Kind, p.Title = "nowhere", "No such conversation"
	default:
		p.Kind, p.Title, p.Topic, p.Composer = "channel", c.Name, c.Topic, "Message #"+c.Name
		if c.Private {
			p.Kind = "private"
		}
		if c.Archived || me.Deactivated {
			p.Composer = ""
		}
		for _, u := range w.users {
			if c.has(u) {
				p.Members++
			}
		}
	}
}

func (w *Workspace) rendererFor(me User, now time.Time) renderer {
	r := renderer{users: map[string]User{}, groups: map[string]Group{}, channels: map[string]Channel{}, me: me, now: now}
	for _, u := range w.users {
		r.users[u.ID] = u
	}
	for _, g := range w.groups {
		r.groups[g.ID] = g
	}
	for _, c := range w.channels {
		r.channels[c.ID] = c
	}
	return r
}

// visible is more than Slack lets see: one can try what Slack would not
// deliver, and the page says so.
func visible(c Channel, u User) bool {
	return c.has(u) || c.People == nil && !c.Private && c.IM == "" && (u.Deactivated || u.SingleGuest)
}

func (w *Workspace) firstChannel(u User) string {
	for _, c := range w.channels {
		if c.IM == "" && !c.Archived && visible(c, u) {
			return c.ID
		}
	}
	return "home"
}

// sameFor is where somebody else lands who is looked through the eyes of.
func (w *Workspace) sameFor(u User, in string) string {
	if c, ok := w.channel(in); ok && c.IM == "" && visible(c, u) {
		return in
	}
	if in == "home" {
		return in
	}
	if c, ok := w.channel(in); ok && c.IM != "" {
		return w.im(u.ID).ID
	}
	return w.firstChannel(u)
}

func shortNote(u User) string {
	switch {
	case u.Deactivated:
		return "deactivated"
	case u.Stranger || u.team() != TeamID:
		return "other company"
	case u.SingleGuest:
		return "single-channel guest"
	case u.Guest:
		return "guest"
	}
	return ""
}

func standingNote(u User) string {
	switch {
	case u.Deactivated:
		return u.RealName + "’s account is deactivated. The real Slack would have signed them out; here you can try what a late click does."
	case u.Stranger || u.team() != TeamID:
		return u.RealName + " belongs to another company and sees this channel because it is shared."
	case u.Guest || u.SingleGuest:
		return u.RealName + " is a guest of this workspace."
	}
	return ""
}

func (w *Workspace) markRead(me User, channel string) {
	w.read[me.ID+" "+channel] = stamp(w.last)
}

// unread: direct messages and mentions count one by one, the rest is bold.
func (w *Workspace) unread(me User, c Channel) (some bool, mentions int) {
	from := w.read[me.ID+" "+c.ID]
	for _, m := range w.messages {
		if m.Channel != c.ID || m.Deleted || m.Ephemeral != "" || m.User == me.ID || m.ThreadTS != "" && m.ThreadTS != m.TS || from != "" && !later(m.TS, from) {
			continue
		}
		some = true
		if c.IM != "" || strings.Contains(m.Text+words(m.Blocks), "<@"+me.ID+">") {
			mentions++
		}
	}
	return some, mentions
}

// unreadOfApp counts the app's messages that a person has not seen. A direct
// conversation that there is not yet has none.
func (w *Workspace) unreadOfApp(u User) int {
	c, ok := get(w.channels, func(c Channel) bool { return c.IM == u.ID })
	if !ok {
		return 0
	}
	_, n := w.unread(u, c)
	return n
}

// servePage renders the page, or the part of it that changes.
func (w *Workspace) servePage(t *template.Template) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		w.mu.Lock()
		p, show := w.look(q.Get("as"), q.Get("in"), q.Get("thread"))
		w.mu.Unlock()
		clone, err := t.Clone()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		var b strings.Builder
		name := "page"
		if r.Header.Get("X-Part") != "" {
			name = "app"
		}
		if err := clone.Funcs(show.funcs()).ExecuteTemplate(&b, name, p); err != nil {
			w.o.Logger.Error("slackbox: page", "error", err)
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		rw.Header().Set("Cache-Control", "no-store")
		rw.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data: https:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		_, _ = rw.Write([]byte(b.String()))
	}
}
