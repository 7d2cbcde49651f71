package slackbox

import (
	"slices"
	"strings"
)

// method is one of the Web API.
type method struct {
	scopes []string // any of these; none: any token will do
	app    bool     // wants the app-level token
	tier   int      // calls a minute that Slack promises to take
	run    func(*Workspace, args) (reply, *failure)
}

// Rates by tier (docs.slack.dev/apis/web-api/rate-limits): the number is what
// is promised for a minute, and all of it may come at once.
const (
	tier1   = 1
	tier2   = 20
	tier3   = 50
	tier4   = 100
	special = 600
)

// methods are those that the stand-in has. Conversations take the scope of
// their kind: see kindScope.
func methods() map[string]method {
	history := []string{"channels:history", "groups:history", "im:history", "mpim:history"}
	read := []string{"channels:read", "groups:read", "im:read", "mpim:read"}
	return map[string]method{
		"auth.test":             {tier: special, run: (*Workspace).authTest},
		"chat.postMessage":      {scopes: []string{"chat:write"}, tier: special, run: (*Workspace).postMessage},
		"chat.update":           {scopes: []string{"chat:write"}, tier: tier3, run: (*Workspace).updateMessage},
		"chat.delete":           {scopes: []string{"chat:write"}, tier: tier3, run: (*Workspace).deleteMessage},
		"chat.postEphemeral":    {scopes: []string{"chat:write"}, tier: tier4, run: (*Workspace).postEphemeral},
		"chat.getPermalink":     {tier: special, run: (*Workspace).permalink},
		"conversations.open":    {scopes: []string{"im:write", "channels:manage", "groups:write", "mpim:write"}, tier: tier3, run: (*Workspace).open},
		"conversations.history": {scopes: history, tier: tier3, run: (*Workspace).history},
		"conversations.replies": {scopes: history, tier: tier3, run: (*Workspace).replies},
		"conversations.info":    {scopes: read, tier: tier3, run: (*Workspace).info},
		"conversations.list":    {scopes: read, tier: tier2, run: (*Workspace).list},
		"conversations.members": {scopes: read, tier: tier4, run: (*Workspace).members},
		"conversations.join":    {scopes: []string{"channels:join"}, tier: tier3, run: (*Workspace).join},
		"views.open":            {tier: tier4, run: (*Workspace).viewsOpen},
		"views.push":            {tier: tier4, run: (*Workspace).viewsPush},
		"views.update":          {tier: tier4, run: (*Workspace).viewsUpdate},
		"views.publish":         {tier: tier4, run: (*Workspace).viewsPublish},
		"users.info":            {scopes: []string{"users:read"}, tier: tier4, run: (*Workspace).usersInfo},
		"users.list":            {scopes: []string{"users:read"}, tier: tier2, run: (*Workspace).usersList},
		"users.lookupByEmail":   {scopes: []string{"users:read.email"}, tier: tier3, run: (*Workspace).lookupByEmail},
		"usergroups.list":       {scopes: []string{"usergroups:read"}, tier: tier2, run: (*Workspace).groupsList},
		"usergroups.users.list": {scopes: []string{"usergroups:read"}, tier: tier2, run: (*Workspace).groupMembers},
		"team.info":             {scopes: []string{"team:read"}, tier: tier3, run: (*Workspace).teamInfo},
		"apps.connections.open": {scopes: []string{"connections:write"}, app: true, tier: tier2, run: (*Workspace).connectionsOpen},
	}
}

// AllScopes are the bot scopes that the methods here can need.
func AllScopes() []string {
	all := []string{"chat:write.public", "commands"}
	for _, m := range methods() {
		if !m.app {
			all = append(all, m.scopes...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// granted says whether the bot token carries any of the scopes. It needs w.mu.
func (w *Workspace) granted(scopes ...string) bool {
	return len(scopes) == 0 || slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(w.o.Scopes, s) })
}

// kindScope is what a conversation's kind asks for: "history", "read" or
// "write" of channels, groups (private ones) or direct messages.
func (c Channel) kindScope(what string) string {
	switch {
	case c.IM != "":
		return "im:" + what
	case c.Private:
		return "groups:" + what
	}
	return "channels:" + what
}

// lacks is Slack's answer to a token without the scope.
func (w *Workspace) lacks(needed ...string) *failure {
	return &failure{code: "missing_scope", more: reply{"needed": strings.Join(needed, ","), "provided": strings.Join(w.o.Scopes, ",")}}
}
