package slack

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatekeeper-ci/gatekeeper/gatekeeper"
	slackgo "github.com/slack-go/slack"
)

// Command is the slash command's name.
const Command = "/gatekeeper"

// commandTime is how long a command's answer is worked on. Slack waits three
// seconds, and shows its own error after that.
const commandTime = 2200 * time.Millisecond

// typed is what is read of a slash command
// (https://docs.slack.dev/interactivity/implementing-slash-commands).
type typed struct {
	AppID      string `json:"api_app_id"`
	Team       string `json:"team_id"`
	Enterprise string `json:"enterprise_id"`
	User       string `json:"user_id"`
	UserName   string `json:"user_name"`
	Channel    string `json:"channel_id"`
	Command    string `json:"command"`
	Text       string `json:"text"`
	SSLCheck   string `json:"ssl_check"` // "1": Slack looks whether the certificate is right, and nobody typed anything
}

func parseCommand(raw []byte, appID string) (typed, error) {
	var t typed
	if err := json.Unmarshal(raw, &t); err != nil {
		return t, bad("the command is no form as Slack sends it")
	}
	if t.Team == "" {
		t.Team = t.Enterprise // an organisation-wide install
	}
	switch {
	case t.SSLCheck == "1":
	case appID != "" && t.AppID != appID:
		return t, bad("the command is for another app than slack.app_id")
	case !userID.MatchString(t.User):
		return t, bad("the command names no user by an id (U… or W…)")
	case !teamID.MatchString(t.Team):
		return t, bad("the command names no team by an id (T… or E…)")
	case !placeID.MatchString(t.Channel):
		return t, bad("the command names no channel by an id (C…, G… or D…)")
	case t.Command != Command:
		return t, bad("the app has no such command")
	}
	return t, nil
}

func (t typed) person() gatekeeper.Person {
	return gatekeeper.Person{Slack: t.User, Team: t.Team, Name: line(t.UserName, 80)}
}

// command answers /gatekeeper, privately. It reads and decides nothing, so
// there is nothing to record; who may not decide is refused.
func (s *Slack) command(ctx context.Context, raw []byte) (any, error) {
	t, err := parseCommand(raw, s.AppID)
	if err != nil || t.SSLCheck == "1" {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	verb, rest, _ := strings.Cut(strings.TrimSpace(t.Text), " ")
	switch verb = strings.ToLower(verb); {
	case verb == "pending":
		return s.pending(ctx, t), nil
	case verb == "show" && namedRequest(rest) != "":
		return s.show(ctx, t, namedRequest(rest)), nil
	}
	return s.help(ctx, t), nil
}

// namedRequest is the request that people mean: its id, or the address of its
// page.
func namedRequest(text string) string {
	id := strings.Trim(strings.TrimSpace(text), "`<>")
	id = id[strings.LastIndex(id, "/")+1:]
	if !requestID.MatchString(id) {
		return ""
	}
	return id
}

func (s *Slack) pending(ctx context.Context, t typed) ephemeral {
	in, err := s.Gate.Inbox(ctx, t.person())
	if err != nil {
		return s.unable(ctx, t, err)
	}
	return s.fitting(func(most int) ephemeral { return s.waiting(in, t, most) })
}

// waiting lists what waits for the person first, and what else was asked in
// this channel. What waits elsewhere for others is counted alone: it may have
// been asked in a private channel.
func (s *Slack) waiting(in gatekeeper.Inbox, t typed, most int) ephemeral {
	title := amount(len(in.Waiting), "request waits for you", "requests wait for you")
	e := ephemeral{Text: title}
	e.add(section(markup("*" + title + "*")))
	for _, item := range in.Waiting[:min(most, len(in.Waiting))] {
		e.add(s.card(viaCommand, in.Person, item, s.remembered(item.Request))...)
	}
	if more := len(in.Waiting) - most; more > 0 {
		e.add(small(words(amount(more, "more request", "more requests") + " in the app's Home tab")))
	}
	var here []string
	elsewhere := 0
	for _, o := range in.Others {
		if s.askedIn(o.Request) == t.Channel || o.Mine {
			here = append(here, "• "+s.brief(o.Request)+": "+whyNot(in.Person, o))
		} else {
			elsewhere++
		}
	}
	if len(here) > 0 {
		e.add(slackgo.NewDividerBlock(), section(markup("*Waiting for others*\n"+fit(here, 1500))))
	}
	if elsewhere > 0 {
		e.add(small(words(amount(elsewhere, "request waits", "requests wait") + " for other people elsewhere.")))
	}
	return e
}

// askedIn is the channel where people were asked.
func (s *Slack) askedIn(r gatekeeper.Request) string {
	if r.Rule.Notify.Channel != "" {
		return r.Rule.Notify.Channel
	}
	return s.DefaultChannel
}

// show gives one request. Its id cannot be guessed: who has it was told of it.
func (s *Slack) show(ctx context.Context, t typed, id string) ephemeral {
	r, err := s.Gate.Lookup(ctx, id)
	if err == nil {
		var e gatekeeper.InboxItem
		if e, err = s.Gate.Sight(ctx, t.person(), r); err == nil {
			return s.fitting(func(most int) ephemeral { return s.whole(t, e, most < maxCards) })
		}
	} else if _, refused := s.Gate.Inbox(ctx, t.person()); gatekeeper.CodeOf(refused) == gatekeeper.CodeAccessDenied {
		err = refused // a stranger does not learn which requests there are
	}
	if gatekeeper.CodeOf(err) == gatekeeper.CodeNotFound {
		return ephemeral{Text: "There is no request " + escape(id) + "."}
	}
	return s.unable(ctx, t, err)
}

// whole is the request as its message shows it, with the buttons that the
// person can use.
func (s *Slack) whole(t typed, e gatekeeper.InboxItem, short bool) ephemeral {
	r := e.Request
	m := Render(r, View{PublicURL: s.PublicURL, Now: s.Clock(), People: s.People, Short: short, Names: s.remembered(r)})
	out := ephemeral{Text: m.Text}
	for _, b := range m.Blocks {
		if b.BlockType() != slackgo.MBTAction {
			out.add(b)
		}
	}
	if e.Why != "" && r.State == gatekeeper.Pending {
		out.add(small(words("Your approval would not count: " + line(e.Why, 300))))
	}
	out.add(s.choices(viaCommand, t.User, e)...)
	return out
}

func (s *Slack) help(ctx context.Context, t typed) ephemeral {
	in, err := s.Gate.Inbox(ctx, t.person())
	if gatekeeper.CodeOf(err) == gatekeeper.CodeAccessDenied {
		return s.unable(ctx, t, err)
	}
	e := ephemeral{Text: "/gatekeeper pending, /gatekeeper show REQ, /gatekeeper help"}
	e.add(section(markup("*What I can do for you*\n" +
		"• `/gatekeeper pending`  requests that wait for you, with their buttons\n" +
		"• `/gatekeeper show REQ`  one request, by its id (`req_…`) or the address of its page\n" +
		"• `/gatekeeper help`  this\n" +
		"The Home tab of this app is your inbox.")))
	if err == nil {
		e.add(small(words(amount(len(in.Waiting), "request waits for you now.", "requests wait for you now."))))
	}
	return e
}

// unable says why a command has no answer.
func (s *Slack) unable(ctx context.Context, t typed, err error) ephemeral {
	if gatekeeper.CodeOf(err) == gatekeeper.CodeAccessDenied {
		s.Logger.InfoContext(ctx, "slack: command refused", "person", t.User, "team", t.Team, "error", err)
		return ephemeral{Text: "You see no requests here: " + escape(line(err.Error(), 200)) + "."}
	}
	s.Logger.WarnContext(ctx, "slack: command without an answer", "person", t.User, "error", s.scrubbed(err))
	return ephemeral{Text: "That cannot be looked up right now. Please try again in a moment."}
}
