package slackbox

import (
	"slices"
	"strings"
)

// User is an account that the workspace knows of. Its zero value beside the
// names is an active member of the workspace.
type User struct {
	ID          string `json:"id"`
	Team        string `json:"team_id"` // empty: TeamID
	Enterprise  string `json:"enterprise_id,omitempty"`
	Name        string `json:"name"`      // handle
	RealName    string `json:"real_name"` // two people may have one name
	Email       string `json:"email,omitempty"`
	Title       string `json:"title,omitempty"`
	Deactivated bool   `json:"deleted,omitempty"`
	Guest       bool   `json:"is_restricted,omitempty"`       // multi-channel guest
	SingleGuest bool   `json:"is_ultra_restricted,omitempty"` // single-channel guest
	Bot         bool   `json:"is_bot,omitempty"`
	Stranger    bool   `json:"is_stranger,omitempty"` // of another organisation, seen in a shared channel
	Hidden      bool   `json:"hidden,omitempty"`      // users.info answers user_not_visible
}

// Group is a user group.
type Group struct {
	ID       string   `json:"id"`
	Handle   string   `json:"handle"`
	Name     string   `json:"name"`
	Members  []string `json:"users"` // user ids, as set: deactivated ones stay, which is the case to be careful of
	Disabled bool     `json:"disabled,omitempty"`
}

// Channel is a conversation: public, private, or direct (IM).
type Channel struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Topic    string `json:"topic,omitempty"`
	Private  bool   `json:"is_private,omitempty"`
	Archived bool   `json:"is_archived,omitempty"`
	Member   bool   `json:"is_member"`      // whether the bot is in it
	IM       string `json:"user,omitempty"` // the person of a direct conversation with the bot
	Shared   bool   `json:"is_ext_shared,omitempty"`
	// People are the ids that are in the channel; nil: everybody who is not
	// deactivated and no single-channel guest, except strangers in channels
	// that are not shared.
	People   []string `json:"members,omitempty"`
	ReadOnly bool     `json:"read_only,omitempty"` // posting answers restricted_action_read_only_channel
}

// Cast is the people, groups and channels of a fresh workspace: Alice asks,
// Bob and Carol manage releases, Eve may not approve, and there is one each of
// those who must not count.
func Cast() ([]User, []Group, []Channel) {
	users := []User{
		{ID: "U0ALICE", Name: "alice", RealName: "Alice", Email: "alice@acme.com", Title: "Engineer"},
		{ID: "U0BOB", Name: "bob", RealName: "Bob", Email: "bob@acme.com", Title: "Release manager"},
		{ID: "U0CAROL", Name: "carol", RealName: "Carol", Email: "carol@acme.com", Title: "Release manager, on call"},
		{ID: "U0EVE", Name: "eve", RealName: "Eve", Email: "eve@acme.com", Title: "Marketing"},
		{ID: "U0SAM", Name: "sam", RealName: "Sam", Email: "sam@acme.com", Title: "Security"},
		{ID: "U0DAVE", Name: "dave", RealName: "Dave", Email: "dave@agency.example", Title: "Agency", Guest: true},
		{ID: "U0GRETA", Name: "greta", RealName: "Greta", Title: "Single-channel guest", SingleGuest: true},
		{ID: "U0BOB2", Name: "bob2", RealName: "Bob", Email: "robert@acme.com", Title: "Accounting, a namesake"},
		{ID: "U0FRANK", Name: "frank", RealName: "Frank", Title: "Left the company", Deactivated: true},
		{ID: "U0MALLORY", Name: "mallory", RealName: "Mallory", Team: "T0EVIL", Title: "Another company", Stranger: true},
		{ID: "U0ROBOT", Name: "robot", RealName: "Robot", Bot: true},
		{ID: BotUser, Name: "gatekeeper", RealName: "Gatekeeper", Bot: true},
	}
	groups := []Group{
		{ID: "S0RELEASE", Handle: "release-managers", Name: "Release managers", Members: []string{"U0BOB", "U0CAROL", "U0ALICE", "U0FRANK", "U0DAVE", "U0MALLORY", "U0ROBOT"}},
		{ID: "S0SEC", Handle: "security", Name: "Security", Members: []string{"U0SAM"}},
		{ID: "S0ONCALL", Handle: "on-call", Name: "On call", Members: []string{"U0CAROL"}},
		{ID: "S0VP", Handle: "vps", Name: "VPs", Members: []string{"U0SAM", "U0CAROL", "U0BOB"}},
		{ID: "S0GONE", Handle: "gone", Name: "A disabled group", Members: []string{"U0BOB"}, Disabled: true},
	}
	channels := []Channel{
		{ID: "C0DEPLOYS", Name: "deploys", Topic: "What goes to production, and who says so", Member: true, Shared: true},
		{ID: "C0PAYMENTS", Name: "payments", Topic: "The payments team", Member: true},
		{ID: "C0SECURITY", Name: "security", Private: true, Member: true, People: []string{"U0SAM", "U0CAROL"}},
		{ID: "C0RANDOM", Name: "random", Topic: "The app is not in here"},
		{ID: "C0SECRET", Name: "secret", Private: true, People: []string{"U0SAM"}},
		{ID: "C0OLD", Name: "old", Archived: true, Member: true},
	}
	return users, groups, channels
}

// SetUser adds a user or replaces the one with that id.
func (w *Workspace) SetUser(u User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users = put(w.users, u, func(x User) string { return x.ID })
	w.touch()
}

// SetGroup adds a user group or replaces the one with that id.
func (w *Workspace) SetGroup(g Group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups = put(w.groups, g, func(x Group) string { return x.ID })
	w.touch()
}

// SetChannel adds a channel or replaces the one with that id.
func (w *Workspace) SetChannel(c Channel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.channels = put(w.channels, c, func(x Channel) string { return x.ID })
	w.touch()
}

// User is the account with that id.
func (w *Workspace) User(id string) (User, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.user(id)
}

// Channel is the channel with that id.
func (w *Workspace) Channel(id string) (Channel, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.channel(id)
}

// Users are all accounts, in the order in which they were added.
func (w *Workspace) Users() []User {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.users)
}

// Channels are all conversations, direct ones included.
func (w *Workspace) Channels() []Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.channels)
}

// Groups are all user groups.
func (w *Workspace) Groups() []Group {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.groups)
}

func put[T any](all []T, x T, id func(T) string) []T {
	all = slices.Clone(all)
	for i := range all {
		if id(all[i]) == id(x) {
			all[i] = x
			return all
		}
	}
	return append(all, x)
}

func get[T any](all []T, match func(T) bool) (T, bool) {
	if i := slices.IndexFunc(all, match); i >= 0 {
		return all[i], true
	}
	var none T
	return none, false
}

func (w *Workspace) user(id string) (User, bool) {
	return get(w.users, func(u User) bool { return u.ID == id })
}

func (w *Workspace) group(id string) (Group, bool) {
	return get(w.groups, func(g Group) bool { return g.ID == id })
}

func (w *Workspace) channel(id string) (Channel, bool) {
	return get(w.channels, func(c Channel) bool { return c.ID == id })
}

// team is where the user belongs.
func (u User) team() string {
	if u.Team == "" {
		return TeamID
	}
	return u.Team
}

// has says whether the person is in the channel.
func (c Channel) has(u User) bool {
	switch {
	case c.IM != "":
		return c.IM == u.ID || u.ID == BotUser
	case u.ID == BotUser:
		return c.Member
	case c.People != nil:
		return slices.Contains(c.People, u.ID)
	}
	return !u.Deactivated && !u.SingleGuest && !u.Bot && (c.Shared || u.team() == TeamID)
}

// im is the direct conversation with a person, opened where there is none.
func (w *Workspace) im(user string) Channel {
	if c, ok := get(w.channels, func(c Channel) bool { return c.IM == user }); ok {
		return c
	}
	c := Channel{ID: "D" + strings.TrimLeft(user, "UW"), IM: user, Member: true}
	w.channels = append(slices.Clone(w.channels), c)
	return c
}
