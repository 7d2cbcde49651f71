package slack

import (
	"context"
	"fmt"
	"strings"

	slackgo "github.com/slack-go/slack"
)

// channel asks whether we can post there. conversations.info tells most, but
// takes scopes that the gatekeeper needs for nothing else; without them the
// channel's history, which it may read where it is a member, tells enough.
func (e *examiner) channel(ctx context.Context, id string, where []string) {
	what := fmt.Sprintf("channel %s (%s)", id, strings.Join(where, ", "))
	var c *slackgo.Channel
	err := e.ask(ctx, func() (err error) {
		c, err = e.api.GetConversationInfoContext(ctx, &slackgo.GetConversationInfoInput{ChannelID: id})
		return err
	})
	switch {
	case slackCode(err) == "missing_scope":
		e.channelByHistory(ctx, id, what)
	case err != nil:
		e.place(what, err)
	case c.IsArchived:
		e.missing("%s, #%s, is archived. Unarchive it, or name another channel.", what, line(c.Name, 80))
	case !c.IsMember:
		e.missing("%s: the app is not in #%s. Open it in Slack and type /invite @%s", what, line(c.Name, 80), line(e.me.User, 80))
	default:
		e.fine("%s, #%s", what, line(c.Name, 80))
	}
}

func (e *examiner) channelByHistory(ctx context.Context, id, what string) {
	err := e.ask(ctx, func() error {
		_, err := e.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{ChannelID: id, Limit: 1})
		return err
	})
	if err != nil {
		e.place(what, err)
		return
	}
	e.fine("%s", what)
}

// place says why a channel cannot be looked at.
func (e *examiner) place(what string, err error) {
	switch slackCode(err) {
	case "channel_not_found":
		e.missing("%s: Slack shows the app no such channel. If it is private, open it and type /invite @%s; otherwise copy its id from the channel's details, at the bottom.", what, line(e.me.User, 80))
	case "not_in_channel":
		e.missing("%s: the app is not in it. Open it in Slack and type /invite @%s", what, line(e.me.User, 80))
	case "missing_scope":
		e.missing("%s cannot be looked at before the scopes are there", what)
	default:
		e.missing("%s cannot be looked at: %s", what, e.o.fault(err, "conversations.info", what).Description)
	}
}

// groups are looked up together: their list is one call, and asking for each
// would soon be too many.
func (e *examiner) groups(ctx context.Context, names map[string][]string) {
	if len(names) == 0 {
		return
	}
	var all []slackgo.UserGroup
	err := e.ask(ctx, func() (err error) {
		all, err = e.api.GetUserGroupsContext(ctx, slackgo.GetUserGroupsOptionIncludeDisabled(true), slackgo.GetUserGroupsOptionIncludeUsers(true))
		return err
	})
	if err != nil {
		e.missing("user groups cannot be looked up: %s", e.o.fault(err, "usergroups.list", "").Description)
		return
	}
	byID := map[string]slackgo.UserGroup{}
	for _, g := range all {
		byID[g.ID] = g
	}
	for _, id := range sorted(names) {
		g, known := byID[id]
		e.group(fmt.Sprintf("user group %s (%s)", id, strings.Join(names[id], ", ")), g, known)
	}
}

func (e *examiner) group(what string, g slackgo.UserGroup, known bool) {
	handle := line(g.Handle, 80)
	switch {
	case !known:
		e.missing("%s: the workspace has none with this id. It is at the end of the group's address under People → User groups.", what)
	case g.DateDelete != 0:
		e.missing("%s, @%s, is disabled, so nobody can approve as its member. Enable it under People → User groups, or name another one.", what, handle)
	case len(g.Users) == 0:
		e.missing("%s, @%s, has no members, so nobody can approve as one. Add people under People → User groups.", what, handle)
	default:
		e.fine("%s, @%s, %s", what, handle, amount(len(g.Users), "member", "members"))
	}
}
