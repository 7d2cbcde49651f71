package slack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// Names are what a configuration and its rules name in Slack: by id, where.
type Names struct {
	Channels, Groups, Users map[string][]string
}

// Finding is one answer of [Examine], in words for whoever administers the
// workspace. Missing says that something has to be done.
type Finding struct {
	Missing bool
	Text    string
}

// examiner asks Slack one thing after the other.
type examiner struct {
	o     Options
	api   *slackgo.Client
	me    *slackgo.AuthTestResponse
	found []Finding
}

// Examine asks Slack whether everything is there that the gatekeeper needs:
// token, workspace, scopes, ways in, channels, groups and people. It posts
// nothing.
func Examine(ctx context.Context, o Options, n Names) ([]Finding, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	e := &examiner{o: o, api: newClient(o)}
	if !e.token(ctx) {
		return e.found, nil // nothing else could be asked
	}
	e.waysIn(ctx)
	for _, id := range sorted(n.Channels) {
		e.channel(ctx, id, n.Channels[id])
	}
	e.groups(ctx, n.Groups)
	for _, id := range sorted(n.Users) {
		e.user(ctx, id, n.Users[id])
	}
	return e.found, ctx.Err()
}

func sorted(m map[string][]string) []string {
	var ids []string
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (e *examiner) fine(format string, args ...any) {
	e.found = append(e.found, Finding{Text: fmt.Sprintf(format, args...)})
}

func (e *examiner) missing(format string, args ...any) {
	e.found = append(e.found, Finding{Missing: true, Text: e.o.scrub(fmt.Sprintf(format, args...))})
}

// ask calls Slack, and again where it asks to slow down.
func (e *examiner) ask(ctx context.Context, call func() error) error {
	for try := 0; ; try++ {
		err := call()
		d, slow := limited(err)
		if !slow || try == 3 || d > time.Minute {
			return err
		}
		pause(ctx, d)
	}
}

// token asks who we are; false: the token opens nothing.
func (e *examiner) token(ctx context.Context) bool {
	err := e.ask(ctx, func() (err error) { e.me, err = e.api.AuthTestContext(ctx); return err })
	if err != nil {
		e.missing("slack.bot_token: %s", e.o.fault(err, "auth.test", "").Description)
		return false
	}
	e.fine("bot token: of the app @%s in workspace %s (%s)", line(e.me.User, 80), line(e.me.Team, 80), line(e.me.TeamID, 40))
	if e.me.BotID == "" {
		e.missing("slack.bot_token is a person's token. Use the “Bot User OAuth Token” (xoxb-…) under OAuth & Permissions.")
	}
	if e.o.Team != "" && e.o.Team != e.me.TeamID && e.o.Team != e.me.EnterpriseID {
		e.missing("slack.team is %s, and the token belongs to %s. Every click would be refused: set slack.team to %s, or use the token of %s.", e.o.Team, e.me.TeamID, e.me.TeamID, e.o.Team)
	}
	e.scopes()
	return true
}

func (e *examiner) scopes() {
	granted := e.me.Header.Get("X-OAuth-Scopes")
	if granted == "" {
		return // GovSlack and proxies may not tell
	}
	lacking := missing(granted)
	for _, scope := range lacking {
		e.missing("scope %s: %s does not work without it. Add it under OAuth & Permissions → Bot Token Scopes, or paste the manifest of `gatekeeper slack manifest` under App Manifest; then press “Reinstall to Workspace”.", scope, purposes[scope])
	}
	if len(lacking) == 0 {
		e.fine("scopes: all %d", len(Scopes()))
	}
	if more := beyond(granted); len(more) > 0 {
		e.fine("scopes that the gatekeeper does not need and you could take away: %s", strings.Join(more, ", "))
	}
}

func (e *examiner) waysIn(ctx context.Context) {
	if e.o.SigningSecret != "" {
		e.fine("ways in: signed callbacks. Whether slack.signing_secret is right shows at the first click.")
	}
	if e.o.AppToken == "" {
		return
	}
	err := e.ask(ctx, func() error { _, _, err := e.api.StartSocketModeContext(ctx); return err })
	if err == nil {
		e.fine("ways in: Socket Mode")
		return
	}
	e.missing("Socket Mode: %s", appFault(e.o.fault(err, "apps.connections.open", ""), err).Description)
}

func (e *examiner) user(ctx context.Context, id string, where []string) {
	what := fmt.Sprintf("person %s (%s)", id, strings.Join(where, ", "))
	var u *slackgo.User
	err := e.ask(ctx, func() (err error) { u, err = e.api.GetUserInfoContext(ctx, id); return err })
	switch slackCode(err) {
	case "user_not_found", "users_not_found", "user_not_visible":
		e.missing("%s: the workspace has nobody with this id. Copy it from their profile: ⋮ → Copy member ID.", what)
		return
	}
	if err != nil {
		e.missing("%s cannot be looked up: %s", what, e.o.fault(err, "users.info", id).Description)
		return
	}
	s := standing(*u, gatekeeper.Person{Slack: id}, e.me.TeamID)
	what = fmt.Sprintf("person %s, %s (%s)", id, s.Name, strings.Join(where, ", "))
	switch {
	case s.Foreign:
		e.missing("%s belongs to another workspace, so their votes do not count. Name somebody of this one.", what)
	case s.Bot:
		e.missing("%s is a bot, so its votes do not count. Name a person.", what)
	case s.Guest:
		e.missing("%s is a guest, so their votes do not count. Make them a full member, or name somebody else.", what)
	case !s.Active:
		e.missing("%s is deactivated. Name somebody else.", what)
	default:
		e.fine("%s", what)
	}
}
